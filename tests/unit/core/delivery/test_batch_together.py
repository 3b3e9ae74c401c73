"""Several records of a batch: order, concurrency, and one that fails for an unforeseen reason."""

from __future__ import annotations

import json
import threading
import time
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
from tests.unit.core.delivery.batches import (
    DEAD_LETTER,
    FINISHED,
    PARKED,
    RETURNED,
    dispositions,
    entry,
    handle,
    record,
    single,
    status,
    while_sending,
)
from wechat_notify.core.delivery import batch
from wechat_notify.core.delivery.records import Disposition, Record
from wechat_notify.core.delivery.results import IdReused, InFlight, NotOurs, RetryAt
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Status


def meet(service: Service, parties: int) -> None:
    """Let no POST end before so many are under way."""
    together = threading.Barrier(parties, timeout=5)

    def wait_for_all(_message: Message) -> None:
        together.wait()

    service.wechat.while_in_flight = wait_for_all


def test_order_within_one_openid(service: Service) -> None:
    service.wechat.while_in_flight = lambda _message: time.sleep(0.002)
    pages = [f"pages/{number}" for number in range(5)]
    contents = [body(touser=touser, page=page) for page in pages for touser in "ab"]
    handle(service, *(record(number, message=each) for number, each in enumerate(contents)))
    accepted = [(message.touser, message.model_dump()["page"]) for message in service.wechat.accepted]
    for touser in "ab":
        assert [page for to, page in accepted if to == touser] == pages


def test_openids_are_sent_concurrently(service: Service) -> None:
    """By twenty threads, which stay for the next batch."""
    count = batch._WORKER_THREADS
    meet(service, count)
    for turn in range(2):
        records = [
            record(number, id=f"b{turn}-{number}", message=body(touser=f"{OPENID[:-2]}{number:02}"))
            for number in range(count)
        ]
        assert set(dispositions(handle(service, *records))) == {FINISHED}


def test_openid_in_two_accounts(service: Service) -> None:
    """It is two people, who are sent to concurrently."""
    service.add_account("bank")
    meet(service, 2)
    handle(service, record(1, message=body()), record(2, account="bank", message=body()))
    assert len(service.wechat.accepted) == 2


def test_circuits_are_read_once(service: Service) -> None:
    service.add_account("bank")
    handle(service, *map(record, range(5)), *(record(number, account="bank") for number in range(5, 10)))
    store = service.ledger_store
    assert (store.circuit_reads, store.puts, store.reads) == (1, 20, 0)
    assert handle(service) == {}


# ---- one openid's limit


def pages(*numbers: int) -> list[Record]:
    """Messages to one openid."""
    return [record(number, message=body(page=f"pages/{number}")) for number in numbers]


@pytest.mark.parametrize(("errcode", "pause"), [(43108, 1.0), (43117, 60.0)])
def test_limit_of_one_openid(service: Service, errcode: int, pause: float) -> None:
    """What follows for it waits too, and uses up no attempt."""
    service.wechat.plan.append(answer(errcode))
    assert dispositions(handle(service, *pages(1, 2, 3))) == [RETURNED] * 3
    assert service.queue.handed_out_again == {f"receipt-{number}": pause for number in (1, 2, 3)}
    assert len(service.wechat.attempts) == 1
    assert list(service.ledger_store.entries) == [("shop", "m1")]
    assert status(single(service, id="x", message=body(touser=OTHER_OPENID))) is Status.SENT


def test_earlier_limit_stops_nothing(service: Service) -> None:
    """The record's outcome is of an attempt before, and the message is in flight again."""
    service.wechat.plan.append(answer(43117))
    handle(service, *pages(1))
    again = while_sending(service, lambda: handle(service, *pages(1, 2)))
    service.clock.advance(60)
    handle(service, *pages(1))
    assert (type(again["m1"].result), type(again["m2"].result)) == (InFlight, RetryAt)


