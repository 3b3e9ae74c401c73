"""The results of handling a message: one closed union, made by ``core.delivery.send`` and the ledger.

The *message's* status is the ledger's (``result.entry.status``); a result says what this call did about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.outcomes import DomainEvent, Outcome, Status


class ConsentUse(StrEnum):
    """The use that an attempt made of its receiver's consent; not said where the account's policy is off."""

    USED = "used"
    """It used up a grant."""
    RETURNED = "returned"
    """It took a grant and gave it back: the message was not sent, and WeChat's answer was not 43101."""
    MISSING = "missing"
    """No grant is known; the message went to WeChat all the same."""
    REFUSED = "refused"
    """No grant is known, so the message did not go to WeChat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The fields of every result.

    ``entry`` is the message's entry as it is now, None where the ledger was not asked. ``outcome`` is what
    the last attempt came to, or why there was none. ``delivery`` is this call's attempt, None where it made
    none. ``events`` are to be published. ``consent`` is the use that was made of the receiver's consent.
    """

    name: ClassVar[str]
    """The result in log lines and metrics."""

    entry: Entry | None = None
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    events: Sequence[DomainEvent] = ()
    consent: ConsentUse | None = None

    @property
    def attempted(self) -> bool:
        """Return whether this call sent a request to WeChat."""
        return self.exchange is not None and self.exchange.posts > 0

    @property
    def status(self) -> Status | None:
        """The message's status, None where the ledger was not asked."""
        return self.entry.status if self.entry else None


# A class without own fields is not made a dataclass again: that takes half a millisecond of every start.
class Queued(Result):
    """It is on the queue."""

    name: ClassVar[str] = "queued"


class Sent(Result):
    """WeChat accepted it."""

    name: ClassVar[str] = "sent"


class Failed(Result):
    """It was not sent, and will not be."""

    name: ClassVar[str] = "failed"


class Expired(Result):
    """Its time passed before it could be sent."""

    name: ClassVar[str] = "expired"


class Cancelled(Result):
    """It was cancelled while it waited."""

    name: ClassVar[str] = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Result):
    """It may have been sent: an answer was lost.

    Its caller may repeat it in ``repeat_after`` seconds; None where a repeat could be a second message.
    """

    name: ClassVar[str] = "unknown"

    repeat_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Later(Result):
    """Something is due in ``after`` seconds."""

    after: float


class RetryAt(_Later):
    """It was not sent; the queue hands it out again in ``after`` seconds."""

    name: ClassVar[str] = "retry_at"


class TryAgain(_Later):
    """It was not sent; its caller is told to try again in ``after`` seconds."""

    name: ClassVar[str] = "try_again"


class Held(_Later):
    """A circuit holds it for ``after`` seconds."""

    name: ClassVar[str] = "held"


class Unrecorded(_Later):
    """WeChat's answer did not reach the ledger; the claim runs out in ``after`` seconds."""

    name: ClassVar[str] = "unrecorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight(_Later):
    """Another invocation is sending it; worth a look in ``after`` seconds."""

    name: ClassVar[str] = "in_flight"

    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDue(_Later):
    """Its next attempt is due in ``after`` seconds."""

    name: ClassVar[str] = "not_due"

    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed(Result):
    """An earlier call gave it its status; ``repeat_after`` is as ``Unknown`` has it."""

    name: ClassVar[str] = "replayed"

    entry: Entry
    repeat_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdReused(Result):
    """Its id belongs to another message."""

    name: ClassVar[str] = "id_reused"

    entry: Entry


BackToQueue = RetryAt | Unrecorded | InFlight | NotDue
"""Results after which the queue hands the message out again."""
NotOurs = InFlight | NotDue | Replayed | IdReused
"""The ledger's answers to a caller that may not send the message."""
