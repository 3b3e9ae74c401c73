from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import START, answer, lost
from tests.unit.core.delivery.test_transitions import LEGAL
from wechat_notify.core.delivery.entry import HELD, TRY_AGAIN, Change, Entry
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.errors import IllegalTransitionError
from wechat_notify.core.outcomes import Outcome, Status


def entry(status: Status = Status.SENDING, **fields: Any) -> Entry:
    return Entry("shop", "order-1", status, "fingerprint", "writer", START, START, **fields)


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_legal_transitions(before: Status, after: Status) -> None:
    kept = entry(before, version=7)
    if after.value in LEGAL.get(before.value, "").split():
        moved = kept.moved(after, writer="w", now=START + 1)
        assert (moved.status, moved.version, moved.writer) == (after, 8, "w")
        assert (moved.created_at, moved.updated_at) == (START, START + 1)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{before} -> {after}"):
            kept.moved(after, writer="w", now=START + 1)


def test_next_version_clears_waiting_fields() -> None:
    kept = entry(lease_until=1.0, next_attempt_at=2.0, reason="held", attempts=3, lost_at=4.0)
    moved = kept.moved(Status.QUEUED, writer="w", now=START)
    assert (moved.lease_until, moved.next_attempt_at, moved.reason) == (None, None, None)
    assert (moved.attempts, moved.lost_at) == (3, 4.0)
    given = kept.moved(Status.QUEUED, writer="w", now=START, next_attempt_at=9.0, outcome=answer(-1))
    assert (given.next_attempt_at, given.timeline) == (9.0, (Change(Status.QUEUED, START, -1),))


def test_timeline_keeps_forty_changes() -> None:
    kept = entry(timeline=(Change(Status.QUEUED, START),) * 40).moved(Status.SENT, writer="w", now=START)
    assert (len(kept.timeline), kept.timeline[-1].status) == (40, Status.SENT)


@pytest.mark.parametrize(
    ("reason", "silence", "resumed"),
    [(TRY_AGAIN, 7200.0, False), (TRY_AGAIN, 7200.001, True), (None, 86400.0, False)],
)
def test_caller_resumes_after_two_hours(reason: str | None, silence: float, *, resumed: bool) -> None:
    moved = entry(Status.FAILED, reason=reason).moved(Status.SENDING, writer="w", now=START + silence)
    again = moved.moved(Status.QUEUED, writer="w", now=START + silence)
    assert again.resumed_at == (START + silence if resumed else None)
    assert again.retrying_since == (START + silence if resumed else START)


@pytest.mark.parametrize(
    ("status", "outcome", "is_final"),
    [
        (Status.SENT, answer(0), True),
        (Status.FAILED, answer(47003), True),
        (Status.CANCELLED, answer(-1), False),
        (Status.EXPIRED, answer(-1), False),
        (Status.UNKNOWN, lost(), True),
        (Status.UNKNOWN, answer(-1), False),
        (Status.UNKNOWN, None, False),
    ],
)
def test_final_outcome(status: Status, outcome: Outcome | None, *, is_final: bool) -> None:
    assert entry(status, outcome=outcome).final_outcome == (outcome if is_final else None)


def test_owner_of_the_id() -> None:
    owns = [entry(Status.FAILED, **given).owns_id for given in ({}, {"attempts": 1}, {"lost_at": START})]
    assert owns == [False, True, True]


@pytest.mark.parametrize(("status", "reason"), [(Status.FAILED, TRY_AGAIN), (Status.SENT, None)])
def test_no_end_to_announce(status: Status, reason: str | None) -> None:
    assert message_events(entry(status, reason=reason)) == []


def test_counts_from_the_timeline() -> None:
    sending, failed = Change(Status.SENDING, START), Change(Status.FAILED, START, -1, TRY_AGAIN)
    held = Change(Status.QUEUED, START, 45009, HELD)
    kept = entry(timeline=(sending, failed, sending, failed, held, sending, held, sending))
    assert (kept.tries, kept.try_again_count, kept.queue_tries) == (4, 2, 2)
