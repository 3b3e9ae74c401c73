from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from tests.fakes import body
from tests.unit.core.messages.bodies import quick
from tests.unit.core.messages.test_strict_json import json_values
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body, queue_body
from wechat_notify.core.messages.fingerprint import fingerprint

REQUEST = SendRequest("order-1", "shop", body())


def of(message: object) -> str:
    return fingerprint(REQUEST._replace(message=message))


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@quick
@given(json_values)
def test_order_and_queue_change_nothing(value: object) -> None:
    queued = parse_queue_body(queue_body(SendRequest("x", "shop", value)), "y")
    assert of(reordered(value)) == of(value) == of(queued.message)
    assert len(of(value)) == 32


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"message": body(kind="template")}, False),
        ({"message": body(data={"thing1": {"value": "礼品"}})}, False),
        ({"message": body(client_msg_id="x")}, False),
        ({"message": None}, False),
        ({"id": "order-2"}, False),
        ({"account": "bank"}, False),
        ({"message": body(delivery="at_least_once")}, True),
        ({"message": body(expires_at="2026-03-02T00:00:00Z")}, True),
        ({"message": body(data={"thing1": {"value": "礼盒", "delivery": None}})}, False),
        ({"expires_at": datetime(2026, 3, 1, tzinfo=UTC), "at_least_once": True}, True),
    ],
)
def test_options_alone_do_not_count(change: dict[str, Any], *, same: bool) -> None:
    assert (fingerprint(REQUEST._replace(**change)) == fingerprint(REQUEST)) is same


@pytest.mark.parametrize("number", ["1.50", "1E+3", "0.0000001"])
def test_decimal_equals_its_digits(number: str) -> None:
    written = format(Decimal(number), "f")
    assert of({"n": Decimal(number)}) == of({"n": written}) != of({"n": "1.5"})


def test_fingerprint_does_not_change() -> None:
    """Entries that are stored hold it."""
    stored = SendRequest("order-1", "shop", {"kind": "template", "touser": "o", "data": {"a": 1}})
    assert fingerprint(stored) == "b63444795b44af22555c96e3ac9be009"
