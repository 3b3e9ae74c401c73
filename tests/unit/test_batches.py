from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import (
    ERRCODES,
    OPENID,
    OTHER_OPENID,
    START,
    Service,
    answer,
    body,
    break_down,
    highest,
    lost,
    message,
    misdirected,
    unreachable,
)
from wechat_notify.core.delivery import batch
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.records import HELD_SINCE, MESSAGE_ID, Disposition, Handled, Record
from wechat_notify.core.delivery.results import IdReused, InFlight, NotOurs, Replayed, Sent
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body
from wechat_notify.core.messages.kinds import KINDS, Message
from wechat_notify.core.outcomes import DelayedMessage, Outcome, Status

FINISHED, RETURNED, PARKED, DEAD_LETTER = Disposition


def record(
    number: int = 1,
    *,
    text: str | None = None,
    receive_count: int = 1,
    attributes: dict[str, str] | None = None,
    **given: Any,
) -> Record:
    envelope = {"account": "shop", "message": body(touser=f"{OPENID}{number}"), **given}
    return Record(
        f"m{number}", f"receipt-{number}", text or json.dumps(envelope), receive_count, attributes or {}
    )


def handle(service: Service, *records: Record, seconds_left: float = 60.0) -> dict[str, Handled]:
    handled = service.batch_sender.send(records, lambda: seconds_left)
    assert Counter(item.record.message_id for item in handled) == {item.message_id: 1 for item in records}
    return {item.record.message_id: item for item in handled}


def lone(service: Service, **given: Any) -> Handled:
    return handle(service, record(**given))["m1"]


def entry(service: Service, message_id: str = "m1", account: str = "shop") -> Entry:
    return service.ledger_store.entries[account, message_id]


def status(item: Handled) -> Status | None:
    return item.result.status if item.result else None


# ---------------------------------------------------------------- one record


def test_a_message_that_was_sent_is_finished(service: Service) -> None:
    item = lone(service, id="order-1")
    assert (item.disposition, item.refusal, item.error) == (FINISHED, None, None)
    assert item.request is not None
    assert (item.request.id, status(item)) == ("order-1", Status.SENT)
    assert entry(service, "order-1").status is Status.SENT
    assert (service.queue.handed_out_again, service.queue.bodies) == ({}, [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"account": "nobody"}, "unknown_account"),
        ({"id": "order-1", "expires_at": "tomorrow"}, "invalid_request"),
        ({"id": "order-1", "expire": "2026-03-01T15:00:00Z"}, "invalid_request"),
        ({"id": "order-1", "message": None, "delivery": True}, "invalid_request"),
        ({"message": body(data="text")}, "invalid_message"),
        ({"message": body() | {"kind": "mass_send"}}, "invalid_message"),
        ({"message": body(delivery="exactly_once")}, "invalid_message"),
        ({"message": body(expires_at="tomorrow")}, "invalid_message"),
        ({"message": []}, "invalid_message"),
        ({"message": None}, "invalid_message"),
    ],
)
def test_what_cannot_be_sent_is_finished_and_recorded_as_failed_without_an_attempt(
    service: Service, given: dict[str, Any], reason: str
) -> None:
    item = lone(service, **given)
    assert (item.disposition, item.refusal) == (FINISHED, reason)
    assert (service.wechat.attempts, service.dead_letters.bodies) == ([], [])
    assert (len(item.violations) > 0) == (reason != "unknown_account")
    kept = entry(service, given.get("id", "m1"), given.get("account", "shop"))
    assert (kept.status, kept.reason, kept.attempts) == (Status.FAILED, reason, 0)
    assert item.result is not None
    (domain_event,) = item.result.events
    assert domain_event.detail_type == "message.failed"


def test_a_refusal_tells_its_producer_the_rules(service: Service) -> None:
    long = body(tousr="x", data={"thing1": {"value": "礼" * 21}})
    item = lone(service, message=long)
    assert item.result is not None
    hint: Any = item.result.events[0].detail["hint"]
    assert "data.thing1.value must be at most 20 characters" in hint["en"]
    assert "tousr is not a field of this message: did you mean touser?" in hint["en"]
    assert "data.thing1.value 不能超过 20 个字符" in hint["zh"]
    assert "data.thing1.value: max_length 20" in [violation.for_log() for violation in item.violations]


@pytest.mark.parametrize("account", ["Shop", "../shop", "x" * 65, ""])
def test_an_account_that_cannot_exist_ends_in_a_dead_letter(service: Service, account: str) -> None:
    item = lone(service, account=account, id="order-1")
    assert (item.disposition, item.refusal, item.result) == (DEAD_LETTER, "invalid_request", None)
    assert service.ledger_store.entries == {}
    assert service.dead_letters.attributes == [
        {
            "reason": "account must be 1 to 64 characters of a-z, 0-9 and -.",
            "message_id": "m1",
            "id": "order-1",
        }
    ]


