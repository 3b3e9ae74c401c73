"""Log lines, metrics and events; nothing secret is among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.send_queue.handler import lambda_handler
from tests.fakes import (
    OPENID,
    OTHER_OPENID,
    FakeContext,
    Service,
    answer,
    body,
    break_down,
    load_event,
    lost,
)
from tests.unit.functions.send_queue.events import (
    Capture,
    deliver,
    enqueued,
    entry,
    handle,
    told,
    totals,
)
from tests.unit.standings import OTHER
from wechat_notify import bootstrap
from wechat_notify.core.outcomes import Outcome
from wechat_notify.metrics import Metrics

BY_OPENID = [
    {OPENID: {"account": "shop", "message": body()}},
    {"account": "shop", "message": body(), OPENID: 1},
    {"detail-type": "WeChat Message Requested", "detail": {OPENID: body()}},
    {"account": "shop", "message": {OPENID: body()}},
    {"account": "shop", "message": body() | {OPENID: 1}},
    {"account": "shop", "message": body(data={OPENID: "text"})},
    {"account": "shop", "message": body(data={"thing1": {OPENID: "x"}})},
    {"account": "shop", "message": body("template", data={OPENID: {"value": "x", "color": "#FF0000"}})},
    {"account": "shop", "id": f"{OPENID} 的消息", "message": body()},
]


@pytest.mark.parametrize("envelope", BY_OPENID)
def test_openid_as_a_name_stays_hidden(service: Service, capsys: Capture, envelope: dict[str, Any]) -> None:
    """It reaches neither a log line nor an attribute."""
    event = load_event("send_queue/sns_raw")
    event["Records"][0]["body"] = json.dumps(envelope)
    assert lambda_handler(event, FakeContext()) == {"batchItemFailures": []}
    assert len(service.lines("message attempted")) + len(service.lines("message refused")) == 1
    assert len(service.dead_letters.bodies) == len(service.lines("message refused")) * (
        "message" not in envelope or OPENID in envelope
    )
    seen = json.dumps(service.dead_letters.attributes) + service.log.getvalue() + capsys.readouterr().out
    assert OPENID not in seen


def test_unreported_message_stays_sent(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.telemetry, "_log_message", break_down)
    assert handle("send_queue/sqs_batch") == []
    assert len(service.wechat.accepted) == 3
    assert [line["message"] for line in service.lines()] == ["not reported"] * 3 + ["invocation finished"]
    assert OPENID not in service.log.getvalue()


def test_unflushed_metrics_return_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Metrics, "flush", break_down)
    assert handle("send_queue/sqs_batch") == []
    (line,) = service.lines("not reported")
    assert line["error"] == "RuntimeError"


def test_good_message_is_debug_line(service: Service) -> None:
    service.telemetry.logger.setLevel("INFO")
    handle("send_queue/refusals")
    *told, finished = service.lines()
    assert sorted(line["message_id"] for line in told) == ["bad-name", "expired", "invalid", "unknown"]
    assert {line["level"] for line in told} == {"WARNING"}
    assert finished["statuses"] == {"failed": 2, "dead_letter": 1, "expired": 1, "sent": 1}


# ---------------------------------------------------------------- what is counted and told


def test_repeated_message_counts_once(service: Service, capsys: Capture) -> None:
    service.wechat.plan.extend([answer(-1), answer(43108), answer(0)])
    for receive_count in (1, 2, 3):
        deliver(enqueued(receive_count=receive_count))
        service.clock.advance(300)
    assert totals(capsys) == {"MessagesReturned": 2, "MessagesSent": 1}
    assert told(service) == []
    assert entry(service).attempts == 3


def test_exhausted_message_counts_once(service: Service, capsys: Capture) -> None:
    """And is announced once."""
    service.wechat.plan.extend([answer(-1)] * 20)
    for receive_count in range(1, 22):
        returned = deliver(enqueued(receive_count=receive_count))
        assert bool(returned) == (receive_count < 20)
        service.clock.advance(300)
    assert totals(capsys) == {"MessagesReturned": 19, "MessagesFailed": 1, "MessagesReplayed": 1}
    (domain_event,) = service.bus.events
    assert (domain_event.detail_type, domain_event.detail["reason"]) == (
        "message.failed",
        "retries_exhausted",
    )
    assert domain_event.detail["attempts"] == 20


@pytest.mark.parametrize(
    ("outcome", "events"),
    [
        (answer(43101), ["message.failed"]),
        (answer(43107), ["circuit.opened", "message.failed"]),
        (lost(), ["message.unknown"]),
        (answer(45011), []),
        (answer(-1), []),
        (answer(40241), []),
    ],
)
def test_published_events(service: Service, outcome: Outcome, events: list[str]) -> None:
    service.wechat.plan.append(outcome)
    deliver(enqueued())
    assert told(service) == events


def test_good_batch_publishes_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "event_bus", break_down)
    assert handle("send_queue/sqs_batch") == []
    assert service.lines("not reported") == []


@pytest.mark.parametrize("trouble", ["refused", "made", "used"])
def test_failing_bus_returns_nothing(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "refused":
        service.bus.failing = "ServiceUnavailable"
    elif trouble == "made":
        monkeypatch.setattr(bootstrap, "event_bus", break_down)
    else:
        monkeypatch.setattr(service.bus, "publish", break_down)
    service.wechat.plan.append(answer(43101))
    assert deliver(enqueued()) == []
    assert totals(capsys) == {"MessagesFailed": 1, "EventsNotPublished": 1}
    (line,) = service.lines("events not published")
    assert (line["level"], line["count"]) == ("ERROR", 1)


def test_no_secret_is_seen(service: Service, capsys: Capture) -> None:
    """Neither an openid nor a token, a secret or a text."""
    service.wechat.plan.extend([answer(40001), answer(43101), lost()])
    names = ["send_queue/sqs_batch", "send_queue/unreadable", "send_queue/refusals"]
    said = [handle(name) for name in names * 2]
    service.wechat.plan.append(answer(45009))
    said += [deliver(enqueued(body(), OTHER)), deliver(enqueued({"kind": OPENID}, key="invalid"))]
    attributes = json.dumps(service.dead_letters.attributes + service.queue.attributes)
    kept = repr(service.ledger_store.history) + repr(service.ledger_store.circuits)
    events = json.dumps(
        [[domain_event.detail_type, domain_event.detail] for domain_event in service.bus.events]
    )
    seen = json.dumps(said) + attributes + kept + events + service.log.getvalue() + capsys.readouterr().out
    assert len(service.lines("message attempted")) >= 7
    assert len(service.bus.events) >= 4
    assert (len(service.dead_letters.attributes), len(service.queue.attributes)) == (4, 1)
    for hidden in (OPENID, OTHER_OPENID, "token-1-of", "token-2-of", "s" * 32, "礼盒"):
        assert hidden not in seen
    assert service.openid_hash(OPENID) in kept


def test_warnings_are_logged(service: Service) -> None:
    assert deliver(enqueued(body("template", miniprogram={}))) == []
    (line,) = service.lines("message attempted")
    assert line["warnings"] == ["miniprogram: empty"]
