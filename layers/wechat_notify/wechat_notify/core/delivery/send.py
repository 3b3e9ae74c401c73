"""One message's way to WeChat.

::

    circuits ─► token ─► claim ─► (consent) ─► POST ─► decide ─► finish ─► circuits
     held?      none?    ours?       given?            again?

Where a hold has run out, the ledger is asked first: only a message that is to be sent may be its probe. The
way is the same for HTTP and the queue; ``core.delivery.attempts`` says what each does with a message that was
not sent. Consents are asked for where the account's policy, which comes with its token, says so
(``core.delivery.consented``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from wechat_notify.core.clocks import Jitter, SecondsLeft
from wechat_notify.core.consents.consents import Consents
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.circuit import Admission, Circuit
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.consented import Consented
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.results import (
    Cancelled,
    Expired,
    Failed,
    IdReused,
    InFlight,
    NotOurs,
    Queued,
    Replayed,
    Result,
    Sent,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.delivery.retry_policy import Decision, RetryPolicy, is_expired
from wechat_notify.core.delivery.sender import Exchange, Sender
from wechat_notify.core.delivery.time_budgets import TIME_FOR_A_CLAIM, TIME_FOR_AN_ATTEMPT
from wechat_notify.core.errors import StorageError, TokenUnavailableError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import DomainEvent, Outcome, Status
from wechat_notify.core.tokens.token import AccessToken

_MIN_HOLD = 1.0
_RECHECK_AFTER = 60.0
"""Seconds after which a message that another invocation took over is looked at again."""


class Parts(NamedTuple):
    """The parts that an attempt works with; ``now`` returns seconds since the epoch."""

    ledger: Ledger
    circuits: Circuits
    sender: Sender
    consents: Consents
    now: Callable[[], float]
    jitter: Jitter


class Attempt(ABC):
    """One attempt at one message.

    Parameters
    ----------
    parts : Parts
        The ledger, the circuits and the way to WeChat.
    request, message
        The message, already checked.
    seconds_left : Callable
        Returns the seconds until the function is stopped.
    """

    policy: RetryPolicy
    takes_queued: bool
    """True where a message that waits on the queue may be claimed."""

    def __init__(
        self, parts: Parts, request: SendRequest, message: Message, seconds_left: SecondsLeft
    ) -> None:
        self._ledger, self._circuits, self._sender, self._consents, self._now, self._jitter = parts
        self._request = request
        self._message = message
        self._seconds_left = seconds_left

    def run(self) -> Result:
        """Send the message, where that is due and not somebody else's to do.

        Raises
        ------
        UnknownAccountError
            There are no credentials for the account.
        StorageError
            The ledger did not answer; nothing was sent.
        """
        account, message = self._request.account, self._message
        if self._is_expired():
            return self._expire()
        admission = self._circuits.admit(account, message)
        if admission.probe_due:
            existing = self._ledger.find_blocker(self._request, message, takes_queued=self.takes_queued)
            if existing:
                return as_result(existing)
            admission = self._circuits.probe(account, message)
        if admission.held:
            after = self._held_for(admission.held)
            return self._held(after, own_outcomes.held(admission.held, after))
        try:
            result = self._admitted(admission)
        except Exception:
            self._circuits.release_probe(account, admission)
            raise
        if not result.attempted:
            self._circuits.release_probe(account, admission)
        return result

    @abstractmethod
    def _held(self, after: float, outcome: Outcome) -> Result:
        """Put off a message that a circuit holds for so many seconds."""

    @abstractmethod
    def _without_token(self, outcome: Outcome, circuit: Circuit | None) -> Result:
        """Put off a message for which there is no token; ``circuit`` is what that holds."""

    @abstractmethod
    def _without_time(self) -> Result:
        """Put off a message that could not be finished in time."""

    @abstractmethod
    def _wait(self, outcome: Outcome, decision: Decision, attempts: int) -> float | None:
        """Return the seconds for which nobody may attempt the message again; None where that is not said."""

    @abstractmethod
    def _again(self, entry: Entry, outcome: Outcome, circuit: Circuit | None) -> Result:
        """Return the result of a failed attempt that is worth another one."""

    def _admitted(self, admission: Admission) -> Result:
        try:
            token = self._sender.token(self._request.account, self._seconds_left)
        except TokenUnavailableError as error:  # nothing is claimed, and nothing is in doubt
            outcome = error.outcome._replace(unjudged=True)
            circuit, events = self._record_answer(outcome, admission)
            result = self._without_token(outcome, circuit if outcome.holds else None)
            return with_call(result, Exchange(outcome, 0, 0.0), events)
        if self._seconds_left() < TIME_FOR_A_CLAIM:
            return self._without_time()
        if self._is_expired():  # while it waited for the token
            return self._expire()
        found = self._ledger.claim(
            self._request, self._message, self._seconds_left(), takes_queued=self.takes_queued
        )
        if not isinstance(found, Written) or found.entry.status is not Status.SENDING:
            return as_result(found)
        if token.consents is None:
            return self._finish(found.entry, self._post(token), admission)
        consented = Consented(self._consents, token.consents, self._message, found.entry, self._now)
        exchange = consented.send(lambda: self._post(token))
        result = self._finish(found.entry, exchange, admission)
        return replace(result, consent=consented.settle(exchange.outcome, self._seconds_left))

    def _post(self, token: AccessToken) -> Exchange:
        # The table took its time: neither the POST nor the record of its answer must be cut off. What expired
        # meanwhile becomes so by the policy.
        if self._seconds_left() < TIME_FOR_AN_ATTEMPT or self._is_expired():
            return Exchange(own_outcomes.TOO_LATE, 0, 0.0)
        return self._sender.send(
            self._request.account, self._message, token, self._seconds_left, self._is_expired
        )

    def _finish(self, claimed: Entry, exchange: Exchange, admission: Admission) -> Result:
        outcome = exchange.outcome
        decision = self.policy.decide(self._request, self._message, claimed, outcome, self._now())
        if outcome.status is Status.UNKNOWN:
            outcome = own_outcomes.with_consequence(outcome, decision)
            exchange = exchange._replace(outcome=outcome)
        wait = self._wait(outcome, decision, claimed.tries)
        try:
            entry: Entry | None = self._ledger.finish(
                claimed,
                decision.status,
                outcome=outcome,
                reason=decision.reason,
                lost_at=decision.lost_at,
                answers_lost=decision.answers_lost,
                next_attempt_at=None if wait is None else round(self._now() + wait, 3),
                attempts=claimed.attempts - outcome.unjudged,
            )
        except StorageError:
            entry = None
        circuit, events = self._record_answer(outcome, admission)
        result = self._finished(claimed, entry, outcome, circuit if outcome.holds else None)
        return with_call(result, exchange, events)

    def _finished(
        self, claimed: Entry, entry: Entry | None, outcome: Outcome, circuit: Circuit | None
    ) -> Result:
        """Return what came of an attempt; ``entry`` is None where its outcome could not be recorded."""
        if entry is None:
            # When the claim has run out, whoever gets the message knows that this answer is lost.
            after = (claimed.lease_until or 0.0) - self._now()
            return Unrecorded(entry=claimed, outcome=outcome, after=after)
        if entry.writer != claimed.writer:  # the claim was given up
            if entry.status in {Status.SENDING, Status.QUEUED}:
                return InFlight(entry=entry, outcome=outcome, after=_RECHECK_AFTER)
            return Replayed(entry=entry, outcome=outcome)
        if entry.status is Status.SENT:
            return Sent(entry=entry, outcome=outcome)
        if entry.status is Status.QUEUED or entry.awaits_caller:
            return self._again(entry, outcome, circuit)
        result = as_result(Written(entry))
        return result if isinstance(result, Expired) else replace(result, outcome=outcome)

    def _record_answer(
        self, outcome: Outcome, admission: Admission
    ) -> tuple[Circuit | None, Sequence[DomainEvent]]:
        return self._circuits.record(self._request.account, self._message, outcome, admission)

    def _held_for(self, circuit: Circuit) -> float:
        return max(_MIN_HOLD, circuit.held_until - self._now())

    def _is_expired(self) -> bool:
        return is_expired(self._request, self._now())

    def _expire(self) -> Result:
        return as_result(self._ledger.set_status(self._request, self._message, Status.EXPIRED))


def as_result(found: Written | NotOurs) -> Result:
    """Return what the ledger found or wrote as the result of a call that made no attempt."""
    if not isinstance(found, Written):
        return found
    entry = found.entry
    events = message_events(entry)
    match entry.status:
        case Status.QUEUED:
            return Queued(entry=entry, outcome=entry.outcome)
        case Status.EXPIRED:
            return Expired(entry=entry)
        case Status.CANCELLED:
            return Cancelled(entry=entry)
        case Status.UNKNOWN:
            return Unknown(entry=entry, outcome=entry.outcome, events=events)
        case Status.FAILED:
            return Failed(entry=entry, outcome=entry.outcome, events=events)
    raise AssertionError(entry.status)


def is_queued(found: Written | NotOurs) -> bool:
    """Return whether the message waits on the queue."""
    return found.status is Status.QUEUED and not isinstance(found, IdReused)


def with_call(result: Result, exchange: Exchange | None, events: Sequence[DomainEvent]) -> Result:
    """Return a result with this call's attempt, and with what else is to be published."""
    return replace(result, exchange=exchange, events=[*events, *result.events])