def test_a_corrected_row_under_the_same_id_is_sent(service: Service) -> None:
    lone(service, id="row-1", message=body(touser=""))
    lone(service, id="row-1", message=body(), expires_at="tomorrow")
    item = lone(service, id="row-1")
    assert status(item) is Status.SENT
    assert entry(service, "row-1").status is Status.SENT
    late = lone(service, id="row-1", message=body(touser=""))  # a copy of the wrong one
    assert (late.disposition, entry(service, "row-1").status) == (FINISHED, Status.SENT)


def test_a_changed_log_key_drops_nothing(service: Service) -> None:
    """A message was accepted under one key, and is taken from the queue under another."""
    text = body()
    accepted = service.dispatcher.accept(SendRequest("order-1", "shop", text), message())
    assert accepted.status is Status.QUEUED
    service.ledger._transitions._keyed_hash = lambda text: f"another key {text}"
    item = handle(service, Record("m1", "receipt-1", service.queue.bodies[0], 1))["m1"]
    assert status(item) is Status.SENT


def test_what_cannot_be_sent_comes_again_where_that_cannot_be_recorded(service: Service) -> None:
    service.ledger_store.failing = {"put": "ThrottlingException"}
    handled = handle(service, record(1, account="nobody"), record(2, message=None), record(3))
    assert {item.disposition for item in handled.values()} == {RETURNED}
    assert service.queue.handed_out_again == {f"receipt-{number}": 1.0 for number in (1, 2, 3)}
    assert "write the message's entry: ThrottlingException" in str(handled["m1"].detail)
    assert service.wechat.attempts == []


def test_while_the_ledger_does_not_answer_the_pauses_grow_to_five_minutes(service: Service) -> None:
    service.ledger_store.failing = {"put": "ThrottlingException"}
    slow = batch_sender(service, highest)
    pauses = []
    for count in (1, 2, 3, 7, 8, 500):
        slow.send([record(receive_count=count)], lambda: 60.0)
        pauses.append(service.queue.handed_out_again["receipt-1"])
    assert pauses == [4.0, 8.0, 16.0, 256.0, 300.0, 300.0]


@pytest.mark.parametrize("where", ["beside the message", "in the message"])
@pytest.mark.parametrize(
    ("expires_at", "expired"),
    [("2026-03-01T15:04:05+08:00", True), ("2026-03-01T15:04:05.5+08:00", False)],
)
def test_a_message_is_sent_until_it_expires(
    service: Service, where: str, expires_at: str, *, expired: bool
) -> None:
    wish = {"expires_at": expires_at}
    item = lone(service, **(wish if where == "beside the message" else {"message": body(**wish)}))
    assert (item.disposition, item.refusal) == (FINISHED, None)
    assert status(item) is (Status.EXPIRED if expired else Status.SENT)
    assert len(service.wechat.attempts) == (not expired)


def test_a_name_of_nobodys_that_waits_for_a_record_is_not_lost_where_somebody_is_at_it(
    service: Service,
) -> None:
    meanwhile: list[Handled] = []

    def remove_the_account(_message: Message) -> None:
        service.wechat.while_in_flight = lambda _message: None
        del service.store.sources["shop"]
        service.store.tokens.clear()
        service.clock.advance(61)
        meanwhile.append(lone(service, id="order-1"))

    service.wechat.while_in_flight = remove_the_account
    lone(service, id="order-1")
    (item,) = meanwhile
    assert (item.disposition, item.refusal) == (RETURNED, "unknown_account")
    assert service.queue.handed_out_again == {"receipt-1": 180.0 - 61.0}


@pytest.mark.parametrize("account", ["Shop", "../shop", "shop/access-token", "", "a" * 65])
def test_a_name_that_no_account_can_have_is_never_looked_up(service: Service, account: str) -> None:
    assert lone(service, account=account).disposition is not RETURNED
    assert service.store.reads == []


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"account": "shop"}',
        '{"account": 5, "message": {}}',
        '{"account": "shop", "message": {}, "id": ""}',
        '{"account": "shop", "message": {}, "expires_at": "2026-03-01T15:00:00"}',
        '{"account": "shop", "message": {}, "expires_at": 1e400}',
        '{"account": "shop", "message": {}, "touser": "x"}',
        '{"account": "shop", "account": "bank", "message": {}}',
        '{"account": "shop", "message": {"n": NaN}}',
        '{"account": "shop", "message": {"n": "\\ud83d"}}',
        '{"account": "shop", "message": {"n": "\x01"}}',
        '{"detail-type": "EC2 Instance State-change Notification", "detail": {"state": "stopped"}}',
        '{"detail-type": "WeChat Message Requested", "detail": "{}"}',
        "[" * 100_000,
        '{"account": "shop", "message": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"account": "shop", "message": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_a_body_that_cannot_be_read_goes_to_the_dead_letters_as_it_stands(
    service: Service, text: str
) -> None:
    item = handle(service, Record("m1", "receipt-1", text, 1))["m1"]
    assert (item.disposition, item.error) == (DEAD_LETTER, None)
    assert item.refusal in {"malformed_body", "invalid_request"}
    assert service.dead_letters.bodies == [text]
    assert service.dead_letters.attributes == [{"reason": str(item.detail), "message_id": "m1"}]


