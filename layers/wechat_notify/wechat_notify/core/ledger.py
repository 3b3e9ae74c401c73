"""What became of every message: one entry each, moved from state to state by conditional writes.

::

    (new) ─► queued ─► sending ─► sent ─► delivered | undelivered
               │ ▲       │ ├───► failed    (a repeat may follow where nothing was sent)
               │ └───────┘ └───► unknown   (a repeat may follow where it cannot do harm)
               └─► cancelled | expired | failed

An entry is claimed (``sending``) immediately before the message goes out and finished with what came of
it. Who finds a claim whose holder must be dead knows that the message may have been sent, and no more.
A good message costs two writes and no read: a write that meets another entry returns that entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from enum import Enum, auto
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

from wechat_notify.core.envelope import SendRequest, written_out
from wechat_notify.core.messages import OWN_WORDS, Message
from wechat_notify.core.outcomes import IllegalTransitionError, Outcome, Status, StorageError

CLOCK_SKEW = 120.0
"""Seconds by which the clocks of two functions may differ: a minute each."""
ATTEMPTS_MOST = 20
"""Answers of WeChat after which a message is given up, which its pauses spread over about half an hour."""
MIN_PURSUIT = 1800.0
"""Seconds for which a caller may go on at least: who repeats faster than told does not use a message up."""
_RESUMED_AFTER = 7200.0
"""Seconds of silence after which a caller's repeat begins anew: twice the longest pause between attempts."""
MAX_REPEATS_AFTER_LOSS = 3
"""Repeats of a message after lost answers where its sender asked for at-least-once: four copies at most."""
_DEDUPLICATED_FOR = 600.0 - CLOCK_SKEW
"""Seconds for which WeChat drops a second copy of a ``template`` with the same ``client_msg_id``."""
_WISHES = OWN_WORDS - {"kind"}
"""Not part of the message: a repeat may well expire later."""
_KEYED_LENGTH = 16
"""Characters of the fingerprints of entries that were written before decision 30."""
_MAX_UNSENT = 1000
_MAX_RELEASES = 10
"""Unconfirmed claims that one call looks after: a message that is to be sent waits for them."""
_CHANGES_MOST = 40
_WRITES_MOST = 8
"""Times that a write is judged anew because another one came in between."""

_NEXT: dict[Status | None, frozenset[Status]] = {
    None: frozenset({Status.QUEUED, Status.SENDING, Status.FAILED, Status.EXPIRED}),
    Status.QUEUED: frozenset(
        {
            Status.QUEUED,  # now for another reason
            Status.SENDING,
            Status.FAILED,
            Status.EXPIRED,
            Status.CANCELLED,
            Status.UNKNOWN,
        }
    ),
    Status.SENDING: frozenset(
        {
            Status.SENDING,
            Status.QUEUED,
            Status.SENT,
            Status.FAILED,
            Status.EXPIRED,
            Status.UNKNOWN,
        }
    ),
    Status.SENT: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
    # From failed only where nothing was sent; from unknown only where a repeat does no harm, or because
    # the holder of a claim that was given up comes back with the answer.
    Status.FAILED: frozenset({Status.SENDING, Status.QUEUED, Status.FAILED, Status.EXPIRED}),
    Status.UNKNOWN: frozenset({Status.SENDING, Status.QUEUED, Status.SENT, Status.FAILED}),
}
_OPEN = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})
CANCELLED = "cancelled"
EXHAUSTED = "retries_exhausted"
HELD = "held"
"""The reason of what waits for its account, kind or template and not for its own next attempt."""
NOT_RECORDED = "answer_not_recorded"
TRY_AGAIN = "try_again"
"""The reason of what failed without having been sent, where its caller and no queue repeats it."""


class Change(NamedTuple):
    """One line of a message's timeline; ``at`` is seconds since the epoch."""

    status: Status
    at: float
    errcode: int | None = None
    reason: str | None = None


