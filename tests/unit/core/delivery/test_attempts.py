"""Who repeats what was not sent, and when: the queue and the HTTP caller; tokens and circuits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import START, answer, body, lost, misdirected, unreachable
from tests.unit.core.delivery.doors import (
    DAY,
    OTHER,
    UNTIL_RESET,
    Door,
    again_in,
    as_recorded,
    events,
    held_for,
    outcome,
    real,
)
from wechat_notify.core.delivery.entry import TRY_AGAIN
from wechat_notify.core.delivery.results import (
    Failed,
    Held,
    IdReused,
    InFlight,
    Replayed,
    RetryAt,
    TryAgain,
)
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.outcomes import Outcome, Status


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
        (-1, "template", 20),
        (-1, "one_time_subscription", 5),
        (45102, "one_time_subscription", 20),
        (61450, "one_time_subscription", 20),
        (40037, "subscription", 3),
        (40037, "one_time_subscription", 3),
        (43108, "subscription", 20),
        (43117, "subscription", 20),
        (45011, "subscription", 20),
        (40001, "subscription", 3),
        (48012, "subscription", 3),
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
    assert GIVE_UP_AFTER < queue.service.clock.now() - START < GIVE_UP_AFTER + 2 * 3600
    assert (queue.entry.attempts, queue.entry.reason) == (0, "retries_exhausted")


def test_quota_is_given_up_by_time(queue: Door) -> None:
    assert exhaust(queue, answer(45009)) > 20
    assert 3 * DAY < queue.service.clock.now() - START < 3 * DAY + 2 * 3600
    assert queue.entry.reason == "retries_exhausted"


def test_answers_count_from_one(queue: Door) -> None:
    """What was not judged before does not count."""
    for _ in range(30):
        queue.plan(unreachable())
        queue.advance(again_in(queue()))
    queue.plan(-1)
    assert (queue().status, queue.entry.attempts) == (Status.QUEUED, 1)


def test_hold_is_no_attempt(queue: Door) -> None:
    """An errcode that is worth two repeats is not used up by what held the message before."""
    queue.plan(40001, 40001)
    first = queue(message_id="another")
    assert type(queue()) is Held
    queue.advance((held_for(first) or 0) + 1)
    queue.plan(40001, 40001)
    queue(held_since=START)
    assert [change.errcode for change in queue.entry.timeline] == [40001, None, 40001]
    for _ in range(2):
        queue.advance(3600)
        assert queue.entry.status is Status.QUEUED
        queue.plan(40001, 40001)
        queue(held_since=START)
    assert (queue.entry.status, queue.entry.attempts) == (Status.FAILED, 3)


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
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits == sorted(waits)
    assert max(waits) == 300.0
    assert (http.entry.attempts > 0, http.entry.owns_id) == (
        (True, True) if trouble == "busy" else (False, False)
    )
    http.service.refresher.down = None
    assert http().status is Status.SENT


def test_hasty_caller_uses_nothing_up(http: Door, queue: Door) -> None:
    """Whom the message is left to has attempts of its own."""
    for _ in range(100):
        http.plan(-1)
        assert outcome(http()).retryable
        http.advance(2)
    http.plan(-1)
    assert queue().status is Status.QUEUED


def test_caller_is_told_of_a_hold(http: Door) -> None:
    http.plan(45009)
    result = http()
    assert isinstance(result, TryAgain)
    assert (result.after, outcome(result).retryable, outcome(result).retry_after) == (
        UNTIL_RESET,
        True,
        UNTIL_RESET,
    )
    assert events(result) == ["quota.reached"]  # the message's own failure is its caller's to know


# ---- without a token


def test_no_token_claims_nothing(door: Door) -> None:
    door.trouble("no token")
    result = door(receive_count=3)
    assert type(result) is (RetryAt if door.is_queue else TryAgain)
    assert (outcome(result).unjudged, result.attempted, door.posts) == (True, False, 0)
    assert result.delivery is not None
    assert result.delivery == Delivery(result.delivery.outcome, 0, 0.0)
    assert (result.entry, door.entry.attempts) == (door.entry, 0)
    assert (door.entry.status, door.entry.reason) == (
        (Status.QUEUED, None) if door.is_queue else (Status.FAILED, TRY_AGAIN)
    )
    assert again_in(result) == (8.0 if door.is_queue else None)
    assert door.entry.outcome is not None
    assert door.entry.outcome.unjudged


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


def test_no_token_writes_one_entry(queue: Door) -> None:
    queue.trouble("no token")
    for count in range(1, 5):
        queue(receive_count=count)
        queue.advance(300)
    assert len(queue.service.ledger_store.history) == 1


def test_no_token_for_three_days(queue: Door) -> None:
    queue.trouble("no token")
    queue()
    queue.advance(GIVE_UP_AFTER)
    assert queue(receive_count=500).status is Status.QUEUED
    queue.advance(0.001)
    given_up = queue(receive_count=501)
    assert (type(given_up), events(given_up)) == (Failed, ["message.failed"])
    assert (queue.entry.status, queue.entry.reason) == (Status.FAILED, "retries_exhausted")
    assert queue.entry.outcome == outcome(given_up)


def test_given_up_before_sqs_does(queue: Door) -> None:
    queue.trouble("no token")
    after: float | None = 0.0
    for count in range(1, 1001):
        after = again_in(queue(receive_count=count))
        if after is None:
            break
        queue.advance(after)
    assert (after, queue.entry.reason) == (None, "retries_exhausted")


@pytest.mark.parametrize("trouble", ["no token", "quota"])
def test_resumed_message_begins_anew(http: Door, accept: Door, queue: Door, trouble: str) -> None:
    """What is tried again days later is not given up at the first trouble."""
    http.plan(-1)
    http()
    http.advance(GIVE_UP_AFTER + DAY)
    accept()
    if trouble == "quota":
        queue.service.token_refresher.refresh("shop")
        queue.plan(45009)
    else:
        queue.trouble("no token")
    assert queue().status is Status.QUEUED


def test_unusable_secret_holds_the_account(door: Door) -> None:
    service = door.service
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164, "invalid ip 198.51.100.7"))
    first = door()
    assert (outcome(first).errcode, events(first)) == (40164, ["circuit.opened"])
    if door.is_queue:
        assert (first.status, held_for(first)) == (Status.QUEUED, 300.0)
    else:
        assert isinstance(first, TryAgain)
        assert (first.after, outcome(first).retry_after) == (300.0, 300.0)
    fetches = len(service.wechat.fetches)
    second = door(message_id="order-2")
    assert (type(second), events(second), len(service.wechat.fetches)) == (Held, [], fetches)
    service.wechat.refusals.clear()
    door.advance(300)
    probe = door(message_id="order-3")
    assert (probe.status, events(probe)) == (Status.SENT, ["circuit.closed"])
    assert door(message_id="order-4").status is Status.SENT


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


@pytest.mark.parametrize("trouble", ["held", "no token", "no time"])
def test_try_again_meets_new_trouble(http: Door, trouble: str) -> None:
    http.plan(-1)
    http()
    seconds_left = http.trouble(trouble)
    again = http(seconds_left=seconds_left)
    assert type(again) is (Held if trouble == "held" else TryAgain)
    assert outcome(again).unjudged


def test_in_flight_while_held(http: Door) -> None:
    results = http.meanwhile()
    come_again = http.service.wechat.while_in_flight

    def hold_and_come_again(message: Any) -> None:
        http.trouble("held")
        come_again(message)

    http.service.wechat.while_in_flight = hold_and_come_again
    http()
    assert [type(each) for each in results] == [InFlight]
