"""Who repeats what was not sent, and when: the queue and the HTTP caller; tokens, circuits and probes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.fakes import START, answer, body, break_down, lost, misdirected, unreachable
from tests.unit.core.delivery.doors import (
    DAY,
    OTHER,
    UNTIL_RESET,
    Door,
    again_in,
    as_recorded,
    claim,
    events,
    held_for,
    outcome,
    real,
)
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.delivery.entry import TRY_AGAIN
from wechat_notify.core.delivery.own_outcomes import held
from wechat_notify.core.delivery.results import Failed, Held, IdReused, InFlight, Replayed, RetryAt, TryAgain
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual


def exhaust(door: Door, answered: Outcome, content: dict[str, Any] | None = None, most: int = 100) -> int:
    """Attempts until the message has come to its end."""
    for count in range(1, most + 1):
        door.plan(*[answered] * 3)
        result = door(content, receive_count=count, held_since=START if count > 1 else None)
        door.service.wechat.plan.clear()
        if result.status is not Status.QUEUED and not door.entry.awaits_caller:
            assert (result.status, events(result)[-1:]) == (Status.FAILED, ["message.failed"])
            return count
        door.advance((held_for(result) or again_in(result) or 3600) + 1)
    raise AssertionError("it goes on and on")


# ---- how often


@pytest.mark.parametrize(
    ("errcode", "kind", "attempts"),
    [
        (-1, "subscription", 20),
        (-1, "one_time_subscription", 5),
        (40037, "subscription", 3),
        (45011, "subscription", 20),
        (40001, "subscription", 3),
        (47003, "subscription", 1),
    ],
)
def test_attempts_by_errcode(door: Door, errcode: int, kind: str, attempts: int) -> None:
    assert exhaust(door, real(errcode, kind), body(kind)) == attempts
    assert door.entry.attempts == attempts
    assert door.entry.reason == ("retries_exhausted" if attempts > 1 else None)


@pytest.mark.parametrize("answered", [unreachable(), misdirected()], ids=["unreachable", "misdirected"])
def test_unsent_is_given_up_by_time(queue: Door, answered: Outcome) -> None:
    """Before SQS gives it up after 1,000 receives."""
    dispatcher = queue.service.dispatcher
    dispatcher._parts = dispatcher._parts._replace(jitter=lambda low, high: (low + high) / 2)
    assert 20 < exhaust(queue, answered, most=1000) < 950
    assert 3 * DAY < queue.service.clock.now() - START < 3 * DAY + 2 * 3600
    assert (queue.entry.attempts, queue.entry.reason) == (0, "retries_exhausted")


# ---- the caller's repeats


@pytest.mark.parametrize("trouble", ["busy", "unreachable", "no token", "no time"])
def test_caller_waits_longer_each_time(http: Door, trouble: str) -> None:
    """Who repeats at Retry-After gets through after an outage of half an hour, and nothing is used up."""
    planned = {"busy": [answer(-1)], "unreachable": [unreachable()]}.get(trouble, [])
    seconds_left = http.trouble(trouble)
    waits: list[float] = []
    while sum(waits) < 1800:
        http.plan(*planned)
        result = http(seconds_left=seconds_left)
        assert isinstance(result, TryAgain)
        assert (result.entry, events(result)) == (http.entry, [])
        assert (outcome(result).retryable, outcome(result).retry_after) == (True, result.after)
        assert http.entry.awaits_caller
        waits.append(result.after)
        http.advance(result.after)
    assert waits[:9] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0]
    assert (http.entry.attempts > 0) == http.entry.owns_id == (trouble == "busy")
    http.service.refresher.down = None
    assert http().status is Status.SENT


def test_caller_is_told_of_a_hold(http: Door) -> None:
    http.plan(45009)
    result = http()
    assert isinstance(result, TryAgain)
    assert result.after == outcome(result).retry_after == UNTIL_RESET
    assert outcome(result).retryable
    assert events(result) == ["quota.reached"]  # the message's own failure is its caller's to know


# ---- without a token


def test_no_token_claims_nothing(door: Door) -> None:
    door.trouble("no token")
    result, entry = door(receive_count=3), door.entry
    assert entry.outcome is not None
    assert entry.outcome.unjudged
    assert result.exchange == Exchange(entry.outcome, 0, 0.0)
    assert (result.entry, result.attempted, entry.attempts, door.posts) == (entry, False, 0, 0)
    if door.is_queue:
        assert (type(result), again_in(result), entry.status, entry.reason) == (
            RetryAt,
            8.0,
            Status.QUEUED,
            None,
        )
    else:
        assert (type(result), entry.status, entry.reason) == (TryAgain, Status.FAILED, TRY_AGAIN)
    assert outcome(result).unjudged


def test_no_token_and_silent_ledger(http: Door) -> None:
    http.trouble("no token")
    http.service.ledger_store.failing = {"put": "ServiceUnavailable"}
    result = http()
    assert isinstance(result, TryAgain)
    assert (result.after, outcome(result).retry_after, result.entry) == (2.0, 2.0, None)


def test_caller_ends_nothing_that_waits(http: Door, queue: Door) -> None:
    queue.plan(-1)
    queue()
    http.trouble("no token")
    assert (http().status, http.entry.status) == (Status.QUEUED, Status.QUEUED)


def test_corrected_message_takes_the_id(http: Door) -> None:
    """Of one that got no token."""
    http.trouble("no token")
    http()
    assert type(http(OTHER)) is TryAgain
    http.service.refresher.down = None
    http.advance(2)
    assert http(OTHER).status is Status.SENT


def test_no_token_for_three_days(queue: Door) -> None:
    queue.trouble("no token")
    queue()
    queue.advance(GIVE_UP_AFTER)
    assert queue(receive_count=500).status is Status.QUEUED
    queue.advance(0.001)
    given_up = queue(receive_count=501)
    assert (type(given_up), events(given_up)) == (Failed, ["message.failed"])
    assert (queue.entry.reason, queue.entry.outcome) == ("retries_exhausted", given_up.outcome)


def test_resumed_message_begins_anew(http: Door, accept: Door, queue: Door) -> None:
    """What is tried again days later is not given up at the first trouble."""
    http.plan(-1)
    http()
    http.advance(GIVE_UP_AFTER + DAY)
    accept()
    queue.trouble("no token")
    assert queue().status is Status.QUEUED


def test_unusable_secret_holds_the_account(door: Door) -> None:
    service = door.service
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    first = door()
    assert (outcome(first).errcode, events(first)) == (40164, ["circuit.opened"])
    assert isinstance(first, Held if door.is_queue else TryAgain)
    assert (first.after, first.status) == (300.0, Status.QUEUED if door.is_queue else None)
    assert door.is_queue or outcome(first).retry_after == 300.0
    fetches = len(service.wechat.fetches)
    second = door(message_id="order-2")
    assert (type(second), events(second), len(service.wechat.fetches)) == (Held, [], fetches)
    service.wechat.refusals.clear()
    door.advance(300)
    probe = door(message_id="order-3")
    assert (probe.status, events(probe)) == (Status.SENT, ["circuit.closed"])


# ---- what an earlier call left, where nothing can be sent


@pytest.mark.parametrize("trouble", ["held", "no token", "no time"])
@pytest.mark.parametrize("answered", [answer(0), answer(47003), lost()], ids=lambda o: str(o.errcode))
def test_trouble_denies_no_outcome(http: Door, trouble: str, answered: Outcome) -> None:
    http.plan(answered)
    first = http()
    seconds_left = http.trouble(trouble)
    again = http(seconds_left=seconds_left)
    assert (type(again), again.status, again.outcome) == (Replayed, first.status, as_recorded(answered))
    reused = http(OTHER, seconds_left=seconds_left)
    assert (type(reused), reused.outcome) == (IdReused, again.outcome)
    assert type(http(message_id="another", seconds_left=seconds_left)) is not Replayed


# ---- held by a circuit, and probes


def test_held_message_calls_nobody(door: Door) -> None:
    door.hold()
    result = door()
    assert (type(result), held_for(result)) == (Held, UNTIL_RESET)
    told = outcome(result)
    assert (told.errcode, told.retry_after, told.unjudged, told.retryable) == (45009, UNTIL_RESET, True, True)
    assert "What to do about 45009." in told.hint.en
    assert "如何处理 45009。" in told.hint.zh
    assert "2026-03-01T16:02:00.000Z" in told.hint.en
    assert (door.posts, door.service.store.reads) == (0, [])
    if door.is_queue:
        assert (result.entry, result.status) == (door.entry, Status.QUEUED)
        assert (door.entry.reason, door.entry.outcome) == ("held", told)
    else:
        assert ("shop", "order-1") not in door.service.ledger_store.entries


@pytest.mark.parametrize(("left", "after"), [(1.5, 1.5), (0.5, 1.0)])
def test_hold_is_a_second_at_least(http: Door, left: float, after: float) -> None:
    http.hold()
    http.advance(UNTIL_RESET - left)
    assert held_for(http()) == after


def test_held_by_its_own_answer(queue: Door) -> None:
    queue.plan(45009)
    result = queue()
    assert (type(result), held_for(result)) == (Held, UNTIL_RESET)
    assert (result.entry, result.outcome) == (queue.entry, answer(45009))
    assert queue.entry.next_attempt_at is None


def test_parked_message_costs_nothing(queue: Door) -> None:
    queue.hold()
    queue()
    queue.service.ledger_store.puts = 0
    result = queue(held_since=START)
    assert (type(result), result.entry, outcome(result).errcode) == (Held, None, 45009)
    assert (queue.service.ledger_store.puts, queue.service.ledger_store.reads) == (0, 0)


def test_held_for_three_days(queue: Door) -> None:
    queue.hold()
    queue()
    queue.advance(GIVE_UP_AFTER)
    queue.hold()
    assert type(queue(held_since=START)) is Held
    queue.advance(1)
    given_up = queue(held_since=START)
    assert (type(given_up), events(given_up)) == (Failed, ["message.failed"])
    assert queue.entry.reason == "retries_exhausted"


@pytest.mark.parametrize("state", ["sent", "failed", "in flight", "cancelled", "other message"])
def test_unsendable_takes_no_probe(door: Door, accept: Door, state: str) -> None:
    content = OTHER if state == "other message" else None
    if state == "failed":
        door.plan(43101)
    if state == "in flight":
        claim(door.service, 100_000.0, "old")
    elif state == "cancelled":
        accept(message_id="old")
        door.service.dispatcher.cancel("shop", "old")
    else:
        door(message_id="old")
    door.hold(48001)
    door.advance(301)
    assert type(door(content, message_id="old")) in {Replayed, InFlight, IdReused}
    assert door.posts == 0
    assert door(message_id="new").status is Status.SENT


@pytest.mark.parametrize("trouble", ["no time", "error"])
def test_unsent_probe_is_released(queue: Door, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    queue.hold(48001)
    queue.advance(301)
    with monkeypatch.context() as patched, suppress(RuntimeError):
        if trouble == "error":
            patched.setattr(queue.service.sender, "token", break_down)
        queue(message_id="unlucky", seconds_left=5.0)
    assert queue(message_id="live").status is Status.SENT


def test_undecided_probe_keeps_its_minute(queue: Door) -> None:
    queue.hold(48001)
    queue.advance(301)
    queue.plan(-1)
    queue(message_id="probe")
    assert held_for(queue(message_id="next")) == 60.0


def test_hold_without_advice() -> None:
    circuit = Circuit("account", ErrorClass.QUOTA, 45009, START, START + 60.0)
    assert held(circuit, 60.0).hint == Bilingual(
        "Nothing was sent: the answer to an earlier message holds for this one too. errcode 45009. "
        "The next attempt is due at 2026-03-01T07:05:05.000Z.",
        "消息未发出：微信此前的应答对该消息同样适用。错误码 45009。下次尝试时间为 2026-03-01T07:05:05.000Z。",
    )
