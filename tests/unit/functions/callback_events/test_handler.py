"""What WeChat has told, from the queue to the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.callback_events.handler import PAUSES, lambda_handler
from tests.fakes import OPENID, START, FakeContext, Service, answer, metrics
from wechat_notify.core.callbacks.events import Receipt
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.receipts import Settled
from wechat_notify.core.openid_hashes import HashKeys
from wechat_notify.core.outcomes import Status

Capture = pytest.CaptureFixture[str]
MSGID = 3_045_934_662_186_581_610
LAST = len(PAUSES) + 1


def fields(msgid: int = MSGID, status: str = "success", **changes: Any) -> dict[str, Any]:
    return {
        "FromUserName": OPENID,
        "CreateTime": str(int(START)),
        "MsgType": "event",
        "Event": "TEMPLATESENDJOBFINISH",
        "MsgID": str(msgid),
        "Status": status,
        **changes,
    }


def handle(*callbacks: dict[str, Any], account: str = "shop", receives: int = 1) -> list[str]:
    """Hand callbacks over as one batch; the ids of those that come again."""
    bodies = [json.dumps({"account": account, "fields": callback}) for callback in callbacks]
    return deliver(*bodies, receives=receives)


def deliver(*bodies: str, receives: int = 1, attributes: dict[str, str] | None = None) -> list[str]:
    """The same with bodies, and the message attributes of all."""
    named = {name: {"stringValue": value} for name, value in (attributes or {}).items()}
    records = [
        {
            "messageId": f"r-{number}",
            "receiptHandle": f"handle-{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": str(receives)},
            "messageAttributes": named,
        }
        for number, body in enumerate(bodies)
    ]
    response = lambda_handler({"Records": records}, FakeContext())
    return [str(each["itemIdentifier"]) for each in response["batchItemFailures"]]


def add(service: Service, message_id: str = "m-1", msgid: int = MSGID, account: str = "shop") -> None:
    outcome = answer(0)._replace(msgid=msgid)
    entry = Entry(account, message_id, Status.SENT, "print", "sender", START, START, kind="template")
    service.ledger_store.put(
        entry._replace(outcome=outcome, openid_hash=service.openid_hash(OPENID), attempts=1)
    )


def status(service: Service, message_id: str = "m-1", account: str = "shop") -> Status:
    return service.ledger_store.entries[account, message_id].status


def counted(capsys: Capture) -> dict[str, float]:
    return {each.name: each.value for each in metrics(capsys.readouterr().out) if not each.dimensions}


@pytest.mark.parametrize(
    ("told", "becomes", "name"),
    [
        ("success", Status.DELIVERED, "MessagesDelivered"),
        ("failed: user block", Status.UNDELIVERED, "MessagesUndelivered"),
        ("failed:freq limit", Status.UNDELIVERED, "MessagesUndelivered"),
    ],
)
def test_receipt_settles_its_message(
    service: Service, capsys: Capture, told: str, becomes: Status, name: str
) -> None:
    add(service)
    assert handle(fields(status=told)) == []
    assert status(service) is becomes
    assert counted(capsys) == {name: 1}
    (event,) = service.bus.events
    assert (event.detail_type, event.detail["id"]) == (f"message.{becomes.value}", "m-1")
    lines = service.lines("message undelivered")
    assert [line["reason"] for line in lines] == ([told.partition(":")[2].strip()] if ":" in told else [])


def test_repeat_tells_nothing(service: Service, capsys: Capture) -> None:
    add(service)
    assert handle(fields(), fields()) == []
    assert handle(fields(MSGID + 1), fields(), receives=LAST) == []  # another callback than the first
    assert counted(capsys) == {"MessagesDelivered": 1, "ReceiptsOfOthers": 1}
    assert len(service.bus.events) == 1


def test_receipt_of_a_lost_answer_is_found_after_a_rotation(service: Service) -> None:
    """Its msgid is not known, so that the receiver's hash, under the key before, is all that finds it."""
    service.ledger_store.put(
        Entry("shop", "m-1", Status.UNKNOWN, "print", "sender", START, START, kind="template")._replace(
            openid_hash=service.openid_hash(OPENID), attempts=1, lost_at=START
        )
    )
    service.hash_keys.keys = HashKeys(b"a new key", service.hash_keys.keys.all)
    assert service.openid_hash(OPENID) != service.ledger_store.entries["shop", "m-1"].openid_hash
    assert handle(fields(), receives=LAST) == []
    assert status(service) is Status.DELIVERED


