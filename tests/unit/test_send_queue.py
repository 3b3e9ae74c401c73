from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from functions.send_api.handler import lambda_handler as send_api
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
from tests.unit.standings import KEY, OTHER, STANDINGS, bring_about
from wechat_notify import bootstrap
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.records import HELD_SINCE, MESSAGE_ID
from wechat_notify.core.messages.envelope import parse_queue_body, queue_body
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome
from wechat_notify.metrics import Metrics
from wechat_notify.settings import MissingSettingError
from wechat_notify.telemetry import InvocationError

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def service(service: Service) -> Service:
    """With a line for every message."""
    service.telemetry.logger.setLevel("DEBUG")
    return service


def handle(name: str, *, seconds_left: float = 60.0) -> list[str]:
    """The ids of the records that go back."""
    event = load_event(name)
    response = lambda_handler(event, FakeContext(seconds_left))
    assert set(response) == {"batchItemFailures"}
    failed = [str(item["itemIdentifier"]) for item in response["batchItemFailures"]]
    assert all(set(item) == {"itemIdentifier"} for item in response["batchItemFailures"])
    assert len(set(failed)) == len(failed)
    assert set(failed) <= set(ids(event))
    return failed


def ids(event: dict[str, Any]) -> list[str]:
    return [record["messageId"] for record in event["Records"]]


def enqueued(
    *contents: object,
    key: str | None = KEY,
    account: str = "shop",
    receive_count: int = 1,
    attributes: dict[str, str] | None = None,
    **envelope: object,
) -> dict[str, Any]:
    """SQS's event with one record for each message, all of them under the same id."""
    (record,) = load_event("send_queue/parked")["Records"]
    records = []
    for number, content in enumerate(contents or [body()]):
        wrapped = {"account": account, "message": content, **({"id": key} if key else {}), **envelope}
        records.append(
            {
                **record,
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": json.dumps(wrapped),
                "attributes": {**record["attributes"], "ApproximateReceiveCount": str(receive_count)},
                "messageAttributes": {
                    name: {"stringValue": value, "dataType": "String"}
                    for name, value in (attributes or {}).items()
                },
            }
        )
    return {"Records": records}


def deliver(event: dict[str, Any]) -> list[str]:
    """The ids of the records that go back."""
    response = lambda_handler(event, FakeContext())
    return [str(item["itemIdentifier"]) for item in response["batchItemFailures"]]


def entry(service: Service, key: str = KEY, account: str = "shop") -> Entry:
    return service.ledger_store.entries[account, key]


def told(service: Service) -> list[str]:
    return [domain_event.detail_type for domain_event in service.bus.events]


def totals(capsys: Capture) -> dict[str, int]:
    """What was counted since the last look, under ``service`` alone."""
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.unit == "Count"]
    counted = Counter[str]()
    for metric in found:
        counted[metric.name] += 0 if metric.dimensions else int(metric.value)
    return {name: count for name, count in counted.items() if count}


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
def test_a_message_that_is_delivered_twice_has_the_same_id(
    service: Service, name: str, message_id: str | None
) -> None:
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
    assert line["statuses"] == {"queued": 1, "unknown": 1, "failed": 1}


def test_a_lost_answer_is_unknown_and_repeated_only_where_wechat_deduplicates(
    service: Service, capsys: Capture
) -> None:
    service.wechat.plan.extend([lost()] * 3)
    refund = load_event("send_queue/sqs_batch")["Records"][2]
    assert handle("send_queue/sqs_batch") == [refund["messageId"]]
    lines = {line["message_id"]: line for line in service.lines("message attempted")}
    back = lines.pop("refund-7")
    assert (back["status"], back["disposition"]) == ("queued", "returned")
    assert [(line["status"], line["disposition"]) for line in lines.values()] == [("unknown", "finished")] * 2
    assert told(service) == ["message.unknown"] * 2
    assert totals(capsys) == {"MessagesUnknown": 2, "MessagesReturned": 1}

    service.clock.advance(10)
    assert deliver({"Records": [refund]}) == []
    assert [message.kind for message in service.wechat.accepted] == ["template"]
    (_, first), (_, second) = [(m.kind, m) for m, _ in service.wechat.attempts if m.kind == "template"]
    assert first == second
    assert (entry(service, "refund-7").status, entry(service, "refund-7").attempts) == ("sent", 2)
    assert totals(capsys) == {"MessagesSent": 1}


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
    monkeypatch.setattr(Metrics, "flush", break_down)
    assert handle("send_queue/sqs_batch") == []
    (line,) = service.lines("not reported")
    assert line["error"] == "RuntimeError"


