"""What the team's automation, the log and the metrics get of it."""

from __future__ import annotations

import json

import pytest

from functions.send_api.handler import lambda_handler
from tests.fakes import OPENID, OTHER_OPENID, FakeContext, Service, answer, load_event, lost, metrics
from tests.unit.functions.send_api.calls import DELETE, GET, KEYED, SUBSCRIPTION, call, keyed

Capture = pytest.CaptureFixture[str]


def test_events_are_told_once(service: Service) -> None:
    service.wechat.plan.append(answer(48001))
    for _ in range(2):
        keyed()
        assert [event.detail_type for event in service.bus.events] == ["circuit.opened", "message.failed"]


def test_line_and_metrics_of_a_message(service: Service, capsys: Capture) -> None:
    content = call(SUBSCRIPTION).content
    (line,) = service.lines()
    assert (line["message_id"], line["account"], line["status"]) == (content["id"], "shop", "sent")
    assert line["correlation_id"] == SUBSCRIPTION["requestContext"]["requestId"]
    assert (line["level"], line["route"], line["status_code"]) == (
        "INFO",
        "POST /v1/accounts/{account}/messages",
        200,
    )
    assert {metric.name for metric in metrics(capsys.readouterr().out)} == {"MessagesSent", "WeChatLatency"}


def test_no_openid_token_or_secret(service: Service, capsys: Capture) -> None:
    service.telemetry.logger.setLevel("DEBUG")
    service.wechat.plan.extend([answer(0), answer(43101), lost(), answer(40001), answer(40001)])
    keys = [f"order-{number}" for number in range(5)]
    events = [{**KEYED, "headers": {**KEYED["headers"], "idempotency-key": key}} for key in keys] * 2
    events += [
        {**event, "pathParameters": {"account": "shop", "id": key}} for event in (GET, DELETE) for key in keys
    ]
    events += [load_event("send_api/invalid_message"), load_event("send_api/duplicate_key")]
    said = [lambda_handler(event, FakeContext()) for event in events]
    kept = [repr(entry) for entry in service.ledger_store.history] + [repr(service.ledger_store.circuits)]
    told = [json.dumps([event.detail_type, event.detail]) for event in service.bus.events]
    assert (len(kept), len(told), len(service.lines("message attempted"))) == (9, 3, 3)
    assert len([line for line in service.lines() if "result" in line]) == 10
    seen = json.dumps(said) + service.log.getvalue() + capsys.readouterr().out + "".join(kept + told)
    hidden = (OPENID, OTHER_OPENID, "token-1-of", "token-2-of", "s" * 32, "礼盒")
    assert [secret for secret in hidden if secret in seen] == []