class Entry(NamedTuple):
    """One message's entry. All times are seconds since the epoch.

    ``writer`` names the invocation that wrote it, so that a write whose answer was lost is known again.
    ``attempts`` counts those that WeChat had a chance to judge, a claim that is under way included.
    ``lease_until`` is when a claim's holder must be dead, by any clock. ``lost_at`` is when the first copy
    went out whose answer was lost, ``answers_lost`` how many such copies there are. ``next_attempt_at`` is
    until when nobody attempts it again, whichever copy of it comes through whichever door. ``resumed_at`` is
    when a caller came back last after hours of silence. ``outcome`` is that of the last attempt; ``reason``
    says what no errcode says.
    """

    account: str
    id: str
    status: Status
    fingerprint: str
    writer: str
    created_at: float
    updated_at: float
    version: int = 1
    kind: str | None = None
    template_id: str | None = None
    openid_hash: str | None = None
    attempts: int = 0
    expires_at: float | None = None
    lease_until: float | None = None
    lost_at: float | None = None
    answers_lost: int = 0
    next_attempt_at: float | None = None
    resumed_at: float | None = None
    reason: str | None = None
    outcome: Outcome | None = None
    timeline: tuple[Change, ...] = ()

    def moved(self, status: Status, *, writer: str, now: float, **fields: Any) -> Entry:
        """The next version of the entry; raises ``IllegalTransitionError``."""
        if status not in _NEXT.get(self.status, frozenset()):
            raise IllegalTransitionError(self.status, status)
        outcome: Outcome | None = fields.get("outcome")
        change = Change(status, now, outcome.errcode if outcome else None, fields.get("reason"))
        # Not found out from the timeline later: that keeps the last changes alone.
        if self.reason == TRY_AGAIN and now - self.updated_at > _RESUMED_AFTER:
            fields["resumed_at"] = now
        return self._replace(
            status=status,
            writer=writer,
            updated_at=now,
            version=self.version + 1,
            timeline=(*self.timeline, change)[-_CHANGES_MOST:],
            **{"lease_until": None, "next_attempt_at": None, "reason": None, **fields},
        )

    @property
    def final_outcome(self) -> Outcome | None:
        """The last attempt's outcome, where that is what became of the message."""
        if self.status in {Status.CANCELLED, Status.EXPIRED}:
            return None
        if self.status is Status.UNKNOWN and self.outcome and self.outcome.status is not Status.UNKNOWN:
            return None
        return self.outcome

    @property
    def in_vain(self) -> bool:
        """Whether the message failed without having been sent, and its caller was told to try again."""
        return self.status is Status.FAILED and self.reason == TRY_AGAIN

    @property
    def owns_id(self) -> bool:
        """Whether its id is taken: not by a message that was refused before any attempt."""
        return self.status is not Status.FAILED or self.attempts > 0 or self.lost_at is not None

    @property
    def tries(self) -> int:
        """Claims that the timeline shows, the last one included: 20 at most."""
        return sum(change.status is Status.SENDING for change in self.timeline)

    @property
    def turned_away(self) -> int:
        """Times that its caller was told to try again, as far as the timeline goes back."""
        return sum(change.reason == TRY_AGAIN for change in self.timeline)

    @property
    def queue_tries(self) -> int:
        """Claims since a caller was told to try again last: the queue's own, where it has the message."""
        own = takewhile(lambda change: change.reason != TRY_AGAIN, reversed(self.timeline))
        return sum(change.status is Status.SENDING for change in own)

    @property
    def pursued_since(self) -> float:
        """Since when it has been waiting on end: what a caller tries again hours later begins anew."""
        return self.resumed_at or self.created_at


class LedgerStore(Protocol):
    """Where entries are kept; every method raises ``StorageError``."""

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        """Store an entry as the successor of the version before it, or as the first.

        Returns None where it was stored, otherwise the entry that stands there and is another version's.
        ``patient`` is for what must not be lost.
        """

    def read(self, account: str, message_id: str) -> Entry | None:
        """The newest version of an entry."""


class Standing(Enum):
    """What an entry is to somebody who comes with the message."""

    TAKEN = auto()
    """Claimed by this call."""
    IN_FLIGHT = auto()
    """Somebody else is at it."""
    EARLY = auto()
    """Its next attempt is not due yet."""
    FINAL = auto()
    """Its state is not for this call to change."""
    OTHER_BODY = auto()
    """The id belongs to another message."""


class Found(NamedTuple):
    """An entry as a call left or found it; ``changed`` where this very call gave it its state."""

    standing: Standing
    entry: Entry
    changed: bool = False


class _Intent(NamedTuple):
    """What a call would make of a message's entry."""

    request: SendRequest
    message: Message | None
    status: Status
    fields: Mapping[str, Any]


