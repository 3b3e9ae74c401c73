"""Events of the queue: read, refused, sent; errors that nobody foresaw."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import (
    OPENID,
    FakeContext,
    Metric,
    Service,
    answer,
    body,
    break_down,
    load_event,
    lost,
    metrics,
    unreachable,
)
from tests.unit.functions.send_queue.events import (
    Capture,
    counted,
    enqueued,
    handle,
    ids,
    logged_ids,
    told,
    totals,
)
from tests.unit.standings import KEY
from wechat_notify import bootstrap
from wechat_notify.core.delivery.records import HELD_SINCE, MESSAGE_ID
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import parse_queue_body, queue_body
from wechat_notify.core.messages.kinds import Message
from wechat_notify.settings import MissingSettingError
from wechat_notify.telemetry import InvocationError

BATCH = load_event("send_queue/sqs_batch")


def test_batch_is_sent(service: Service, capsys: Capture) -> None:
    assert handle(BATCH) == []
    kinds = {message.kind for message in service.wechat.accepted}
    assert kinds == {"subscription", "one_time_subscription", "template"}
    assert logged_ids(service) == sorted(["order-20260301", ids(BATCH)[1], "refund-7"])
    (line,) = service.lines("invocation finished")
    assert (line["messages"], line["returned"], line["statuses"]) == (3, 0, {"sent": 3})
    assert line.get("correlation_id") is None
    assert line["function_request_id"] == FakeContext.aws_request_id
    messages = service.lines("message attempted")
    assert sorted(message["correlation_id"] for message in messages) == ids(BATCH)
    assert {message["openid_hash"] for message in messages} >= {service.openid_hash(OPENID)}
    assert totals(capsys) == {"MessagesSent": 3}
    assert told(service) == []


@pytest.mark.parametrize(
    ("name", "message_id"),
    [
        ("send_queue/sns_raw", "sns-1"),
        ("send_queue/event_bus", "b3d7f1a2-6c4e-4d58-9f0b-7a1c2e3d4f56"),
        ("send_queue/event_bus_with_id", "order-20260302"),
        ("send_queue/scheduler", None),
    ],
)
def test_second_delivery_has_same_id(service: Service, name: str, message_id: str | None) -> None:
    event = load_event(name)
    assert handle(event) == []
    event["Records"][0]["messageId"] = "another-delivery"
    assert handle(event) == []
    (first,) = service.lines("message attempted")
    (second,) = service.lines("message not attempted")
    assert first["message_id"] == second["message_id"] == (message_id or first["message_id"])
    assert len(first["message_id"]) <= 64
    assert (second["result"], second["status"], second["level"]) == ("replayed", "sent", "INFO")
    assert len(service.wechat.attempts) == 1


def test_next_firing_has_another_id(service: Service) -> None:
    """Of a schedule."""
    event = load_event("send_queue/scheduler")
    handle(event)
    event["Records"][0]["body"] = event["Records"][0]["body"].replace("T07:04:00Z", "T07:05:00Z")
    handle(event)
    assert len(set(logged_ids(service))) == 2


def test_redriven_message_keeps_first_id(service: Service) -> None:
    """Its body has none; when it came first it was known by SQS's, and SQS gives it a new one."""
    event = load_event("send_queue/redriven")
    assert handle(event) == []
    first = event["Records"][0]["messageAttributes"][MESSAGE_ID]["stringValue"]
    assert service.ledger_store.entries.keys() == {("shop", first)}


def test_parked_message_waits_on(service: Service, capsys: Capture) -> None:
    """While its kind is held: a copy takes its place, with the time since when it waits."""
    service.wechat.plan.append(answer(45009))
    assert handle(enqueued()) == []
    (attempted,) = service.lines("message attempted")
    parked = (attempted["level"], attempted["disposition"], attempted["status"])
    assert parked == ("WARNING", "parked", "queued")
    assert told(service) == ["quota.reached"]
    assert totals(capsys) == {"CircuitsOpened": 1}

    event = load_event("send_queue/parked")
    (record,) = event["Records"]
    assert handle(event) == []
    assert service.queue.attributes[-1] == {HELD_SINCE: "1772345045"}
    request = parse_queue_body(record["body"], default_id=record["messageId"])
    assert service.queue.bodies[-1] == record["body"] == queue_body(request)
    assert totals(capsys) == {"MessagesHeld": 1}


