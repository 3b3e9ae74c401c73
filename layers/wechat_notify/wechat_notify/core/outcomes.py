"""Statuses and outcomes: the vocabulary that every module shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class ErrorClass(StrEnum):
    """The class of an errcode; it decides what happens next."""

    SUCCESS = "success"
    TRANSIENT = "transient"
    TOKEN = "token"  # noqa: S105 - a class of errors, not a secret
    RECIPIENT = "recipient"
    REQUEST = "request"
    TEMPLATE = "template"
    QUOTA = "quota"
    RATE_LIMIT = "rate_limit"
    CONFIG = "config"
    PERMISSION = "permission"
    BANNED = "banned"
    DEPRECATED = "deprecated"
    PLATFORM = "platform"
    DUPLICATE = "duplicate"
    OTHER = "other"
    UNKNOWN = "unknown"
    """Not an errcode: WeChat's answer was lost, so whether the message was accepted is not known."""


class Status(StrEnum):
    """The states of a message; ``core.delivery.entry`` says which may follow which."""

    QUEUED = "queued"
    """It waits: for its first attempt or for the next one."""
    SENDING = "sending"
    """Claimed: an invocation is sending it, or ended before it recorded the result."""
    SENT = "sent"
    """WeChat answered errcode 0 (accepted, no more than that)."""
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """It may have been sent: WeChat's answer was lost."""


class HoldScope(StrEnum):
    """The scope of a hold: how much of an account an answer of WeChat's concerns."""

    ACCOUNT = "account"
    KIND = "kind"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text for people in the two languages of WeChat's documentation."""

    en: str
    zh: str

    def as_dict(self) -> dict[str, str]:
        """Return both, as problem documents and events carry them."""
        return {"en": self.en, "zh": self.zh}


def without_none(**fields: Any) -> dict[str, Any]:
    """Return the fields that are known."""
    return {name: value for name, value in fields.items() if value is not None}


class Outcome(NamedTuple):
    """The outcome of one attempt to send, or to fetch a token.

    ``retryable`` says that a plain later repeat of the same call can work and cannot send twice.
    ``errcode`` is None where WeChat did not answer with one; ``field`` is the data key that a
    47003 names; ``retry_after`` is the least wait in seconds where the kind of error sets one.
    ``unjudged`` says that WeChat did not judge the message: there was no token, or something
    in between refused the call. ``repeats`` is how many repeats the kind of error is worth where
    that is fewer than usual (an error may be worth some and yet not be ``retryable`` for a caller).
    ``holds`` names what else would be answered the same, and so waits; ``until_reset`` says that it waits
    for the daily quota's reset. ``cause`` says why there is no errcode, such as ``HTTP 502``.
    """

    status: Status
    error_class: ErrorClass
    hint: Bilingual
    retryable: bool = False
    errcode: int | None = None
    errmsg: str | None = None
    rid: str | None = None
    msgid: int | None = None
    field: str | None = None
    retry_after: float | None = None
    unjudged: bool = False
    repeats: int | None = None
    holds: HoldScope | None = None
    until_reset: bool = False
    cause: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what people and their programs are told of it; what is not known is left out."""
        answer = without_none(errcode=self.errcode, errmsg=self.errmsg, rid=self.rid, field=self.field)
        return {"class": self.error_class.value, **answer, "hint": self.hint.as_dict()}


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome for JSON, where it crosses from function to function."""
    return {**outcome._asdict(), "hint": outcome.hint.as_dict()}


def outcome_from_dict(fields: Mapping[str, Any]) -> Outcome:
    """The outcome that ``outcome_to_dict`` took apart; what another version of it has more is left out."""
    return Outcome(
        **{
            **{name: value for name, value in fields.items() if name in Outcome._fields},
            "status": Status(fields["status"]),
            "error_class": ErrorClass(fields["error_class"]),
            "hint": Bilingual(**fields["hint"]),
            "holds": HoldScope(fields["holds"]) if fields.get("holds") else None,
        }
    )


class DomainEvent(NamedTuple):
    """An event for the team's own automation: EventBridge's detail-type, and its detail as JSON has it."""

    detail_type: str
    detail: Mapping[str, object]


class DelayedMessage(NamedTuple):
    """A message for a queue that shows it after so many seconds, 900 (SQS's limit) at most.

    ``group`` is whose it is: nobody's backlog stands before another group's messages.
    """

    body: str
    delay_seconds: int
    group: str | None = None
    attributes: Mapping[str, str] = MappingProxyType({})


_YEAR_1, _YEAR_9999 = -62135596800.0, 253402300799.0
"""The first and the last second that have a date: with an offset, an expiry can lie beyond them."""


def iso_time(seconds: float) -> str:
    """Seconds since the epoch as people and other programs read them: RFC 3339, UTC, milliseconds."""
    seconds = min(max(seconds, _YEAR_1), _YEAR_9999)
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
