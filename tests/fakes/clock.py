"""Time that a test controls, and the two ends of a random pause."""

from __future__ import annotations

import threading
from datetime import timedelta, timezone

START = 1772348645.0
"""2026-03-01 15:04:05 in Beijing, the hour of the sample events."""
BEIJING = timezone(timedelta(hours=8))


class Clock:
    """Time that passes only where somebody sleeps or a test says so; seconds since the epoch."""

    def __init__(self, now: float = START) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._now += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


def lowest(low: float, high: float) -> float:
    """The jitter that is always the lower bound."""
    return min(low, high)


def highest(low: float, high: float) -> float:
    """The jitter that is always the upper bound."""
    return max(low, high)
