"""What can become of a message, in words that every room shares.

::

    WeChatNotifyError
    ├── MediaTypeError         the body is said to be something else than JSON
    ├── BodyTooLargeError      no message is as large as that
    ├── MalformedBodyError     the text is not the JSON that it must be
    ├── InvalidRequestError    the JSON is no send request: every violation is listed
    ├── IdempotencyKeyError    a caller's own id that is not one
    ├── InvalidMessageError    WeChat would refuse it: every violation is listed
    ├── AccountNameError       no account can have this name
    ├── UnknownAccountError    no credentials are stored under this name
    ├── UnknownMessageError    the ledger has no message under this id
    ├── StartedError           the message cannot be cancelled any more
    ├── TokenUnavailableError  no access token could be had; carries the Outcome that says why
    ├── RefresherBusyError     another refresh is running; ask again shortly
    ├── StorageError           an AWS store or queue did not do what it was asked
    └── IllegalTransitionError a message's entry was about to take a way that there is not
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple


class ErrorClass(StrEnum):
    """What kind of trouble an errcode is; the class decides what happens next."""

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
    """The states of a message; ``core.ledger`` says which may follow which."""

    QUEUED = "queued"
    """It waits: for its first attempt or for the next one."""
    SENDING = "sending"
    """Somebody is at it, or was when they died."""
    SENT = "sent"
    """WeChat answered errcode 0 (accepted, no more than that)."""
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """It may have been sent: WeChat's answer was lost."""


class Holds(StrEnum):
    """How much of an account an answer of WeChat's speaks about, beyond the one message."""

    ACCOUNT = "account"
    KIND = "kind"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text for people in the two languages of WeChat's documentation."""

    en: str
    zh: str


class Outcome(NamedTuple):
    """What one attempt to send (or to fetch a token) came to.

    ``retryable`` says that a plain later repeat of the same call can work and cannot send twice.
    ``errcode`` is None where WeChat did not answer with one; ``field`` is the data key that a
    47003 names; ``retry_after`` is the least wait in seconds where the kind of error sets one.
    ``unattempted`` says that WeChat did not judge the message: there was no token, or something
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
    unattempted: bool = False
    repeats: int | None = None
    holds: Holds | None = None
    until_reset: bool = False
    cause: str | None = None


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome for JSON, where it crosses from function to function."""
    return {**outcome._asdict(), "hint": asdict(outcome.hint)}


def outcome_from_dict(fields: Mapping[str, Any]) -> Outcome:
    """The outcome that ``outcome_to_dict`` took apart."""
    return Outcome(
        **{
            **fields,
            "status": Status(fields["status"]),
            "error_class": ErrorClass(fields["error_class"]),
            "hint": Bilingual(**fields["hint"]),
            "holds": Holds(fields["holds"]) if fields.get("holds") else None,
        }
    )


class Notice(NamedTuple):
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


_OUTER = frozenset({"data", "miniprogram"})
_INNER = frozenset({"value", "color", "DATA"})
_INNER_DEPTH = 2
_KNOWN_KEY = re.compile(r"[A-Za-z_]+[0-9]*")
_MAX_KNOWN_KEY = 24


def _is_known_key(part: str) -> bool:
    """Whether a part of a path looks like one of WeChat's keys, and not like a person's name or id."""
    return len(part) <= _MAX_KNOWN_KEY and _KNOWN_KEY.fullmatch(part) is not None