@pytest.mark.parametrize("name", ["trace", HELD_SINCE, MESSAGE_ID])
def test_foreign_attributes_stop_nothing(service: Service, name: str) -> None:
    event = enqueued()
    event["Records"][0]["messageAttributes"] = {name: {"binaryValue": "AAEC", "dataType": "Binary"}}
    assert handle(event) == []
    assert service.ledger_store.entries["shop", KEY].status == "sent"


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "number", "sent"),
    [("send_queue/unreadable", 1, ["after", "before"]), ("send_queue/other_event", 0, [])],
)
def test_unreadable_body_stops_no_other(
    service: Service, capsys: Capture, *, name: str, number: int, sent: list[str]
) -> None:
    event = load_event(name)
    assert handle(event) == []
    assert logged_ids(service) == sent
    assert service.dead_letters.bodies == [event["Records"][number]["body"]]
    (line,) = service.lines("message refused")
    assert line["correlation_id"] == ids(event)[number]
    refused = [metric for metric in counted(capsys) if metric.name == "MessagesRefused"]
    assert refused == [
        Metric("MessagesRefused", dimensions, 1, "Count") for dimensions in ({}, {"reason": line["reason"]})
    ]


def test_refusals_are_counted_and_logged(service: Service, capsys: Capture) -> None:
    service.telemetry.logger.setLevel("INFO")
    assert handle("send_queue/refusals") == []
    reasons = {"invalid": "invalid_message", "unknown": "unknown_account", "bad-name": "invalid_request"}
    refused = {line["message_id"]: line for line in service.lines("message refused")}
    assert {name: line["reason"] for name, line in refused.items()} == reasons
    assert refused["invalid"]["errors"] == ["data: object"]
    assert refused["unknown"]["account"] == "nobody"
    (expired,) = service.lines("message not attempted")
    assert (expired["message_id"], expired["status"], expired["level"]) == ("expired", "expired", "WARNING")
    assert logged_ids(service) == []  # the good one's line is for debugging
    (finished,) = service.lines("invocation finished")
    assert finished["statuses"] == {"failed": 2, "dead_letter": 1, "expired": 1, "sent": 1}
    found = [metric for metric in counted(capsys) if metric.name == "MessagesRefused"]
    assert {m.dimensions["reason"]: m.value for m in found if m.dimensions} == dict.fromkeys(
        reasons.values(), 1
    )
    assert [attributes["id"] for attributes in service.dead_letters.attributes] == ["bad-name"]
    assert {event.detail["id"]: event.detail_type for event in service.bus.events} == {
        "invalid": "message.failed",
        "unknown": "message.failed",
    }


def test_warnings_are_logged(service: Service) -> None:
    assert handle(enqueued(body("template", miniprogram={}))) == []
    (line,) = service.lines("message attempted")
    assert line["warnings"] == ["miniprogram: empty"]


# ---------------------------------------------------------------- what goes back


