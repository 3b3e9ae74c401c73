"""The records of a batch: as the queue hands them out, as they are read, and as they were handled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from wechat_notify.core.delivery.results import Result
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.violations import Violation

HELD_SINCE = "held_since"
MESSAGE_ID = "message_id"
PRODUCER_ID = "id"
"""Message attributes: since when it is parked (seconds since the epoch); the id that a body without one
had when it first came; of a dead letter, the id that its body names."""


class Record(NamedTuple):
    """One message as the queue handed it out, for the ``receive_count``-th time."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    attributes: Mapping[str, str] = MappingProxyType({})


class Disposition(StrEnum):
    """The fate of a queued message after it was handled."""

    FINISHED = "finished"
    RETURNED = "returned"
    """It stays on the queue and is handed out again."""
    PARKED = "parked"
    """A copy that comes later took its place on the queue."""
    DEAD_LETTER = "dead_letter"
    """It was put among the dead letters."""


class Handled(NamedTuple):
    """One record and what became of it.

    ``refusal`` is set where the message will never be attempted, ``result`` where the ledger knows
    it; neither where there was no time left. ``message_id`` is the id that a body without a request names.
    ``error`` is an unexpected exception.
    """

    record: Record
    disposition: Disposition
    request: SendRequest | None = None
    message: Message | None = None
    result: Result | None = None
    refusal: str | None = None
    violations: Sequence[Violation] = ()
    detail: str | None = None
    error: Exception | None = None
    message_id: str | None = None


class ReadableRecord(NamedTuple):
    """A record whose message keeps the rules of its kind."""

    record: Record
    request: SendRequest
    message: Message
    warnings: Sequence[Violation]

    def handled(self, disposition: Disposition, result: Result | None = None) -> Handled:
        """Return the record with what became of it."""
        return Handled(self.record, disposition, self.request, self.message, result, violations=self.warnings)