def test_a_body_that_the_dead_letters_do_not_take_goes_back(service: Service) -> None:
    service.dead_letters.failing = "InvalidParameterValue"
    item = lone(service, text="not JSON")
    assert (item.disposition, item.refusal) == (RETURNED, "malformed_body")


@pytest.mark.parametrize("errcode", [-1, 40037, 43108, 43117])
def test_what_is_worth_repeating_goes_back_with_a_pause(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    item = lone(service)
    assert (item.disposition, status(item)) == (RETURNED, Status.QUEUED)
    assert service.queue.handed_out_again == {"receipt-1": answer(errcode).retry_after or 0.0}
    assert service.queue.bodies == []
    service.clock.advance(60)
    assert lone(service, receive_count=2).disposition is FINISHED


@pytest.mark.parametrize("errcode", [40003, 40241, 43101, 47003, 48001, 99999])
def test_what_would_fail_again_is_finished(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    item = lone(service)
    assert item.disposition is FINISHED
    assert item.result is not None
    assert item.result.outcome == answer(errcode)
    assert (service.queue.handed_out_again, service.queue.bodies) == ({}, [])


def test_a_message_that_never_came_to_wechat_waits_for_an_operator(service: Service) -> None:
    service.wechat.plan.append(misdirected())
    assert lone(service).disposition is RETURNED
    assert service.queue.handed_out_again == {"receipt-1": 300.0}


def test_a_message_without_a_token_goes_back(service: Service) -> None:
    service.store.tokens.clear()
    service.refresher.down = "ServiceException"
    assert lone(service).disposition is RETURNED
    assert service.queue.handed_out_again == {"receipt-1": 2.0}


def test_a_message_that_came_twice_is_sent_once(service: Service) -> None:
    twice = [record(id="order-1"), Record("m2", "receipt-2", record(id="order-1").body, 1)]
    handled = handle(service, *twice)
    assert [item.disposition for item in handled.values()] == [FINISHED] * 2
    assert [type(item.result) for item in handled.values() if item.result] == [
        Sent,
        Replayed,
    ]
    assert len(service.wechat.attempts) == 1


def test_another_message_under_the_same_id_is_finished_and_never_sent(service: Service) -> None:
    lone(service, id="order-1")
    item = lone(service, id="order-1", message=body(page="pages/other"))
    assert item.result is not None
    assert (item.disposition, type(item.result)) == (FINISHED, IdReused)
    assert len(service.wechat.attempts) == 1


def test_what_another_invocation_is_at_comes_again_when_its_claim_is_over(service: Service) -> None:
    meanwhile: list[Handled] = []

    def come_again(_message: Message) -> None:
        service.wechat.while_in_flight = lambda _message: None
        meanwhile.append(lone(service))

    service.wechat.while_in_flight = come_again
    assert lone(service).disposition is FINISHED
    assert [item.disposition for item in meanwhile] == [RETURNED]
    assert service.queue.handed_out_again == {"receipt-1": 180.0}


@pytest.mark.parametrize("attributes", [{}, {MESSAGE_ID: ""}, {MESSAGE_ID: "m0"}])
def test_a_message_without_an_id_keeps_the_one_under_which_it_first_came(
    service: Service, attributes: dict[str, str]
) -> None:
    item = lone(service, attributes=attributes)
    assert item.request is not None
    assert item.request.id == (attributes.get(MESSAGE_ID) or "m1")
    named = lone(service, id="order-1", attributes={MESSAGE_ID: "m0"})
    assert named.request is not None
    assert named.request.id == "order-1"


def test_an_unreadable_body_keeps_the_id_under_which_it_first_came(service: Service) -> None:
    handle(service, Record("m9", "receipt-9", "not JSON", 1, {MESSAGE_ID: "m1"}))
    assert [kept[MESSAGE_ID] for kept in service.dead_letters.attributes] == ["m1"]


def test_a_pause_that_fails_for_no_known_reason_costs_no_other_message(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.queue, "change_visibility", break_down)
    service.wechat.plan.append(answer(-1))
    handled = handle(service, record(1)) | handle(service, record(2))
    assert [handled[name].disposition for name in ("m1", "m2")] == [RETURNED, FINISHED]
    assert "RuntimeError" in str(handled["m1"].detail)


def test_where_the_pause_cannot_be_set_the_message_goes_back_all_the_same(service: Service) -> None:
    service.queue.failing = "ReceiptHandleIsInvalid"
    service.wechat.plan.append(unreachable())
    item = lone(service)
    assert item.disposition is RETURNED
    assert "ReceiptHandleIsInvalid" in str(item.detail)


def test_a_queue_that_does_not_answer_is_not_asked_again_in_the_same_batch(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def silent(receipt_handle: str, _seconds: float) -> None:
        asked.append(receipt_handle)
        raise StorageError("hand the message out again", "ReadTimeout")

    monkeypatch.setattr(service.queue, "change_visibility", silent)
    service.wechat.plan += [answer(43117), answer(43117)]
    same = body(touser=OPENID)
    handled = handle(service, *(record(number, message=same) for number in (1, 2, 3)))
    assert [item.disposition for item in handled.values()] == [RETURNED] * 3
    assert len(asked) == 1
    handle(service, record(4, message=same))
    assert len(asked) == 2


# ---------------------------------------------------------------- a lost answer


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "template"])
def test_a_lost_answer_is_finished_where_wechat_does_not_deduplicate(service: Service, kind: str) -> None:
    service.wechat.plan.append(lost())
    given = {"client_msg_id": "order-1"} if kind == "subscription" else {}
    item = lone(service, message=body(kind, **given))
    assert (item.disposition, status(item), len(service.wechat.attempts)) == (FINISHED, Status.UNKNOWN, 1)
    assert service.queue.handed_out_again == {}


@pytest.mark.parametrize("second", [answer(0, msgid=5), answer(40241)], ids=["accepted", "dropped"])
@pytest.mark.parametrize("client_msg_id", [None, "refund-7"])
def test_a_lost_answer_that_wechat_deduplicates_comes_again_under_the_same_id(
    service: Service, second: Outcome, client_msg_id: str | None
) -> None:
    service.wechat.plan.extend([lost(), second])
    given = {"client_msg_id": client_msg_id} if client_msg_id else {}
    message = body("template", **given)
    assert lone(service, message=message).disposition is RETURNED
    assert service.queue.handed_out_again == {"receipt-1": 10.0}
    service.clock.advance(10)
    item = lone(service, message=message, receive_count=2)
    assert (item.disposition, status(item)) == (FINISHED, Status.SENT)
    sent = [message.model_dump()["client_msg_id"] for message, _ in service.wechat.attempts]
    assert sent == [client_msg_id or "m1"] * 2


@pytest.mark.parametrize(("seconds_left", "attempts"), [(54.9, 0), (55.0, 1)])
def test_no_message_is_started_that_could_be_cut_off(
    service: Service, seconds_left: float, attempts: int
) -> None:
    item = handle(service, record(), seconds_left=seconds_left)["m1"]
    assert len(service.wechat.attempts) == attempts
    assert (item.disposition is RETURNED) == (attempts == 0)
    assert service.queue.handed_out_again == ({} if attempts else {"receipt-1": 0.0})


# ---------------------------------------------------------------- together


def test_messages_to_one_openid_follow_one_another_in_their_order(service: Service) -> None:
    service.wechat.while_in_flight = lambda _message: time.sleep(0.002)
    pages = [f"pages/{number}" for number in range(5)]
    records = [
        record(number, message=body(touser=touser, page=page))
        for number, (page, touser) in enumerate((page, touser) for page in pages for touser in "ab")
    ]
    assert {item.disposition for item in handle(service, *records).values()} == {FINISHED}
    accepted = [(message.touser, message.model_dump()["page"]) for message in service.wechat.accepted]
    for touser in "ab":
        assert [page for to, page in accepted if to == touser] == pages


def test_different_openids_are_sent_to_at_the_same_time(service: Service) -> None:
    together = threading.Barrier(10, timeout=5)  # breaks unless all ten are in flight

    def wait_for_all(_message: Message) -> None:
        together.wait()

    service.wechat.while_in_flight = wait_for_all
    handled = handle(service, *(record(number) for number in range(10)))
    assert {item.disposition for item in handled.values()} == {FINISHED}


def test_the_same_openid_in_two_accounts_is_two_people(service: Service) -> None:
    service.add_account("bank")
    together = threading.Barrier(2, timeout=5)

    def wait_for_both(_message: Message) -> None:
        together.wait()

    service.wechat.while_in_flight = wait_for_both
    handle(service, record(1, message=body()), record(2, account="bank", message=body()))
    assert len(service.wechat.accepted) == 2


def test_a_rejected_token_costs_a_batch_one_refresh(service: Service) -> None:
    service.wechat.renew("wx-shop")
    handled = handle(service, *(record(number) for number in range(10)))
    assert {item.disposition for item in handled.values()} == {FINISHED}
    assert len(service.wechat.accepted) == 10
    assert service.wechat.fetches == [("wx-shop", False)]


def test_an_account_that_fails_does_not_hold_up_another(service: Service) -> None:
    service.add_account("bank", stored=False)
    service.refresher.busy = 10_000
    handled = handle(
        service, *(record(number, account="bank") for number in range(5)), *(record(5), record(6))
    )
    assert [handled[f"m{number}"].disposition for number in range(7)] == [RETURNED] * 5 + [FINISHED] * 2
    assert sum(service.clock.slept) < 15  # all five waited for the refresher together, not in turn


def test_what_nobody_foresaw_returns_one_message_and_loses_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = service.sender.send

    def break_down_for_one(account: str, message: Message, *given: Any) -> Any:
        return break_down() if message.touser.endswith("2") else send(account, message, *given)

    monkeypatch.setattr(service.sender, "send", break_down_for_one)
    handled = handle(service, record(1), record(2), record(3))
    assert [handled[name].disposition for name in ("m1", "m2", "m3")] == [FINISHED, RETURNED, FINISHED]
    assert handled["m2"].refusal == "internal_error"
    assert isinstance(handled["m2"].error, RuntimeError)
    assert service.dead_letters.bodies == []


@pytest.mark.parametrize("given", [{"account": "nobody"}, {"message": None}])
@pytest.mark.parametrize(("receive_count", "most"), [(1, RETURNED), (4, RETURNED), (5, DEAD_LETTER)])
def test_what_nobody_foresaw_of_a_refusal_stops_no_other(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    receive_count: int,
    most: Disposition,
) -> None:
    monkeypatch.setattr(service.ledger, "set_status", break_down)
    handled = handle(service, record(1, receive_count=receive_count, **given), record(2))
    assert [handled[name].disposition for name in ("m1", "m2")] == [most, FINISHED]
    assert isinstance(handled["m1"].error, RuntimeError)
    # What the ledger cannot take is given up all the same, as it stands.
    assert len(service.dead_letters.bodies) == (most is DEAD_LETTER)


def test_a_body_that_breaks_the_reader_returns_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down_for_one(body: str, default_id: str) -> Any:
        return break_down() if default_id == "m1" else parse_queue_body(body, default_id)

    monkeypatch.setattr(intake, "parse_queue_body", break_down_for_one)
    handled = handle(service, record(1), record(2))
    assert [handled[name].disposition for name in ("m1", "m2")] == [RETURNED, FINISHED]
    assert handled["m1"].refusal == "internal_error"
    assert isinstance(handled["m1"].error, RuntimeError)


@pytest.mark.parametrize(("receive_count", "given_up"), [(1, False), (4, False), (5, True), (6, True)])
def test_a_body_that_nobody_can_read_for_a_reason_that_nobody_foresaw_is_put_aside(
    service: Service, monkeypatch: pytest.MonkeyPatch, *, receive_count: int, given_up: bool
) -> None:
    monkeypatch.setattr(intake, "parse_message", break_down)
    given = record(receive_count=receive_count)
    item = handle(service, given)["m1"]
    assert (item.disposition, item.refusal) == (DEAD_LETTER if given_up else RETURNED, "internal_error")
    assert isinstance(item.error, RuntimeError)
    assert service.dead_letters.bodies == [given.body] * given_up
    assert service.dead_letters.attributes == [{"reason": "given up", "message_id": "m1"}] * given_up


@pytest.mark.parametrize(("receive_count", "given_up"), [(1, False), (4, False), (5, True), (6, True)])
def test_a_message_that_fails_for_a_reason_that_nobody_foresaw_fails_in_the_ledger(
    service: Service, monkeypatch: pytest.MonkeyPatch, *, receive_count: int, given_up: bool
) -> None:
    monkeypatch.setattr(service.sender, "token", break_down)
    item = lone(service, receive_count=receive_count)
    assert (item.disposition, item.refusal) == (FINISHED if given_up else RETURNED, "internal_error")
    assert isinstance(item.error, RuntimeError)
    assert service.dead_letters.bodies == []
    if given_up:
        assert (entry(service).status, entry(service).reason) == (Status.FAILED, "internal_error")
        assert item.result is not None
        assert [domain_event.detail_type for domain_event in item.result.events] == ["message.failed"]
    else:
        assert service.ledger_store.entries == {}


def test_what_broke_down_over_a_claim_is_not_given_up_before_the_claim_is_over(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(service.wechat, "send", break_down)
        item = lone(service, receive_count=5)
        assert (item.disposition, item.refusal) == (RETURNED, "internal_error")
        assert isinstance(item.error, RuntimeError)
        assert service.queue.handed_out_again == {"receipt-1": 180.0}
    service.clock.advance(180)
    judged = lone(service, receive_count=6)
    assert (judged.disposition, status(judged), judged.error) == (FINISHED, Status.UNKNOWN, None)


@pytest.mark.parametrize(
    "error", [StorageError("put it", "ServiceUnavailable"), ValueError("a name of AWS's that is none")]
)
def test_what_is_given_up_and_cannot_be_recorded_goes_back(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(service.dead_letters, "send", refuse)
    monkeypatch.setattr(service.ledger, "set_status", refuse)
    monkeypatch.setattr(service.sender, "token", break_down)
    handled = handle(service, record(1, receive_count=5), record(2, text="not JSON \ud83d"))
    assert {item.disposition for item in handled.values()} == {RETURNED}
    assert [handled[name].refusal for name in ("m1", "m2")] == ["internal_error", "malformed_body"]
    assert isinstance(handled["m1"].error, RuntimeError)


# ---------------------------------------------------------------- what is held is parked

UNTIL_RESET = 8 * 3600 + 55 * 60 + 55 + 120.0


def batch_sender(service: Service, jitter: Callable[[float, float], float]) -> BatchSender:
    return BatchSender(
        service.dispatcher, Returns(service.queue, service.dead_letters, now=service.clock.now, jitter=jitter)
    )


def close(service: Service, errcode: int = 45009, **given: Any) -> None:
    """Let an answer hold what comes next, and forget how it came about."""
    service.wechat.plan.append(answer(errcode))
    lone(service, id="the one before", **given)
    service.wechat.attempts.clear()
    for kept in (service.queue.bodies, service.queue.attributes, service.queue.groups, service.queue.delays):
        kept.clear()


@pytest.mark.parametrize("errcode", [45009, 45011])
def test_a_message_that_meets_a_limit_is_parked_as_what_it_is(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    item = lone(service, expires_at="2026-03-03T00:00:00Z", message=body(delivery="at_least_once"))
    assert (item.disposition, status(item), service.queue.handed_out_again) == (PARKED, Status.QUEUED, {})
    (text,) = service.queue.bodies
    parked = parse_queue_body(text, default_id="another")
    assert parked == item.request
    assert (parked.id, parked.at_least_once) == ("m1", True)
    assert parked.expires_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert service.queue.attributes == [{HELD_SINCE: str(int(START))}]
    assert service.queue.groups == ["shop"]
    assert (entry(service).status, entry(service).attempts) == (Status.QUEUED, 1)


def test_what_is_parked_again_says_since_when(service: Service) -> None:
    close(service)
    service.clock.advance(900)
    item = lone(service, attributes={HELD_SINCE: "1772348645"})
    assert item.disposition is PARKED
    assert service.queue.attributes == [{HELD_SINCE: "1772348645"}]


@pytest.mark.parametrize(
    "since",
    ["", "yesterday", "-5", "1.5", "\u00b2", "\u0661", "0", "9" * 400, str(int(START) + 3600)],
)
def test_a_time_that_is_not_one_of_ours_is_none(service: Service, since: str) -> None:
    close(service)
    assert lone(service, attributes={HELD_SINCE: since}).disposition is PARKED
    assert entry(service).reason == "held"


@pytest.mark.parametrize(
    ("held_for", "least", "most"),
    [
        (1.0, 1, 2),
        (60.0, 60, 120),
        (300.0, 300, 600),
        (600.0, 600, 900),
        (899.0, 899, 900),
        (900.0, 750, 900),
        (86400.0, 750, 900),
    ],
)
def test_what_is_parked_comes_back_spread_out_and_never_later_than_sqs_can_do(
    service: Service, held_for: float, least: int, most: int
) -> None:
    close(service, 40013)
    (circuit,) = service.ledger_store.circuits["shop"].circuits
    for jitter in (lambda low, _high: low, lambda _low, high: high):
        service.clock.advance(circuit.held_until - held_for - service.clock.now())
        batch_sender(service, jitter).send([record()], lambda: 60.0)
    assert service.queue.delays == [least, most]


def test_what_cannot_be_parked_goes_back_and_is_not_lost(service: Service) -> None:
    close(service)
    service.queue.failing_entries = {1}
    handled = handle(service, *map(record, range(1, 4)))
    by_disposition = Counter(item.disposition for item in handled.values())
    assert by_disposition == {PARKED: 2, RETURNED: 1}
    (returned,) = [item for item in handled.values() if item.disposition is RETURNED]
    assert service.queue.handed_out_again == {returned.record.receipt_handle: 60.0}
    parked = {parse_queue_body(text, "").id for text in service.queue.bodies}
    assert parked | {returned.record.message_id} == {"m1", "m2", "m3"}


def test_where_nothing_can_be_parked_everything_goes_back(service: Service) -> None:
    close(service)
    service.queue.failing = "ServiceUnavailable"
    handled = handle(service, record(1), record(2))
    assert {item.disposition for item in handled.values()} == {RETURNED}
    assert "ServiceUnavailable" in str(handled["m1"].detail)


def test_no_record_is_finished_before_its_copy_is_on_the_queue(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashError(BaseException):
        """The process is gone."""

    def die(_items: Sequence[DelayedMessage]) -> list[int]:
        raise CrashError

    close(service)
    with monkeypatch.context() as patched:
        patched.setattr(service.queue, "send_delayed", die)
        with pytest.raises(CrashError):
            handle(service, record())
    assert lone(service, receive_count=2).disposition is PARKED
    assert len(service.queue.bodies) == 1


def test_a_crash_after_parking_makes_two_copies_and_one_message(service: Service) -> None:
    close(service)
    lone(service)
    lone(service, receive_count=2)  # the first one's end never reached SQS
    assert len(service.queue.bodies) == 2
    service.clock.advance(UNTIL_RESET)
    copies = [
        Record(f"copy-{number}", f"receipt-{number}", text, 1, attributes)
        for number, (text, attributes) in enumerate(
            zip(service.queue.bodies, service.queue.attributes, strict=True)
        )
    ]
    handled = handle(service, *copies)
    assert [status(item) for item in handled.values()] == [Status.SENT] * 2
    assert len(service.wechat.attempts) == 1


def test_what_was_parked_for_three_days_is_given_up(service: Service) -> None:
    service.clock.advance(GIVE_UP_AFTER + 1)
    close(service)
    item = lone(service, attributes={HELD_SINCE: str(int(START))})
    assert (item.disposition, status(item)) == (FINISHED, Status.FAILED)
    assert (entry(service).reason, service.queue.bodies) == ("retries_exhausted", [])


def test_a_used_up_quota_keeps_everything_until_the_reset_and_disturbs_nobody(service: Service) -> None:
    """The queue as SQS keeps it, with a clock, until the last message is sent."""
    service.add_account("bank")
    chance = iter(range(10**6))

    def jitter(low: float, high: float) -> float:
        return low + (high - low) * ((next(chance) * 0.6180339887) % 1)

    sender = batch_sender(service, jitter)
    waiting = [(START, record(number)) for number in range(60)]
    sent_at: list[float] = []
    service.wechat.plan.append(answer(45009))
    while waiting:
        waiting.sort(key=lambda each: each[0])
        service.clock.advance(max(0.0, waiting[0][0] - service.clock.now()))
        batch, later = waiting[:10], waiting[10:]
        due = [kept for at, kept in batch if at <= service.clock.now()]
        waiting = [*batch[len(due) :], *later]
        puts = len(service.queue.bodies)
        for item in sender.send(due, lambda: 60.0):
            assert item.disposition in {FINISHED, PARKED}
            sent_at += [service.clock.now()] * (item.disposition is FINISHED)
        for index in range(puts, len(service.queue.bodies)):
            text, attributes = service.queue.bodies[index], service.queue.attributes[index]
            copy = Record(f"copy-{index}", f"copy-{index}", text, 1, attributes)
            waiting.append((service.clock.now() + service.queue.delays[index], copy))
        assert status(lone(service, id=f"other-{puts}", account="bank")) is Status.SENT
    assert service.queue.handed_out_again == {}  # nothing of it was ever in flight
    reset = START + UNTIL_RESET
    attempts = [token for _, token in service.wechat.attempts if token.endswith("shop")]
    assert (len(sent_at), len(attempts)) == (60, 61)
    assert min(sent_at) >= reset
    assert reset + 300 < max(sent_at) <= reset + 1800
    assert len(set(map(round, sent_at))) > 30
    for number in range(60):
        assert entry(service, f"m{number}").status is Status.SENT
        assert entry(service, f"m{number}").attempts <= 2


# ---------------------------------------------------------------- when one person has had enough


@pytest.mark.parametrize(("errcode", "pause"), [(43108, 1.0), (43117, 60.0)])
def test_what_follows_for_the_same_openid_waits_too_and_uses_up_no_attempt(
    service: Service, errcode: int, pause: float
) -> None:
    pages = [record(number, message=body(page=f"pages/{number}")) for number in (1, 2, 3)]
    service.wechat.plan.append(answer(errcode))
    handled = handle(service, *pages)
    assert {item.disposition for item in handled.values()} == {RETURNED}
    assert service.queue.handed_out_again == {f"receipt-{number}": pause for number in (1, 2, 3)}
    assert len(service.wechat.attempts) == 1
    assert list(service.ledger_store.entries) == [("shop", "m1")]
    assert status(lone(service, id="x", message=body(touser=OTHER_OPENID))) is Status.SENT


def test_what_follows_waits_for_an_answer_of_now_and_not_for_an_earlier_one(service: Service) -> None:
    pages = [record(number, message=body(page=f"pages/{number}")) for number in (1, 2)]
    service.wechat.plan.append(answer(43117))
    handle(service, pages[0])
    meanwhile: list[dict[str, Handled]] = []

    def come_again(_message: Message) -> None:
        service.wechat.while_in_flight = lambda _message: None
        meanwhile.append(handle(service, *pages))

    service.wechat.while_in_flight = come_again
    service.clock.advance(60)
    handle(service, pages[0])
    ((one, two),) = [list(handled.values()) for handled in meanwhile]
    assert one.result is not None
    assert two.result is not None
    assert (type(one.result), two.result.attempted) == (InFlight, True)


def test_another_error_stops_nobody_else(service: Service) -> None:
    pages = [record(number, message=body(page=f"pages/{number}")) for number in (1, 2)]
    service.wechat.plan.append(answer(-1))
    handled = handle(service, *pages)
    assert [handled[name].disposition for name in ("m1", "m2")] == [RETURNED, FINISHED]


def test_a_limit_of_the_whole_kind_parks_what_follows(service: Service) -> None:
    pages = [record(number, message=body(page=f"pages/{number}")) for number in (1, 2, 3)]
    service.wechat.plan.append(answer(45011))
    handled = handle(service, *pages)
    assert {item.disposition for item in handled.values()} == {PARKED}
    assert len(service.wechat.attempts) == 1


def test_the_circuits_of_a_batch_are_read_once(service: Service) -> None:
    service.add_account("bank")
    handle(service, *map(record, range(5)), *(record(number, account="bank") for number in range(5, 10)))
    assert service.ledger_store.circuit_reads == 1
    assert (service.ledger_store.puts, service.ledger_store.reads) == (20, 0)


def test_an_empty_batch_is_no_trouble(service: Service) -> None:
    assert handle(service) == {}


bodies = st.one_of(
    st.builds(
        lambda account, message, extra: json.dumps({"account": account, "message": message, **extra}),
        st.sampled_from(["shop", "bank", "nobody", "Not A Name", ""]),
        st.one_of(
            st.builds(body, st.just("subscription"), st.sampled_from([OPENID, OTHER_OPENID, "c", "d"])),
            st.builds(lambda touser: body("template", touser, client_msg_id="x"), st.sampled_from("cde")),
            st.just(body(data="text")),
            st.none() | st.integers() | st.text(max_size=5),
        ),
        st.sampled_from([{}, {"id": "x"}, {"expires_at": "2020-01-01T00:00:00Z"}, {"more": 1}]),
    ),
    st.text(max_size=20),
    st.sampled_from(['{"detail-type": "x", "detail": {}}', "[]", "{}", "NaN"]),
)
planned = st.lists(
    st.sampled_from([*map(answer, ERRCODES), *[lost()] * 5, unreachable(), misdirected()]), max_size=12
)


TROUBLES = [
    "queue",
    "dead_letters",
    "read",
    "save",
    "load",
    "refresher",
    "put",
    "read_circuits",
    "put_circuits",
]


@given(
    texts=st.lists(bodies, max_size=10),
    plan=planned,
    failing=st.sets(st.sampled_from(TROUBLES), max_size=4),
    losing_answers=st.integers(0, 3),
    seconds_left=st.sampled_from([60.0, 60.0, 5.0]),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_every_record_comes_out_once_and_what_is_finished_has_its_end_on_record(
    texts: list[str], plan: list[Any], failing: set[str], losing_answers: int, seconds_left: float
) -> None:
    service = Service()
    service.add_account("bank", stored=False)
    service.wechat.plan.extend(plan)
    service.queue.failing = "ServiceUnavailable" if "queue" in failing else None
    service.dead_letters.failing = "ServiceUnavailable" if "dead_letters" in failing else None
    service.refresher.down = "ServiceException" if "refresher" in failing else None
    service.store.failing = dict.fromkeys(failing, "ThrottlingException")
    service.ledger_store.failing = dict.fromkeys(failing, "ThrottlingException")
    service.ledger_store.losing_answers = losing_answers
    records = [Record(f"m{number}", f"r{number}", text, 1) for number, text in enumerate(texts)]
    handled = handle(service, *records, seconds_left=seconds_left)
    attempts = 0
    for item in handled.values():
        assert item.error is None
        dispatched = item.result
        attempts += dispatched.delivery.attempts if dispatched and dispatched.delivery else 0
        if item.disposition is FINISHED and item.request and dispatched:
            kept = service.ledger_store.entries[item.request.account, item.request.id]
            ours = not isinstance(dispatched, IdReused)
            assert kept.status not in {Status.QUEUED, Status.SENDING} or not ours
            assert item.record.receipt_handle not in service.queue.handed_out_again
        if (
            dispatched
            and dispatched.status in {Status.SENT, Status.UNKNOWN}
            and not isinstance(dispatched, NotOurs)
        ):
            assert item.disposition is FINISHED
        if item.disposition is PARKED:
            assert item.request is not None
            assert item.request.id in [parse_queue_body(text, "").id for text in service.queue.bodies]
    if "put" in failing:
        assert service.wechat.attempts == []
    assert attempts == len(service.wechat.attempts)
    unreadable = [item for item in handled.values() if item.refusal and item.request is None]
    assert len(service.dead_letters.bodies) == (0 if "dead_letters" in failing else len(unreadable))


# --- Threads ------------------------------------------------------------------------------------


def test_openids_are_sent_to_concurrently_by_threads_that_stay(service: Service) -> None:
    together = threading.Barrier(batch._WORKER_THREADS, timeout=5)  # breaks unless all of them are there

    def meet(_message: Message) -> None:
        together.wait()

    service.wechat.while_in_flight = meet
    for turn in range(2):
        records = [
            record(
                number, id=f"b{turn}-{number}", message=body(touser=f"oQk3h5LrVfTnWb8xYc2ZpJd0Gm{number:02}")
            )
            for number in range(batch._WORKER_THREADS)
        ]
        assert {item.disposition for item in handle(service, *records).values()} == {FINISHED}
