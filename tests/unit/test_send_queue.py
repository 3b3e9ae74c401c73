from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.send_queue.handler import lambda_handler
from tests.fakes import (
    OPENID,
    OTHER_OPENID,
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
from wechat_notify import bootstrap
from wechat_notify.core.messages import Message
from wechat_notify.settings import MissingSettingError
from wechat_notify.telemetry import InvocationError

Capture = pytest.CaptureFixture[str]


def handle(name: str, *, seconds_left: float = 60.0) -> list[str]:
    """The ids of the records that go back."""
    event = load_event(name)
    response = lambda_handler(event, FakeContext(seconds_left))
    assert set(response) == {"batchItemFailures"}
    failed = [item["itemIdentifier"] for item in response["batchItemFailures"]]
    assert all(set(item) == {"itemIdentifier"} for item in response["batchItemFailures"])
    assert len(set(failed)) == len(failed)
    assert set(failed) <= set(ids(event))
    return failed


def ids(event: dict[str, Any]) -> list[str]:
    return [record["messageId"] for record in event["Records"]]


def logged_ids(service: Service) -> list[str]:
    return [line["message_id"] for line in service.lines("message attempted")]


def counted(capsys: Capture, name: str) -> list[Metric]:
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.name == name]
    return [metric for metric in found if metric.dimensions]


def test_a_batch_is_sent(service: Service, capsys: Capture) -> None:
    event = load_event("send_queue/sqs_batch")
    assert handle("send_queue/sqs_batch") == []
    assert {message.kind for message in service.wechat.accepted} == {
        "subscription",
        "one_time_subscription",
        "template",
    }
    assert sorted(logged_ids(service)) == sorted(["order-20260301", ids(event)[1], "refund-7"])
    (line,) = service.lines("invocation finished")
    assert (line["messages"], line["returned"]) == (3, 0)
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
def test_a_message_that_is_delivered_twice_has_the_same_id(
    service: Service, name: str, message_id: str | None
) -> None:
    event = load_event(name)
    again = json.loads(json.dumps(event))
    again["Records"][0]["messageId"] = "another-delivery"
    assert lambda_handler(event, FakeContext()) == lambda_handler(again, FakeContext())
    first, second = logged_ids(service)
    assert first == second
    assert len(first) <= 64
    if message_id:
        assert first == message_id


def test_another_firing_of_a_schedule_has_another_id(service: Service) -> None:
    event = load_event("send_queue/scheduler")
    lambda_handler(event, FakeContext())
    event["Records"][0]["body"] = event["Records"][0]["body"].replace("T07:04:00Z", "T07:05:00Z")
    lambda_handler(event, FakeContext())
    assert len(set(logged_ids(service))) == 2


def test_a_body_that_cannot_be_read_stops_nobody_else(service: Service, capsys: Capture) -> None:
    event = load_event("send_queue/unreadable")
    assert handle("send_queue/unreadable") == []
    assert sorted(logged_ids(service)) == ["after", "before"]
    assert service.dead_letters.bodies == [event["Records"][1]["body"]]
    (line,) = service.lines("message refused")
    assert (line["reason"], line["correlation_id"]) == ("malformed_body", ids(event)[1])
    assert counted(capsys, "MessagesRefused") == [
        Metric("MessagesRefused", {"reason": "malformed_body"}, 1, "Count")
    ]


def test_a_body_that_cannot_be_put_aside_goes_back_alone(service: Service) -> None:
    service.dead_letters.failing = "ServiceUnavailable"
    assert handle("send_queue/unreadable") == [ids(load_event("send_queue/unreadable"))[1]]


def test_an_event_of_another_shape_goes_to_the_dead_letters(service: Service) -> None:
    assert handle("send_queue/other_event") == []
    assert len(service.dead_letters.bodies) == 1
    assert service.wechat.attempts == []


def test_what_can_never_be_sent_is_finished_counted_and_logged(service: Service, capsys: Capture) -> None:
    assert handle("send_queue/refusals") == []
    refused = {line["message_id"]: line for line in service.lines("message refused")}
    assert {name: line["reason"] for name, line in refused.items()} == {
        "invalid": "invalid_message",
        "unknown": "unknown_account",
        "bad-name": "unknown_account",
        "expired": "expired",
    }
    assert refused["invalid"]["errors"] == ["data: object"]
    assert refused["unknown"]["account"] == "nobody"
    assert logged_ids(service) == ["good"]
    assert {metric.dimensions["reason"]: metric.value for metric in counted(capsys, "MessagesRefused")} == {
        "invalid_message": 1,
        "unknown_account": 2,
        "expired": 1,
    }
    assert service.dead_letters.bodies == []


def test_what_is_worth_repeating_goes_back_and_the_rest_does_not(service: Service, capsys: Capture) -> None:
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


