"""The event bus: what the team's own automation is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from wechat_notify.aws.chunks import chunks
from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import DomainEvent

RETRY_FOR = 1.0
"""Seconds in which a call is repeated."""
_SOURCE = "wechat-notify"
_PUBLISHING = 2.0
"""Seconds after which no further call is begun: after its last message a function has little time left."""


class EventBus:
    """One EventBridge bus, by its name; ``clock`` counts seconds and never goes back."""

    def __init__(self, aws: Clients, name: str, *, clock: Callable[[], float] | None = None) -> None:
        self._aws = aws
        self._name = name
        self._clock = clock or time.monotonic

    def publish(self, events: Sequence[DomainEvent]) -> int:
        """Put events on the bus; how many could not be, and never an error.

        What they tell has happened already, and no message may fail for want of an event. Where the bus does
        not answer, or is slow, the rest is not tried.
        """
        published = 0
        stop_at = self._clock() + _PUBLISHING
        for batch in chunks(map(self._entry, events), _size):
            if self._clock() > stop_at:
                break
            try:
                answer = self._put(batch)
            except StorageError:
                break
            published += sum("EventId" in entry for entry in answer.get("Entries", []))
        return len(events) - published

    def _put(self, entries: Sequence[Any]) -> Any:
        return self._aws.call(
            "publish the events", lambda: self._aws.events.put_events(Entries=entries), retry_for=RETRY_FOR
        )

    def _entry(self, domain_event: DomainEvent) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": _SOURCE,
            "DetailType": domain_event.detail_type,
            "Detail": json.dumps(domain_event.detail, default=str),
        }


def _size(entry: dict[str, Any]) -> int:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    return sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail"))
