"""The queues of broadcasts: their messages, and their steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from wechat_notify.aws.queue import Queue
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage

_THREADS = 8
"""Calls at a time: one takes some 10 ms, so that 8,000 messages a second go to the queue."""
_A_THREAD = 50
"""Messages that a thread sends before it takes others."""


class RowQueue:
    """The queue of broadcasts' messages."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def send_all(self, messages: Sequence[DelayedMessage]) -> None:
        """Put messages on the queue: all of them, or ``StorageError`` (some may be on it all the same)."""
        groups = [messages[start : start + _A_THREAD] for start in range(0, len(messages), _A_THREAD)]
        with ThreadPoolExecutor(_THREADS) as threads:
            failed = sum(map(len, threads.map(self._queue.send_delayed, groups)))
        if failed:
            raise StorageError("put the broadcast's messages on the queue", "Failed")


class StepQueue:
    """The queue of broadcasts' steps; a body is ``{"account", "broadcast", "step"}``."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def send(self, account: str, broadcast_id: str, step: int, delay_seconds: int) -> None:
        """Put a step on the queue that is hidden for so many seconds; raises ``StorageError``."""
        body = json.dumps({"account": account, "broadcast": broadcast_id, "step": step})
        if self._queue.send_delayed([DelayedMessage(body, delay_seconds)]):
            raise StorageError("put the broadcast's step on the queue", "Failed")
