"""One record of a batch: read, refused or sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import Service, answer, body, misdirected
from tests.unit.core.delivery.batches import (
    DEAD_LETTER,
    FINISHED,
    RETURNED,
    batch_sender,
    dispositions,
    entry,
    handle,
    record,
    single,
    status,
    while_sending,
)
from wechat_notify.core.delivery.batch import _rules
from wechat_notify.core.delivery.records import MESSAGE_ID, Handled, Record
from wechat_notify.core.delivery.results import Replayed, Sent
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation


def test_sent_message_is_finished(service: Service) -> None:
    item = single(service, id="order-1")
    assert (item.disposition, item.refusal, item.error, item.violations) == (FINISHED, None, None, [])
    assert item.request is not None
    assert (item.request.id, status(item)) == ("order-1", Status.SENT)
    assert item.message == service.wechat.accepted[0]
    assert (service.queue.handed_out_again, service.queue.bodies) == ({}, [])


def test_warnings_of_a_sent_message(service: Service) -> None:
    item = single(service, message=body("template", miniprogram={}))
    assert status(item) is Status.SENT
    assert [(violation.path, violation.rule) for violation in item.violations] == [("miniprogram", "empty")]


# ---- refusals

INVALID, REQUEST, ACCOUNT = "invalid_message", "invalid_request", "unknown_account"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"account": "nobody"}, ACCOUNT),
        ({"id": "order-1", "expires_at": "tomorrow"}, REQUEST),
        ({"message": body(data="text")}, INVALID),
        ({"message": None}, INVALID),
    ],
)
def test_refused_message_is_recorded(service: Service, given: dict[str, Any], reason: str) -> None:
    item = single(service, **given)
    assert (item.disposition, item.refusal) == (FINISHED, reason)
    assert (service.wechat.attempts, service.dead_letters.bodies) == ([], [])
    assert bool(item.violations) == (reason != ACCOUNT)
    kept = entry(service, given.get("id", "m1"), given.get("account", "shop"))
    assert (kept.status, kept.reason, kept.attempts) == (Status.FAILED, reason, 0)
    assert kept.outcome is not None
    assert kept.outcome.error_class is (ErrorClass.CONFIG if reason == ACCOUNT else ErrorClass.REQUEST)
    assert item.result is not None
    assert [event.detail_type for event in item.result.events] == ["message.failed"]


def test_unknown_account_in_the_ledger(service: Service) -> None:
    item = single(service, account="nobody")
    kept = entry(service, account="nobody")
    hint = Bilingual("No credentials are stored for this account.", "该账号没有存储凭证。")
    assert kept.outcome == Outcome(Status.FAILED, ErrorClass.CONFIG, hint)
    assert item.request is not None
    assert item.message is not None
    assert (kept.kind, kept.template_id) == ("subscription", item.message.template_id)
    assert kept.openid_hash == service.openid_hash(item.message.touser)


def test_ten_rules_are_told(service: Service) -> None:
    """To the producer by the event, without values; ten of them at most."""
    many = {f"thing{number}": {"value": "礼" * 21} for number in range(1, 13)}
    item = single(service, message=body(data=many))
    assert [violation.rule for violation in item.violations] == ["max_length"] * 12
    assert item.result is not None
    hint: Any = item.result.events[0].detail["hint"]
    assert (hint["en"].count("; "), hint["zh"].count("；")) == (9, 9)
    assert "data.thing1.value must be at most 20 characters" in hint["en"]
    assert "data.thing1.value 不能超过 20 个字符" in hint["zh"]


def test_several_rules() -> None:
    rule = Bilingual("is required", "缺少必填字段")
    violations = [Violation("touser", "missing", rule), Violation("data", "missing", rule)]
    assert _rules(violations) == Bilingual(
        "touser is required; data is required.", "touser 缺少必填字段；data 缺少必填字段。"
    )


def test_impossible_account_is_dead_letter(service: Service) -> None:
    item = single(service, account="Shop", id="order-1")
    assert (item.disposition, item.refusal, item.result) == (DEAD_LETTER, REQUEST, None)
    assert (item.message_id, item.request) == ("order-1", None)
    assert (service.ledger_store.entries, service.store.reads) == ({}, [])
    rule = "account must be 1 to 64 characters of a-z, 0-9 and -."
    assert service.dead_letters.attributes == [{"reason": rule, "message_id": "m1", "id": "order-1"}]


def test_account_removed_during_an_attempt(service: Service) -> None:
    """The refusal waits until the claim of who is at the message is over."""

    def remove_the_account() -> dict[str, Handled]:
        del service.store.sources["shop"]
        service.store.tokens.clear()
        service.clock.advance(61)
        return handle(service, record())

    handled = while_sending(service, remove_the_account)
    single(service)
    assert (handled["m1"].disposition, handled["m1"].refusal) == (RETURNED, ACCOUNT)
    assert handled["m1"].message is not None
    assert service.queue.handed_out_again == {"receipt-1": 180.0 - 61.0}


# ---- bodies that cannot be read


@pytest.mark.parametrize(
    "text",
    ["not JSON", "{}", '{"account": "shop", "message": {}, "id": ""}', "[" * 100_000],
    ids=lambda text: text[:40],
)
def test_unreadable_body_is_dead_letter(service: Service, text: str) -> None:
    item = single(service, text=text)
    assert (item.disposition, item.error) == (DEAD_LETTER, None)
    assert item.refusal == (REQUEST if text.startswith("{") else "malformed_body")
    assert service.dead_letters.bodies == [text]
    assert item.detail
    assert service.dead_letters.attributes == [{"reason": item.detail, "message_id": "m1"}]


def test_unreadable_body_keeps_first_id(service: Service) -> None:
    handle(service, Record("m9", "receipt-9", "not JSON", 1, {MESSAGE_ID: "m1"}))
    assert [kept[MESSAGE_ID] for kept in service.dead_letters.attributes] == ["m1"]


def test_refused_dead_letter_goes_back(service: Service) -> None:
    service.dead_letters.failing = "InvalidParameterValue"
    item = single(service, text="not JSON")
    assert (item.disposition, item.refusal) == (RETURNED, "malformed_body")


# ---- ids


@pytest.mark.parametrize("attributes", [{MESSAGE_ID: ""}, {MESSAGE_ID: "m0"}])
def test_message_keeps_first_id(service: Service, attributes: dict[str, str]) -> None:
    item = single(service, attributes=attributes)
    named = single(service, id="order-1", attributes={MESSAGE_ID: "m0"})
    assert item.request is not None
    assert named.request is not None
    assert (item.request.id, named.request.id) == (attributes.get(MESSAGE_ID) or "m1", "order-1")


def test_copies_are_sent_once(service: Service) -> None:
    twice = [record(id="order-1"), record(id="order-1")._replace(message_id="m2", receipt_handle="r2")]
    handled = handle(service, *twice)
    assert dispositions(handled) == [FINISHED] * 2
    assert [type(handled[name].result) for name in ("m1", "m2")] == [Sent, Replayed]


def test_message_in_flight_comes_again(service: Service) -> None:
    again = while_sending(service, lambda: handle(service, record()))
    assert single(service).disposition is FINISHED
    assert dispositions(again) == [RETURNED]
    assert service.queue.handed_out_again == {"receipt-1": 180.0}


# ---- what became of an attempt


@pytest.mark.parametrize(
    ("outcome", "pause"), [(answer(-1), 2.0), (answer(40037), 0.0), (misdirected(), 300.0)]
)
def test_repeatable_message_goes_back(service: Service, outcome: Outcome, pause: float) -> None:
    service.wechat.plan.append(outcome)
    item = single(service)
    assert (item.disposition, status(item)) == (RETURNED, Status.QUEUED)
    assert (item.detail, item.message) == (f"again in {pause:.0f} s", service.wechat.attempts[0][0])
    assert (service.queue.handed_out_again, service.queue.bodies) == ({"receipt-1": pause}, [])


@pytest.mark.parametrize(("seconds_left", "posts"), [(54.9, 0), (55.0, 1)])
def test_time_for_another_message(service: Service, seconds_left: float, posts: int) -> None:
    item = handle(service, record(), seconds_left=seconds_left)["m1"]
    assert (len(service.wechat.attempts), item.disposition is RETURNED) == (posts, not posts)
    assert service.queue.handed_out_again == ({} if posts else {"receipt-1": 0.0})


# ---- a ledger or a queue that fails


def test_silent_ledger_returns_everything(service: Service) -> None:
    service.ledger_store.failing = {"put": "ThrottlingException"}
    handled = handle(service, record(1, account="nobody"), record(2, message=None), record(3))
    assert dispositions(handled) == [RETURNED] * 3
    assert service.queue.handed_out_again == {f"receipt-{number}": 1.0 for number in (1, 2, 3)}
    assert {item.detail for item in handled.values()} == {
        "again in 1 s: write the message's entry: ThrottlingException"
    }
    assert [handled[name].message is not None for name in ("m1", "m2", "m3")] == [True, False, True]
    assert service.wechat.attempts == []


def test_pauses_for_a_silent_ledger(service: Service) -> None:
    service.ledger_store.failing = {"put": "ThrottlingException"}
    slow = batch_sender(service, max)
    pauses = []
    for count in (1, 2, 3, 7, 8, 500):
        slow.send([record(receive_count=count)], lambda: 60.0)
        pauses.append(service.queue.handed_out_again["receipt-1"])
    assert pauses == [4.0, 8.0, 16.0, 256.0, 300.0, 300.0]
