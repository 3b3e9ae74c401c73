from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import (
    ERRCODES,
    OPENID,
    OTHER_OPENID,
    Service,
    answer,
    body,
    break_down,
    lost,
    misdirected,
    unreachable,
)
from wechat_notify.core import batches
from wechat_notify.core.batches import Disposition, Handled, Record
from wechat_notify.core.delivery import Delivery
from wechat_notify.core.envelope import parse_queue_body
from wechat_notify.core.messages import KINDS, Message
from wechat_notify.core.outcomes import Outcome, Status, StorageError, UnknownAccountError

FINISHED, RETURNED, DEAD_LETTER = Disposition.FINISHED, Disposition.RETURNED, Disposition.DEAD_LETTER


def record(number: int = 1, *, text: str | None = None, receive_count: int = 1, **given: Any) -> Record:
    envelope = {"account": "shop", "message": body(touser=f"{OPENID}{number}"), **given}
    return Record(f"m{number}", f"receipt-{number}", text or json.dumps(envelope), receive_count)


def handle(service: Service, *records: Record, seconds_left: float = 60.0) -> dict[str, Handled]:
    handled = service.batch_sender.send(records, lambda: seconds_left)
    assert Counter(item.record.message_id for item in handled) == {item.message_id: 1 for item in records}
    return {item.record.message_id: item for item in handled}


def lone(service: Service, **given: Any) -> Handled:
    return handle(service, record(**given))["m1"]


# ---------------------------------------------------------------- one record


def test_a_message_that_was_sent_is_finished(service: Service) -> None:
    item = lone(service, id="order-1")
    assert (item.disposition, item.refusal, item.error) == (FINISHED, None, None)
    assert item.request is not None
    assert item.request.id == "order-1"
    assert item.delivery is not None
    assert item.delivery.outcome.status is Status.SENT
    assert service.queue.handed_out_again == {}


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"account": "nobody"}, "unknown_account"),
        ({"account": "Shop"}, "unknown_account"),
        ({"account": "../shop"}, "unknown_account"),
        ({"expires_at": "2026-03-01T15:04:05+08:00"}, "expired"),
        ({"message": body(data="text")}, "invalid_message"),
        ({"message": body() | {"kind": "mass_send"}}, "invalid_message"),
        ({"message": []}, "invalid_message"),
        ({"message": None}, "invalid_message"),
    ],
)
def test_what_cannot_be_sent_is_finished_without_an_attempt(
    service: Service, given: dict[str, Any], refusal: str
) -> None:
    item = lone(service, **given)
    assert (item.disposition, item.refusal, item.delivery) == (FINISHED, refusal, None)
    assert service.wechat.attempts == []
    assert service.dead_letters.bodies == []
    assert (len(item.violations) > 0) == (refusal == "invalid_message")


@pytest.mark.parametrize("account", ["Shop", "../shop", "shop/access-token", "", "a" * 65])
def test_a_name_that_no_account_can_have_is_never_looked_up(service: Service, account: str) -> None:
    assert lone(service, account=account).disposition is not RETURNED
    assert service.store.reads == []


def test_a_message_is_sent_until_it_expires(service: Service) -> None:
    assert lone(service, expires_at="2026-03-01T15:04:05.5+08:00").refusal is None


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
    assert (item.disposition, item.refusal, item.error) == (DEAD_LETTER, "malformed_body", None)
    assert service.dead_letters.bodies == [text]
    assert service.dead_letters.attributes == [{"reason": str(item.detail), "message_id": "m1"}]


def test_a_body_that_the_dead_letters_do_not_take_goes_back(service: Service) -> None:
    service.dead_letters.failing = "InvalidParameterValue"
    item = lone(service, text="not JSON")
    assert (item.disposition, item.refusal) == (RETURNED, "malformed_body")


@pytest.mark.parametrize("errcode", [-1, 40001, 43108, 43117, 45009, 45011])
def test_what_is_worth_repeating_goes_back_with_a_pause(service: Service, errcode: int) -> None:
    service.wechat.plan.extend([answer(errcode)] * 2)
    item = lone(service)
    assert item.disposition is RETURNED
    assert item.delivery is not None
    assert item.delivery.outcome.errcode == errcode
    assert service.queue.handed_out_again["receipt-1"] >= (answer(errcode).retry_after or 1)


