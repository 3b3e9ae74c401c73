"""Events of the queue: read, refused, sent; errors that nobody foresaw."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.send_queue.handler import lambda_handler
from tests.fakes import (
    OPENID,
    FakeContext,
    Metric,
    Service,
    answer,
    break_down,
    load_event,
    lost,
    metrics,
    unreachable,
)
from tests.unit.functions.send_queue.events import (
    Capture,
    counted,
    deliver,
    enqueued,
    entry,
    handle,
    ids,
    logged_ids,
    told,
    totals,
)
from wechat_notify import bootstrap
from wechat_notify.core.delivery.records import HELD_SINCE, MESSAGE_ID
from wechat_notify.core.messages.kinds import Message
from wechat_notify.settings import MissingSettingError
from wechat_notify.telemetry import InvocationError


def test_batch_is_sent(service: Service, capsys: Capture) -> None:
    event = load_event("send_queue/sqs_batch")
    assert handle("send_queue/sqs_batch") == []
    assert {message.kind for message in service.wechat.accepted} == {
        "subscription",
        "one_time_subscription",
        "template",
    }
    assert sorted(logged_ids(service)) == sorted(["order-20260301", ids(event)[1], "refund-7"])
    (line,) = service.lines("invocation finished")
    assert (line["messages"], line["returned"], line["statuses"]) == (3, 0, {"sent": 3})
    assert line.get("correlation_id") is None
    assert line["function_request_id"] == FakeContext.aws_request_id
    messages = service.lines("message attempted")
    assert sorted(message["correlation_id"] for message in messages) == ids(event)
    assert not [message for message in messages if "sqs_message_id" in message]
    assert sum(metric.value for metric in counted(capsys, "MessagesSent")) == 3


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
    again = json.loads(json.dumps(event))
    again["Records"][0]["messageId"] = "another-delivery"
    assert lambda_handler(event, FakeContext()) == lambda_handler(again, FakeContext())
    (first,) = service.lines("message attempted")
    (second,) = service.lines("message not attempted")
    assert first["message_id"] == second["message_id"]
    assert len(first["message_id"]) <= 64
    if message_id:
        assert first["message_id"] == message_id
    assert (second["result"], second["status"], second["level"]) == ("replayed", "sent", "INFO")
    assert len(service.wechat.attempts) == 1


def test_next_firing_has_another_id(service: Service) -> None:
    """Of a schedule."""
    event = load_event("send_queue/scheduler")
    lambda_handler(event, FakeContext())
    event["Records"][0]["body"] = event["Records"][0]["body"].replace("T07:04:00Z", "T07:05:00Z")
    lambda_handler(event, FakeContext())
    assert len(set(logged_ids(service))) == 2


def test_unreadable_body_stops_no_other(service: Service, capsys: Capture) -> None:
    event = load_event("send_queue/unreadable")
    assert handle("send_queue/unreadable") == []
    assert sorted(logged_ids(service)) == ["after", "before"]
    assert service.dead_letters.bodies == [event["Records"][1]["body"]]
    (line,) = service.lines("message refused")
    assert (line["reason"], line["correlation_id"]) == ("malformed_body", ids(event)[1])
    assert counted(capsys, "MessagesRefused") == [
        Metric("MessagesRefused", {"reason": "malformed_body"}, 1, "Count")
    ]


def test_refused_dead_letter_goes_back(service: Service) -> None:
    service.dead_letters.failing = "ServiceUnavailable"
    assert handle("send_queue/unreadable") == [ids(load_event("send_queue/unreadable"))[1]]


def test_other_event_is_dead_letter(service: Service) -> None:
    assert handle("send_queue/other_event") == []
    assert len(service.dead_letters.bodies) == 1
    assert service.wechat.attempts == []


def test_refusals_are_counted_and_logged(service: Service, capsys: Capture) -> None:
    assert handle("send_queue/refusals") == []
    refused = {line["message_id"]: line for line in service.lines("message refused")}
    assert {name: line["reason"] for name, line in refused.items()} == {
        "invalid": "invalid_message",
        "unknown": "unknown_account",
        "bad-name": "invalid_request",
    }
    assert refused["invalid"]["errors"] == ["data: object"]
    assert refused["unknown"]["account"] == "nobody"
    assert logged_ids(service) == ["good"]
    (expired,) = service.lines("message not attempted")
    assert (expired["message_id"], expired["status"], expired["level"]) == ("expired", "expired", "WARNING")
    found = metrics(capsys.readouterr().out)
    assert {m.dimensions.get("reason"): m.value for m in found if m.name == "MessagesRefused"} == {
        None: 1,
        "invalid_message": 1,
        "unknown_account": 1,
        "invalid_request": 1,
    }
    assert [m.dimensions for m in found if m.name == "MessagesExpired"] == [{}, {"kind": "subscription"}]
    assert [attributes["id"] for attributes in service.dead_letters.attributes] == ["bad-name"]
    states = {key: (e.status, e.reason, e.attempts) for (_, key), e in service.ledger_store.entries.items()}
    assert states == {
        "invalid": ("failed", "invalid_message", 0),
        "unknown": ("failed", "unknown_account", 0),
        "expired": ("expired", None, 0),
        "good": ("sent", None, 1),
    }
    assert {domain_event.detail["id"]: domain_event.detail_type for domain_event in service.bus.events} == {
        "invalid": "message.failed",
        "unknown": "message.failed",
    }


def test_repeatable_record_goes_back(service: Service, capsys: Capture) -> None:
    """And the rest does not."""
    outcomes = {"subscription": unreachable(), "one_time_subscription": lost(), "template": answer(43101)}

    send = service.wechat.send

    def planned(message: Message, token: str) -> Any:
        outcome = send(message, token)
        return outcomes[message.kind] if outcome.errcode == 0 else outcome

    service.wechat.send = planned  # type: ignore[method-assign]
    event = load_event("send_queue/sqs_batch")
    assert handle("send_queue/sqs_batch") == ids(event)[:1]
    assert list(service.queue.handed_out_again) == [event["Records"][0]["receiptHandle"]]
    lines = {line["message_id"]: line for line in service.lines("message attempted")}
    assert lines["order-20260301"]["disposition"] == "returned"
    assert lines["refund-7"]["disposition"] == "finished"
    assert lines["order-20260301"]["receive_count"] == 1
    found = metrics(capsys.readouterr().out)
    assert [metric.value for metric in found if metric.name == "MessagesReturned"] == [1]
    (line,) = service.lines("invocation finished")
    assert (line["messages"], line["returned"]) == (3, 1)
    assert line["statuses"] == {"queued": 1, "unknown": 1, "failed": 1}


def test_unforeseen_error_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.sender, "token", break_down)  # before anything is claimed
    event = load_event("send_queue/sns_raw")
    (given,) = event["Records"]
    for receive_count, returned in (("4", [{"itemIdentifier": given["messageId"]}]), ("5", [])):
        given["attributes"]["ApproximateReceiveCount"] = receive_count
        assert lambda_handler(event, FakeContext()) == {"batchItemFailures": returned}
    assert service.dead_letters.bodies == []
    first, second = service.lines("message refused")
    assert (first["disposition"], second["disposition"], second["detail"]) == (
        "returned",
        "finished",
        "given up",
    )
    assert (second["reason"], second["error"]) == ("internal_error", "RuntimeError")
    assert (entry(service, "sns-1").status, entry(service, "sns-1").reason) == ("failed", "internal_error")
    assert told(service) == ["message.failed"]
    assert OPENID not in service.log.getvalue()


def test_no_time_returns_everything(service: Service) -> None:
    assert sorted(handle("send_queue/sqs_batch", seconds_left=5)) == ids(load_event("send_queue/sqs_batch"))
    assert service.wechat.attempts == []
    assert service.ledger_store.entries == {}
    lines = service.lines("message put off")
    assert [(line["level"], line["detail"]) for line in lines] == [("WARNING", "again in 0 s")] * 3


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
    assert handle("send_queue/sqs_batch") == ids(load_event("send_queue/sqs_batch"))[2:]
    (line,) = service.lines("message refused")
    assert (line["reason"], line["error"], line["message_id"]) == (
        "internal_error",
        "RuntimeError",
        "refund-7",
    )
    assert line["raised_at"].startswith("test_handler.py:")
    assert totals(capsys) == {"MessagesSent": 2, "MessagesUnforeseen": 1, "MessagesReturned": 1}


def test_missing_key_sends_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingSettingError("OPENID_HASH_KEY")

    monkeypatch.setattr(bootstrap, "openid_hasher", missing)
    with pytest.raises(InvocationError, match="MissingSettingError"):
        handle("send_queue/sqs_batch")
    assert service.wechat.attempts == []


@pytest.mark.parametrize(
    "attribute",
    [
        {"binaryValue": "AAEC", "dataType": "Binary"},
        {"stringValue": "7", "dataType": "Number"},
        {"stringValue": "", "dataType": "String"},
    ],
)
@pytest.mark.parametrize("name", ["trace", HELD_SINCE, MESSAGE_ID])
def test_foreign_attributes_stop_nothing(service: Service, attribute: dict[str, str], name: str) -> None:
    event = enqueued()
    event["Records"][0]["messageAttributes"] = {name: attribute}
    assert deliver(event) == []
    assert entry(service).status == "sent"
