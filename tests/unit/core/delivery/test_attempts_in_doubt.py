"""Lost answers: whether the message is repeated, by whom, when, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import START, answer, body, lost, unreachable
from tests.unit.core.delivery.doors import (
    AT_LEAST_ONCE,
    LEASE,
    Door,
    again_in,
    claim,
    events,
    held_for,
    outcome,
    repeat_after,
)
from wechat_notify.core.delivery.results import Held, NotDue, Replayed, RetryAt, Sent, Unknown
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Outcome, Status

TEMPLATE = body("template")
repeatable = pytest.mark.parametrize("content", [TEMPLATE, AT_LEAST_ONCE], ids=["template", "at_least_once"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "template"])
def test_unrepeatable_loss_is_final(door: Door, kind: str) -> None:
    door.plan(lost())
    result = door(body(kind))
    assert (type(result), repeat_after(result)) == (Unknown, None)
    assert result.exchange
    assert result.exchange.outcome == result.outcome != lost()
    entry = door.entry
    assert (entry.status, entry.lost_at, entry.next_attempt_at) == (Status.UNKNOWN, START, None)
    again = door(body(kind))
    assert (type(again), repeat_after(again), door.posts) == (Replayed, None, 1)


@repeatable
def test_queue_repeats_after_a_loss(queue: Door, content: dict[str, Any]) -> None:
    queue.plan(lost())
    first = queue(content)
    assert (first.status, again_in(first), events(first)) == (Status.QUEUED, 10.0, [])
    assert outcome(first).hint.en.endswith(
        "It is sent again: WeChat drops the second copy, or its sender asked for at least once."
    )
    assert outcome(first).hint.zh.endswith("服务会自动重发：微信会去重，或发送方要求至少送达一次。")
    queue.advance(10)
    second = queue(content, receive_count=2)
    assert (type(second), queue.entry.lost_at) == (Sent, None)
    sent = [message.wire() for message, _ in queue.service.wechat.attempts]
    assert sent[0] == sent[1]


@pytest.mark.parametrize(
    ("content", "due"), [(TEMPLATE, 0.0), (AT_LEAST_ONCE, 10.0)], ids=["template", "at_least_once"]
)
def test_caller_repeats_after_a_loss(http: Door, content: dict[str, Any], due: float) -> None:
    """A deduplicated message may be repeated at once, though its caller is told to wait as well."""
    http.plan(lost())
    first = http(content)
    assert (type(first), repeat_after(first)) == (Unknown, 10.0)
    assert outcome(first).hint.en.endswith(
        "Repeat it under the same id: WeChat drops the second copy, or you asked for at least once."
    )
    http.advance(due)
    assert type(http(content)) is Sent


@pytest.mark.parametrize(("answers_lost", "pause"), [(1, 10.0), (2, 30.0)])
def test_repeat_of_abandoned_template(http: Door, answers_lost: int, pause: float) -> None:
    """A look-up gave the dead claim up; where nothing can be sent, its caller hears when to repeat."""
    parsed = parse_message(TEMPLATE, "order-1")[0]
    request = SendRequest("order-1", "shop", TEMPLATE)
    if answers_lost == 2:
        http.plan(lost())
        http(TEMPLATE)
    http.service.ledger.claim(request, parsed, 60.0, takes_queued=False)
    http.advance(LEASE)
    http.service.dispatcher.look_up("shop", "order-1")
    again = http(TEMPLATE, seconds_left=10.0)
    assert (type(again), repeat_after(again)) == (Replayed, pause)
    http.advance(480 - LEASE)
    assert repeat_after(http(TEMPLATE, seconds_left=10.0)) is None


@repeatable
@pytest.mark.parametrize(
    ("second", "becomes"),
    [
        (answer(0, msgid=5), Status.SENT),
        (answer(40241), Status.SENT),
        (lost(), Status.QUEUED),
        (unreachable(), Status.QUEUED),
        *[(answer(code), Status.QUEUED) for code in (-1, 45009, 45011)],
        *[(answer(code), Status.UNKNOWN) for code in (40003, 48001)],
    ],
    ids=lambda value: str(value.errcode or value.cause) if isinstance(value, Outcome) else None,
)
def test_second_answer_on_the_queue(
    queue: Door, content: dict[str, Any], second: Outcome, becomes: Status
) -> None:
    """Only WeChat's word makes a message in doubt sent, and nothing makes it failed."""
    queue.plan(lost(), second)
    queue(content)
    queue.advance(10)
    result = queue(content, receive_count=2)
    assert (result.status, queue.entry.status) == (becomes, becomes)
    assert queue.entry.lost_at == (None if becomes is Status.SENT else START)
    assert ("message.unknown" in events(result)) == (becomes is Status.UNKNOWN)
    waits = again_in(result) is not None or held_for(result) is not None
    assert waits == (becomes is Status.QUEUED)


