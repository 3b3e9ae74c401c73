"""A message over HTTP and a message of the queue: each puts off in its own way what was not sent."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.delivery.entry import EXHAUSTED, HELD, Entry
from wechat_notify.core.delivery.ledger import Written
from wechat_notify.core.delivery.results import (
    Held,
    NotDue,
    NotOurs,
    Replayed,
    Result,
    RetryAt,
    TryAgain,
    Unknown,
)
from wechat_notify.core.delivery.retry_policy import (
    CALLER,
    GIVE_UP_AFTER,
    LOST,
    QUEUE,
    Decision,
    caller_wait,
    queue_wait,
    repeatable,
)
from wechat_notify.core.delivery.send import Attempt, Parts, as_result, is_queued, with_call
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome, Status


class CallerAttempt(Attempt):
    """A message whose caller waits: what is worth repeating is the caller's to repeat."""

    policy = CALLER
    takes_queued = False

    def run(self) -> Result:
        """Send the message; where this call wrote no entry, return the result of an earlier one."""
        result = super().run()
        if result.entry is None:
            earlier = self._ledger.find_replay(self._request)
            result = with_call(as_result(earlier), None, result.events) if earlier else result
        return self._with_repeat(result)

    def _held(self, after: float, outcome: Outcome) -> Result:
        return Held(outcome=outcome, after=after)

    def _without_token(self, outcome: Outcome, circuit: Circuit | None) -> Result:
        if circuit:
            after = self._held_for(circuit)
            return TryAgain(outcome=_to_try_again(outcome, after), after=after)
        return self._try_again(outcome)

    def _without_time(self) -> Result:
        return self._try_again(own_outcomes.TOO_LATE)

    def _try_again(self, outcome: Outcome) -> Result:
        """Tell the caller to try again, later each time: its entry counts how often."""
        entry: Entry | None = None
        with suppress(StorageError):  # the caller is told all the same
            found = self._ledger.record_try_again(self._request, self._message, outcome)
            if isinstance(found, Written) and found.entry.awaits_caller:
                entry = found.entry
            elif found.entry.owns_id:
                return as_result(found)
        after = caller_wait(outcome, entry.try_again_count if entry else 1)
        return TryAgain(entry=entry, outcome=_to_try_again(outcome, after), after=after)

    def _wait(self, outcome: Outcome, decision: Decision, attempts: int) -> float | None:  # noqa: ARG002
        # Otherwise a caller may be as hasty as it likes: nothing was sent, or WeChat drops the second copy.
        return _doubt_wait(self._message, outcome, decision)

    def _again(self, entry: Entry, outcome: Outcome, circuit: Circuit | None) -> Result:
        after = self._held_for(circuit) if circuit else caller_wait(outcome, entry.try_again_count)
        return TryAgain(entry=entry, outcome=_to_try_again(outcome, after), after=after)

    def _with_repeat(self, result: Result) -> Result:
        """Say when a message that may have been sent may be repeated."""
        entry = result.entry
        if entry is None or entry.status is not Status.UNKNOWN:
            return result
        lost_at, answers_lost = entry.lost_at or entry.updated_at, max(1, entry.answers_lost)
        repeat_after: float | None = None
        if repeatable(self._request, self._message, lost_at, answers_lost, self._now()):
            due = entry.next_attempt_at
            repeat_after = LOST.pause(answers_lost) if due is None else max(1.0, due - self._now())
        match result:
            case NotDue():
                return Replayed(entry=entry, outcome=result.outcome, repeat_after=repeat_after)
            case Unknown() | Replayed():
                return replace(result, repeat_after=repeat_after)
        return result


class QueueAttempt(Attempt):
    """A message of the queue, which hands it out again.

    ``receive_count`` is how often it has done so, this time included; ``held_since`` is since when the
    message is parked, in seconds since the epoch, None where it never was.
    """

    policy = QUEUE
    takes_queued = True

    def __init__(
        self,
        parts: Parts,
        request: SendRequest,
        message: Message,
        seconds_left: SecondsLeft,
        *,
        receive_count: int,
        held_since: float | None,
    ) -> None:
        super().__init__(parts, request, message, seconds_left)
        self._receive_count = receive_count
        self._held_since = held_since

    def _held(self, after: float, outcome: Outcome) -> Result:
        found: Written | NotOurs | None = None
        if self._held_since is None:
            found = self._set_status(Status.QUEUED, outcome, HELD)
        elif self._now() - self._held_since > GIVE_UP_AFTER:
            found = self._set_status(Status.FAILED, outcome, EXHAUSTED)
        if found and not is_queued(found):
            return as_result(found)
        return Held(entry=found.entry if found else None, outcome=outcome, after=after)

    def _without_token(self, outcome: Outcome, circuit: Circuit | None) -> Result:
        if circuit:
            return self._held(self._held_for(circuit), outcome)
        found = self._set_status(Status.QUEUED, outcome)
        if is_queued(found) and self._now() - found.entry.retrying_since > GIVE_UP_AFTER:
            found = self._set_status(Status.FAILED, outcome, EXHAUSTED)
        if not is_queued(found):
            return as_result(found)
        after = queue_wait(outcome, self._receive_count, self._jitter)
        return RetryAt(entry=found.entry, outcome=outcome, after=after)

    def _without_time(self) -> Result:
        return RetryAt(outcome=own_outcomes.TOO_LATE, after=0.0)

    def _wait(self, outcome: Outcome, decision: Decision, attempts: int) -> float | None:
        if decision.status is Status.UNKNOWN:
            return _doubt_wait(self._message, outcome, decision)
        if decision.status is not Status.QUEUED or outcome.holds:  # where a circuit holds it, that says when
            return None
        is_lost = outcome.status is Status.UNKNOWN
        return queue_wait(outcome, decision.answers_lost if is_lost else attempts, self._jitter)

    def _again(self, entry: Entry, outcome: Outcome, circuit: Circuit | None) -> Result:
        if circuit:
            return Held(entry=entry, outcome=outcome, after=self._held_for(circuit))
        after = max(0.0, (entry.next_attempt_at or 0.0) - self._now())
        return RetryAt(entry=entry, outcome=outcome, after=after)

    def _set_status(self, status: Status, outcome: Outcome, reason: str | None = None) -> Written | NotOurs:
        return self._ledger.set_status(self._request, self._message, status, outcome=outcome, reason=reason)


def _to_try_again(outcome: Outcome, after: float) -> Outcome:
    """Return an outcome as a caller is told it that is to try again."""
    return outcome._replace(retryable=True, retry_after=after)


def _doubt_wait(message: Message, outcome: Outcome, decision: Decision) -> float | None:
    """Return the seconds for which a message in doubt is not repeated; None where WeChat drops the copy."""
    in_doubt = decision.status is Status.UNKNOWN and decision.repeatable
    if not in_doubt or message.deduplicated or outcome.holds:
        return None
    return LOST.pause(decision.answers_lost)
