"""The transitions of an entry: its next version by the intent of a call, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wechat_notify.core.delivery.entry import (
    CANCELLED,
    EXHAUSTED,
    FIRST_STATES,
    HELD,
    MAX_CHANGES,
    NEWER_RELEASE,
    NOT_RECORDED,
    TRY_AGAIN,
    Change,
    Entry,
)
from wechat_notify.core.delivery.results import IdReused, InFlight, NotDue, NotOurs, Replayed
from wechat_notify.core.delivery.retry_policy import repeatable
from wechat_notify.core.errors import IllegalTransitionError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.fingerprint import KEYED_LENGTH, canonical, fingerprint
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.openid_hashes import KeyedHash
from wechat_notify.core.outcomes import Outcome, Status

_OPEN = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})


class Intent(NamedTuple):
    """A transition that a call intends for a message's entry."""

    request: SendRequest
    message: Message | None
    status: Status
    fields: Mapping[str, Any]


class UnconfirmedClaim(NamedTuple):
    """A claim that may have been stored although the store did not say so; nothing was sent under it.

    ``queued`` says that the queue has the message, ``next_attempt_at`` is the entry's before the claim.
    """

    claim: Entry
    queued: bool
    next_attempt_at: float | None

    def released(self, claim: Entry, *, now: float) -> Entry:
        """Return the successor of the claim: the message waits as it did before."""
        if self.queued:
            status, reason = Status.QUEUED, None
        elif claim.lost_at is None:
            status, reason = Status.FAILED, TRY_AGAIN
        else:
            status, reason = Status.UNKNOWN, NOT_RECORDED
        return claim.moved(
            status,
            writer=claim.writer,
            now=now,
            reason=reason,
            attempts=claim.attempts - 1,
            next_attempt_at=self.next_attempt_at,
        )


