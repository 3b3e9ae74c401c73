"""The queue of a broadcast's messages as the core meets it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence

from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage


class FakeRowQueue:
    """Messages in the order in which they are due; ``taken`` counts those that were put on it.

    ``failing`` is AWS's error code, for as long as it stands there.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.failing: str | None = None
        self.taken = 0
        self.largest_call = 0
        self._due: list[tuple[float, int, str]] = []
        self._now = now
        self._numbers = itertools.count()

    def send_all(self, messages: Sequence[DelayedMessage]) -> None:
        if self.failing or not all(0 <= message.delay_seconds <= 900 for message in messages):
            raise StorageError("put the broadcast's messages on the queue", self.failing or "Failed")
        for message in messages:
            due = self._now() + message.delay_seconds
            heapq.heappush(self._due, (due, next(self._numbers), message.body))
        self.taken += len(messages)
        self.largest_call = max(self.largest_call, len(messages))

    def next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def receive(self) -> str | None:
        """The next message that is visible now, which is gone then."""
        if not self._due or self._due[0][0] > self._now():
            return None
        return heapq.heappop(self._due)[2]