def test_repeatable_record_goes_back(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the rest does not."""
    outcomes = {"subscription": unreachable(), "one_time_subscription": lost(), "template": answer(43101)}
    monkeypatch.setattr(service.wechat, "send", lambda message, _token: outcomes[message.kind])
    assert handle(BATCH) == ids(BATCH)[:1]
    assert list(service.queue.handed_out_again) == [BATCH["Records"][0]["receiptHandle"]]
    lines = {line["message_id"]: line for line in service.lines("message attempted")}
    assert lines["order-20260301"]["disposition"] == "returned"
    assert lines["refund-7"]["disposition"] == "finished"
    assert lines["order-20260301"]["receive_count"] == 1
    assert totals(capsys) == {"MessagesUnknown": 1, "MessagesFailed": 1, "MessagesReturned": 1}
    assert sorted(told(service)) == ["message.failed", "message.unknown"]
    (line,) = service.lines("invocation finished")
    assert (line["messages"], line["returned"]) == (3, 1)
    assert line["statuses"] == {"queued": 1, "unknown": 1, "failed": 1}


def test_no_time_returns_everything(service: Service) -> None:
    assert sorted(handle(BATCH, seconds_left=5)) == ids(BATCH)
    assert service.wechat.attempts == []
    assert service.ledger_store.entries == {}
    lines = service.lines("message put off")
    assert [(line["level"], line["detail"]) for line in lines] == [("WARNING", "again in 0 s")] * 3


def test_unrecorded_answer_goes_back(service: Service, capsys: Capture) -> None:
    """When its claim is over."""

    def fail(_message: Message) -> None:
        service.ledger_store.failing = {"put": "ServiceUnavailable"}

    service.wechat.while_in_flight = fail
    assert handle(enqueued()) == ["m0"]
    assert service.queue.handed_out_again == {"r0": 60 + 120}
    assert totals(capsys) == {"AnswersNotRecorded": 1, "MessagesReturned": 1}


def test_unforeseen_error_is_logged(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It returns one message."""
    send = service.sender.send

    def break_down_for_one(account: str, message: Message, *rest: Any) -> Any:
        if message.kind == "template":
            raise RuntimeError(message.touser)
        return send(account, message, *rest)

    monkeypatch.setattr(service.sender, "send", break_down_for_one)
    assert handle(BATCH) == ids(BATCH)[2:]
    (line,) = service.lines("message refused")
    assert (line["reason"], line["error"]) == ("internal_error", "RuntimeError")
    assert (line["message_id"], line["disposition"]) == ("refund-7", "returned")
    assert line["raised_at"].startswith("test_handler.py:")
    assert totals(capsys) == {"MessagesSent": 2, "MessagesUnforeseen": 1, "MessagesReturned": 1}


def test_unforeseen_error_is_given_up(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.sender, "token", break_down)  # before anything is claimed
    event = load_event("send_queue/sns_raw")
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "5"
    assert handle(event) == []
    (line,) = service.lines("message refused")
    assert (line["disposition"], line["detail"]) == ("finished", "given up")
    assert totals(capsys) == {"MessagesUnforeseen": 1, "MessagesRefused": 1}
    assert told(service) == ["message.failed"]
    assert OPENID not in service.log.getvalue()


def test_key_that_cannot_be_read_puts_the_batch_off(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StorageError("read the openid hash key", "ReadTimeout")

    monkeypatch.setattr(service.hash_keys, "load", fail)
    assert handle(BATCH) == ids(BATCH)
    assert service.wechat.attempts == []
    assert len(service.queue.handed_out_again) == 3
    lines = service.lines("message put off")
    assert len(lines) == 3
    assert "read the openid hash key" in lines[0]["detail"]


def test_missing_key_sends_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingSettingError("OPENID_HASH_SECRET")

    monkeypatch.setattr(bootstrap, "openid_hasher", missing)
    with pytest.raises(InvocationError, match="MissingSettingError"):
        handle(BATCH)
    assert service.wechat.attempts == []


@pytest.mark.parametrize(
    ("age", "told"), [(59.0, {}), (61.0, {"WaitingAge": 61}), (7200.0, {"WaitingAge": 7200})]
)
def test_age_of_oldest_message(service: Service, capsys: Capture, age: float, told: dict[str, int]) -> None:
    """Since it came to the queue; below a minute it costs no line."""
    event = enqueued(body(), body(touser=f"{OPENID}-2"))
    for record, seconds in zip(event["Records"], (0.0, age), strict=True):
        sent_at = {"SentTimestamp": str(int((service.clock.now() - seconds) * 1000))}
        record["attributes"] = record["attributes"] | sent_at
    handle(event)
    assert ages(capsys) == told
    (line,) = service.lines("invocation finished")
    assert line.get("waiting_s") == told.get("WaitingAge")


def test_age_of_held_message(service: Service, capsys: Capture) -> None:
    """Since it was held first; its copy is new to SQS, and it is no message that lags."""
    service.wechat.plan.append(answer(45009))
    handle(enqueued())
    capsys.readouterr()
    handle(load_event("send_queue/parked"))
    assert ages(capsys) == {"HeldAge": 3600}


def ages(capsys: Capture) -> dict[str, float]:
    """What was measured of ages, under ``service`` alone."""
    found = metrics(capsys.readouterr().out)
    return {each.name: each.value for each in found if each.unit == "Seconds" and not each.dimensions}
