"""The events of WeChat's callbacks, whatever form they come in."""

from __future__ import annotations

from dataclasses import dataclass


class CallbackBodyError(ValueError):
    """The body is no callback: its message says why, without a part of it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The fate of one message that WeChat had taken.

    Parameters
    ----------
    msgid
        WeChat's id of the message, a number of up to 64 bits in decimal digits.
    openid
        Its receiver.
    delivered
        It reached the receiver, as far as WeChat knows.
    reason
        WeChat's text where it did not, such as ``user block``.
    at
        The time of the event in seconds since 1970.
    template_id
        Of a subscription message; a receipt of a template message has none.
    """

    msgid: str
    openid: str
    delivered: bool
    reason: str | None
    at: int
    template_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """A person's decision on the subscription messages of one template.

    ``asked`` is True where they answered a question (one acceptance is one message), False where they changed
    their settings, of which WeChat tells refusals alone.
    """

    openid: str
    template_id: str
    accepted: bool
    asked: bool
    at: int


@dataclass(frozen=True, slots=True)
class PersonLeft:
    """A person unsubscribed from the account, or revoked what they had allowed it to know.

    ``erase`` is True where WeChat demands that their data be erased.
    """

    openid: str
    erase: bool
    at: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """The ticket of a third-party platform, pushed every 10 minutes and valid for 12 hours."""

    component_appid: str
    ticket: str
    at: int


@dataclass(frozen=True, slots=True)
class AuthorizationChange:
    """A merchant authorized a third-party platform, changed that, or ended it.

    ``code`` buys the merchant's tokens (api_query_auth); there is none where it ended.
    """

    component_appid: str
    authorizer_appid: str
    authorized: bool
    code: str | None
    at: int


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event, or a person's message, that nothing here needs; ``name`` is logged."""

    name: str


CallbackEvent = Receipt | ConsentChange | PersonLeft | Ticket | AuthorizationChange | OtherEvent
