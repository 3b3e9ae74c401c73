"""``Prefer: respond-async``."""

from __future__ import annotations

import json

import pytest

from tests.fakes import Service, answer, body, load_event
from tests.unit.functions.send_api.calls import call, keyed, look, post
from tests.unit.standings import KEY, OTHER
from wechat_notify.core.messages.envelope import parse_queue_body

EVENT = load_event("send_api/respond_async")


def test_message_is_queued(service: Service) -> None:
    response = call(EVENT)
    message_id = response.content["id"]
    expected = {"id": message_id, "account": "shop", "kind": "subscription", "status": "queued"}
    assert (response.status, response.content) == (202, expected)
    assert response.headers["Location"] == f"/v1/accounts/shop/messages/{message_id}"
    assert response.headers["Preference-Applied"] == "respond-async"
    assert (service.wechat.attempts, service.queue.groups) == ([], ["shop"])
    (queued,) = service.queue.bodies
    assert queued.isascii()
    request = parse_queue_body(queued, default_id="m1")
    assert request[:3] == (message_id, "shop", json.loads(EVENT["body"]))


def test_location_of_any_id(service: Service) -> None:
    response = keyed(key="a/b?c#d%2F", prefer="respond-async")
    assert response.headers["Location"] == "/v1/accounts/shop/messages/a%2Fb%3Fc%23d%252F"
    assert len(service.queue.bodies) == 1


def test_number_is_queued_as_sent(service: Service) -> None:
    text = json.dumps(body(data={"number1": {"value": "N"}})).replace('"N"', "1.50e3")
    post(text)
    post(text, prefer="respond-async")
    queued = parse_queue_body(service.queue.bodies[0], default_id="m1")
    sent = service.wechat.accepted[0].model_dump()["data"]
    assert isinstance(queued.message, dict)
    assert queued.message["data"] == sent == {"number1": {"value": "1500"}}


def test_unknown_account(service: Service) -> None:
    response = post(body(), "nobody", prefer="respond-async")
    assert (response.status, response.says, service.queue.bodies) == (404, "unknown-account", [])
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"]) == ("unknown_account", "nobody")


@pytest.mark.parametrize("trouble", ["store", "WeChat", "expired token", "no token"])
def test_account_that_may_be_known(service: Service, trouble: str) -> None:
    if trouble == "store":
        service.store.failing = {"read": "ThrottlingException"}
        service.refresher.down = "ServiceException"
    elif trouble == "expired token":
        service.clock.advance(8000)
    else:
        service.store.tokens.clear()
    if trouble == "WeChat":
        service.wechat.refuse_tokens("wx-shop", answer(40164))
    assert call(EVENT).status == 202
    assert len(service.queue.bodies) == 1
    asked = [("shop", None)] if trouble in {"WeChat", "no token"} else []
    assert service.refresher.asked == asked


def test_queue_that_fails(service: Service) -> None:
    service.queue.failing = "ServiceUnavailable"
    response = keyed(prefer="respond-async")
    assert (response.status, response.says, response.retry_after) == (503, "storage", "2")
    assert (response.content["class"], response.content["retryable"]) == ("transient", True)
    put_off, line = service.lines()
    assert (put_off["message"], put_off["account"]) == ("message put off", "shop")
    assert (line["message"], line["reason"]) == ("invocation finished", "storage")
    assert look().status == 404
    service.queue.failing = None
    response = keyed(prefer="respond-async")
    assert (response.status, response.replayed, len(service.queue.bodies)) == (202, False, 1)


def test_queued_again(service: Service) -> None:
    for again in (False, True, True):
        response = keyed(prefer="respond-async")
        assert (response.status, response.says, response.replayed) == (202, "queued", again)
        assert response.headers["Location"] == f"/v1/accounts/shop/messages/{KEY}"
    (queued,) = service.queue.bodies
    assert parse_queue_body(queued, default_id="m1").id == KEY


def test_another_message_under_the_key(service: Service) -> None:
    keyed(prefer="respond-async")
    response = keyed(OTHER, prefer="respond-async")
    assert (response.status, response.says) == (422, "idempotency-key-reused")
    assert len(service.queue.bodies) == 1


def test_ledger_that_cannot_be_read(service: Service) -> None:
    service.ledger_store.failing = {"read": "ServiceUnavailable"}
    assert keyed(prefer="respond-async").status == 503
    assert service.queue.bodies == []


def test_ledger_that_cannot_be_written(service: Service) -> None:
    """What is on the queue is accepted without its entry."""
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    response = keyed(prefer="respond-async")
    assert (response.status, response.says, len(service.queue.bodies)) == (202, "queued", 1)
    assert response.headers["Location"] == f"/v1/accounts/shop/messages/{KEY}"
