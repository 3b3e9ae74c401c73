from __future__ import annotations

import pytest

from functions.send_api import headers
from tests.fakes import Service, body
from tests.unit.functions.send_api.calls import SUBSCRIPTION, call, post
from wechat_notify.core.errors import IdempotencyKeyError


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json; charset="utf-8"; v=1', True),
        ("application/json; charset=utf8", True),
        ("application/vnd.shop+json", True),
        ("application/json; charset=gbk", False),
        ("application/json;charset=latin-1", False),
        ("application/jsonp", False),
        ("application/xjson", False),
        ("text/plain", False),
        (";", False),
    ],
)
def test_content_type(service: Service, content_type: str, *, is_json: bool) -> None:
    event = {**SUBSCRIPTION, "headers": {"Content-Type": content_type}}
    assert call(event).status == (200 if is_json else 415)
    assert len(service.wechat.accepted) == is_json


@pytest.mark.usefixtures("service")
def test_no_content_type() -> None:
    assert call({**SUBSCRIPTION, "headers": {}}).status == 200
    assert call({**SUBSCRIPTION, "headers": None}).status == 200


@pytest.mark.parametrize(
    ("prefer", "queued"),
    [
        ("respond-async", True),
        ("wait=10, Respond-Async ; x=1", True),
        ("respond-asynchronously", False),
        ("return=minimal", False),
        ("", False),
    ],
)
def test_prefer(service: Service, prefer: str, *, queued: bool) -> None:
    assert headers.prefers_async({"prefer": prefer}) is queued
    assert post(body(), Prefer=prefer).status == (202 if queued else 200)
    assert len(service.queue.bodies) == queued


def test_key() -> None:
    """API Gateway joins a header that was given twice with a comma."""
    assert headers.idempotency_key({}) is None
    assert headers.idempotency_key({"idempotency-key": "x" * 64}) == "x" * 64
    for key in ("", "a,a", "x" * 65):
        with pytest.raises(IdempotencyKeyError):
            headers.idempotency_key({"idempotency-key": key})
