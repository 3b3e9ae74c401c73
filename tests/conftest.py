"""The tests run with the garbage collector on, which the service leaves off until its first event is over."""

import gc

import wechat_notify  # noqa: F401 - it turns the collector off

gc.enable()
