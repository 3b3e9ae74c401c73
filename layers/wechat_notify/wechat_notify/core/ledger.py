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

import json
from collections.abc import Callable, Mapping
from enum import Enum, auto
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from wechat_notify.core.envelope import SendRequest, written_out
from wechat_notify.core.messages import OWN_WORDS, Message
from wechat_notify.core.outcomes import IllegalTransitionError, Outcome, Status, StorageError

CLOCK_SKEW = 120.0
"""Seconds by which the clocks of two functions may differ: a minute each."""
ATTEMPTS_MOST = 20
"""Attempts after which a message is given up: about half an hour of growing pauses."""
_DEDUPLICATED_FOR = 600.0 - CLOCK_SKEW
"""Seconds for which WeChat drops a second copy of a ``template`` with the same ``client_msg_id``."""
_WISHES = OWN_WORDS - {"kind"}
"""Not part of the message: a repeat may well expire later."""
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
    Status.SENDING: frozenset({Status.SENDING, Status.QUEUED, Status.SENT, Status.FAILED, Status.UNKNOWN}),
    Status.SENT: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
    # From failed only where nothing was sent; from unknown only where a repeat does no harm, or because
    # the holder of a claim that was given up comes back with the answer.
    Status.FAILED: frozenset({Status.SENDING, Status.QUEUED, Status.FAILED, Status.EXPIRED}),
    Status.UNKNOWN: frozenset({Status.SENDING, Status.QUEUED, Status.SENT, Status.FAILED}),
}
_OPEN = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})
CANCELLED = "cancelled"
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
    ``attempts`` counts claims. ``lease_until`` is when a claim's holder must be dead, by any clock.
    ``lost_at`` is when the first copy went out whose answer was lost. ``outcome`` is that of the last
    attempt; ``reason`` says what no errcode says.
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
    reason: str | None = None
    outcome: Outcome | None = None
    timeline: tuple[Change, ...] = ()

    def moved(self, status: Status, *, writer: str, now: float, **fields: Any) -> Entry:
        """The next version of the entry; raises ``IllegalTransitionError``."""
        if status not in _NEXT.get(self.status, frozenset()):
            raise IllegalTransitionError(self.status, status)
        outcome: Outcome | None = fields.get("outcome")
        change = Change(status, now, outcome.errcode if outcome else None, fields.get("reason"))
        return self._replace(
            status=status,
            writer=writer,
            updated_at=now,
            version=self.version + 1,
            timeline=(*self.timeline, change)[-_CHANGES_MOST:],
            **{"lease_until": None, "reason": None, **fields},
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
    def pursued_since(self) -> float:
        """Since when it has been waiting on end: what a caller tries again, days later maybe, begins anew."""
        resumed = [later.at for earlier, later in pairwise(self.timeline) if earlier.reason == TRY_AGAIN]
        return max(resumed, default=self.created_at)


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

    def note(self, request: SendRequest, message: Message | None, status: Status, **fields: Any) -> Found:
        """Say of a message that nobody is at that it waits (``queued``), or that it will not be sent."""
        intent = _Intent(request, message, status, fields)
        return self._write(intent, patient=status is not Status.QUEUED)

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
        if there is None:
            return None
        if there.status is Status.SENDING:
            now = self._now()
            if not _abandoned(there, now):
                return Found(Standing.IN_FLIGHT, there)
            wanted = there.moved(
                Status.UNKNOWN, writer=self._writer(), now=now, lost_at=_lost_at(there), reason=NOT_RECORDED
            )
            other = self._put(wanted, patient=False)
            return Found(Standing.FINAL, other or wanted, changed=other is None)
        return Found(Standing.FINAL, there)

    def standing(self, request: SendRequest) -> Found | None:
        """What an earlier call left that a repeat is to hear; None where a repeat would be tried."""
        found = self.look_up(request.account, request.id)
        if found and found.entry.fingerprint != self._fingerprint(request.message):
            return Found(Standing.OTHER_BODY, found.entry)
        return None if found and found.entry.in_vain else found

    def _write(self, intent: _Intent, *, patient: bool = False, waiting: bool = True) -> Found:
        writer = self._writer()
        wanted = self._new(intent, writer)
        for _ in range(_WRITES_MOST):
            there = self._put(wanted, patient=patient)
            if there is None:
                standing = Standing.TAKEN if wanted.status is Status.SENDING else Standing.FINAL
                return Found(standing, wanted, changed=True)
            if there.fingerprint != wanted.fingerprint:
                return Found(Standing.OTHER_BODY, there)
            if there.status is Status.SENDING and not _abandoned(there, self._now()):
                return Found(Standing.IN_FLIGHT, there)
            passed_over = there.status is Status.QUEUED and not waiting
            successor = None if passed_over else self._successor(there, intent, writer)
            if successor is None:
                return Found(Standing.FINAL, there)
            wanted = successor
        raise StorageError("write the message's entry", "Contended")

    def _successor(self, there: Entry, intent: _Intent, writer: str) -> Entry | None:
        """What an entry that nobody is at becomes; None where it stays as it is."""
        if (there.status not in _OPEN and not there.in_vain) or there.reason == CANCELLED:
            return None
        if there.status is Status.QUEUED is intent.status and (
            intent.fields.get("reason") != HELD or there.reason == HELD
        ):
            return None
        now, status, fields = self._now(), intent.status, dict(intent.fields)
        lost_at = _lost_at(there)
        if lost_at is not None:
            goes_on = status in {Status.SENDING, Status.QUEUED}
            if not (goes_on and repeatable(intent.request, intent.message, lost_at, there.attempts, now)):
                if there.status is Status.UNKNOWN:
                    return None
                status, fields = Status.UNKNOWN, {"reason": NOT_RECORDED}
            fields["lost_at"] = lost_at
        if status is Status.SENDING:
            fields["attempts"] = there.attempts + 1
        return there.moved(status, writer=writer, now=now, **fields)

    def _new(self, intent: _Intent, writer: str) -> Entry:
        if intent.status not in _NEXT[None]:
            raise IllegalTransitionError(None, intent.status)
        now, request, message = self._now(), intent.request, intent.message
        outcome: Outcome | None = intent.fields.get("outcome")
        errcode = outcome.errcode if outcome else None
        return Entry(
            account=request.account,
            id=request.id,
            status=intent.status,
            fingerprint=self._fingerprint(request.message),
            writer=writer,
            created_at=now,
            updated_at=now,
            kind=message.kind if message else None,
            template_id=message.template_id if message else None,
            openid_hash=self._keyed_hash(message.touser) if message else None,
            expires_at=request.expires_at.timestamp() if request.expires_at else None,
            timeline=(Change(intent.status, now, errcode, intent.fields.get("reason")),),
            **intent.fields,
        )

    def _fingerprint(self, body: object) -> str:
        """Under a key: who reads the table cannot try out what a message may have said."""
        return self._keyed_hash(canonical(body))

    def _put(self, wanted: Entry, *, patient: bool) -> Entry | None:
        """As the store does; this call's own write, repeated because its answer was lost, is a success."""
        there = self._store.put(wanted, patient=patient)
        own = there is not None and (there.version, there.writer) == (wanted.version, wanted.writer)
        return None if own else there


def repeatable(
    request: SendRequest, message: Message | None, lost_at: float, attempts: int, now: float
) -> bool:
    """Whether a message that may have been sent may be sent once more.

    It may where the caller asked for at-least-once, and where WeChat drops the second copy: that is
    ``template`` with the same ``client_msg_id``, for 10 minutes.
    """
    if attempts >= ATTEMPTS_MOST:
        return False
    if request.at_least_once:
        return True
    return message is not None and message.deduplicated and now < lost_at + _DEDUPLICATED_FOR


def _lost_at(entry: Entry) -> float | None:
    """When a copy went out that may have been accepted, as far as an entry that nobody is at tells."""
    if entry.lost_at is None and entry.status in {Status.SENDING, Status.UNKNOWN}:
        return entry.updated_at
    return entry.lost_at


def _abandoned(entry: Entry, now: float) -> bool:
    return now >= (entry.lease_until or 0.0)


def canonical(body: object) -> str:
    """A message's text, the same whatever the order of its fields and the door it came through."""
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in _WISHES}
    return _CANONICAL.encode(body)


# Made once: json.dumps makes one for each call that has options.
_CANONICAL = json.JSONEncoder(default=written_out, sort_keys=True, separators=(",", ":"))
