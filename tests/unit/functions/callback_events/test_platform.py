"""Events of third-party platforms, from the queue to their parameters and to token_refresh."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.callback_events.handler import PAUSES, lambda_handler
from tests.fakes import OPENID, START, FakeContext, Service, answer, unreachable
from wechat_notify.bootstrap import callback_events
from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.errors import (
    AccountTakenError,
    NotAPlatformError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.platform import refusals

AT = int(START)
TICKET = {
    "AppId": "wxp",
    "CreateTime": AT,
    "InfoType": "component_verify_ticket",
    "ComponentVerifyTicket": "ticket@1",
}
AUTHORIZED = {
    "AppId": "wxp",
    "CreateTime": AT,
    "InfoType": "authorized",
    "AuthorizerAppid": "wxShop",
    "AuthorizationCode": "code@1",
}
UNAUTHORIZED = {
    "AppId": "wxp",
    "CreateTime": AT,
    "InfoType": "unauthorized",
    "AuthorizerAppid": "wxShop",
}


class Tickets:
    def __init__(self) -> None:
        self.saved: list[tuple[str, Ticket]] = []
        self.failing = False

    def save(self, component: str, ticket: Ticket) -> bool:
        if self.failing:
            raise StorageError("store the ticket", "ThrottlingException")
        self.saved.append((component, ticket))
        return len(self.saved) == 1


@pytest.fixture
def tickets(monkeypatch: pytest.MonkeyPatch) -> Tickets:
    tickets = Tickets()
    monkeypatch.setattr(callback_events, "tickets", lambda: tickets)
    return tickets


def handle(fields: dict[str, Any], receives: int = 1, **body: Any) -> bool:
    """Hand a callback over; whether it comes again."""
    record = {
        "messageId": "r-1",
        "receiptHandle": "handle-1",
        "body": json.dumps({"account": "platform", "fields": fields, **body}),
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }
    return bool(lambda_handler({"Records": [record]}, FakeContext())["batchItemFailures"])


def result(service: Service) -> dict[str, int]:
    found: dict[str, int] = service.lines("invocation finished")[-1]["platform"]
    return found


def test_ticket_is_stored(service: Service, tickets: Tickets) -> None:
    assert not handle(TICKET)
    assert result(service) == {"ticket": 1}
    assert not handle(TICKET)
    assert result(service) == {"unchanged": 1}
    assert tickets.saved == [("platform", Ticket("wxp", "ticket@1", AT))] * 2


def test_authorizations_are_passed_on(service: Service) -> None:
    assert not handle(AUTHORIZED, merchant="shop")
    assert not handle(UNAUTHORIZED, merchant="shop")
    common = {"component": "platform", "account": "shop", "app_id": "wxShop", "at": AT}
    assert service.platform_function.asked == [
        {**common, "request": "authorize", "authorization_code": "code@1"},
        {**common, "request": "revoke"},
    ]
    assert result(service) == {"revoked": 1}


def test_busy_refresher_is_waited_for(service: Service) -> None:
    service.platform_function.busy = 5
    assert not handle(AUTHORIZED, merchant="shop")
    assert len(service.platform_function.asked) == 1


@pytest.mark.parametrize(
    ("error", "comes_again", "told"),
    [
        (UnknownAccountError("platform"), False, "unknown_account"),
        (NotAPlatformError("platform"), False, "not_a_platform"),
        (AccountTakenError("shop"), False, "account_taken"),
        (TokenUnavailableError(refusals.NOT_LISTED), False, "failed"),
        (TokenUnavailableError(answer(40164)), True, "again"),
        (TokenUnavailableError(unreachable()), True, "again"),
        (StorageError("ask for a token", "FunctionError"), True, "again"),
    ],
)
def test_failures(service: Service, error: Exception, told: str, *, comes_again: bool) -> None:
    """What may pass comes again, and soon: the code works for an hour."""
    service.platform_function.error = error
    assert handle(AUTHORIZED, merchant="shop") is comes_again
    assert result(service) == {told: 1}
    assert list(service.callback_queue.handed_out_again.values()) == ([PAUSES[0]] if comes_again else [])


def test_ticket_comes_again(service: Service, tickets: Tickets) -> None:
    tickets.failing = True
    assert handle(TICKET, receives=len(PAUSES) + 1)
    assert result(service) == {"again": 1}


def test_release_test_is_passed_on(service: Service) -> None:
    assert not handle({}, release_test={"account": "wxshop", "code": "code@1", "openid": OPENID})
    assert service.platform_function.asked == [
        {
            "component": "platform",
            "request": "release_test",
            "account": "wxshop",
            "authorization_code": "code@1",
            "openid": OPENID,
        }
    ]
    assert result(service) == {"sent": 1}


def test_release_test_fails_once(service: Service) -> None:
    service.platform_function.error = TokenUnavailableError(unreachable())
    assert not handle({}, release_test={"account": "wxshop", "code": "code@1", "openid": OPENID})
    assert result(service) == {"failed": 1}


def test_secrets_are_not_logged(service: Service, tickets: Tickets) -> None:
    handle(TICKET)
    handle(AUTHORIZED, merchant="shop")
    handle({}, release_test={"account": "wxshop", "code": "code@2", "openid": OPENID})
    seen = service.log.getvalue()
    assert (len(tickets.saved), len(service.lines())) == (1, 3)
    assert [secret for secret in ("ticket@1", "code@1", "code@2", OPENID) if secret in seen] == []
