"""One message's way through both doors: every errcode, time, failures of the ledger, and crashes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import OPENID, START, Service, answer, body, lost
from tests.unit.core.delivery.doors import (
    AT_LEAST_ONCE,
    DAY,
    LEASE,
    Door,
    again_in,
    as_recorded,
    events,
    held_for,
    outcome,
    real,
)
from wechat_notify.core.delivery.entry import HELD, TRY_AGAIN, Entry
from wechat_notify.core.delivery.results import (
    InFlight,
    Replayed,
    Result,
    RetryAt,
    Sent,
    TryAgain,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.outcomes import Outcome, Status
from wechat_notify.wechat.error_codes import ERROR_CODES


@pytest.mark.parametrize("kind", KINDS)
def test_cost_of_a_good_message(door: Door, kind: str) -> None:
    seen: list[tuple[Status, bool]] = []
    service, store = door.service, door.service.ledger_store
    service.wechat.while_in_flight = lambda _: seen.append((door.entry.status, bool(service.store.reads)))
    result = door(body(kind))
    assert (type(result), result.entry, events(result)) == (Sent, door.entry, [])
    assert (door.entry.status, door.entry.next_attempt_at) == (Status.SENT, None)
    assert (store.puts, store.reads, store.circuit_reads, store.circuit_puts) == (2, 0, 1, 0)
    assert seen == [(Status.SENDING, True)]  # the token is had before the claim, the claim before the POST


# ---- every errcode

SENT, REPEATED, FAILS = "sent", "repeated", "fails"
KIND, ACCOUNT, TEMPLATE = "kind:subscription", "account", "template:J5tWfHcX2mNq8sVb"
CLASSES: dict[str, tuple[str, str | None]] = {
    "success": (SENT, None),
    "duplicate": (SENT, None),  # but a template that exists
    "transient": (REPEATED, None),
    "rate_limit": (REPEATED, None),
    "token": (FAILS, None),
    "recipient": (FAILS, None),
    "request": (FAILS, None),
    "template": (FAILS, None),
    "quota": (FAILS, None),
    "config": (FAILS, ACCOUNT),
    "platform": (FAILS, ACCOUNT),
    "permission": (FAILS, KIND),
    "banned": (FAILS, KIND),
    "deprecated": (FAILS, KIND),
    "other": (FAILS, None),
}
"""Written down a second time: what each class means. The codes that differ from their class follow."""
CODES: dict[int, tuple[str, str | None]] = {
    **dict.fromkeys((40001, 40014, 42001, 48012, 45011), (REPEATED, KIND)),
    # On a send it is the AppID of the mini program that this message opens.
    **dict.fromkeys((40013, 41002, 49001), (FAILS, None)),
    **dict.fromkeys((-604101, -604100, 40234, 40235, 45063, 85107), (FAILS, KIND)),
    **dict.fromkeys((41031, 43106, 76003, 76022, 85112, 200011), (FAILS, None)),
    40037: (REPEATED, None),
    **dict.fromkeys((40091, 40094, 42006, 61005, 61006), (REPEATED, ACCOUNT)),
    **dict.fromkeys((43107, 43116, 48011, 200013), (FAILS, TEMPLATE)),
    **dict.fromkeys((41001, 50004, 50007, 61003), (FAILS, ACCOUNT)),
    **dict.fromkeys((45009, 45040, 45093, 45104), (REPEATED, KIND)),
    45501: (REPEATED, ACCOUNT),
    200022: (FAILS, None),
}


@pytest.mark.parametrize("errcode", [*ERROR_CODES, 12345])
def test_every_errcode(door: Door, errcode: int) -> None:
    answered = real(errcode)
    becomes, holds = CODES.get(errcode, CLASSES[answered.error_class.value])
    is_quota = answered.error_class.value == "quota"
    door.plan(*[answered] * 3)  # a rejected token's are attempted once more
    result = door()
    queued = (Status.QUEUED, HELD if is_quota else None)
    status, reason = {
        SENT: (Status.SENT, None),
        FAILS: (Status.FAILED, None),
        REPEATED: queued if door.is_queue else (Status.FAILED, TRY_AGAIN),
    }[becomes]
    assert (result.status, door.entry.status, door.entry.reason) == (status, status, reason)
    assert door.entry.outcome == answered
    known = door.service.ledger_store.circuits.get("shop")
    assert [circuit.scope for circuit in known.circuits] == [holds] if known else holds is None
    waits = door.is_queue and becomes == REPEATED
    assert (held_for(result) is not None, again_in(result) is not None) == (
        waits and holds is not None,
        waits and holds is None,
    )
    opened = "quota.reached" if is_quota else "circuit.opened"
    expected = [opened] if holds and errcode != 45011 else []  # a limit per minute is not announced
    assert events(result) == expected + ["message.failed"] * (becomes == FAILS)


@pytest.mark.parametrize(
    ("answered", "status"),
    [(answer(47003, "thing1.value is empty", field="thing1"), "failed"), (lost(), "unknown")],
    ids=["failed", "unknown"],
)
def test_event_of_an_end(door: Door, answered: Outcome, status: str) -> None:
    door.plan(answered)
    result = door()
    (event,) = result.events
    assert event.detail_type == f"message.{status}"
    assert event.detail == {
        "id": "order-1",
        "account": "shop",
        "kind": "subscription",
        "template_id": "J5tWfHcX2mNq8sVb",
        "openid_hash": door.service.openid_hash(OPENID),
        "attempts": 1,
        "at": "2026-03-01T07:04:05.000Z",
        "status": status,
        **outcome(result).as_dict(),
    }
    assert outcome(result) == as_recorded(answered)


# ---- time


@pytest.mark.parametrize(("seconds_left", "sent"), [(23.9, False), (24.0, True)])
def test_time_for_a_claim(door: Door, seconds_left: float, *, sent: bool) -> None:
    result = door(seconds_left=seconds_left)
    assert isinstance(result, Sent) is sent
    if not sent:
        assert (door.posts, outcome(result).retryable, result.exchange) == (0, True, None)
        assert again_in(result) == (0.0 if door.is_queue else None)
        history = [entry.status for entry in door.service.ledger_store.history]
        assert history == ([] if door.is_queue else [Status.FAILED])


def slow_claims(door: Door, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    put = door.service.ledger_store.put

    def slow(entry: Entry, *, patient: bool = False) -> Entry | None:
        door.advance(0.0 if patient else seconds)
        return put(entry, patient=patient)

    monkeypatch.setattr(door.service.ledger_store, "put", slow)


@pytest.mark.parametrize(("seconds", "attempted"), [(1.0, True), (1.1, False)])
def test_time_after_a_slow_claim(
    door: Door, monkeypatch: pytest.MonkeyPatch, seconds: float, *, attempted: bool
) -> None:
    slow_claims(door, monkeypatch, seconds)
    result = door(seconds_left=24.0)
    assert bool(door.posts) is attempted
    if not attempted:
        assert (type(result), result.attempted) == (RetryAt if door.is_queue else TryAgain, False)
        assert result.exchange == Exchange(outcome(result)._replace(retry_after=2.0), 0, 0.0)
        assert (outcome(result).retryable, events(result), door.entry.attempts) == (True, [], 0)
        door.advance(again_in(result))
        assert door(receive_count=2).status is Status.SENT


@pytest.mark.parametrize("where", ["token", "rejected token", "claim"])
def test_message_expires_on_its_way(door: Door, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    service = door.service
    service.refresher.while_running = lambda: service.clock.advance(5.0)
    if where == "token":
        service.store.tokens.clear()
    elif where == "rejected token":
        service.wechat.reject("wx-shop")
    else:
        slow_claims(door, monkeypatch, 2.0)
    result = door(expires_at=datetime.fromtimestamp(START + 2, UTC))
    assert (result.status, door.entry.status) == (Status.EXPIRED, Status.EXPIRED)
    assert (door.posts, service.wechat.accepted) == (where == "rejected token", [])
    history = [entry.status for entry in service.ledger_store.history]
    assert history == ([] if where == "token" else [Status.SENDING]) + [Status.EXPIRED]


# ---- a ledger that fails


@pytest.mark.parametrize("trouble", ["ThrottlingException", "ReadTimeoutError", "answer lost"])
def test_unclaimed_message_is_not_sent(door: Door, trouble: str) -> None:
    store = door.service.ledger_store
    if trouble == "answer lost":
        store.losing_answers = 1
    else:
        store.failing = {"put": trouble}
    with pytest.raises(StorageError):
        door()
    assert door.posts == 0
    store.failing.clear()
    assert door().status is Status.SENT  # and not unknown, when the claim would be over
    assert door.posts == 1


@pytest.mark.parametrize(
    "answered", [answer(0), answer(47003), answer(-1), answer(45009), lost()], ids=lambda o: str(o.errcode)
)
def test_unrecorded_answer(door: Door, answered: Outcome) -> None:
    """The message is judged when the claim is over."""
    store = door.service.ledger_store
    door.plan(answered)
    door.service.wechat.while_in_flight = lambda _: store.failing.update(put="Throttling")
    result = door()
    assert (type(result), result.status, again_in(result)) == (Unrecorded, Status.SENDING, LEASE)
    assert result.outcome == as_recorded(answered)
    assert events(result) == (["quota.reached"] if answered.errcode == 45009 else [])
    store.failing.clear()
    door.advance(DAY)
    assert (door().status, door.posts) == (Status.UNKNOWN, 1)


def test_entry_is_written_before_circuit(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    put, seen = door.service.ledger_store.put_circuits, []

    def look(circuits: Any) -> Any:
        seen.append(door.entry.status)
        return put(circuits)

    monkeypatch.setattr(door.service.ledger_store, "put_circuits", look)
    door.plan(48001)
    door()
    assert seen == [Status.FAILED]


@pytest.mark.parametrize(
    ("content", "others", "ours", "result_type", "status"),
    [
        (body(), lost(), answer(0), Sent, Status.SENT),
        (AT_LEAST_ONCE, lost(), answer(-1), InFlight, Status.QUEUED),
        (AT_LEAST_ONCE, answer(0), answer(-1), Replayed, Status.SENT),
    ],
    ids=["given_up", "repeated_by_another", "sent_by_another"],
)
def test_claim_lost_during_the_post(  # noqa: PLR0917 - one row of the table
    queue: Door,
    monkeypatch: pytest.MonkeyPatch,
    content: dict[str, Any],
    others: Outcome,
    ours: Outcome,
    result_type: type[Result],
    status: Status,
) -> None:
    def take_too_long(_message: object) -> None:
        queue.service.wechat.while_in_flight = lambda _message: None
        queue.advance(LEASE)
        with monkeypatch.context() as patched:
            patched.setattr(queue.service.wechat, "send", lambda *_: others)
            queue(content)

    queue.service.wechat.while_in_flight = take_too_long
    queue.plan(ours)
    result = queue(content)
    assert (type(result), result.status, queue.entry.status) == (result_type, status, status)
    assert again_in(result) == (60.0 if result_type is InFlight else None)
    assert outcome(result).errcode == ours.errcode


# ---- a process that ends in the middle of a message


class CrashError(BaseException):
    """The process is gone: no handler of ours runs any more."""


def crash(service: Service, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Let the process die at one point of its next message."""
    put, send = service.ledger_store.put, service.wechat.send
    puts = itertools.count(1)

    def die_at_put(entry: Entry, *, patient: bool = False) -> Entry | None:
        number = next(puts)
        if (number, where) in {(1, "claiming"), (2, "finishing")}:
            raise CrashError
        existing = put(entry, patient=patient)
        if (number, where) in {(1, "after the claim"), (2, "after the finish")}:
            raise CrashError
        return existing

    def die_at_post(*given: Any) -> Outcome:
        send(*given)
        raise CrashError

    monkeypatch.setattr(service.ledger_store, "put", die_at_put)
    if where == "posting":
        monkeypatch.setattr(service.wechat, "send", die_at_post)


