"""EventBridge: a bus that keeps what was published."""

# ruff: noqa: N803 - the names of a request's fields are AWS's

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any


class EventsApi:
    """The event bus: the entries that were published."""

    def __init__(self, chance: Random, entry_lost: Callable[[], float]) -> None:
        self.published: list[dict[str, Any]] = []
        self._chance = chance
        self._entry_lost = entry_lost

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Publish up to ten events, each of which may fail by itself."""
        assert 1 <= len(Entries) <= 10
        answers: list[dict[str, str]] = []
        for entry in Entries:
            assert isinstance(json.loads(entry["Detail"]), dict)
            if self._chance.random() < self._entry_lost():
                answers.append({"ErrorCode": "InternalFailure"})
            else:
                self.published.append(entry)
                answers.append({"EventId": str(len(self.published))})
        return {"Entries": answers, "FailedEntryCount": sum("ErrorCode" in answer for answer in answers)}