class Ledger:
    """The entries, and the only place that writes them."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        now: Callable[[], float],
        writer: Callable[[], str],
        keyed_hash: Callable[[str], str],
    ) -> None:
        self._store = store
        self._clock = now
        self._writer = writer
        self._keyed_hash = keyed_hash
        self._unsent: dict[str, tuple[Entry, bool]] = {}
        """By writer: claims of which nobody knows whether they were stored, and that nothing was sent under;
        with whether the queue has the message."""

    def _now(self) -> float:
        return round(self._clock(), 3)  # as it is stored

    def claim(self, request: SendRequest, message: Message, seconds: float, *, waiting: bool) -> Found:
        """Take the message for an attempt that ends, one way or another, within so many seconds.

        Parameters
        ----------
        request, message
            The message.
        seconds : float
            What is left of the invocation.
        waiting : bool
            Whether a message that waits on the queue may be taken: by the queue's own function.

        Raises
        ------
        StorageError
            Nothing is claimed as far as is known, and nothing may be sent.
        """
        now = self._now()
        lease_until = now + seconds + CLOCK_SKEW
        fields = {"attempts": 1, "lease_until": lease_until}
        return self._write(_Intent(request, message, Status.SENDING, fields), waiting=waiting)

    def release_unsent(self) -> None:
        """Give back the claims that may have been stored although the store did not say so.

        Nothing was sent under them, and only this process knows: to others their holder looks dead, and the
        message as if it may have been sent. Does nothing where the store still does not answer.
        """
        for writer in list(self._unsent)[:_MAX_RELEASES]:
            if not self._release(writer):
                return

    def _release(self, writer: str) -> bool:
        """Give back one unconfirmed claim; False where the store does not answer."""
        unsent = self._unsent.get(writer)
        if unsent is None:  # another thread was here first
            return True
        claim, waiting = unsent
        try:
            there = self._store.read(claim.account, claim.id)
            if there is not None and there.writer == writer:
                # Its release may have been stored already, with an answer that was lost as well.
                if there.status is Status.SENDING:
                    self._put(_released(there, waiting=waiting, now=self._now()), patient=False)
            elif (there is None or there.version < claim.version) and not _abandoned(claim, self._now()):
                # The write may still be on its way: it is asked about again after the others.
                self._unsent.pop(writer, None)
                self._unsent[writer] = unsent
                return True
        except StorageError:
            return False
        self._unsent.pop(writer, None)
        return True

    def to_send(self, request: SendRequest, message: Message, *, waiting: bool) -> Found | None:
        """The message's entry where the message is not the caller's to send; None where it is.

        For who must not claim it yet; raises ``StorageError``. A claim whose holder must be dead ends here.
        """
        there = self._store.read(request.account, request.id)
        if there is None:
            return None
        intent = _Intent(request, message, Status.SENDING, {"attempts": 1})
        judged = self._judge(there, intent, self._writer(), waiting=waiting)
        if isinstance(judged, Found):
            return judged
        if judged.status is Status.SENDING:
            return None
        other = self._put(judged, patient=False)
        if other is None:
            return Found(Standing.FINAL, judged, changed=True)
        alive = other.status is Status.SENDING and not _abandoned(other, self._now())
        return Found(Standing.IN_FLIGHT if alive else Standing.FINAL, other)

    def note(self, request: SendRequest, message: Message | None, status: Status, **fields: Any) -> Found:
        """Say of a message that nobody is at that it waits (``queued``), or that it will not be sent."""
        intent = _Intent(request, message, status, fields)
        return self._write(intent, patient=status is not Status.QUEUED)

    def turn_away(self, request: SendRequest, message: Message, outcome: Outcome) -> Found:
        """Say of a message that could not be attempted that its caller was told to try again.

        Not where it waits on the queue, or may have been sent.
        """
        fields = {"outcome": outcome, "reason": TRY_AGAIN}
        return self._write(_Intent(request, message, Status.FAILED, fields), waiting=False)

    def finish(self, entry: Entry, status: Status, **fields: Any) -> Entry:
        """What came of a claimed message; the entry as it stands afterwards.

        Raises
        ------
        StorageError
            It could not be recorded: to everybody else the answer is lost.
        """
        wanted = entry.moved(status, writer=entry.writer, now=self._now(), **fields)
        for _ in range(_WRITES_MOST):
            there = self._put(wanted, patient=True)
            if there is None:
                return wanted
            # The claim was given up while its holder was still alive: the answer counts all the same,
            # though a refusal says nothing of a copy that went out meanwhile.
            known = status is Status.SENT or (status is Status.FAILED and there.attempts == entry.attempts)
            if there.status is not Status.UNKNOWN or not known:
                return there
            wanted = there.moved(status, writer=entry.writer, now=self._now(), **fields)
        raise StorageError("record what came of the message", "Contended")

    def cancel(self, account: str, message_id: str) -> Found | None:
        """Keep a message that waits from being sent; None where there is no such message."""
        there = self._store.read(account, message_id)
        for _ in range(_WRITES_MOST):
            if there is None or there.status is not Status.QUEUED:
                break
            # An earlier copy whose answer was lost cannot be called back.
            status = Status.CANCELLED if there.lost_at is None else Status.UNKNOWN
            wanted = there.moved(status, writer=self._writer(), now=self._now(), reason=CANCELLED)
            there = self._put(wanted, patient=False)
            if there is None:
                return Found(Standing.FINAL, wanted, changed=True)
        if there is None:
            return None
        alive = there.status is Status.SENDING and not _abandoned(there, self._now())
        return Found(Standing.IN_FLIGHT if alive else Standing.FINAL, there)

    def look_up(self, account: str, message_id: str) -> Found | None:
        """The message's entry, None where there is none; a claim whose holder must be dead ends here."""
        there = self._store.read(account, message_id)
        if there is not None and there.writer in self._unsent:  # nothing was sent: it is in no doubt
            self._release(there.writer)
            there = self._store.read(account, message_id)
        if there is None:
            return None
        if there.status is Status.SENDING:
            now = self._now()
            if not _abandoned(there, now):
                return Found(Standing.IN_FLIGHT, there)
            wanted = there.moved(
                Status.UNKNOWN, writer=self._writer(), now=now, **_doubt(there), reason=NOT_RECORDED
            )
            other = self._put(wanted, patient=False)
            return Found(Standing.FINAL, other or wanted, changed=other is None)
        return Found(Standing.FINAL, there)

    def standing(self, request: SendRequest) -> Found | None:
        """What an earlier call left that a repeat is to hear; None where a repeat would be tried."""
        found = self.look_up(request.account, request.id)
        if found and not self._is_same(found.entry, request):
            return Found(Standing.OTHER_BODY, found.entry) if found.entry.owns_id else None
        if found and (found.entry.in_vain or not (found.entry.owns_id or found.entry.reason == EXHAUSTED)):
            return None
        return found

    def _write(self, intent: _Intent, *, patient: bool = False, waiting: bool = True) -> Found:
        writer = self._writer()
        wanted = self._new(intent, writer)
        for _ in range(_WRITES_MOST):
            try:
                there = self._put(wanted, patient=patient)
            except StorageError:
                if wanted.status is Status.SENDING:
                    self._remember_unsent(wanted, waiting=waiting)
                raise
            if there is None:
                standing = Standing.TAKEN if wanted.status is Status.SENDING else Standing.FINAL
                return Found(standing, wanted, changed=True)
            judged = self._judge(there, intent, writer, waiting=waiting)
            if isinstance(judged, Found):
                return judged
            wanted = judged
        raise StorageError("write the message's entry", "Contended")

    def _remember_unsent(self, claim: Entry, *, waiting: bool) -> None:
        if len(self._unsent) >= _MAX_UNSENT:
            self._unsent.pop(next(iter(self._unsent)), None)
        self._unsent[claim.writer] = (claim, waiting)
        self._release(claim.writer)

    def _judge(self, there: Entry, intent: _Intent, writer: str, *, waiting: bool) -> Entry | Found:
        """What an entry becomes by an intent; what it is to whoever intends it where it stays as it is."""
        is_same = self._is_same(there, intent.request)
        if not is_same and there.in_vain and intent.status is Status.FAILED:
            return Found(Standing.OTHER_BODY, there)  # a late copy of the row that was corrected
        if not there.owns_id and not (is_same and (there.in_vain or _stays_refused(there, intent))):
            return self._new(intent, writer)._replace(
                version=there.version + 1,
                timeline=(*there.timeline, _change(intent, self._now()))[-_CHANGES_MOST:],
            )
        if not is_same:
            return Found(Standing.OTHER_BODY, there)
        if there.status is Status.SENDING:
            unsent = self._unsent.get(there.writer)
            if unsent:
                _, queued = unsent
                released = _released(there, waiting=queued, now=there.updated_at)
                there = released._replace(version=there.version)  # of what stands in the store
            elif not _abandoned(there, self._now()):
                return Found(Standing.IN_FLIGHT, there)
        elif there.status is Status.QUEUED and not waiting:
            return Found(Standing.FINAL, there)
        return self._successor(there, intent, writer)

    def _successor(self, there: Entry, intent: _Intent, writer: str) -> Entry | Found:
        """What an entry that nobody is at becomes, or is to whoever intends it."""
        if (there.status not in _OPEN and not there.in_vain) or there.reason == CANCELLED:
            return Found(Standing.FINAL, there)
        if there.status is Status.QUEUED is intent.status and (
            intent.fields.get("reason") != HELD or there.reason == HELD
        ):
            return Found(Standing.FINAL, there)
        now, status, fields = self._now(), intent.status, dict(intent.fields)
        doubt = _doubt(there)
        if doubt:
            goes_on = status in {Status.SENDING, Status.QUEUED}
            if not (goes_on and repeatable(intent.request, intent.message, **doubt, now=now)):
                if there.status is Status.UNKNOWN:
                    return Found(Standing.FINAL, there)
                status, fields = Status.UNKNOWN, {"reason": NOT_RECORDED}
            fields |= doubt
        if status is Status.SENDING:
            if now < (there.next_attempt_at or 0.0):
                return Found(Standing.EARLY, there)
            fields["attempts"] = there.attempts + 1
        elif status is Status.QUEUED:
            fields["next_attempt_at"] = there.next_attempt_at
        fields["fingerprint"] = fingerprint(intent.request)
        return there.moved(status, writer=writer, now=now, **fields)

    def _new(self, intent: _Intent, writer: str) -> Entry:
        if intent.status not in _NEXT[None]:
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

    def _is_same(self, there: Entry, request: SendRequest) -> bool:
        """Whether an entry is of this very message and not of another one under its id."""
        if len(there.fingerprint) == _KEYED_LENGTH:  # as it was compared when it was written
            return there.fingerprint == self._keyed_hash(canonical(request.message))
        return there.fingerprint == fingerprint(request)

    def _put(self, wanted: Entry, *, patient: bool) -> Entry | None:
        """As the store does; this call's own write, repeated because its answer was lost, is a success."""
        there = self._store.put(wanted, patient=patient)
        own = there is not None and (there.version, there.writer) == (wanted.version, wanted.writer)
        return None if own else there


