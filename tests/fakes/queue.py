"""A queue as the core meets it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage


class FakeQueue:
    """One SQS queue: what was put on it, and the visibility timeouts that were set.

    ``bodies``, ``attributes``, ``groups`` and ``delays`` (seconds) are those of one message at the same
    place. ``failing`` is AWS's error code for as long as it is set; ``failing_entries`` are the indices
    that a batch loses.
    """

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.attributes: list[dict[str, str]] = []
        self.groups: list[str | None] = []
        self.delays: list[int] = []
        self.handed_out_again: dict[str, float] = {}
        self.failing: str | None = None
        self.failing_entries: set[int] = set()
        self._lock = threading.Lock()

    def send(self, body: str, *, group: str | None = None, **attributes: str) -> None:
        if self.failing:
            raise StorageError("put the message on the queue", self.failing)
        self._take(DelayedMessage(body, 0, group, attributes))

    def send_delayed(self, items: Sequence[DelayedMessage]) -> list[int]:
        if self.failing:
            return list(range(len(items)))
        failed = [
            index
            for index, item in enumerate(items)
            if index in self.failing_entries or not 0 <= item.delay_seconds <= 900
        ]
        for index, item in enumerate(items):
            if index not in failed:
                self._take(item)
        return failed

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        code = self.failing or (None if 0 <= round(seconds) <= 43200 else "InvalidParameterValue")
        if code:
            raise StorageError("set the visibility timeout", code)
        self.handed_out_again[receipt_handle] = seconds

    def _take(self, item: DelayedMessage) -> None:
        with self._lock:
            self.bodies.append(item.body)
            self.attributes.append({name: value for name, value in item.attributes.items() if value})
            self.groups.append(item.group)
            self.delays.append(item.delay_seconds)
