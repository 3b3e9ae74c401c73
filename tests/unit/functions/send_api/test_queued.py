"""``Prefer: respond-async``."""

from __future__ import annotations

import json

from tests.fakes import Service, load_event
from tests.unit.functions.send_api.calls import call, keyed
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


def test_ledger_that_cannot_be_written(service: Service) -> None:
    """What is on the queue is accepted without its entry."""
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    response = keyed(prefer="respond-async")
    assert (response.status, response.says, len(service.queue.bodies)) == (202, "queued", 1)
