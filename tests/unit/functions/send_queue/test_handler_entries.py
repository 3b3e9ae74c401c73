"""One id, one message: what an existing entry makes of a record, and a ledger that fails."""

from __future__ import annotations

import json

import pytest

from tests.fakes import (
    OPENID,
    Service,
    body,
    load_event,
    lost,
    metrics,
)
from tests.unit.functions.send_queue.events import (
    Capture,
    deliver,
    enqueued,
    entry,
    handle,
    ids,
    over_http,
    told,
    totals,
)
from tests.unit.standings import KEY, OTHER, STANDINGS, bring_about
from wechat_notify.core.delivery.records import MESSAGE_ID
from wechat_notify.core.messages.kinds import Message


def test_lost_answers_in_a_batch(service: Service, capsys: Capture) -> None:
    """Each is unknown, but the one that WeChat deduplicates is repeated."""
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
def test_existing_entry_decides(service: Service, standing: str) -> None:
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


def test_reused_id_is_logged(service: Service, capsys: Capture) -> None:
    """The other message is not sent."""
    assert deliver(enqueued(body(), OTHER)) == []
    assert len(service.wechat.attempts) == 1
    (line,) = service.lines("message not attempted")
    assert (line["result"], line["level"], line["message_id"]) == ("id_reused", "WARNING", KEY)
    standing = [m.dimensions for m in metrics(capsys.readouterr().out) if m.name == "MessagesReplayed"]
    assert standing == [{}, {"result": "id_reused"}]


@pytest.mark.parametrize("door", ["HTTP first", "SQS first", "the event bus first"])
def test_one_message_through_two_doors(service: Service, door: str) -> None:
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


def test_message_accepted_over_http(service: Service, capsys: Capture) -> None:
    """It is sent from the queue."""
    assert over_http("respond-async")["statusCode"] == 202
    assert totals(capsys) == {}
    event = enqueued()
    event["Records"][0]["body"] = service.queue.bodies[0]
    assert deliver(event) == []
    assert [change.status for change in entry(service).timeline] == ["queued", "sending", "sent"]
    assert over_http("respond-async")["statusCode"] == 200
    assert totals(capsys) == {"MessagesSent": 1, "MessagesReplayed": 1}


def test_unrecorded_answer_is_lost(service: Service, capsys: Capture) -> None:
    """When the message comes again."""

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


def test_silent_ledger_sends_nothing(service: Service, capsys: Capture) -> None:
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    assert sorted(handle("send_queue/sqs_batch")) == ids(load_event("send_queue/sqs_batch"))
    assert service.wechat.attempts == []
    assert len(service.queue.handed_out_again) == 3
    lines = service.lines("message put off")
    assert {line["detail"] for line in lines} == {
        "again in 1 s: write the message's entry: ServiceUnavailable"
    }
    assert totals(capsys) == {"MessagesReturned": 3}


def test_unrecorded_refusal_goes_back(service: Service, capsys: Capture) -> None:
    service.ledger_store.failing = {"put": "ServiceUnavailable"}
    assert deliver(enqueued({"kind": "template"})) == ["m0"]
    assert service.lines("message refused") == []
    assert totals(capsys) == {"MessagesReturned": 1}


def test_redriven_message_keeps_first_id(service: Service) -> None:
    """Its body has none; when it came first it was known by SQS's, and SQS gives it a new one."""
    event = load_event("send_queue/redriven")
    (record,) = event["Records"]
    assert deliver(event) == []
    assert deliver({"Records": [{**record, "messageId": "m9"}]}) == []
    first = record["messageAttributes"][MESSAGE_ID]["stringValue"]
    assert service.ledger_store.entries.keys() == {("shop", first)}
    assert len(service.wechat.attempts) == 1
