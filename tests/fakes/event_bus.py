"""The event bus as the core meets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

from wechat_notify.core.outcomes import DomainEvent


class FakeBus:
    """The event bus: what was published. ``failing`` is AWS's error code for as long as it is set."""

    def __init__(self) -> None:
        self.events: list[DomainEvent] = []
        self.failing: str | None = None
        self._lock = threading.Lock()

    def publish(self, events: Sequence[DomainEvent]) -> int:
        json.dumps([domain_event.detail for domain_event in events])  # what is published must be JSON
        with self._lock:
            if self.failing:
                return len(events)
            self.events += events
            return 0
