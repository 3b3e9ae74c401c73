from __future__ import annotations

import pytest

from functions.send_api import headers
from tests.fakes import Service, body
from tests.unit.functions.send_api.calls import SUBSCRIPTION, call, keyed, look, post


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json; charset="utf-8"; v=1', True),
        ("application/json; charset=utf8", True),
        ("application/vnd.shop+json", True),
        ("application/json; charset=gbk", False),
        ("application/jsonp", False),
        ("application/xjson", False),
        (";", False),
    ],
)
def test_content_type(service: Service, content_type: str, *, is_json: bool) -> None:
    event = {**SUBSCRIPTION, "headers": {"Content-Type": content_type}}
    assert call(event).status == (200 if is_json else 415)
    assert len(service.wechat.accepted) == is_json


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("none", [{}, None])
def test_no_content_type(none: object) -> None:
    assert call({**SUBSCRIPTION, "headers": none}).status == 200


@pytest.mark.parametrize(
    ("prefer", "queued"),
    [
        ("respond-async", True),
        ("wait=10, Respond-Async ; x=1", True),
        ("respond-asynchronously", False),
        ("", False),
    ],
)
def test_prefer(service: Service, prefer: str, *, queued: bool) -> None:
    assert post(body(), Prefer=prefer).status == (202 if queued else 200)
    assert len(service.queue.bodies) == queued


@pytest.mark.parametrize("key", ["x" * 64, "!~"])
def test_keys(service: Service, key: str) -> None:
    assert keyed(key=key).content["id"] == key
    assert keyed(key=key).replayed
    assert (look(key).status, look(key).content["id"], len(service.wechat.attempts)) == (200, key, 1)


@pytest.mark.parametrize("key", ["", "x" * 65, "two words", "a,b", "订单"])
def test_wrong_keys(service: Service, key: str) -> None:
    """API Gateway joins a header that was given twice with a comma."""
    response = keyed(key=key)
    assert (response.status, response.says) == (400, "invalid-idempotency-key")
    assert (response.content["retryable"], response.retry_after) == (False, None)
    assert service.ledger_store.puts == len(service.wechat.attempts) == 0
    (line,) = service.lines("message refused")
    assert line["reason"] == "invalid_idempotency_key"


def test_no_key() -> None:
    assert headers.idempotency_key({}) is None
