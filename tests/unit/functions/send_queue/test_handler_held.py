"""Held messages are parked."""

from __future__ import annotations

from tests.fakes import (
    Service,
    answer,
    body,
    load_event,
    metrics,
)
from tests.unit.functions.send_queue.events import (
    Capture,
    deliver,
    enqueued,
    entry,
    told,
    totals,
)
from tests.unit.standings import KEY
from wechat_notify.core.delivery.records import HELD_SINCE
from wechat_notify.core.messages.envelope import parse_queue_body, queue_body

# ---------------------------------------------------------------- what waits


def test_held_message_is_parked(service: Service, capsys: Capture) -> None:
    service.wechat.plan.append(answer(45009, "reach max api daily quota limit"))
    assert deliver(enqueued()) == []  # a copy takes its place
    (attempted,) = service.lines("message attempted")
    assert (attempted["level"], attempted["disposition"], attempted["status"]) == (
        "WARNING",
        "parked",
        "queued",
    )
    assert told(service) == ["quota.reached"]
    assert totals(capsys) == {"CircuitsOpened": 1}

    assert deliver(enqueued(key="another")) == []
    (held,) = service.lines("message not attempted")
    assert (held["level"], held["result"], held["errcode"]) == ("DEBUG", "held", 45009)
    assert totals(capsys) == {"MessagesHeld": 1}
    assert told(service) == ["quota.reached"]
    assert (entry(service, "another").status, entry(service, "another").reason) == ("queued", "held")
    assert len(service.wechat.attempts) == 1

    assert service.queue.delays == [750, 750]
    assert service.queue.groups == ["shop", "shop"]
    assert service.queue.attributes == [{HELD_SINCE: "1772348645"}] * 2
    parked = [parse_queue_body(text, default_id="m1") for text in service.queue.bodies]
    assert [(request.id, request.message) for request in parked] == [(KEY, body()), ("another", body())]


def test_held_message_is_debug_line(service: Service) -> None:
    service.telemetry.logger.setLevel("INFO")
    service.wechat.plan.append(answer(45009))
    deliver(enqueued())
    before = len(service.lines())
    deliver(enqueued(key="another"))
    assert [line["message"] for line in service.lines()[before:]] == ["invocation finished"]


def test_parked_message_goes_out(service: Service, capsys: Capture) -> None:
    """Before that it is parked again without a write."""
    service.wechat.plan.append(answer(45009))
    event = load_event("send_queue/parked")
    (record,) = event["Records"]
    request = parse_queue_body(record["body"], default_id=record["messageId"])
    assert queue_body(request) == record["body"]  # as this service writes it
    deliver(enqueued())
    capsys.readouterr()
    puts = service.ledger_store.puts
    assert deliver(event) == []
    assert service.ledger_store.puts == puts
    assert service.queue.attributes[-1] == {HELD_SINCE: "1772345045"}
    assert service.queue.bodies[-1] == record["body"]
    assert totals(capsys) == {"MessagesHeld": 1}

    service.clock.advance(12 * 3600)
    service.wechat.renew("wx-shop")
    assert deliver(event) == []
    assert (entry(service, request.id).status, told(service)) == (
        "sent",
        ["quota.reached", "circuit.closed"],
    )
    assert totals(capsys)["MessagesSent"] == 1
    (line,) = service.lines("circuit closed")
    assert (line["level"], line["account"], line["scope"]) == ("INFO", "shop", "kind:subscription")


def test_held_message_fails_finally(service: Service, capsys: Capture) -> None:
    """After three days."""
    service.wechat.plan.append(answer(45009))
    deliver(enqueued(key="first"))
    capsys.readouterr()
    since = str(int(service.clock.now()) - 3 * 86400 - 1)
    assert deliver(enqueued(attributes={HELD_SINCE: since})) == []
    assert (entry(service).status, entry(service).reason) == ("failed", "retries_exhausted")
    found = metrics(capsys.readouterr().out)
    assert [m.dimensions for m in found if m.name == "MessagesFailed"] == [
        {},
        {"class": "quota", "errcode": "45009"},
    ]
    assert told(service) == ["quota.reached", "message.failed"]
    assert len(service.queue.bodies) == 1


def test_unusable_secret_holds_the_account(service: Service, capsys: Capture) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    event = enqueued(body(), body("template"))
    event["Records"][1]["body"] = event["Records"][1]["body"].replace(KEY, "another")
    assert deliver(event) == []
    assert {e.status for e in service.ledger_store.entries.values()} == {"queued"}
    assert (len(service.refresher.asked), service.wechat.attempts) == (1, [])
    assert told(service) == ["circuit.opened"]
    (line,) = service.lines("circuit opened")
    assert (line["level"], line["account"], line["scope"], line["errcode"]) == (
        "WARNING",
        "shop",
        "account",
        40164,
    )
    assert totals(capsys) == {"MessagesHeld": 2, "CircuitsOpened": 1}
