"""The tests run with the garbage collector on, which the service leaves off until its first event is over."""

import gc

import pytest

import wechat_notify  # noqa: F401 - it turns the collector off
from tests.documented import DocumentedAnswers

gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(DocumentedAnswers())