@pytest.mark.parametrize(
    ("errcode", "expected", "posts"), [(-1, [RETURNED, FINISHED], 2), (45011, [PARKED, PARKED], 1)]
)
def test_other_limits(service: Service, errcode: int, expected: list[Disposition], posts: int) -> None:
    service.wechat.plan.append(answer(errcode))
    assert dispositions(handle(service, *pages(1, 2))) == expected
    assert len(service.wechat.attempts) == posts


# ---- the queue does not answer


def test_silent_queue_is_asked_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def silent(receipt_handle: str, _seconds: float) -> None:
        asked.append(receipt_handle)
        raise StorageError("hand the message out again", "ReadTimeout")

    monkeypatch.setattr(service.queue, "change_visibility", silent)
    service.wechat.plan += [answer(43117), answer(43117)]
    handled = handle(service, *pages(1, 2, 3))
    assert dispositions(handled) == [RETURNED] * 3
    assert handled["m1"].detail == "again after the queue's visibility timeout (ReadTimeout)"
    assert handled["m2"].detail == "again after the queue's visibility timeout"
    assert asked == ["receipt-1"]
    handle(service, *pages(4))
    assert asked == ["receipt-1", "receipt-4"]


def test_unforeseen_error_of_the_queue(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.queue, "change_visibility", break_down)
    service.wechat.plan.append(answer(-1))
    handled = handle(service, *pages(1, 2))
    assert dispositions(handled) == [RETURNED, FINISHED]
    assert handled["m1"].detail == "again after the queue's visibility timeout (RuntimeError)"


# ---- errors that nobody foresaw

counts = pytest.mark.parametrize(("receive_count", "given_up"), [(4, False), (5, True)])


def test_unforeseen_error_stops_no_other(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    send = service.sender.send

    def break_down_for_one(account: str, message: Message, *given: Any) -> Any:
        return break_down() if message.touser.endswith("2") else send(account, message, *given)

    monkeypatch.setattr(service.sender, "send", break_down_for_one)
    handled = handle(service, record(1), record(2), record(3))
    assert dispositions(handled) == [FINISHED, RETURNED, FINISHED]
    item = handled["m2"]
    assert (item.refusal, type(item.error)) == ("internal_error", RuntimeError)
    assert item.request is not None
    assert item.message is not None
    assert (item.request.id, item.message.touser) == ("m2", f"{OPENID}2")


@counts
@pytest.mark.parametrize("given", [{"account": "nobody"}, {"message": None}], ids=["account", "message"])
def test_unforeseen_error_of_a_refusal(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    receive_count: int,
    *,
    given_up: bool,
) -> None:
    """What the ledger cannot take is given up all the same, as it stands."""
    monkeypatch.setattr(service.ledger, "set_status", break_down)
    handled = handle(service, record(1, receive_count=receive_count, **given), record(2))
    assert dispositions(handled) == [DEAD_LETTER if given_up else RETURNED, FINISHED]
    item = handled["m1"]
    assert (item.refusal, type(item.error)) == ("internal_error", RuntimeError)
    assert item.request is not None
    assert (item.message is None) == ("message" in given)
    kept = {"reason": "given up", "message_id": "m1", "id": "m1"}
    assert service.dead_letters.attributes == [kept] * given_up


@counts
def test_unforeseen_error_of_the_reader(
    service: Service, monkeypatch: pytest.MonkeyPatch, receive_count: int, *, given_up: bool
) -> None:
    def break_down_for_one(body: str, default_id: str) -> Any:
        return break_down() if default_id == "m1" else parse_queue_body(body, default_id)

    monkeypatch.setattr(batch, "parse_queue_body", break_down_for_one)
    unreadable = record(1, receive_count=receive_count)
    handled = handle(service, unreadable, record(2))
    assert dispositions(handled) == [DEAD_LETTER if given_up else RETURNED, FINISHED]
    assert (handled["m1"].refusal, type(handled["m1"].error)) == ("internal_error", RuntimeError)
    assert service.dead_letters.bodies == [unreadable.body] * given_up
    assert service.dead_letters.attributes == [{"reason": "given up", "message_id": "m1"}] * given_up


@counts
def test_unsendable_record_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch, receive_count: int, *, given_up: bool
) -> None:
    """Its message fails in the ledger."""
    monkeypatch.setattr(service.sender, "token", break_down)
    item = single(service, receive_count=receive_count)
    assert (item.disposition, item.refusal) == (FINISHED if given_up else RETURNED, "internal_error")
    assert (type(item.error), item.message is None) == (RuntimeError, False)
    if not given_up:
        assert service.ledger_store.entries == {}
        return
    kept = entry(service)
    assert (kept.status, kept.reason, kept.outcome) == (Status.FAILED, "internal_error", None)
    assert (kept.kind, kept.openid_hash) == ("subscription", service.openid_hash(f"{OPENID}1"))
    assert item.result is not None
    assert [event.detail_type for event in item.result.events] == ["message.failed"]
    assert item.detail == "given up"