@pytest.mark.parametrize(
    "content", [body(), body("template"), AT_LEAST_ONCE], ids=["once", "template", "at_least_once"]
)
@pytest.mark.parametrize("where", ["claiming", "after the claim", "posting", "finishing", "after the finish"])
def test_crash_is_judged_later(
    queue: Door, monkeypatch: pytest.MonkeyPatch, where: str, content: dict[str, Any]
) -> None:
    with monkeypatch.context() as patched:
        crash(queue.service, patched, where)
        with pytest.raises(CrashError):
            queue(content)
    if where == "claiming":
        assert queue(content).status is Status.SENT
        return
    if where == "after the finish":
        again = queue(content)
        assert (type(again), again.status, queue.posts) == (Replayed, Status.SENT, 1)
        return
    soon = queue(content, receive_count=2)
    assert (type(soon), again_in(soon)) == (InFlight, LEASE)
    queue.advance(LEASE)
    judged = queue(content, receive_count=3)
    posts = 0 if where == "after the claim" else 1
    if content == body():
        assert (type(judged), judged.attempted, events(judged)) == (Unknown, False, ["message.unknown"])
        assert (queue.entry.reason, queue.posts) == ("answer_not_recorded", posts)
    else:
        assert (type(judged), judged.status, queue.posts) == (Sent, Status.SENT, posts + 1)
    assert events(queue(content)) == []
