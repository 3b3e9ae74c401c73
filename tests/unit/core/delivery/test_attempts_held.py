"""Messages that a circuit holds, and probes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.fakes import START, Service, answer, body, unreachable
from tests.unit.core.delivery.doors import (
    OTHER,
    UNTIL_RESET,
    Door,
    claim,
    events,
    held_for,
    outcome,
)
from wechat_notify.core.delivery.results import (
    Failed,
    Held,
    IdReused,
    InFlight,
    Replayed,
)
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER
from wechat_notify.core.errors import StorageError, TokenUnavailableError, UnknownAccountError
from wechat_notify.core.outcomes import Status
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.outcomes import outcome_of


def test_held_message_is_told_why(door: Door) -> None:
    refused = outcome_of(Answer(40164, "invalid ip 198.51.100.7, not in whitelist", None, None, None))
    door.service.store.tokens.clear()
    door.service.wechat.refuse_tokens("wx-shop", refused)
    door(message_id="the one before")
    held = door()
    assert type(held) is Held
    hint = outcome(held).hint
    assert "Nothing was sent" in hint.en
    assert "Add 198.51.100.7 to the account's IP whitelist" in hint.en
    assert "请将 198.51.100.7 加入账号的 IP 白名单" in hint.zh


def test_held_message_calls_nobody(door: Door) -> None:
    door.hold()
    result = door()
    assert (type(result), held_for(result)) == (Held, UNTIL_RESET)
    told = outcome(result)
    assert (told.errcode, told.retry_after, told.unjudged, told.retryable) == (45009, UNTIL_RESET, True, True)
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
    for _ in range(5):
        queue.advance(900)
        result = queue(held_since=START)
        assert (type(result), result.entry) == (Held, None)
        assert outcome(result).errcode == 45009
    assert (queue.service.ledger_store.puts, queue.service.ledger_store.reads) == (0, 0)


def test_others_go_on(door: Door) -> None:
    door.hold()
    door.service.add_account("bank")
    assert door(message_id="a", account="bank").status is Status.SENT
    assert door(body("template"), message_id="b").status is Status.SENT
    assert type(door(message_id="c")) is Held


def test_held_message_goes_out(queue: Door) -> None:
    queue.hold()
    queue()
    queue.advance(UNTIL_RESET)
    result = queue(held_since=START)
    assert (result.status, events(result)) == (Status.SENT, ["circuit.closed"])


def test_held_for_three_days(queue: Door) -> None:
    queue.hold()
    queue()
    queue.advance(GIVE_UP_AFTER)
    queue.hold()
    assert type(queue(held_since=START)) is Held
    queue.advance(1)
    given_up = queue(held_since=START)
    assert (type(given_up), events(given_up)) == (Failed, ["message.failed"])
    assert (queue.entry.status, queue.entry.reason) == (Status.FAILED, "retries_exhausted")


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
    for _ in range(3):
        assert type(door(content, message_id="old")) in {Replayed, InFlight, IdReused}
    assert door.posts == 0
    assert door(message_id="new").status is Status.SENT


def raises(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("trouble", ["no token", "no time", "claim lost", "unknown account"])
def test_unsent_probe_is_released(queue: Door, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    queue.hold(48001)
    queue.advance(301)
    service: Service = queue.service
    service.dispatcher.prepare(["shop"])
    with monkeypatch.context() as patch:
        if trouble == "no token":
            patch.setattr(service.sender, "token", raises(TokenUnavailableError(unreachable())))
        elif trouble == "unknown account":
            patch.setattr(service.sender, "token", raises(UnknownAccountError("shop")))
        elif trouble == "claim lost":
            patch.setattr(service.ledger, "claim", raises(StorageError("write", "Throttling")))
        with suppress(StorageError, UnknownAccountError):
            queue(message_id="unlucky", seconds_left=5.0 if trouble == "no time" else 60.0)
    assert queue(message_id="live").status is Status.SENT