def test_given_up_after_its_claim(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What broke down over a claim is not given up before the claim is over."""
    with monkeypatch.context() as patched:
        patched.setattr(service.wechat, "send", break_down)
        item = single(service, receive_count=5)
    assert (item.disposition, item.refusal, type(item.error)) == (RETURNED, "internal_error", RuntimeError)
    assert (type(item.result), service.queue.handed_out_again) == (InFlight, {"receipt-1": 180.0})
    service.clock.advance(180)
    judged = single(service, receive_count=6)
    assert (judged.disposition, status(judged)) == (FINISHED, Status.UNKNOWN)


@pytest.mark.parametrize(
    "error", [StorageError("put it", "ServiceUnavailable"), ValueError("a name of AWS's that is none")]
)
def test_unrecorded_end_goes_back(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(service.dead_letters, "send", refuse)
    monkeypatch.setattr(service.ledger, "set_status", refuse)
    monkeypatch.setattr(service.sender, "token", break_down)
    handled = handle(service, record(1, receive_count=5), record(2, text="not JSON \ud83d"))
    assert dispositions(handled) == [RETURNED] * 2
    assert [handled[name].refusal for name in ("m1", "m2")] == ["internal_error", "malformed_body"]
    assert type(handled["m1"].error) is RuntimeError


def test_silent_ledger_gives_nothing_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.sender, "token", break_down)
    service.ledger_store.failing = {"put": "ThrottlingException"}
    assert single(service, receive_count=5).disposition is RETURNED
    assert service.dead_letters.bodies == []


# ---- any batch

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
def test_no_record_is_lost(
    texts: list[str], plan: list[Any], failing: set[str], losing_answers: int, seconds_left: float
) -> None:
    """Each comes out once, and what is finished has its end in the ledger."""
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
        result = item.result
        attempts += result.exchange.posts if result and result.exchange else 0
        if item.disposition is FINISHED and item.request and result:
            kept = service.ledger_store.entries[item.request.account, item.request.id]
            assert isinstance(result, IdReused) or kept.status not in {Status.QUEUED, Status.SENDING}
            assert item.record.receipt_handle not in service.queue.handed_out_again
        ended = result is not None and result.status in {Status.SENT, Status.UNKNOWN}
        if ended and not isinstance(result, NotOurs):
            assert item.disposition is FINISHED
        if item.disposition is PARKED:
            assert item.request is not None
            assert item.request.id in [parse_queue_body(text, "").id for text in service.queue.bodies]
    assert "put" not in failing or service.wechat.attempts == []
    assert attempts == len(service.wechat.attempts)
    unreadable = [item for item in handled.values() if item.refusal and item.request is None]
    assert len(service.dead_letters.bodies) == (0 if "dead_letters" in failing else len(unreadable))