class Violation(NamedTuple):
    """One rule that one field breaks, without the value: that may be personal data.

    ``limit`` is what the rule allows (a number of characters, a form, a list), ``length`` the
    value's own length in characters where it has one. ``meant`` is the field's right name where a wrong one
    is close to it.
    """

    path: str
    rule: str
    text: Bilingual
    limit: int | str | None = None
    length: int | None = None
    meant: str | None = None

    @property
    def place(self) -> str:
        """Its path without names that are not WeChat's own or close to one: a key may be an openid."""
        first, *rest = self.path.split(".")
        if len(rest) > _INNER_DEPTH or (rest[1:] and rest[1] not in _INNER and not self.meant):
            rest = ["?"]  # the key has dots of its own
        parts = [part if part == "?" or _is_known_key(part) else "?" for part in (first, *rest)]
        if self.rule == "unknown_field" and not self.meant:
            parts = [*parts[:-1], "?"] if first in _OUTER else ["?"]
        return ".".join(parts)

    def for_log(self) -> str:
        """Its place, rule and limit, for log lines."""
        limit = "" if self.limit is None else f" {self.limit}"
        meant = f", did you mean {self.meant}?" if self.meant else ""
        return f"{self.place if self.path else 'message'}: {self.rule}{limit}{meant}"

    def told(self) -> Bilingual:
        """What is wrong as a sentence, without values and without names that may be personal data."""
        place = Bilingual(self.place, self.place) if self.path else Bilingual("the message", "消息")
        return Bilingual(f"{place.en} {self.text.en}", f"{place.zh} {self.text.zh}")

    def as_dict(self) -> dict[str, object]:
        """The form in which problem documents carry it."""
        return {
            "path": self.path,
            "rule": self.rule,
            "limit": self.limit,
            "length": self.length,
            "en": self.text.en,
            "zh": self.text.zh,
        }


class WeChatNotifyError(Exception):
    """The root of this service's own errors; their texts hold no secret and no personal data.

    ``reason`` is the error's name in log lines, in metrics and in the type of a problem document.
    """

    reason: ClassVar[str]


class MediaTypeError(WeChatNotifyError):
    """The body is said to be something else than JSON."""

    reason = "unsupported_media_type"


class BodyTooLargeError(WeChatNotifyError):
    """No message is as large as that."""

    reason = "body_too_large"


class MalformedBodyError(WeChatNotifyError):
    """The text is not the JSON that it must be."""

    reason = "malformed_body"

    def __init__(self, text: Bilingual) -> None:
        super().__init__(text.en)
        self.text = text


class IdempotencyKeyError(WeChatNotifyError):
    """The ``Idempotency-Key`` is not 1 to 64 visible ASCII characters."""

    reason = "invalid_idempotency_key"


class InvalidMessageError(WeChatNotifyError):
    """WeChat would refuse the message; ``violations`` names every wrong field at once."""

    reason = "invalid_message"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(", ".join(violation.for_log() for violation in violations))
        self.violations = tuple(violations)


class AccountNameError(WeChatNotifyError):
    """No account can have this name, whatever is stored under it."""

    reason = "account_name"


class UnknownAccountError(WeChatNotifyError):
    """No credentials are stored under this account name."""

    reason = "unknown_account"


class InvalidRequestError(WeChatNotifyError):
    """A body is JSON but no send request; ``violations`` names every wrong field of its envelope.

    ``message_id`` is the producer's own, ``account`` one that can exist: None where the body names none.
    """

    reason = "invalid_request"

    def __init__(
        self, violations: Sequence[Violation], message_id: str | None, account: str | None, message: object
    ) -> None:
        super().__init__(", ".join(violation.for_log() for violation in violations))
        self.violations = tuple(violations)
        self.message_id = message_id
        self.account = account
        self.message = message


class UnknownMessageError(WeChatNotifyError):
    """The ledger has no message under this id, or it is another account's."""

    reason = "unknown_message"


class StartedError(WeChatNotifyError):
    """The message has been started, so that it cannot be cancelled; ``status`` is its state."""

    reason = "already_started"

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


class TokenUnavailableError(WeChatNotifyError):
    """No access token could be had for the account; nothing was sent."""

    reason = "token_unavailable"

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"no access token: {outcome.error_class} {outcome.errcode}")
        self.outcome = outcome


class RefresherBusyError(WeChatNotifyError):
    """Another refresh is running (one runs at a time): read the store again, or ask again."""

    reason = "refresher_busy"


class StorageError(WeChatNotifyError):
    """An AWS store, queue or function did not do what it was asked; ``code`` says why.

    It is AWS's error code, or the transport's reason where AWS gave no answer.
    """

    reason = "storage"

    def __init__(self, action: str, code: str) -> None:
        super().__init__(f"{action}: {code}")
        self.code = code


class IllegalTransitionError(WeChatNotifyError):
    """A message's entry was about to take a way that there is not; it stays as it is."""

    reason = "illegal_transition"

    def __init__(self, before: Status | None, after: Status) -> None:
        super().__init__(f"{before} -> {after}")
