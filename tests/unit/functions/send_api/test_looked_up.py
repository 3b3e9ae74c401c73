"""Messages that are looked up and cancelled."""

from __future__ import annotations

import json
import re

import pytest

from functions.send_api.handler import lambda_handler
from tests.fakes import OPENID, FakeContext, Service, body, load_event, lost
from tests.unit.functions.send_api.calls import (
    ASK,
    GET,
    KEYED,
    MSGID,
    RID,
    Json,
    call,
    cancel,
    counts,
    keyed,
    look,
)
from tests.unit.standings import KEY, STANDINGS, bring_about
from wechat_notify.core.delivery.records import Record
from wechat_notify.core.messages.envelope import SendRequest, queue_body

PLACE = {"account": "shop", "id": KEY}
TIME = re.compile(r"2026-03-01T07:\d\d:\d\d\.\d{3}Z")


def test_sent_message(service: Service) -> None:
    service.wechat.while_in_flight = lambda _message: service.clock.advance(0.25)
    call(KEYED)
    assert f'"msgid": {MSGID}' in lambda_handler(GET, FakeContext())["body"]
    response = call(load_event("send_api/get_message"))
    assert (response.status, list(response.headers)) == (200, ["Content-Type"])
    assert response.content == {
        "id": "order-20260301",
        "account": "shop",
        "kind": "subscription",
        "template_id": "J5tWfHcX2mNq8sVbLd0RyGkPzEuA3oTi9wQxCjB6lM4",
        "openid_hash": service.openid_hash(OPENID),
        "status": "sent",
        "attempts": 1,
        "created_at": "2026-03-01T07:04:05.000Z",
        "updated_at": "2026-03-01T07:04:05.250Z",
        "timeline": [
            {"status": "sending", "at": "2026-03-01T07:04:05.000Z"},
            {"status": "sent", "at": "2026-03-01T07:04:05.250Z", "errcode": 0},
        ],
        "wechat": {"errcode": 0, "errmsg": "ok", "msgid": MSGID},
    }


SAID = {"errcode": 43101, "errmsg": "user refuse to accept the msg", "rid": RID}
HINT = {"en": "What to do about 43101.", "zh": "如何处理 43101。"}
FAILED = {"class": "recipient", "retryable": False, "wechat": SAID, "hint": HINT}
NOT_RECORDED = {"attempts": 1, "reason": "answer_not_recorded"}
TRY_AGAIN = {"class": "transient", "retryable": True, "reason": "try_again"}
# By standing: its status, its timeline, other fields, and whether it has class and hint, and WeChat's answer.
LOOKED_UP: dict[str, tuple[str, str, Json, bool, bool]] = {
    "queued": ("queued", "queued", {"attempts": 0}, False, False),
    "sending": ("sending", "sending", {"attempts": 1}, False, False),
    "abandoned": ("unknown", "sending unknown", NOT_RECORDED, False, False),
    "sent": ("sent", "sending sent", {"attempts": 1}, False, True),
    "failed": ("failed", "sending failed", FAILED, True, True),
    "try_again": ("failed", "sending failed", TRY_AGAIN, True, True),
    "unknown": ("unknown", "sending unknown", {"class": "unknown", "retryable": False}, True, False),
    "expired": ("expired", "expired", {"attempts": 0}, False, False),
    "cancelled": ("cancelled", "queued cancelled", {"attempts": 0, "reason": "cancelled"}, False, False),
    "refused": ("failed", "failed", {"attempts": 0, "reason": "unknown_account"}, False, False),
    "other_body": ("sent", "sending sent", {"attempts": 1}, False, True),
}


@pytest.mark.parametrize("standing", STANDINGS)
def test_every_state(service: Service, standing: str) -> None:
    bring_about(service, standing)
    response = look()
    content = response.content
    status, timeline, fields, has_class, has_answer = LOOKED_UP[standing]
    assert (response.status, content["status"]) == (200, status)
    assert [change["status"] for change in content["timeline"]] == timeline.split()
    assert {name: content.get(name) for name in fields} == fields
    assert ("reason" in content) == ("reason" in fields)
    times = [content["created_at"], content["updated_at"], *(change["at"] for change in content["timeline"])]
    assert all(TIME.fullmatch(time) for time in times)
    assert None not in content.values()
    assert ("class" in content) == ("hint" in content) == has_class
    assert ("wechat" in content) == has_answer
    assert content["timeline"][-1].get("errcode") == content.get("wechat", {}).get("errcode")
    assert content["timeline"][-1].get("reason") == content.get("reason")
    assert not re.search(f"{OPENID}|thing1|礼盒", json.dumps(content, ensure_ascii=False))


def test_abandoned_message_is_counted_once(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks first shows that it is in doubt."""
    bring_about(service, "abandoned")
    for _ in range(2):
        look()
    assert counts(capsys) == {"MessagesUnknown": 1}


def test_message_of_nobody(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.add_account("bank")
    keyed()
    capsys.readouterr()
    for ask in ASK:
        response = ask(KEY, "bank")
        assert (response.status, response.says, response.retry_after) == (404, "unknown-message", None)
        assert response.content["retryable"] is False
    assert service.lines("message refused") == []
    assert [line["reason"] for line in service.lines("invocation finished")[1:]] == ["unknown_message"] * 2
    assert counts(capsys) == {}


@pytest.mark.parametrize(
    ("account", "key", "problem"), [("Shop", KEY, "account-name"), ("shop", "x" * 65, "unknown-message")]
)
def test_names_that_nobody_has(service: Service, account: str, key: str, problem: str) -> None:
    assert [ask(key, account).says for ask in ASK] == [problem] * 2
    assert service.ledger_store.reads == 0


def test_ledger_that_does_not_answer(service: Service) -> None:
    service.ledger_store.failing = {"read": "ServiceUnavailable"}
    for ask in ASK:
        response = ask()
        assert (response.status, response.retry_after, response.content["retryable"]) == (503, "2", True)
    assert service.lines("message put off") == []


# ---------------------------------------------------------------- cancelled


def test_cancelled(service: Service) -> None:
    keyed(prefer="respond-async")
    first, again = call({**load_event("send_api/delete_message"), "pathParameters": PLACE}), cancel()
    assert first == again
    content = again.content
    assert (again.status, content["status"], content["reason"]) == (200, "cancelled", "cancelled")
    assert [change["status"] for change in content["timeline"]] == ["queued", "cancelled"]
    assert look().content == content
    assert keyed(prefer="respond-async").status == 410
    assert (len(service.queue.bodies), service.wechat.attempts) == (1, [])


@pytest.mark.parametrize("standing", STANDINGS)
def test_cancelled_only_before_start(service: Service, standing: str) -> None:
    bring_about(service, standing)
    before = look().content
    response = cancel()
    if standing in {"queued", "cancelled"}:
        assert response.status == 200
    else:
        assert (response.status, response.says, response.retry_after) == (409, "already-started", None)
        assert response.content["message_status"] == before["status"]
        assert response.content["retryable"] is False
        assert look().content == before


def test_cancelled_in_doubt(service: Service) -> None:
    """The automation is told, once; until then it is told when the queue would repeat it."""
    service.wechat.plan.append(lost())
    text = queue_body(SendRequest(KEY, "shop", body(delivery="at_least_once")))
    service.batch_sender.send([Record("m1", "receipt-1", text, 1)], lambda: 60.0)
    assert TIME.fullmatch(look().content["next_attempt_at"])
    for _ in range(2):
        response = cancel()
        assert (response.status, response.content["message_status"]) == (409, "unknown")
    assert [event.detail_type for event in service.bus.events] == ["message.unknown"]