class Transitions:
    """Judges entries; nothing is read or written here.

    Parameters
    ----------
    now : Callable
        Seconds since the epoch, to the millisecond, as they are stored.
    keyed_hash : KeyedHash
        Hashes an openid.
    """

    def __init__(self, now: Callable[[], float], keyed_hash: KeyedHash) -> None:
        self._now = now
        self._keyed_hash = keyed_hash

    def judge(
        self,
        existing: Entry,
        intent: Intent,
        writer: str,
        *,
        takes_queued: bool,
        unconfirmed: UnconfirmedClaim | None = None,
    ) -> Entry | NotOurs:
        """Return the next version of an entry by an intent, or the result for the call that intends it.

        Parameters
        ----------
        existing : Entry
            The newest version.
        intent : Intent
            What a call wants to make of it.
        writer : str
            The name under which that call writes.
        takes_queued : bool
            Whether a message that waits on the queue may be taken.
        unconfirmed : UnconfirmedClaim, optional
            This process's own claim, where ``existing`` is that.
        """
        is_same = self.is_same(existing, intent.request)
        if not is_same and existing.awaits_caller and intent.status is Status.FAILED:
            return IdReused(
                entry=existing, outcome=existing.outcome
            )  # a late copy of the row that was corrected
        if not existing.owns_id and not (
            is_same and (existing.awaits_caller or _stays_refused(existing, intent))
        ):
            return self.new(intent, writer)._replace(
                version=existing.version + 1,
                timeline=(*existing.timeline, _change(intent, self._now()))[-MAX_CHANGES:],
            )
        if not is_same:
            return IdReused(entry=existing, outcome=existing.outcome)
        if existing.status is Status.SENDING:
            if unconfirmed:
                released = unconfirmed.released(existing, now=existing.updated_at)
                existing = released._replace(version=existing.version)  # of what stands in the store
            elif not is_abandoned(existing, self._now()):
                return self.not_ours(existing)
        elif existing.status is Status.QUEUED and not takes_queued:
            return Replayed(entry=existing, outcome=existing.outcome)
        return self._successor(existing, intent, writer)

    def _successor(self, existing: Entry, intent: Intent, writer: str) -> Entry | NotOurs:
        """Return the next version of an entry without a claim, or the result for the call that intends it."""
        is_over = existing.status not in _OPEN and not existing.awaits_caller
        if is_over or existing.reason in {CANCELLED, NEWER_RELEASE}:
            return Replayed(entry=existing, outcome=existing.outcome)
        reason = intent.fields.get("reason")
        stays_queued = existing.status is Status.QUEUED and intent.status is Status.QUEUED
        if stays_queued and (reason is None or (reason == HELD and existing.reason == HELD)):
            return Replayed(entry=existing, outcome=existing.outcome)
        now, status, fields = self._now(), intent.status, dict(intent.fields)
        doubt = doubt_of(existing)
        if doubt:
            goes_on = status in {Status.SENDING, Status.QUEUED}
            if not (goes_on and repeatable(intent.request, intent.message, **doubt, now=now)):
                if existing.status is Status.UNKNOWN:
                    return Replayed(entry=existing, outcome=existing.outcome)
                status, fields = Status.UNKNOWN, {"reason": NOT_RECORDED}
            fields |= doubt
        if status is Status.SENDING:
            due = existing.next_attempt_at or 0.0
            if now < due:
                return NotDue(entry=existing, outcome=existing.outcome, after=_until(due, now))
            fields["attempts"] = existing.attempts + 1
        elif status is Status.QUEUED:
            fields["next_attempt_at"] = existing.next_attempt_at
        fields["fingerprint"] = fingerprint(intent.request)
        return existing.moved(status, writer=writer, now=now, **fields)

    def new(self, intent: Intent, writer: str) -> Entry:
        """Return the first version of an entry; raises ``IllegalTransitionError``."""
        if intent.status not in FIRST_STATES:
            raise IllegalTransitionError(None, intent.status)
        now, request, message = self._now(), intent.request, intent.message
        return Entry(
            account=request.account,
            id=request.id,
            status=intent.status,
            fingerprint=fingerprint(request),
            writer=writer,
            created_at=now,
            updated_at=now,
            kind=message.kind if message else None,
            template_id=message.template_id if message else None,
            openid_hash=self._keyed_hash(message.touser) if message else None,
            expires_at=request.expires_at.timestamp() if request.expires_at else None,
            timeline=(_change(intent, now),),
            **intent.fields,
        )

    def is_same(self, existing: Entry, request: SendRequest) -> bool:
        """Return whether an entry is of this very message and not of another one under its id."""
        if len(existing.fingerprint) == KEYED_LENGTH:  # as it was compared when it was written
            return existing.fingerprint in self._keyed_hash.every(canonical(request.message))
        return existing.fingerprint == fingerprint(request)

    def not_ours(self, existing: Entry) -> InFlight | Replayed:
        """Return what an entry is to somebody who may not change it."""
        now = self._now()
        if existing.status is Status.SENDING and not is_abandoned(existing, now):
            return InFlight(entry=existing, outcome=existing.outcome, after=_until(existing.lease_until, now))
        return Replayed(entry=existing, outcome=existing.outcome)


def doubt_of(entry: Entry) -> dict[str, Any]:
    """Time since which, and times that, a copy may have been accepted, by an entry without a claim.

    Empty where nothing is in doubt. A claim that nobody finished counts as a lost answer.
    """
    if entry.lost_at is None and entry.status not in {Status.SENDING, Status.UNKNOWN}:
        return {}
    # Entries written before answers were counted have lost one at least.
    answers_lost = entry.answers_lost + (entry.status is Status.SENDING)
    return {"lost_at": entry.lost_at or entry.updated_at, "answers_lost": max(1, answers_lost)}


def _stays_refused(existing: Entry, intent: Intent) -> bool:
    """Return whether a message that was refused or given up without an attempt stays so for its repeat."""
    return existing.reason == EXHAUSTED or intent.status not in {Status.SENDING, Status.QUEUED}


def _change(intent: Intent, now: float) -> Change:
    outcome: Outcome | None = intent.fields.get("outcome")
    return Change(intent.status, now, outcome.errcode if outcome else None, intent.fields.get("reason"))


def is_abandoned(entry: Entry, now: float) -> bool:
    """Return whether a claim's holder must be dead."""
    return now >= (entry.lease_until or 0.0)


def _until(at: float | None, now: float) -> float:
    """Return the seconds until then, 1 at least: it may be a moment later by the other clock."""
    return max(1.0, (at or 0.0) - now)