@pytest.mark.parametrize("second", [lost(), *map(answer, (-1, 45009, 47003))], ids=lambda o: str(o.errcode))
def test_second_answer_over_http(http: Door, second: Outcome) -> None:
    """Every end but success is unknown, and the event does not speak of the later attempt's answer."""
    http.plan(lost(), second)
    http(AT_LEAST_ONCE)
    http.advance(10)
    result = http(AT_LEAST_ONCE)
    assert (type(result), result.attempted, http.entry.lost_at) == (Unknown, True, START)
    (event,) = [event for event in result.events if event.detail_type == "message.unknown"]
    assert event.detail.get("class") == ("unknown" if second.errcode is None else None)


# ---- how long


def test_four_copies_from_the_queue(queue: Door) -> None:
    queue.plan(*[lost()] * 30)
    results = []
    for count in range(1, 6):
        results.append(queue(AT_LEAST_ONCE, receive_count=count))
        queue.advance(again_in(results[-1]))
    assert [result.status for result in results] == [Status.QUEUED] * 3 + [Status.UNKNOWN] * 2
    assert [again_in(result) for result in results] == [10.0, 30.0, 90.0, None, None]
    assert (queue.posts, queue.entry.answers_lost, queue.entry.lost_at) == (4, 4, START)


def test_four_copies_from_the_caller(http: Door) -> None:
    http.plan(*[lost()] * 30)
    pauses = []
    for _ in range(6):
        pauses.append(repeat_after(http(AT_LEAST_ONCE)))
        http.advance(pauses[-1])
    assert (pauses, http.posts) == ([10.0, 30.0, 90.0, None, None, None], 4)


def test_pause_counts_lost_answers(queue: Door) -> None:
    """Not the refusals before."""
    queue.plan(-1, lost())
    queue.advance(again_in(queue(AT_LEAST_ONCE)))
    assert again_in(queue(AT_LEAST_ONCE)) == 10.0


# ---- pauses are the message's, not its copy's


def test_copy_keeps_the_pause(queue: Door) -> None:
    """SQS hands a message out twice at times, and accepting one may put a second copy there."""
    queue.plan(43117)
    first = queue()
    assert isinstance(first, RetryAt)
    assert (first.entry, first.outcome) == (queue.entry, answer(43117))
    second = queue()
    assert (type(second), again_in(second), queue.posts) == (NotDue, first.after, 1)
    queue.advance(first.after)
    assert queue().status is Status.SENT


def test_pause_to_the_millisecond(queue: Door) -> None:
    dispatcher = queue.service.dispatcher
    dispatcher._parts = dispatcher._parts._replace(jitter=lambda _low, _high: 3.45678)
    queue.plan(-1)
    queue()
    assert queue.entry.next_attempt_at == round(START + 2.0 + 3.45678, 3)


def test_hold_keeps_the_pause(queue: Door) -> None:
    queue.plan(lost(), 45011)
    queue(AT_LEAST_ONCE)
    queue(message_id="another")
    assert type(queue(AT_LEAST_ONCE)) is Held
    assert queue.entry.next_attempt_at == START + 10


def test_accepting_keeps_the_pause(http: Door, accept: Door, queue: Door) -> None:
    http.plan(lost())
    http(AT_LEAST_ONCE)
    assert accept(AT_LEAST_ONCE).status is Status.QUEUED
    assert again_in(queue(AT_LEAST_ONCE)) == 10.0
    queue.advance(10)
    assert queue(AT_LEAST_ONCE).status is Status.SENT


def test_refusal_keeps_the_pause(http: Door, queue: Door) -> None:
    """A caller that repeats at once hears what is known, and WeChat is left alone."""
    http.plan(lost(), 47003)
    http(AT_LEAST_ONCE)
    http.advance(11)
    refused = http(AT_LEAST_ONCE)
    assert (type(refused), repeat_after(refused)) == (Unknown, 10.0)
    http.advance(4)
    for door in (http, http, queue):
        again = door(AT_LEAST_ONCE)
        assert (type(again), events(again)) == (NotDue if door.is_queue else Replayed, [])
        assert (repeat_after(again), again.outcome) == (None if door.is_queue else 6.0, http.entry.outcome)
    assert http.posts == 2


def test_abandoned_claim_over_http(http: Door) -> None:
    claim(http.service)
    http.advance(LEASE)
    result = http()
    assert (type(result), result.attempted, repeat_after(result)) == (Unknown, False, None)