def repeatable(
    request: SendRequest, message: Message | None, lost_at: float, answers_lost: int, now: float
) -> bool:
    """Whether a message that may have been sent may be sent once more.

    It may where the caller asked for at-least-once, three times; and where WeChat drops the second copy:
    that is ``template`` with the same ``client_msg_id``, for 10 minutes.
    """
    if request.at_least_once and answers_lost <= MAX_REPEATS_AFTER_LOSS:
        return True
    return message is not None and message.deduplicated and now < lost_at + _DEDUPLICATED_FOR


def _doubt(entry: Entry) -> dict[str, Any]:
    """Since when and how often a copy may have been accepted, as far as an entry that nobody is at tells.

    Empty where nothing is in doubt. A claim that nobody finished counts as a lost answer.
    """
    if entry.lost_at is None and entry.status not in {Status.SENDING, Status.UNKNOWN}:
        return {}
    # Entries written before answers were counted have lost one at least.
    answers_lost = entry.answers_lost + (entry.status is Status.SENDING)
    return {"lost_at": entry.lost_at or entry.updated_at, "answers_lost": max(1, answers_lost)}


def _stays_refused(there: Entry, intent: _Intent) -> bool:
    """Whether a message that was refused unattempted, or given up so, is refused to a repeat of itself."""
    return there.reason == EXHAUSTED or intent.status not in {Status.SENDING, Status.QUEUED}


