"""Messages to put on an SQS queue, and what SQS tells of those that it hands out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class DelayedMessage(NamedTuple):
    """A message for a queue that shows it after so many seconds, 900 (SQS's limit) at most.

    ``group`` is whose it is: nobody's backlog stands before another group's messages.
    """

    body: str
    delay_seconds: int
    group: str | None = None
    attributes: Mapping[str, str] = MappingProxyType({})


def sent_at(record: Mapping[str, Any]) -> float | None:
    """Time at which a record came to its queue, seconds since the epoch; None if a person left it out."""
    milliseconds = record["attributes"].get("SentTimestamp")
    return None if milliseconds is None else int(milliseconds) / 1000


def oldest_age(records: Iterable[Mapping[str, Any]], now: float) -> float:
    """Seconds since the oldest of an event's records came to the queue, however often it was received."""
    times = [at for record in records if (at := sent_at(record)) is not None]
    return now - min(times, default=now)
