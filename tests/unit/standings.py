"""What a message's entry can be when the message comes to a door: a function for each brings it about."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes import Service, answer, body, lost, message
from wechat_notify.core.delivery.entry import CLOCK_SKEW
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Outcome, Status

KEY = "order-4711"
OTHER = body(data={"thing1": {"value": "another message"}})
_SECONDS = 29.0


def request(content: object = None) -> SendRequest:
    """The message ``body()`` of the account ``shop``, or another one, under ``KEY``."""
    return SendRequest(KEY, "shop", body() if content is None else content)


def queued(service: Service) -> None:
    service.dispatcher.accept(request(), message())


def sending(service: Service) -> None:
    service.ledger.claim(request(), message(), _SECONDS, takes_queued=False)


def abandoned(service: Service) -> None:
    """Its holder died between claiming it and writing down what came of it."""
    sending(service)
    service.clock.advance(_SECONDS + CLOCK_SKEW)


def sent(service: Service) -> None:
    _send(service)


def failed(service: Service) -> None:
    _send(service, answer(43101, "user refuse to accept the msg"))


def try_again(service: Service) -> None:
    """Its caller was told to come again."""
    _send(service, answer(-1))


def unknown(service: Service) -> None:
    _send(service, lost())


def expired(service: Service) -> None:
    service.ledger.set_status(request(), message(), Status.EXPIRED)


def cancelled(service: Service) -> None:
    queued(service)
    service.ledger.cancel("shop", KEY)


def refused(service: Service) -> None:
    """From the queue, where its account was not known."""
    service.dispatcher.refuse(request(), message(), "unknown_account")


def other_body(service: Service) -> None:
    """Its id belongs to another message."""
    service.dispatcher.send_now(request(OTHER), parse_message(OTHER)[0], lambda: _SECONDS)


def _send(service: Service, *outcomes: Outcome) -> None:
    service.wechat.plan.extend(outcomes)
    service.dispatcher.send_now(request(), message(), lambda: _SECONDS)


STANDINGS: dict[str, Callable[[Service], None]] = {
    bring_about.__name__: bring_about
    for bring_about in (
        queued,
        sending,
        abandoned,
        sent,
        failed,
        try_again,
        unknown,
        expired,
        cancelled,
        refused,
        other_body,
    )
}


def bring_about(service: Service, standing: str) -> None:
    """Give ``KEY`` this standing, and forget the calls that it took."""
    STANDINGS[standing](service)
    service.forget()