def test_what_fails_again_and_again_for_no_known_reason_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_with_no_time_left_everything_goes_back_unattempted(service: Service) -> None:
    assert sorted(handle("send_queue/sqs_batch", seconds_left=5)) == ids(load_event("send_queue/sqs_batch"))
    assert service.wechat.attempts == []
    assert service.ledger_store.entries == {}
    lines = service.lines("message put off")
    assert [(line["level"], line["detail"]) for line in lines] == [("WARNING", "again in 0 s")] * 3


def test_what_nobody_foresaw_returns_one_message_and_is_logged(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert line["raised_at"].startswith("send.py:")
    assert totals(capsys) == {"MessagesSent": 2, "MessagesUnforeseen": 1, "MessagesReturned": 1}


def test_a_missing_hash_key_is_noticed_before_any_message_is_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingSettingError("OPENID_HASH_KEY")

    monkeypatch.setattr(bootstrap, "openid_hash", missing)
    with pytest.raises(InvocationError, match="MissingSettingError"):
        handle("send_queue/sqs_batch")
    assert service.wechat.attempts == []


# ---------------------------------------------------------------- one id, one message

# By standing: the state afterwards, whether the record goes back, messages to WeChat, the line's level.
SENT_NOW = ("sent", False, 1, "DEBUG")
FROM_THE_QUEUE = {
    "queued": SENT_NOW,
    "sending": ("sending", True, 0, "INFO"),
    "abandoned": ("unknown", False, 0, "WARNING"),
    "sent": ("sent", False, 0, "INFO"),
    "failed": ("failed", False, 0, "INFO"),
    "try_again": SENT_NOW,
    "unknown": ("unknown", False, 0, "INFO"),
    "expired": ("expired", False, 0, "INFO"),
    "cancelled": ("cancelled", False, 0, "INFO"),
    "refused": SENT_NOW,
    "other_body": ("sent", False, 0, "WARNING"),
}


@pytest.mark.parametrize("standing", STANDINGS)
def test_a_message_that_was_handed_over_before_is_dealt_with_by_its_entry(
    service: Service, standing: str
) -> None:
    bring_about(service, standing)
    events = len(service.bus.events)
    returned = deliver(enqueued())
    (line,) = service.lines("message attempted") + service.lines("message not attempted")
    attempts = len(service.wechat.attempts)
    assert (entry(service).status, returned == ["m0"], attempts, line["level"]) == FROM_THE_QUEUE[standing]
    assert (line["message_id"], line["status"]) == (KEY, entry(service).status)
    assert line["openid_hash"] == service.openid_hash(OPENID)
    assert line["disposition"] == ("returned" if returned else "finished")
    assert told(service)[events:] == (["message.unknown"] if standing == "abandoned" else [])


def test_a_message_at_which_another_invocation_is_comes_again_when_that_must_be_dead(
    service: Service, capsys: Capture
) -> None:
    bring_about(service, "sending")
    assert deliver(enqueued()) == ["m0"]
    assert service.queue.handed_out_again == {"r0": 29 + 120}
    assert totals(capsys) == {"MessagesReplayed": 1, "MessagesReturned": 1}


def test_copies_in_one_batch_are_one_message(service: Service, capsys: Capture) -> None:
    assert deliver(enqueued(body(), body(), body())) == []
    assert len(service.wechat.attempts) == 1
    assert totals(capsys) == {"MessagesSent": 1, "MessagesReplayed": 2}


def test_another_message_under_the_same_id_is_not_sent_and_somebody_hears_of_it(
    service: Service, capsys: Capture
) -> None:
    assert deliver(enqueued(body(), OTHER)) == []
    assert len(service.wechat.attempts) == 1
    (line,) = service.lines("message not attempted")
    assert (line["result"], line["level"], line["message_id"]) == ("id_reused", "WARNING", KEY)
    standing = [m.dimensions for m in metrics(capsys.readouterr().out) if m.name == "MessagesReplayed"]
    assert standing == [{}, {"result": "id_reused"}]


@pytest.mark.parametrize("trouble", ["held", "no token"])
def test_another_message_under_the_same_id_does_not_wait_for_better_times(
    service: Service, trouble: str
) -> None:
    bring_about(service, "queued")
    if trouble == "held":
        service.wechat.plan.append(answer(45009))
        deliver(enqueued(key="first"))
    else:
        service.store.tokens.clear()
        service.sender._tokens._cache.clear()
        service.wechat.refuse_tokens("wx-shop", unreachable())
    assert deliver(enqueued(OTHER)) == []
    assert service.lines("message not attempted")[-1]["result"] == "id_reused"


def over_http(prefer: str = "") -> dict[str, Any]:
    event = load_event("send_api/idempotency_key")
    event["headers"] |= {"idempotency-key": KEY, "prefer": prefer}
    response: dict[str, Any] = send_api({**event, "body": json.dumps(body())}, FakeContext())
    return response


@pytest.mark.parametrize("door", ["HTTP first", "SQS first", "the event bus first"])
def test_a_message_is_one_whichever_doors_it_came_through(service: Service, door: str) -> None:
    event = enqueued()
    if door == "the event bus first":
        (record,) = event["Records"]
        detail = {"account": "shop", "message": body()}
        event_of_bus = {"id": KEY, "detail-type": "WeChat Message Requested", "detail": detail}
        record["body"] = json.dumps(event_of_bus)
    if door == "HTTP first":
        assert over_http()["statusCode"] == 200
        assert deliver(event) == []
    else:
        assert deliver(event) == []
        response = over_http()
        assert (response["statusCode"], response["headers"]["Idempotent-Replayed"]) == (200, "true")
        assert json.loads(response["body"])["wechat"]["msgid"] == 1864323726461255680
    assert len(service.wechat.attempts) == 1


def test_what_http_put_on_the_queue_is_sent_from_there(service: Service, capsys: Capture) -> None:
    assert over_http("respond-async")["statusCode"] == 202
    assert totals(capsys) == {}
    event = enqueued()
    event["Records"][0]["body"] = service.queue.bodies[0]
    assert deliver(event) == []
    assert [change.status for change in entry(service).timeline] == ["queued", "sending", "sent"]
    assert over_http("respond-async")["statusCode"] == 200
    assert totals(capsys) == {"MessagesSent": 1, "MessagesReplayed": 1}


def test_what_was_cancelled_is_not_sent(service: Service, capsys: Capture) -> None:
    over_http("respond-async")
    service.ledger.cancel("shop", KEY)
    assert deliver(enqueued()) == []
    assert (entry(service).status, service.wechat.attempts) == ("cancelled", [])
    assert totals(capsys) == {"MessagesReplayed": 1}


@pytest.mark.parametrize("at", ["beside the message", "in the message"])
def test_an_expired_message_is_not_sent(service: Service, capsys: Capture, at: str) -> None:
    now = "2026-03-01T07:04:05Z"
    event = enqueued(expires_at=now) if at == "beside the message" else enqueued(body(expires_at=now))
    assert deliver(event) == []
    assert (entry(service).status, service.wechat.attempts, told(service)) == ("expired", [], [])
    assert totals(capsys) == {"MessagesExpired": 1}
    assert deliver(event) == []
    assert totals(capsys) == {"MessagesReplayed": 1}


@pytest.mark.parametrize("at", ["beside the message", "in the message"])
def test_a_lost_answer_is_repeated_where_that_was_asked_for(
    service: Service, capsys: Capture, at: str
) -> None:
    wish = "at_least_once"
    event = enqueued(delivery=wish) if at == "beside the message" else enqueued(body(delivery=wish))
    service.wechat.plan.append(lost())
    assert deliver(event) == ["m0"]
    assert totals(capsys) == {"MessagesReturned": 1}
    service.clock.advance(10)
    assert deliver(event) == []
    assert (entry(service).status, len(service.wechat.attempts), told(service)) == ("sent", 2, [])
    assert totals(capsys) == {"MessagesSent": 1}


def test_an_answer_that_could_not_be_recorded_is_lost_when_the_message_comes_again(
    service: Service, capsys: Capture
) -> None:
    def fail(_message: Message) -> None:
        service.ledger_store.failing = {"put": "ServiceUnavailable"}

    service.wechat.while_in_flight = fail
    assert deliver(enqueued()) == ["m0"]
    (line,) = service.lines("message attempted")
    assert (line["level"], line["status"], line["errcode"]) == ("ERROR", "sending", 0)
    assert service.queue.handed_out_again == {"r0": 60 + 120}
    assert totals(capsys) == {"AnswersNotRecorded": 1, "MessagesReturned": 1}
    assert told(service) == []

    service.ledger_store.failing = {}
    service.clock.advance(60 + 120)
    assert deliver(enqueued(receive_count=2)) == []
    assert (entry(service).status, entry(service).reason) == ("unknown", "answer_not_recorded")
    assert len(service.wechat.attempts) == 1
    assert totals(capsys) == {"MessagesUnknown": 1}
    assert told(service) == ["message.unknown"]


def test_nothing_is_sent_that_the_ledger_does_not_know(service: Service, capsys: Capture) -> None:
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    assert sorted(handle("send_queue/sqs_batch")) == ids(load_event("send_queue/sqs_batch"))
    assert service.wechat.attempts == []
    assert len(service.queue.handed_out_again) == 3
    lines = service.lines("message put off")
    assert {line["detail"] for line in lines} == {
        "again in 1 s: write the message's entry: ServiceUnavailable"
    }
    assert totals(capsys) == {"MessagesReturned": 3}


def test_what_cannot_be_recorded_as_refused_goes_back(service: Service, capsys: Capture) -> None:
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    assert deliver(enqueued({"kind": "template"})) == ["m0"]
    assert service.lines("message refused") == []
    assert totals(capsys) == {"MessagesReturned": 1}


# ---------------------------------------------------------------- what waits


def test_what_is_held_is_parked_as_a_delayed_copy(service: Service, capsys: Capture) -> None:
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


def test_what_went_well_is_a_line_for_debugging_only(service: Service) -> None:
    service.telemetry.logger.setLevel("INFO")
    handle("send_queue/refusals")
    *told, finished = service.lines()
    assert sorted(line["message_id"] for line in told) == ["bad-name", "expired", "invalid", "unknown"]
    assert {line["level"] for line in told} == {"WARNING"}
    assert finished["statuses"] == {"failed": 2, "dead_letter": 1, "expired": 1, "sent": 1}


def test_a_held_message_is_a_line_for_debugging_only(service: Service) -> None:
    service.telemetry.logger.setLevel("INFO")
    service.wechat.plan.append(answer(45009))
    deliver(enqueued())
    before = len(service.lines())
    deliver(enqueued(key="another"))
    assert [line["message"] for line in service.lines()[before:]] == ["invocation finished"]


def test_a_parked_message_is_parked_again_without_a_write_and_goes_out_in_the_end(
    service: Service, capsys: Capture
) -> None:
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


def test_what_could_never_be_attempted_fails_after_three_days(service: Service, capsys: Capture) -> None:
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


def test_what_cannot_be_parked_goes_back(service: Service, capsys: Capture) -> None:
    service.wechat.plan.append(answer(45009))
    service.queue.failing_entries = {0}
    assert deliver(enqueued()) == ["m0"]
    assert service.queue.handed_out_again == {"r0": 60}
    assert totals(capsys) == {"CircuitsOpened": 1, "MessagesReturned": 1}


def test_another_account_goes_on(service: Service) -> None:
    service.add_account("bank")
    service.wechat.plan.append(answer(45009))
    deliver(enqueued())
    held, other = enqueued(body(), key="more"), enqueued(body(), account="bank")
    assert deliver({"Records": held["Records"] + other["Records"]}) == []
    assert [message.touser for message in service.wechat.accepted] == [OPENID]
    assert (entry(service, account="bank").status, entry(service, "more").status) == ("sent", "queued")


def test_an_account_without_a_token_is_held_as_a_whole(service: Service, capsys: Capture) -> None:
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


def test_a_message_put_back_from_the_dead_letters_keeps_its_first_id(service: Service) -> None:
    """Its body has none; when it came first it was known by SQS's, and SQS gives it a new one."""
    event = load_event("send_queue/redriven")
    (record,) = event["Records"]
    assert deliver(event) == []
    assert deliver({"Records": [{**record, "messageId": "m9"}]}) == []
    first = record["messageAttributes"][MESSAGE_ID]["stringValue"]
    assert service.ledger_store.entries.keys() == {("shop", first)}
    assert len(service.wechat.attempts) == 1


@pytest.mark.parametrize(
    "attribute",
    [
        {"binaryValue": "AAEC", "dataType": "Binary"},
        {"stringValue": "7", "dataType": "Number"},
        {"stringValue": "", "dataType": "String"},
    ],
)
@pytest.mark.parametrize("name", ["trace", HELD_SINCE, MESSAGE_ID])
def test_attributes_of_a_producers_own_stop_nothing(
    service: Service, attribute: dict[str, str], name: str
) -> None:
    event = enqueued()
    event["Records"][0]["messageAttributes"] = {name: attribute}
    assert deliver(event) == []
    assert entry(service).status == "sent"


# ---------------------------------------------------------------- what is counted and told


def test_each_message_counts_once_by_what_it_came_to(service: Service, capsys: Capture) -> None:
    service.wechat.plan.extend([answer(-1), answer(43108), answer(0)])
    for receive_count in (1, 2, 3):
        deliver(enqueued(receive_count=receive_count))
        service.clock.advance(300)
    assert totals(capsys) == {"MessagesReturned": 2, "MessagesSent": 1}
    assert told(service) == []
    assert entry(service).attempts == 3


def test_what_is_given_up_counts_and_is_told_once(service: Service, capsys: Capture) -> None:
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
def test_what_became_of_a_message_is_told(service: Service, outcome: Outcome, events: list[str]) -> None:
    service.wechat.plan.append(outcome)
    deliver(enqueued())
    assert told(service) == events


def test_a_good_batch_publishes_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "event_bus", break_down)
    assert handle("send_queue/sqs_batch") == []
    assert service.lines("not reported") == []


@pytest.mark.parametrize("trouble", ["refused", "made", "used"])
def test_a_bus_in_trouble_sends_no_message_back(
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


def test_neither_openid_nor_token_nor_secret_is_seen(service: Service, capsys: Capture) -> None:
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
