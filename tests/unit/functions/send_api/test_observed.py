"""What the team's automation, the log and the metrics get of it."""

from __future__ import annotations

import json

import pytest

from functions.send_api.handler import lambda_handler
from tests.fakes import (
    OPENID,
    OTHER_OPENID,
    FakeContext,
    Service,
    answer,
    break_down,
    load_event,
    lost,
    metrics,
)
from tests.unit.functions.send_api.calls import (
    DELETE,
    GET,
    KEYED,
    SUBSCRIPTION,
    call,
    cancel,
    counts,
    keyed,
    look,
)
from wechat_notify import bootstrap
from wechat_notify.core.outcomes import Bilingual, Outcome
from wechat_notify.metrics import Metrics

Capture = pytest.CaptureFixture[str]

# ---------------------------------------------------------------- events


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (answer(43101), ["message.failed"]),
        (answer(-1), []),
        (lost(), ["message.unknown"]),
        (answer(45009), ["quota.reached"]),
        (answer(45011), []),
        (answer(48001), ["circuit.opened", "message.failed"]),
    ],
    ids=["failed", "try again", "lost", "daily quota", "limit of a minute", "permission"],
)
def test_events_are_told_once(service: Service, outcome: Outcome, told: list[str]) -> None:
    service.wechat.plan.append(outcome)
    for _ in range(2):
        keyed()
        assert [event.detail_type for event in service.bus.events] == told


def test_no_event_of_a_sent_message(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "event_bus", break_down)
    sent = [keyed(), keyed(), keyed(key="later", prefer="respond-async"), look(), cancel()]
    assert [response.status for response in sent] == [200, 200, 202, 200, 409]
    assert service.lines("not reported") == []


def test_event_without_unknown_fields(service: Service) -> None:
    service.store.tokens.clear()
    service.store.broken["shop"] = Bilingual("wrong: app_id", "有误：app_id")
    del service.store.sources["shop"]
    assert keyed().status == 502
    (event,) = service.bus.events
    assert event.detail_type == "circuit.opened"
    assert event.detail.keys() == {"account", "scope", "class", "opened_at", "held_until", "hint"}


def test_bus_that_takes_nothing(service: Service, capsys: Capture) -> None:
    service.bus.failing = "ServiceUnavailable"
    service.wechat.plan.append(answer(48001))
    assert keyed().status == 502
    (line,) = service.lines("events not published")
    assert (line["level"], line["count"]) == ("ERROR", 2)
    assert counts(capsys) == {"MessagesFailed": 1, "CircuitsOpened": 1, "EventsNotPublished": 2}


@pytest.mark.parametrize("broken", ["made", "used"])
def test_bus_that_breaks_down(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    target: object = bootstrap if broken == "made" else service.bus
    monkeypatch.setattr(target, "event_bus" if broken == "made" else "publish", break_down)
    service.wechat.plan.append(answer(43101))
    assert keyed().status == 422
    assert len(service.lines("not reported")) == len(service.lines("events not published")) == 1
    assert counts(capsys) == {"MessagesFailed": 1, "EventsNotPublished": 1}
    assert OPENID not in service.log.getvalue()


# ---------------------------------------------------------------- log lines and metrics


def test_line_and_metrics_of_a_message(service: Service, capsys: Capture) -> None:
    content = call(SUBSCRIPTION).content
    (line,) = service.lines()
    assert (line["message_id"], line["account"], line["status"]) == (content["id"], "shop", "sent")
    assert line["correlation_id"] == SUBSCRIPTION["requestContext"]["requestId"]
    assert (line["level"], line["method"], line["status_code"]) == ("INFO", "POST", 200)
    assert {metric.name for metric in metrics(capsys.readouterr().out)} == {"MessagesSent", "WeChatLatency"}


def test_message_that_cannot_be_logged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.telemetry, "_log_message", break_down)
    response = call(SUBSCRIPTION)
    assert (response.status, response.says, len(service.wechat.accepted)) == (200, "sent", 1)
    assert [line["message"] for line in service.lines()] == ["not reported", "invocation finished"]
    assert OPENID not in service.log.getvalue()


def test_metrics_that_cannot_be_flushed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metrics, "flush", break_down)
    assert call(SUBSCRIPTION).status == 200
    assert call(load_event("send_api/malformed_json")).status == 400
    assert [line["error"] for line in service.lines("not reported")] == ["RuntimeError"] * 2


def test_refusal_that_cannot_be_logged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.telemetry.logger, "warning", break_down)
    assert call(load_event("send_api/malformed_json")).status == 400
    assert len(service.lines("not reported")) == 1


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
