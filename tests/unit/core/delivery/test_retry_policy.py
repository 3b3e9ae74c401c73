from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import START, answer, body, highest, lost, lowest, message, misdirected, unreachable
from tests.unit.core.delivery.doors import AT_LEAST_ONCE
from wechat_notify.core.delivery.entry import HELD, TRY_AGAIN, Change, Entry
from wechat_notify.core.delivery.retry_policy import (
    CALLER,
    GIVE_UP_AFTER,
    QUEUE,
    Decision,
    RetryPolicy,
    caller_wait,
    queue_wait,
    repeatable,
)
from wechat_notify.core.messages.envelope import SendRequest, with_options
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Outcome, Status

TEMPLATE = body("template")
REQUEST = SendRequest("x", "shop", body())
EXHAUSTED = Decision(Status.FAILED, "retries_exhausted")
QUEUED = Decision(Status.QUEUED)
AGAIN = Decision(Status.FAILED, TRY_AGAIN)
sending = Change(Status.SENDING, START)


def claimed(**fields: Any) -> Entry:
    return Entry("shop", "x", Status.SENDING, "f", "w", START, START, **fields)


# ---- pauses


@pytest.mark.parametrize(
    ("outcome", "least", "most"),
    [
        (answer(-1), 2.0, 4.0),
        (unreachable(), 2.0, 4.0),
        (answer(43117), 60.0, 62.0),
        (answer(40037), 0.0, 2.0),
        (lost(), 10.0, 12.0),
        (misdirected(), 300.0, 360.0),
    ],
    ids=lambda value: str(value.errcode or value.cause) if isinstance(value, Outcome) else None,
)
def test_first_pause(outcome: Outcome, least: float, most: float) -> None:
    assert (queue_wait(outcome, 1, lowest), queue_wait(outcome, 1, highest)) == (least, most)
    assert queue_wait(outcome, 0, highest) == most


COUNTS = (1, 2, 3, 4, 5, 8, 9, 100_000)


@pytest.mark.parametrize(
    ("outcome", "jitter", "pauses"),
    [
        (unreachable(), highest, [4.0, 8.0, 16.0, 32.0, 64.0, 316.0, 360.0, 360.0]),
        (unreachable(), lowest, [2.0, 4.0, 8.0, 16.0, 32.0, 256.0, 300.0, 300.0]),
        (answer(-1), highest, [4.0, 4.0, 8.0, 16.0, 32.0, 256.0, 300.0, 300.0]),
        (answer(-1), lowest, [2.0] * 8),
        (lost(), lowest, [10.0, 30.0, 90.0, 270.0, 300.0, 300.0, 300.0, 300.0]),
        (misdirected(), lowest, [300.0, 600.0, 900.0, 900.0, 900.0, 900.0, 900.0, 900.0]),
    ],
    ids=["unsent_most", "unsent_least", "answered_most", "answered_least", "lost", "mending"],
)
def test_pauses_grow(outcome: Outcome, jitter: Any, pauses: list[float]) -> None:
    assert [queue_wait(outcome, count, jitter) for count in COUNTS] == pauses


@pytest.mark.parametrize(
    ("outcome", "waits"),
    [(answer(-1), [2, 4, 8, 256, 300, 300]), (answer(43117), [60, 120, 240, 300, 300, 300])],
)
def test_waits_of_a_caller(outcome: Outcome, waits: list[float]) -> None:
    assert [caller_wait(outcome, count) for count in (1, 2, 3, 8, 9, 500)] == waits


# ---- what may be repeated


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_least_once", [False, True])
@pytest.mark.parametrize(("answers_lost", "end"), [(3, False), (4, True)])
@pytest.mark.parametrize("later", [479.9, 480.0])
def test_repeatable_after_a_loss(
    kind: str, *, at_least_once: bool, answers_lost: int, end: bool, later: float
) -> None:
    request = SendRequest("x", "shop", body(kind), at_least_once=at_least_once)
    dropped = kind == "template" and later < 480
    options = {"client_msg_id": "x"} if kind == "template" else {}
    found = repeatable(request, message(kind, **options), START, answers_lost, START + later)
    assert found == (dropped or (at_least_once and not end))
    assert repeatable(request, None, START, answers_lost, START) == (at_least_once and not end)


# ---- decisions


