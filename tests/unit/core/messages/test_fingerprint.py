from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import body
from wechat_notify.core.messages import fingerprint as module
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body, queue_body

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.decimals(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
many = settings(max_examples=150, deadline=None, derandomize=True)


def fingerprint(message: object) -> str:
    return module.fingerprint(SendRequest("x", "shop", message))


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(json_values)
@many
def test_order_of_fields_is_ignored(value: object) -> None:
    assert fingerprint(reordered(value)) == fingerprint(value)
    assert len(fingerprint(value)) == 32


@given(json_values)
@many
def test_queue_keeps_the_fingerprint(value: object) -> None:
    queued = parse_queue_body(queue_body(SendRequest("x", "shop", value)), "y")
    assert fingerprint(queued.message) == fingerprint(value)


@given(json_values, json_values)
@many
def test_other_content_differs(one: object, other: object) -> None:
    def text(value: object) -> str:
        return json.dumps(value, default=lambda number: format(number, "f"), sort_keys=True)

    assert (fingerprint({"data": one}) == fingerprint({"data": other})) == (text(one) == text(other))


@pytest.mark.parametrize(
    "change",
    [
        {"touser": "another"},
        {"kind": "template"},
        {"template_id": "another"},
        {"data": {"thing1": {"value": "礼品"}}},
        {"page": "pages/index"},
        {"client_msg_id": "x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_wechat_field_counts(change: dict[str, Any]) -> None:
    assert fingerprint(body() | change) != fingerprint(body())


@pytest.mark.parametrize(
    "option", [{"delivery": "at_least_once"}, {"delivery": None}, {"expires_at": "2026-03-02T00:00:00Z"}]
)
def test_options_do_not_count(option: dict[str, Any]) -> None:
    assert fingerprint(body() | option) == fingerprint(body())
    inner = {"data": {"thing1": {"value": "x"} | option}}
    assert fingerprint(inner) != fingerprint({"data": {"thing1": {"value": "x"}}})


@pytest.mark.parametrize("number", ["1.50", "1E+3", "0.0000001"])
def test_decimal_equals_its_digits(number: str) -> None:
    written = format(Decimal(number), "f")
    assert fingerprint({"n": Decimal(number)}) == fingerprint({"n": written}) != fingerprint({"n": "1.5"})