def test_a_lost_answer_is_repeated_at_once_where_wechat_deduplicates_and_never_goes_back(
    service: Service, capsys: Capture
) -> None:
    service.wechat.plan.extend([lost()] * 4)
    assert handle("send_queue/sqs_batch") == []
    lines = {line["message_id"]: line for line in service.lines("message attempted")}
    assert [line["status"] for line in lines.values()] == ["unknown"] * 3
    assert [line["disposition"] for line in lines.values()] == ["finished"] * 3
    attempts = {name: line["attempts"] for name, line in lines.items()}
    assert (attempts.pop("refund-7"), list(attempts.values())) == (2, [1, 1])
    assert sum(metric.value for metric in counted(capsys, "MessagesUnknown")) == 3


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
def test_an_openid_in_the_place_of_a_name_reaches_neither_a_log_nor_an_attribute(
    service: Service, capsys: Capture, envelope: dict[str, Any]
) -> None:
    event = load_event("send_queue/sns_raw")
    event["Records"][0]["body"] = json.dumps(envelope)
    assert lambda_handler(event, FakeContext()) == {"batchItemFailures": []}
    assert len(service.lines("message attempted")) + len(service.lines("message refused")) == 1
    assert len(service.dead_letters.bodies) == len(service.lines("message refused")) * (
        "message" not in envelope or OPENID in envelope
    )
    seen = json.dumps(service.dead_letters.attributes) + service.log.getvalue() + capsys.readouterr().out
    assert OPENID not in seen


def test_a_sent_message_that_cannot_be_reported_does_not_go_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.telemetry, "_log_message", break_down)
    assert handle("send_queue/sqs_batch") == []
    assert len(service.wechat.accepted) == 3
    assert [line["message"] for line in service.lines()] == ["not reported"] * 3 + ["invocation finished"]
    assert OPENID not in service.log.getvalue()


def test_metrics_that_cannot_be_flushed_send_nothing_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EphemeralMetrics, "flush_metrics", break_down)
    assert handle("send_queue/sqs_batch") == []
    (line,) = service.lines("not reported")
    assert line["error"] == "RuntimeError"


def test_what_fails_again_and_again_for_no_known_reason_is_put_aside(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.sender, "send", break_down)
    event = load_event("send_queue/sns_raw")
    (given,) = event["Records"]
    for receive_count, returned in (("4", [{"itemIdentifier": given["messageId"]}]), ("5", [])):
        given["attributes"]["ApproximateReceiveCount"] = receive_count
        assert lambda_handler(event, FakeContext()) == {"batchItemFailures": returned}
    assert service.dead_letters.bodies == [given["body"]]
    assert service.dead_letters.attributes == [{"reason": "given up", "message_id": given["messageId"]}]
    first, second = service.lines("message refused")
    assert (first["disposition"], second["disposition"], second["detail"]) == (
        "returned",
        "dead_letter",
        "given up",
    )
    assert (second["reason"], second["error"]) == ("internal_error", "RuntimeError")
    assert OPENID not in service.log.getvalue()


def test_with_no_time_left_everything_goes_back_unattempted(service: Service) -> None:
    assert sorted(handle("send_queue/sqs_batch", seconds_left=5)) == ids(load_event("send_queue/sqs_batch"))
    assert service.wechat.attempts == []
    assert len(service.lines("no time left for message")) == 3


def test_what_nobody_foresaw_returns_one_message_and_is_logged(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = service.sender.send

    def break_down_for_one(account: str, message: Message, seconds_left: Callable[[], float]) -> Any:
        if message.kind == "template":
            raise RuntimeError(message.touser)
        return send(account, message, seconds_left)

    monkeypatch.setattr(service.sender, "send", break_down_for_one)
    assert handle("send_queue/sqs_batch") == ids(load_event("send_queue/sqs_batch"))[2:]
    (line,) = service.lines("message refused")
    assert (line["reason"], line["error"], line["message_id"]) == (
        "internal_error",
        "RuntimeError",
        "refund-7",
    )
    assert line["raised_at"].startswith("batches.py:")
    assert counted(capsys, "MessagesRefused")[0].dimensions == {"reason": "internal_error"}


def test_a_missing_hash_key_is_noticed_before_any_message_is_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingSettingError("OPENID_HASH_KEY")

    monkeypatch.setattr(bootstrap, "openid_hash", missing)
    with pytest.raises(InvocationError, match="MissingSettingError"):
        handle("send_queue/sqs_batch")
    assert service.wechat.attempts == []


def test_neither_openid_nor_token_nor_secret_is_seen(service: Service, capsys: Capture) -> None:
    service.wechat.plan.extend([answer(40001), answer(43101), lost()])
    names = ["send_queue/sqs_batch", "send_queue/unreadable", "send_queue/refusals"]
    said = [handle(name) for name in names]
    attributes = json.dumps(service.dead_letters.attributes)
    seen = json.dumps(said) + attributes + service.log.getvalue() + capsys.readouterr().out
    assert len(service.lines("message attempted")) == 6
    for hidden in (OPENID, OTHER_OPENID, "token-1-of", "token-2-of", "s" * 32, "礼盒"):
        assert hidden not in seen
