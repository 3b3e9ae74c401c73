"""What is refused before anything is sent."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests.fakes import OPENID, OTHER_OPENID, Service, body, load_event, metrics
from tests.unit.functions.send_api.calls import SUBSCRIPTION, Json, call, post
from wechat_notify.core.messages.intake import MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("send_api/malformed_json", 400, "malformed_body"),
        ("send_api/empty_body", 400, "malformed_body"),
        ("send_api/duplicate_key", 400, "malformed_body"),
        ("send_api/not_a_number", 400, "malformed_body"),
        ("send_api/lone_surrogate", 400, "malformed_body"),
        ("send_api/invalid_message", 422, "invalid_message"),
        ("send_api/unknown_kind", 422, "invalid_message"),
        ("send_api/data_as_text", 422, "invalid_message"),
        ("send_api/control_characters", 422, "invalid_message"),
        ("send_api/form_encoded", 415, "unsupported_media_type"),
        ("send_api/unknown_account", 404, "unknown_account"),
        ("send_api/account_name", 404, "account_name"),
    ],
)
def test_sample_events(
    service: Service, capsys: pytest.CaptureFixture[str], *, name: str, status: int, reason: str
) -> None:
    event = load_event(name)
    response = call(event)
    assert (response.status, response.says) == (status, reason.replace("_", "-"))
    assert (response.content["class"], response.content["retryable"]) == ("request", False)
    assert (response.retry_after, service.wechat.attempts) == (None, [])
    refused, line = service.lines()
    assert (refused["message"], refused["reason"]) == ("message refused", reason)
    account = None if name == "send_api/account_name" else event["pathParameters"]["account"]
    assert refused.get("account") == account
    assert (line["message"], line["status_code"], line["reason"]) == ("invocation finished", status, reason)
    counted = [metric.dimensions for metric in metrics(capsys.readouterr().out) if metric.value == 1]
    assert {"reason": reason} in counted
    assert not {OPENID, OTHER_OPENID} & set(re.findall(r"o\w{27}", service.log.getvalue()))


@pytest.mark.parametrize("text", ["x" * (MAX_BODY_BYTES + 1), "一" * (MAX_BODY_BYTES // 3 + 1)])
def test_body_too_large(service: Service, text: str) -> None:
    response = post(text)
    assert (response.status, response.says) == (413, "body-too-large")
    (line,) = service.lines("message refused")
    assert (line["reason"], line["account"]) == ("body_too_large", "shop")


def test_largest_body(service: Service) -> None:
    text = json.dumps(body())
    assert post(text + " " * (MAX_BODY_BYTES - len(text))).status == 200
    assert len(service.wechat.accepted) == 1


def test_every_wrong_field(service: Service) -> None:
    content = call(load_event("send_api/invalid_message")).content
    errors = {(error["path"], error["rule"], error["limit"], error["length"]) for error in content["errors"]}
    assert errors == {
        ("touser", "missing", None, None),
        ("data.thing1.value", "max_length", 20, 21),
        ("data.thing2", "object", None, 4),
        ("colour", "unknown_field", None, 7),
    }
    assert service.wechat.attempts == []


@pytest.mark.parametrize("content", ["null", body() | {"touser": 5}, body() | {"delivery": "exactly_once"}])
def test_nothing_wrong_is_queued(service: Service, content: object) -> None:
    assert post(content, prefer="respond-async").status == 422
    assert (service.queue.bodies, service.ledger_store.entries) == ([], {})


@pytest.mark.usefixtures("service")
def test_half_of_a_pair_is_named() -> None:
    assert post('{"kind": "\ud83d"}').content["detail"] == "the body is not UTF-8"
    text = base64.b64encode(b'{"kind": "\xed\xa0\xbd"}').decode()
    response = call({**SUBSCRIPTION, "body": text, "isBase64Encoded": True})
    assert response.content["hint"] == {"en": "the body is not UTF-8", "zh": "请求体不是 UTF-8 编码"}


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (body() | {OPENID: 1}, 422),
        (body("template", data={OPENID: {"value": "x", "color": "#FF0000"}}), 200),
    ],
)
def test_openid_as_a_name(
    service: Service, capsys: pytest.CaptureFixture[str], *, message: Json, status: int
) -> None:
    """Whoever sent it is told; no log is."""
    response = post(message)
    assert response.status == status
    assert OPENID in json.dumps(response.content)
    assert len(service.lines()) == (2 if status == 422 else 1)
    assert OPENID not in service.log.getvalue() + capsys.readouterr().out
