from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.core.messages.bodies import example
from wechat_notify.core.errors import InvalidMessageError, MalformedBodyError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.intake import MAX_BODY_BYTES, check, read_http_body
from wechat_notify.core.messages.kinds import Template


def test_http_body() -> None:
    assert MAX_BODY_BYTES == 65_536
    request = read_http_body(b'{"kind":"template"}', account="shop", message_id="order-1")
    assert request == SendRequest("order-1", "shop", {"kind": "template"})
    with pytest.raises(MalformedBodyError):
        read_http_body(b"{", account="shop", message_id="order-1")


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
        check(SendRequest("order-1", "shop", {"kind": "template"}))
