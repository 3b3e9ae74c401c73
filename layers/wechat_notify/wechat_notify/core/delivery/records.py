"""The records of a batch: as the queue hands them out, as they are read, and as they were handled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from wechat_notify.core.delivery.entry import MAX_RETENTION
from wechat_notify.core.delivery.results import Result
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.violations import Violation

HELD_SINCE = "held_since"
MESSAGE_ID = "message_id"
PRODUCER_ID = "id"
"""Message attributes: since when it is parked (seconds since the epoch); the id that a body without one
had when it first came; of a dead letter, the id that its body names."""
_CLOCKS_APART = 300.0
"""Seconds by which another process may be ahead."""
_MAX_DIGITS = 12


class Record(NamedTuple):
    """One message as the queue handed it out, for the ``receive_count``-th time.

    ``sent_at`` is when this copy came to the queue, in seconds since the epoch, None where that is not known.
    """

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    attributes: Mapping[str, str] = MappingProxyType({})
    sent_at: float | None = None

    def held_since(self, now: float) -> float | None:
        """Time since which a message is held; None where it is not, or a producer made the time up."""
        text = self.attributes.get(HELD_SINCE, "")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            return None
        since = float(text)
        return since if now - MAX_RETENTION <= since <= now + _CLOCKS_APART else None


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
