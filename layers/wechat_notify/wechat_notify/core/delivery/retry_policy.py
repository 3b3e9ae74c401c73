"""The retry policy: waits, who repeats, and when a message is given up.

========= ========== ====== ======= ======================================================================
outcome   first wait factor maximum given up
========= ========== ====== ======= ======================================================================
lost      10 s       3      300 s   after 3 repeats (``at_least_once``), or 8 minutes (WeChat drops the copy),
                                    at once otherwise: ``unknown``
answered  2 s        2      300 s   after 20 answers, or as many as the errcode is worth
unsent    2 s        2      300 s   after 3 days
mending   300 s      2      900 s   after 3 days: somebody has to correct the account or the network
held      by its circuit            after 3 days
========= ========== ====== ======= ======================================================================

A wait never falls below what the kind of error asks for (``Outcome.retry_after``). The queue repeats its
messages by itself (``QUEUE``); an HTTP caller is told to (``CALLER``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from wechat_notify.core.clocks import Jitter
from wechat_notify.core.delivery.entry import CLOCK_SKEW, EXHAUSTED, HELD, TRY_AGAIN, Entry
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status

GIVE_UP_AFTER = 3 * 86400.0
"""Seconds after which a message has failed that could never be attempted."""
MAX_ATTEMPTS = 20
"""Answers of WeChat after which a message is given up; their waits take about half an hour."""
MIN_RETRY_PERIOD = 1800.0
"""Seconds for which a caller may repeat at least, at whatever pace."""
MAX_REPEATS_AFTER_LOSS = 3
"""Repeats after lost answers with ``at_least_once``: four copies at most."""
DEDUPLICATED_FOR = 600.0 - CLOCK_SKEW
"""Seconds for which WeChat drops a second copy of a ``template`` with the same ``client_msg_id``."""


class Backoff(NamedTuple):
    """Waits between attempts in seconds: ``first``, then ``factor`` times the one before, up to ``maximum``.

    Up to ``spread`` is added at random. Without one the wait is random between 0 and itself (full jitter).
    """

    first: float
    factor: float
    maximum: float
    spread: float | None = None

    def pause(self, attempts: int) -> float:
        """Return the wait after so many attempts, before anything random."""
        growth = self.factor ** min(max(attempts, 1) - 1, 16)  # beyond that it is over any maximum
        return max(self.first, min(self.maximum, self.first * growth))

    def wait(self, attempts: int, jitter: Jitter) -> float:
        """Return the wait after so many attempts."""
        pause = self.pause(attempts)
        return jitter(0, pause) if self.spread is None else pause + jitter(0, min(self.spread, pause))


LOST = Backoff(10.0, 3.0, 300.0, spread=2.0)
"""WeChat may just be slow, and each copy may be one too many."""
ANSWERED = Backoff(2.0, 2.0, 300.0)
UNSENT = Backoff(2.0, 2.0, 300.0, spread=60.0)
NEEDS_OPERATOR = Backoff(300.0, 2.0, 900.0, spread=60.0)
"""More often than OldestMessageAlarm would end in between, or NotInvokedAlarm be raised."""


def backoff(outcome: Outcome) -> Backoff:
    """Return the waits for a kind of outcome."""
    if outcome.status is Status.UNKNOWN:
        return LOST
    if not outcome.unjudged:
        return ANSWERED
    return UNSENT if outcome.retryable else NEEDS_OPERATOR


def queue_wait(outcome: Outcome, attempts: int, jitter: Jitter) -> float:
    """Return the seconds until the queue hands a message out again.

    Parameters
    ----------
    outcome : Outcome
        What the last attempt came to.
    attempts : int
        Attempts so far; where the answer was lost, lost answers so far.
    jitter : Callable
        Draws a random number.
    """
    return max(backoff(outcome).wait(attempts, jitter), (outcome.retry_after or 0.0) + jitter(0, 2))


def caller_wait(outcome: Outcome, attempts: int) -> float:
    """Return the ``Retry-After`` of a caller who was told to try again so many times; arguments as above."""
    schedule = backoff(outcome)
    return schedule._replace(first=outcome.retry_after or schedule.first).pause(attempts)


def repeatable(
    request: SendRequest, message: Message | None, lost_at: float, answers_lost: int, now: float
) -> bool:
    """Return whether a message that may have been sent may be sent once more.

    It may where its sender asked for at-least-once, three times; and where WeChat drops the second copy:
    ``template`` with the same ``client_msg_id``, for 10 minutes.
    """
    if request.at_least_once and answers_lost <= MAX_REPEATS_AFTER_LOSS:
        return True
    return message is not None and message.deduplicated and now < lost_at + DEDUPLICATED_FOR


def is_expired(request: SendRequest, now: float) -> bool:
    """Return whether the message is not worth sending any more."""
    return request.expires_at is not None and request.expires_at <= datetime.fromtimestamp(now, UTC)


class Decision(NamedTuple):
    """The decision on a message after an attempt.

    ``queued`` means that it is repeated; ``lost_at`` is when the first copy went out whose answer was
    lost, in seconds since the epoch, and ``answers_lost`` how many did. ``repeatable``: one more copy does no
    harm, or its sender asked for it.
    """

    status: Status
    reason: str | None = None
    lost_at: float | None = None
    answers_lost: int = 0
    repeatable: bool = False


class RetryPolicy(NamedTuple):
    """Decides on a claimed message by its outcome and by how often that came already.

    ``retried`` is the status of a message that is worth another attempt, ``reason`` its reason (None: that a
    circuit holds it, if one does), ``in_doubt`` the status of one that may have been sent, and be repeated.
    ``is_through`` says whether a message is given up that WeChat has answered often enough.
    """

    retried: Status
    reason: str | None
    in_doubt: Status
    is_through: Callable[[Entry, float], bool]

    def decide(
        self, request: SendRequest, message: Message, claimed: Entry, outcome: Outcome, now: float
    ) -> Decision:
        """Return what becomes of a message.

        Parameters
        ----------
        request, message
            The message.
        claimed : Entry
            Its entry, as it was claimed for this attempt.
        outcome : Outcome
            What came of the attempt.
        now : float
            Seconds since the epoch.
        """
        if outcome.status is Status.SENT:
            return Decision(Status.SENT)
        waits_for_circuit = bool(outcome.holds) and (
            outcome.unjudged or outcome.error_class is ErrorClass.QUOTA
        )
        is_worth_it = waits_for_circuit or outcome.retryable or outcome.unjudged or bool(outcome.repeats)
        exhausted = self._exhausted(claimed, outcome, now, waits_for_circuit=waits_for_circuit)
        expired = is_expired(request, now)
        lost_at, answers_lost = claimed.lost_at, claimed.answers_lost
        if outcome.status is Status.UNKNOWN:
            lost_at, answers_lost = lost_at or claimed.updated_at, answers_lost + 1
        if lost_at is not None:
            may = repeatable(request, message, lost_at, answers_lost, now)
            again = (outcome.status is Status.UNKNOWN or is_worth_it) and not (exhausted or expired)
            decision = Decision(Status.UNKNOWN, None, lost_at, answers_lost, may)
            return decision._replace(status=self.in_doubt) if may and again else decision
        if not is_worth_it or expired:
            return Decision(Status.EXPIRED if is_worth_it else Status.FAILED)
        if exhausted:
            return Decision(Status.FAILED, EXHAUSTED)
        return Decision(self.retried, self.reason or (HELD if waits_for_circuit else None))

    def _exhausted(self, claimed: Entry, outcome: Outcome, now: float, *, waits_for_circuit: bool) -> bool:
        """Return whether a message is given up: by its answers, or by time where WeChat did not judge it."""
        if waits_for_circuit or outcome.unjudged:
            return now - claimed.retrying_since > GIVE_UP_AFTER
        if outcome.repeats is not None:
            attempted = (change for change in claimed.timeline if change.reason != HELD)
            if sum(change.errcode == outcome.errcode for change in attempted) >= outcome.repeats:
                return True
        return claimed.attempts >= MAX_ATTEMPTS and self.is_through(claimed, now)


def _answered_by_queue(claimed: Entry, _now: float) -> bool:
    return claimed.queue_tries >= MAX_ATTEMPTS


def _answered_for_long(claimed: Entry, now: float) -> bool:
    # A caller who repeats faster than told does not use a message up.
    return now - claimed.retrying_since >= MIN_RETRY_PERIOD


QUEUE = RetryPolicy(Status.QUEUED, None, Status.QUEUED, _answered_by_queue)
"""The queue hands the message out again."""
CALLER = RetryPolicy(Status.FAILED, TRY_AGAIN, Status.UNKNOWN, _answered_for_long)
"""The caller repeats the message."""
