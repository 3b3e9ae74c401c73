"""The parts of the function callback."""

from __future__ import annotations

import time
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.callback_keys import StoredCallbackKeys
from wechat_notify.aws.queue import Queue
from wechat_notify.wechat.callbacks.door import CallbackDoor


@cache
def keys() -> StoredCallbackKeys:
    """The accounts' callback keys."""
    return StoredCallbackKeys(bootstrap.aws(), bootstrap.settings().parameter_path, clock=time.monotonic)


@cache
def door() -> CallbackDoor:
    """The door for WeChat's callbacks."""
    return CallbackDoor(keys(), now=time.time)


@cache
def matches_receipts() -> bool:
    """Return whether messages are found by WeChat's receipts; where not, these are not queued."""
    return bootstrap.settings().receipts


@cache
def queue() -> Queue:
    """The queue of what WeChat has told."""
    return Queue(bootstrap.aws(), bootstrap.settings().callback_queue_url)
