"""The queue of steps as the core meets it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import NamedTuple

from wechat_notify.core.errors import StorageError


class Step(NamedTuple):
    """A step that is visible from ``due`` on (seconds since the epoch)."""

    due: float
    number: int
    account: str
    broadcast_id: str
    step: int


class FakeStepQueue:
    """Steps in the order in which they are due; ``doubled``: each is handed out twice.

    ``failing`` is AWS's error code, for as long as it stands there.
    """

    def __init__(self, now: Callable[[], float], *, doubled: bool = False) -> None:
        self.doubled = doubled
        self.failing: str | None = None
        self.sent = 0
        self._due: list[Step] = []
        self._now = now
        self._numbers = itertools.count()

    def send(self, account: str, broadcast_id: str, step: int, delay_seconds: int) -> None:
        if self.failing or not 0 <= delay_seconds <= 900:
            raise StorageError("put the broadcast's step on the queue", self.failing or "Failed")
        self.sent += 1
        for _ in range(2 if self.doubled else 1):
            due = self._now() + delay_seconds
            heapq.heappush(self._due, Step(due, next(self._numbers), account, broadcast_id, step))

    def next_due(self) -> float | None:
        return self._due[0].due if self._due else None

    def receive(self) -> Step | None:
        """The next step that is visible now; ``give_back`` hands it out again."""
        if not self._due or self._due[0].due > self._now():
            return None
        return heapq.heappop(self._due)

    def give_back(self, step: Step, seconds: float) -> None:
        """Make a step visible again after so many seconds."""
        heapq.heappush(self._due, step._replace(due=self._now() + seconds))
