from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.core.messages.bodies import example
from wechat_notify.core.errors import InvalidMessageError, MalformedBodyError
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body
from wechat_notify.core.messages.fingerprint import fingerprint
from wechat_notify.core.messages.intake import MAX_BODY_BYTES, check, read_http_body
from wechat_notify.core.messages.kinds import Template

REQUEST = SendRequest("order-1", "shop", {"kind": "template", "touser": "o", "data": {"a": 1}})


def test_http_body() -> None:
    assert MAX_BODY_BYTES == 65_536
    request = read_http_body(b'{"kind":"template"}', account="shop", message_id="order-1")
    assert request == SendRequest("order-1", "shop", {"kind": "template"})
    with pytest.raises(MalformedBodyError):
        read_http_body(b"{", account="shop", message_id="order-1")


def test_queue_body() -> None:
    request = parse_queue_body('{"account":"shop","message":{}}', default_id="m1")
    assert request == SendRequest("m1", "shop", {})


def test_check() -> None:
    body = example("template", data={"amount1": {"value": "1"}}, expires_at="2026-03-01T00:00:00Z")
    del body["client_msg_id"]
    request = SendRequest("order-1", "shop", body)
    checked = check(request)
    assert checked.request == request._replace(expires_at=datetime(2026, 3, 1, tzinfo=UTC))
    assert isinstance(checked.message, Template)
    assert checked.message.client_msg_id == "order-1"
    assert [warning.rule for warning in checked.warnings] == ["currency"]
    with pytest.raises(InvalidMessageError):
        check(REQUEST)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"message": {"data": {"a": 1}, "touser": "o", "kind": "template"}}, True),
        ({"message": {**REQUEST.message, "expires_at": "2026-03-01T00:00:00Z"}}, True),  # type: ignore[dict-item]
        ({"message": {**REQUEST.message, "delivery": "at_least_once"}}, True),  # type: ignore[dict-item]
        ({"expires_at": datetime(2026, 3, 1, tzinfo=UTC), "at_least_once": True}, True),
        ({"message": {**REQUEST.message, "kind": "subscription"}}, False),  # type: ignore[dict-item]
        ({"message": {**REQUEST.message, "data": {"a": 2}}}, False),  # type: ignore[dict-item]
        ({"id": "order-2"}, False),
        ({"account": "bank"}, False),
    ],
)
def test_fingerprint(change: dict[str, object], *, same: bool) -> None:
    changed = REQUEST._replace(**change)  # type: ignore[arg-type]
    assert (fingerprint(changed) == fingerprint(REQUEST)) is same


def test_fingerprint_does_not_change() -> None:
    """Entries that are stored hold it."""
    assert fingerprint(REQUEST) == "b63444795b44af22555c96e3ac9be009"