@pytest.mark.parametrize(
    ("policy", "outcome", "entry", "later", "decision"),
    [
        (QUEUE, answer(-1), claimed(attempts=19, timeline=(sending,) * 20), 0.0, QUEUED),
        (QUEUE, answer(-1), claimed(attempts=20, timeline=(sending,) * 19), 0.0, QUEUED),
        (QUEUE, answer(-1), claimed(attempts=20, timeline=(sending,) * 20), 0.0, EXHAUSTED),
        (CALLER, answer(-1), claimed(attempts=19), 1800.0, AGAIN),
        (CALLER, answer(-1), claimed(attempts=20), 1799.9, AGAIN),
        (CALLER, answer(-1), claimed(attempts=20), 1800.0, EXHAUSTED),
        (CALLER, answer(-1), claimed(attempts=20, resumed_at=START + 1), 1800.0, AGAIN),
        (QUEUE, unreachable(), claimed(attempts=100), GIVE_UP_AFTER, QUEUED),
        (QUEUE, unreachable(), claimed(), GIVE_UP_AFTER + 0.001, EXHAUSTED),
        (QUEUE, answer(45009), claimed(attempts=100), GIVE_UP_AFTER, Decision(Status.QUEUED, HELD)),
        (QUEUE, answer(45009), claimed(), GIVE_UP_AFTER + 0.001, EXHAUSTED),
        (CALLER, answer(45009), claimed(), 0.0, AGAIN),
        (QUEUE, answer(45011), claimed(), 0.0, QUEUED),
        (QUEUE, answer(47003), claimed(), 0.0, Decision(Status.FAILED)),
        (QUEUE, answer(0), claimed(lost_at=START), 0.0, Decision(Status.SENT)),
    ],
)
def test_end_of_the_attempts(
    policy: RetryPolicy, outcome: Outcome, entry: Entry, later: float, decision: Decision
) -> None:
    assert policy.decide(REQUEST, message(), entry, outcome, START + later) == decision


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(answer(-1), Status.EXPIRED), (answer(47003), Status.FAILED)],
)
def test_expired_during_the_attempt(outcome: Outcome, status: Status) -> None:
    request = REQUEST._replace(expires_at=datetime.fromtimestamp(START, UTC))
    assert QUEUE.decide(request, message(), claimed(), outcome, START) == Decision(status)


@pytest.mark.parametrize(
    ("timeline", "status"), [((40037, -1, -1), Status.QUEUED), ((40037, -1, 40037), Status.FAILED)]
)
def test_errcode_worth_two_repeats(timeline: tuple[int, ...], status: Status) -> None:
    """Other errors in between do not count."""
    changes = tuple(Change(Status.QUEUED, START, errcode) for errcode in timeline)
    held = Change(Status.QUEUED, START, 40037, HELD)
    entry = claimed(attempts=len(timeline) + 1, timeline=(*changes, held, held))
    assert QUEUE.decide(REQUEST, message(), entry, answer(40037), START).status is status


LOSS = claimed(lost_at=START - 1, answers_lost=1)


@pytest.mark.parametrize(
    ("policy", "content", "outcome", "entry", "later", "status", "may"),
    [
        (QUEUE, body(), lost(), claimed(), 0.0, Status.UNKNOWN, False),
        (QUEUE, body(), answer(-1), LOSS, 0.0, Status.UNKNOWN, False),
        (QUEUE, AT_LEAST_ONCE, lost(), claimed(), 0.0, Status.QUEUED, True),
        (CALLER, AT_LEAST_ONCE, lost(), claimed(), 0.0, Status.UNKNOWN, True),
        (QUEUE, AT_LEAST_ONCE, answer(-1), LOSS, 0.0, Status.QUEUED, True),
        (QUEUE, AT_LEAST_ONCE, unreachable(), LOSS, 0.0, Status.QUEUED, True),
        (QUEUE, AT_LEAST_ONCE, answer(47003), LOSS, 0.0, Status.UNKNOWN, True),
        (QUEUE, AT_LEAST_ONCE, unreachable(), LOSS, GIVE_UP_AFTER + 1, Status.UNKNOWN, True),
        (QUEUE, TEMPLATE, lost(), claimed(), 479.0, Status.QUEUED, True),
        (QUEUE, TEMPLATE, lost(), LOSS, 479.0, Status.UNKNOWN, False),
    ],
)
def test_doubt_is_never_forgotten(  # noqa: PLR0917 - one row of the table
    policy: RetryPolicy,
    content: dict[str, Any],
    outcome: Outcome,
    entry: Entry,
    later: float,
    status: Status,
    *,
    may: bool,
) -> None:
    parsed = parse_message(content, "x")[0]
    request = with_options(SendRequest("x", "shop", content), parsed)
    decision = policy.decide(request, parsed, entry, outcome, START + later)
    lost_count = entry.answers_lost + (outcome.status is Status.UNKNOWN)
    assert decision == Decision(status, None, entry.lost_at or START, lost_count, may)