def _released(claim: Entry, *, waiting: bool, now: float) -> Entry:
    """The successor of a claim under which nothing was sent: the message waits as it did before."""
    if waiting:
        status, reason = Status.QUEUED, None
    elif claim.lost_at is None:
        status, reason = Status.FAILED, TRY_AGAIN
    else:
        status, reason = Status.UNKNOWN, NOT_RECORDED
    return claim.moved(status, writer=claim.writer, now=now, reason=reason, attempts=claim.attempts - 1)


def _change(intent: _Intent, now: float) -> Change:
    outcome: Outcome | None = intent.fields.get("outcome")
    return Change(intent.status, now, outcome.errcode if outcome else None, intent.fields.get("reason"))


def _abandoned(entry: Entry, now: float) -> bool:
    return now >= (entry.lease_until or 0.0)


def fingerprint(request: SendRequest) -> str:
    """A digest by which a message is told from another one under the same id: 32 hex digits.

    It hangs on no key: one that is replaced, or differs between functions, would make every message that
    waits another one. Account and id are part of it, so that equal texts do not show.
    """
    text = f"{request.account}\n{request.id}\n{canonical(request.message)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def canonical(body: object) -> str:
    """A message's text, the same whatever the order of its fields and the door it came through."""
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in _WISHES}
    return _CANONICAL.encode(body)


# Made once: json.dumps makes one for each call that has options.
_CANONICAL = json.JSONEncoder(default=written_out, sort_keys=True, separators=(",", ":"))
