"""Statuses of messages, and outcomes of calls to WeChat."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from wechat_notify.core.texts import Bilingual, without_none


class ErrorClass(StrEnum):
    """The class of an errcode; it decides what happens next."""

    SUCCESS = "success"
    TRANSIENT = "transient"
    TOKEN = "token"  # noqa: S105 # nosec B105 # a class of errors, not a secret
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