def test_event_is_told_again_where_a_try_was_stopped(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between settling its message and publishing: the callback is handed out again."""
    add(service)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(service.telemetry, "publish", die)
        with pytest.raises(SystemExit):
            handle(fields())
    assert (status(service), service.bus.events) == (Status.DELIVERED, [])
    assert handle(fields(), receives=2) == []
    assert [event.detail_type for event in service.bus.events] == ["message.delivered"]


def test_unknown_message_comes_again(service: Service) -> None:
    for receives, pause in enumerate(PAUSES[:-1], 1):
        assert handle(fields(), receives=receives) == ["r-0"]
        assert service.callback_queue.handed_out_again["handle-0"] == pause
    assert service.callback_queue.bodies == []
    add(service)
    assert handle(fields(), receives=LAST) == []
    assert status(service) is Status.DELIVERED


def test_long_pause_is_a_copys(service: Service, capsys: Capture) -> None:
    """Hidden for ten minutes, receipts of another program would fill the queue's 120,000 in flight."""
    add(service)
    items = [{"TemplateId": "T", "MsgID": str(MSGID + number), "ErrorCode": "0"} for number in range(2)]
    told = fields(Event="subscribe_msg_sent_event", List=items)
    queue = service.callback_queue
    assert handle(told, *[fields(msgid=1)] * 11, receives=LAST - 1) == []
    assert (queue.handed_out_again, set(queue.delays), queue.groups) == ({}, {PAUSES[-1]}, ["shop"] * 12)
    assert queue.attributes[0] == {"copy_of": "r-0"}
    assert (status(service), service.bus.events) == (Status.DELIVERED, [])
    assert deliver(queue.bodies[0], attributes=queue.attributes[0]) == []
    assert counted(capsys) == {"MessagesDelivered": 1, "ReceiptsOfOthers": 1}


def test_copy_that_was_not_taken(service: Service) -> None:
    """Its message comes again itself."""
    service.callback_queue.failing_entries = {1}
    assert handle(fields(), fields(), fields(), receives=LAST - 1) == ["r-1"]
    service.callback_queue.failing = "ServiceUnavailable"
    assert handle(fields(), receives=LAST - 1) == ["r-0"]


def test_receipt_of_other_senders(service: Service, capsys: Capture) -> None:
    add(service)
    assert handle(fields(msgid=1), receives=LAST) == []
    assert status(service) is Status.SENT
    assert counted(capsys) == {"ReceiptsOfOthers": 1}


def test_accounts_are_kept_apart(service: Service) -> None:
    add(service)
    add(service, account="bank", msgid=MSGID)
    assert handle(fields(), account="bank") == []
    assert (status(service), status(service, account="bank")) == (Status.SENT, Status.DELIVERED)


def test_one_that_fails_holds_up_none(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    add(service)
    add(service, "m-2", MSGID + 1)
    by_msgid = service.ledger_store.by_msgid

    def failing(account: str, msgid: int) -> str | None:
        if msgid == MSGID:
            service.ledger_store.failing["by_msgid"] = "Throttling"
        try:
            return by_msgid(account, msgid)
        finally:
            service.ledger_store.failing.clear()

    monkeypatch.setattr(service.ledger_store, "by_msgid", failing)
    monkeypatch.setattr("functions.callback_events.handler._THREADS", 1)
    assert handle(fields(), fields(MSGID + 1)) == ["r-0"]
    assert (status(service), status(service, "m-2")) == (Status.SENT, Status.DELIVERED)
    assert handle(fields()) == ["r-0"]
    monkeypatch.undo()


def test_unreadable_callback_is_returned(service: Service) -> None:
    """In the end it is in the dead letter queue, and no other with it."""
    add(service)
    assert handle(fields(MsgID="one"), fields()) == ["r-0"]
    assert status(service) is Status.DELIVERED


def test_list_of_receipts(service: Service, capsys: Capture) -> None:
    """Of a subscription; one of them comes too early. The other is settled all the same, and told once."""
    add(service)
    items = [
        {"TemplateId": "T", "MsgID": str(MSGID + number), "ErrorCode": "0", "ErrorStatus": "success"}
        for number in range(2)
    ]
    told = fields(Event="subscribe_msg_sent_event", List=items)
    assert handle(told) == ["r-0"]
    assert status(service) is Status.DELIVERED
    assert handle(told, receives=2) == ["r-0"]
    assert handle(told, receives=LAST) == []
    assert counted(capsys) == {"MessagesDelivered": 1, "ReceiptsOfOthers": 1}
    assert [event.detail["id"] for event in service.bus.events] == ["m-1"]


def test_settled_ones_are_told(service: Service, capsys: Capture) -> None:
    """When the rest of the callback, which failed, has come to its end too."""
    add(service)
    service.callback_queue.failing = "ServiceUnavailable"
    items = [{"TemplateId": "T", "MsgID": str(MSGID + number), "ErrorCode": "0"} for number in range(2)]
    told = fields(Event="subscribe_msg_sent_event", List=items)
    assert handle(told) == ["r-0"]
    assert (status(service), service.bus.events) == (Status.DELIVERED, [])
    add(service, "m-2", MSGID + 1)
    assert handle(told, receives=2) == []
    assert counted(capsys) == {"MessagesDelivered": 2}
    assert [event.detail["id"] for event in service.bus.events] == ["m-1", "m-2"]


def test_unforeseen_error_holds_up_none(
    service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(service)
    monkeypatch.setattr(service.receipts, "settle", planted(service.receipts.settle))
    assert handle(fields(MSGID + 1), fields()) == ["r-0"]
    assert status(service) is Status.DELIVERED
    assert counted(capsys) == {"MessagesUnforeseen": 1, "MessagesDelivered": 1}
    (line,) = service.lines("message refused")
    assert (line["error"], line["correlation_id"]) == ("KeyError", "r-0")
    assert str(MSGID + 1) not in service.log.getvalue()


def planted(settle: Callable[..., Settled]) -> Callable[..., Settled]:
    def settle_or_fail(account: str, receipt: Receipt, **options: Any) -> Settled:
        if receipt.msgid != str(MSGID):
            raise KeyError(receipt.msgid)
        return settle(account, receipt, **options)

    return settle_or_fail


def test_body_of_another_kind(service: Service) -> None:
    """An operator may put anything on the queue."""
    add(service)
    good = json.dumps({"account": "shop", "fields": fields()})
    assert deliver("{", "[]", "{}", good) == ["r-0", "r-1", "r-2"]
    assert status(service) is Status.DELIVERED


def test_queue_that_does_not_answer(service: Service) -> None:
    service.callback_queue.failing = "ServiceUnavailable"
    assert handle(fields()) == ["r-0"]
    (line,) = service.lines("callback put off")
    assert "ServiceUnavailable" in line["detail"]


def test_nothing_secret_is_seen(service: Service, capsys: Capture) -> None:
    add(service)
    handle(fields(status="failed:user block"), fields(msgid=2))
    events = json.dumps([event.detail for event in service.bus.events])
    seen = events + service.log.getvalue() + capsys.readouterr().out
    assert service.openid_hash(OPENID) in seen
    assert OPENID not in seen


# ---- consents


def decision(*answers: str, event: str = "subscribe_msg_popup_event", at: int = int(START)) -> dict[str, Any]:
    listed = [
        {"TemplateId": f"t-{number}", "SubscribeStatusString": given} for number, given in enumerate(answers)
    ]
    told = {"List": listed[0] if len(listed) == 1 else listed} if listed else {}
    return {
        "FromUserName": OPENID,
        "OpenID": OPENID,
        "CreateTime": str(at),
        "MsgType": "event",
        "Event": event,
        **told,
    }


def unused(service: Service, template_id: str = "t-0", account: str = "shop") -> int:
    return len(service.consents.of(account, OPENID).of(template_id, None).unused)


def test_a_popup_grants(service: Service, capsys: Capture) -> None:
    popup = decision("accept", "reject", "accept")
    assert handle(popup) == []
    assert [unused(service, f"t-{number}") for number in range(3)] == [1, 0, 1]
    assert counted(capsys) == {"ConsentsGranted": 2}
    assert handle(popup, popup) == []  # WeChat repeats it
    assert [unused(service, f"t-{number}") for number in range(3)] == [1, 0, 1]
    assert service.consent_store.calls["put"] == 1
    lines = [line["consents"] for line in service.lines("invocation finished")]
    assert lines == [{"changed": 1}, {"unchanged": 2}]
    assert OPENID not in service.log.getvalue() + repr(service.consent_store.people)


def test_an_unknown_decision_costs_no_other_one(service: Service) -> None:
    """Of one popup: what WeChat tells of a template since today must not lose what is told of the others."""
    assert handle(decision("accept", "filter", "accept")) == []
    assert [unused(service, f"t-{number}") for number in range(3)] == [1, 0, 1]


@pytest.mark.parametrize(
    "end",
    [
        decision("reject", event="subscribe_msg_change_event", at=int(START) + 1),
        decision(event="unsubscribe", at=int(START) + 1),
    ],
)
@pytest.mark.parametrize("comes", ["before", "after"])
def test_the_end_of_a_subscription(service: Service, end: dict[str, Any], comes: str) -> None:
    events = [decision("accept"), end]
    for event in events if comes == "after" else reversed(events):
        assert handle(event) == []
    assert unused(service) == 0


@pytest.mark.parametrize("event", ["user_authorization_revoke", "user_authorization_cancellation"])
def test_a_revocation_leaves_nothing(service: Service, event: str) -> None:
    handle(decision("accept"))
    handle(decision("accept"), account="other")
    assert handle(decision(event=event)) == []
    assert [account for account, _ in service.consent_store.people] == ["other"]


def test_a_decision_that_cannot_be_stored_comes_again(service: Service) -> None:
    service.consent_store.failing["put"] = "InternalServerError"
    assert handle(decision("accept"), fields(), receives=LAST) == ["r-0"]
    service.consent_store.failing.clear()
    assert handle(decision("accept"), receives=2) == []
    assert unused(service) == 1


def test_decisions_of_a_merchant(service: Service) -> None:
    assert handle(decision("accept"), account="wx-merchant") == []
    assert (unused(service, account="wx-merchant"), unused(service)) == (1, 0)