@pytest.mark.parametrize("errcode", [40003, 40037, 40241, 43101, 47003, 48001, 99999])
def test_what_would_fail_again_is_finished(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    item = lone(service)
    assert item.disposition is FINISHED
    assert item.delivery is not None
    assert item.delivery.outcome.errcode == errcode
    assert service.queue.handed_out_again == {}


def test_a_message_that_never_came_to_wechat_waits_for_an_operator(service: Service) -> None:
    service.wechat.plan.append(misdirected())
    item = lone(service)
    assert item.disposition is RETURNED
    assert service.queue.handed_out_again == {"receipt-1": 300.0}


def test_a_message_without_a_token_goes_back(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    assert lone(service).disposition is RETURNED
    assert service.queue.handed_out_again == {"receipt-1": 300.0}


def test_a_pause_that_fails_for_no_known_reason_costs_no_other_message(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.queue, "hand_out_again", break_down)
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


# ---------------------------------------------------------------- a lost answer

DEDUPLICATED = body("template", client_msg_id="refund-7")
NOT_DEDUPLICATED = [
    body(kind, **({"client_msg_id": "order-1"} if kind == "subscription" else {})) for kind in KINDS
]


@pytest.mark.parametrize("message", NOT_DEDUPLICATED, ids=lambda message: message["kind"])
def test_a_lost_answer_is_finished_where_wechat_does_not_deduplicate(
    service: Service, message: dict[str, Any]
) -> None:
    service.wechat.plan.append(lost())
    item = lone(service, message=message)
    assert (item.disposition, len(service.wechat.attempts)) == (FINISHED, 1)
    assert item.delivery == Delivery(lost(), 1, 0.0)
    assert service.queue.handed_out_again == {}


@pytest.mark.parametrize("second", [answer(0, msgid=5), answer(40241)], ids=["accepted", "dropped"])
def test_a_lost_answer_that_wechat_deduplicates_is_repeated_at_once(
    service: Service, second: Outcome
) -> None:
    service.wechat.while_in_flight = lambda _message: service.clock.advance(0.25)
    service.wechat.plan.extend([lost(), second])
    item = lone(service, message=DEDUPLICATED)
    assert (item.disposition, item.delivery) == (FINISHED, Delivery(second, 2, 0.5))
    assert [message.model_dump()["client_msg_id"] for message, _ in service.wechat.attempts] == [
        "refund-7",
        "refund-7",
    ]
    assert service.clock.slept == []


def test_the_repeated_message_gets_a_new_token_where_its_own_was_rejected(service: Service) -> None:
    service.wechat.plan.extend([lost(), answer(40001)])
    item = lone(service, message=DEDUPLICATED)
    assert item.delivery is not None
    assert (item.delivery.outcome.status, item.delivery.attempts) == (Status.SENT, 3)


@pytest.mark.parametrize(
    "second",
    [lost(), unreachable(), misdirected(), *map(answer, (-1, 40003, 43108, 43117, 45009, 47003, 99999))],
    ids=lambda outcome: f"{outcome.error_class}",
)
def test_a_lost_answer_stays_one_unless_the_second_attempt_is_accepted(
    service: Service, second: Outcome
) -> None:
    service.wechat.plan.extend([lost(), second, answer(0)])
    item = lone(service, message=DEDUPLICATED)
    assert (item.disposition, item.delivery) == (FINISHED, Delivery(lost(), 2, 0.0))
    assert len(service.wechat.attempts) == 2
    assert service.queue.handed_out_again == {}


def test_a_lost_answer_stays_one_where_there_is_no_token_for_the_second_attempt(service: Service) -> None:
    service.wechat.plan.extend([lost(), answer(40001)])
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    item = lone(service, message=DEDUPLICATED)
    assert (item.disposition, item.delivery) == (FINISHED, Delivery(lost(), 2, 0.0))


@pytest.mark.parametrize("error", [RuntimeError("what nobody foresaw"), UnknownAccountError("shop")])
def test_a_lost_answer_stays_one_where_the_second_attempt_breaks_down(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    results: list[Delivery | Exception] = [Delivery(lost(), 1, 0.25), error]

    def send(*_: object) -> Delivery:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(service.sender, "send", send)
    item = lone(service, message=DEDUPLICATED)
    assert (item.disposition, item.delivery) == (FINISHED, Delivery(lost(), 1, 0.25))
    assert results == []


@pytest.mark.parametrize(("took", "attempts"), [(12.0, 2), (12.5, 1)])
def test_a_lost_answer_is_repeated_only_where_there_is_time_for_a_whole_message(
    service: Service, took: float, attempts: int
) -> None:
    service.wechat.while_in_flight = lambda _message: service.clock.advance(took)
    service.wechat.plan.extend([lost(), lost()])
    stopped_at = service.clock.now() + 60
    (item,) = service.batch_sender.send(
        [record(message=DEDUPLICATED)], lambda: stopped_at - service.clock.now()
    )
    assert (item.disposition, len(service.wechat.attempts)) == (FINISHED, attempts)
    assert item.delivery == Delivery(lost(), attempts, took * attempts)


@pytest.mark.parametrize(("seconds_left", "attempts"), [(47.9, 0), (48.0, 1)])
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

    def break_down_for_one(account: str, message: Message, seconds_left: Callable[[], float]) -> Any:
        if message.touser.endswith("2"):
            break_down()
        return send(account, message, seconds_left)

    monkeypatch.setattr(service.sender, "send", break_down_for_one)
    handled = handle(service, record(1), record(2), record(3))
    assert [handled[name].disposition for name in ("m1", "m2", "m3")] == [FINISHED, RETURNED, FINISHED]
    assert handled["m2"].refusal == "internal_error"
    assert isinstance(handled["m2"].error, RuntimeError)
    assert service.dead_letters.bodies == []


def test_a_body_that_breaks_the_reader_returns_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down_for_one(body: str, default_id: str) -> Any:
        return break_down() if default_id == "m1" else parse_queue_body(body, default_id)

    monkeypatch.setattr(batches, "parse_queue_body", break_down_for_one)
    handled = handle(service, record(1), record(2))
    assert [handled[name].disposition for name in ("m1", "m2")] == [RETURNED, FINISHED]
    assert handled["m1"].refusal == "internal_error"
    assert isinstance(handled["m1"].error, RuntimeError)


@pytest.mark.parametrize("broken", ["reader", "sender"])
@pytest.mark.parametrize(("receive_count", "given_up"), [(1, False), (4, False), (5, True), (6, True)])
def test_what_nobody_foresaw_five_times_is_put_among_the_dead_letters(
    service: Service, monkeypatch: pytest.MonkeyPatch, *, broken: str, receive_count: int, given_up: bool
) -> None:
    if broken == "reader":
        monkeypatch.setattr(batches, "parse_message", break_down)
    else:
        monkeypatch.setattr(service.sender, "send", break_down)
    given = record(receive_count=receive_count)
    item = handle(service, given)["m1"]
    assert (item.disposition, item.refusal) == (DEAD_LETTER if given_up else RETURNED, "internal_error")
    assert isinstance(item.error, RuntimeError)
    assert service.dead_letters.bodies == [given.body] * given_up
    assert service.dead_letters.attributes == [{"reason": "given up", "message_id": "m1"}] * given_up


@pytest.mark.parametrize(
    "error", [StorageError("put it", "ServiceUnavailable"), ValueError("a name of AWS's that is none")]
)
def test_what_is_given_up_and_not_taken_by_the_dead_letters_goes_back(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(_body: str, **_attributes: str) -> None:
        raise error

    monkeypatch.setattr(service.dead_letters, "send", refuse)
    monkeypatch.setattr(service.sender, "send", break_down)
    handled = handle(service, record(1, receive_count=5), record(2, text="not JSON \ud83d"))
    assert {item.disposition for item in handled.values()} == {RETURNED}
    assert [handled[name].refusal for name in ("m1", "m2")] == ["internal_error", "malformed_body"]
    assert isinstance(handled["m1"].error, RuntimeError)


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


@given(
    texts=st.lists(bodies, max_size=10),
    plan=planned,
    failing=st.sets(st.sampled_from(["queue", "dead_letters", "read", "save", "load", "refresher"])),
    seconds_left=st.sampled_from([60.0, 5.0]),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_record_comes_out_once_and_what_may_have_been_sent_never_goes_back(
    texts: list[str], plan: list[Any], failing: set[str], seconds_left: float
) -> None:
    service = Service()
    service.add_account("bank", stored=False)
    service.wechat.plan.extend(plan)
    service.queue.failing = "ServiceUnavailable" if "queue" in failing else None
    service.dead_letters.failing = "ServiceUnavailable" if "dead_letters" in failing else None
    service.refresher.down = "ServiceException" if "refresher" in failing else None
    service.store.failing = dict.fromkeys(failing, "ThrottlingException")
    records = [Record(f"m{number}", f"r{number}", text, 1) for number, text in enumerate(texts)]
    handled = handle(service, *records, seconds_left=seconds_left)
    attempts, accepted = 0, 0
    for item in handled.values():
        assert item.error is None
        outcome = item.delivery.outcome if item.delivery else None
        if outcome and outcome.status in {Status.SENT, Status.UNKNOWN}:
            assert item.disposition is FINISHED
        if item.disposition is FINISHED:
            assert item.refusal or outcome
            assert item.record.receipt_handle not in service.queue.handed_out_again
        attempts += item.delivery.attempts if item.delivery else 0
        accepted += bool(outcome and outcome.errcode == 0)
    assert (attempts, accepted) == (len(service.wechat.attempts), len(service.wechat.accepted))
    unreadable = [item for item in handled.values() if item.refusal == "malformed_body"]
    assert len(service.dead_letters.bodies) == (0 if "dead_letters" in failing else len(unreadable))
