"""The event bus: what the team's own automation is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wechat_notify.aws.calls import Caller
from wechat_notify.aws.chunks import chunks
from wechat_notify.core.outcomes import Notice, StorageError

_SOURCE = "wechat-notify"


class EventBus:
    """One EventBridge bus, by its name."""

    def __init__(self, aws: Caller, name: str) -> None:
        self._aws = aws
        self._name = name

    def publish(self, notices: Sequence[Notice]) -> int:
        """Put events on the bus; how many could not be, and never an error.

        What they tell has happened already, and no message may fail for want of an event. Where the bus does
        not answer, the rest is not tried: a function has only so much time left after its last message.
        """
        published = 0
        for batch in chunks(map(self._entry, notices), _size):
            try:
                answer = self._aws.call("events", "PutEvents", "publish the events", Entries=batch)
            except StorageError:
                break
            published += sum("EventId" in entry for entry in answer.get("Entries", []))
        return len(notices) - published

    def _entry(self, notice: Notice) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": _SOURCE,
            "DetailType": notice.detail_type,
            "Detail": json.dumps(notice.detail, default=str),
        }


def _size(entry: dict[str, Any]) -> int:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    return sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail"))
