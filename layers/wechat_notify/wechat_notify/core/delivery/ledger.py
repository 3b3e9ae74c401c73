"""The ledger: one entry for each message, moved from state to state by conditional writes.

An entry is claimed (``sending``) immediately before the message goes out, and finished with the outcome. An
expired claim means that the message may have been sent, and no more.
A good message costs two writes and no read: a write that meets another entry returns that entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from wechat_notify.core.delivery.entry import (
    CANCELLED,
    CLOCK_SKEW,
    EXHAUSTED,
    NEWER_RELEASE,
    NOT_RECORDED,
    TRY_AGAIN,
    Entry,
    awaits_receipt,
)
from wechat_notify.core.delivery.results import IdReused, NotOurs
from wechat_notify.core.delivery.transitions import (
    Intent,
    Transitions,
    UnconfirmedClaim,
    doubt_of,
    is_abandoned,
)
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.openid_hashes import KeyedHash
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual

_BY_RECEIPT = Bilingual(
    "Nothing to do: WeChat's receipt says that it was sent.", "无需处理，微信回执表明消息已发送。"
)
_MAX_UNCONFIRMED = 1000
_MAX_RELEASES = 10
"""Unconfirmed claims that one call looks after: a message that is to be sent waits for them."""
_MAX_WRITES = 8
"""Times that a write is judged anew because another one came in between."""


class LedgerStore(Protocol):
    """Storage of entries; every method raises ``StorageError``."""

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        """Store an entry as the successor of the version before it, or as the first.

        Returns None where it was stored (also by an earlier put of the same version and writer, whose answer
        was lost), otherwise the existing entry.
        ``patient`` is for what must not be lost.
        """

    def read(self, account: str, message_id: str) -> Entry | None:
        """The newest version of an entry."""


class Written(NamedTuple):
    """An entry that this very call wrote."""

    entry: Entry

    @property
    def status(self) -> Status:
        """The message's status."""
        return self.entry.status


class Ledger:
    """The entries, and the only place that writes them."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        now: Callable[[], float],
        writer: Callable[[], str],
        keyed_hash: KeyedHash,
    ) -> None:
        self._store = store
        self._clock = now
        self._writer = writer
        self._transitions = Transitions(self._now, keyed_hash)
        self._unconfirmed: dict[str, UnconfirmedClaim] = {}
        """By writer."""

    def _now(self) -> float:
        return round(self._clock(), 3)  # as it is stored

    def claim(
        self, request: SendRequest, message: Message, seconds: float, *, takes_queued: bool
    ) -> Written | NotOurs:
        """Take the message for an attempt that ends, one way or another, within so many seconds.

        Parameters
        ----------
        request, message
            The message.
        seconds : float
            What is left of the invocation.
        takes_queued : bool
            Whether a message that waits on the queue may be taken: by the queue's own function.

        Raises
        ------
        StorageError
            Nothing is claimed as far as is known, and nothing may be sent.
        """
        now = self._now()
        lease_until = now + seconds + CLOCK_SKEW
        fields = {"attempts": 1, "lease_until": lease_until}
        return self._write(Intent(request, message, Status.SENDING, fields), takes_queued=takes_queued)

    def release_unconfirmed(self) -> None:
        """Give back the claims that may have been stored although the store did not say so.

        Nothing was sent under them, and only this process knows: to others their holder looks dead, and the
        message as if it may have been sent. Does nothing where the store still does not answer.
        """
        for writer in list(self._unconfirmed)[:_MAX_RELEASES]:
            if not self._release(writer):
                return

    def _release(self, writer: str) -> bool:
        """Give back one unconfirmed claim; False where the store does not answer."""
        unconfirmed = self._unconfirmed.get(writer)
        if unconfirmed is None:  # another thread was here first
            return True
        claim = unconfirmed.claim
        try:
            existing = self._store.read(claim.account, claim.id)
            if existing is not None and existing.writer == writer:
                # Its release may have been stored already, with an answer that was lost as well.
                if existing.status is Status.SENDING:
                    self._store.put(unconfirmed.released(existing, now=self._now()), patient=False)
            elif (existing is None or existing.version < claim.version) and not is_abandoned(
                claim, self._now()
            ):
                # The write may still be on its way: it is asked about again after the others.
                self._unconfirmed.pop(writer, None)
                self._unconfirmed[writer] = unconfirmed
                return True
        except StorageError:
            return False
        self._unconfirmed.pop(writer, None)
        return True

    def find_blocker(
        self, request: SendRequest, message: Message, *, takes_queued: bool
    ) -> Written | NotOurs | None:
        """Return the message's entry where the message is not the caller's to send; None where it is.

        Used before a probe, which must not claim the message yet. An expired claim ends here. Raises
        ``StorageError``.
        """
        existing = self._store.read(request.account, request.id)
        if existing is None:
            return None
        intent = Intent(request, message, Status.SENDING, {"attempts": 1})
        judged = self._judge(existing, intent, self._writer(), takes_queued=takes_queued)
        if not isinstance(judged, Entry):
            return judged
        if judged.status is Status.SENDING:
            return None
        other = self._store.put(judged, patient=False)
        return Written(judged) if other is None else self._transitions.not_ours(other)

    def set_status(
        self, request: SendRequest, message: Message | None, status: Status, **fields: Any
    ) -> Written | NotOurs:
        """Record of a message without a claim that it waits (``queued``), or that it will not be sent."""
        intent = Intent(request, message, status, fields)
        return self._write(intent, patient=status is not Status.QUEUED)

    def record_try_again(self, request: SendRequest, message: Message, outcome: Outcome) -> Written | NotOurs:
        """Say of a message that could not be attempted that its caller was told to try again.

        Not where it waits on the queue, or may have been sent.
        """
        fields = {"outcome": outcome, "reason": TRY_AGAIN}
        return self._write(Intent(request, message, Status.FAILED, fields), takes_queued=False)

    def finish(self, entry: Entry, status: Status, **fields: Any) -> Entry:
        """Record what came of a claimed message; return the entry as it stands afterwards.

        Raises
        ------
        StorageError
            It could not be recorded: to everybody else the answer is lost.
        """
        wanted = entry.moved(status, writer=entry.writer, now=self._now(), **fields)
        for _ in range(_MAX_WRITES):
            existing = self._store.put(wanted, patient=True)
            if existing is None:
                return wanted
            # The claim was given up while its holder was still alive: the answer counts all the same,
            # though a refusal says nothing of a copy that went out meanwhile.
            known = status is Status.SENT or (status is Status.FAILED and existing.attempts == entry.attempts)
            if existing.status is not Status.UNKNOWN or existing.reason == NEWER_RELEASE or not known:
                return existing
            wanted = existing.moved(status, writer=entry.writer, now=self._now(), **fields)
        raise StorageError("record what came of the message", "Contended")

    def record_receipt(
        self,
        account: str,
        message_id: str,
        *,
        delivered: bool,
        reason: str | None,
        msgid: int,
        writer: str,
    ) -> Written | Entry | None:
        """Record WeChat's receipt of a message; ``writer`` is the callback that brought it.

        A message whose answer was lost is settled by it, also one whose claim was abandoned. The entry of one
        that is being sent, that was never sent, that has its receipt, or that has another msgid (its answer
        came in between) is returned as it stands. None where there is no such message.
        """
        status = Status.DELIVERED if delivered else Status.UNDELIVERED
        for _ in range(_MAX_WRITES):
            found = self.look_up(account, message_id)
            existing = found.entry if found else None
            if existing is None or not awaits_receipt(existing):
                return existing
            outcome = existing.outcome
            if outcome is not None and outcome.msgid not in {None, msgid}:
                return existing
            if outcome is None or outcome.msgid is None:  # its own answer was lost
                outcome = Outcome(Status.SENT, ErrorClass.SUCCESS, _BY_RECEIPT, errcode=0, msgid=msgid)
            wanted = existing.moved(status, writer=writer, now=self._now(), reason=reason, outcome=outcome)
            if self._store.put(wanted, patient=True) is None:
                return Written(wanted)
        raise StorageError("record the receipt of the message", "Contended")

    def cancel(self, account: str, message_id: str) -> Written | NotOurs | None:
        """Keep a message that waits from being sent; None where there is no such message."""
        existing = self._store.read(account, message_id)
        for _ in range(_MAX_WRITES):
            if existing is None or existing.status is not Status.QUEUED:
                break
            # An earlier copy whose answer was lost cannot be called back.
            status = Status.CANCELLED if existing.lost_at is None else Status.UNKNOWN
            wanted = existing.moved(status, writer=self._writer(), now=self._now(), reason=CANCELLED)
            existing = self._store.put(wanted, patient=False)
            if existing is None:
                return Written(wanted)
        return self._transitions.not_ours(existing) if existing else None

    def look_up(self, account: str, message_id: str) -> Written | NotOurs | None:
        """Return the message's entry, None where there is none; an abandoned claim ends here."""
        existing = self._store.read(account, message_id)
        if (
            existing is not None and existing.writer in self._unconfirmed
        ):  # nothing was sent: it is in no doubt
            self._release(existing.writer)
            existing = self._store.read(account, message_id)
        if existing is None:
            return None
        if existing.status is Status.SENDING and is_abandoned(existing, self._now()):
            wanted = existing.moved(
                Status.UNKNOWN,
                writer=self._writer(),
                now=self._now(),
                **doubt_of(existing),
                reason=NOT_RECORDED,
            )
            other = self._store.put(wanted, patient=False)
            return Written(wanted) if other is None else self._transitions.not_ours(other)
        return self._transitions.not_ours(existing)

    def find_replay(self, request: SendRequest) -> Written | NotOurs | None:
        """Return the result of an earlier call that answers this one; None where a new attempt is due."""
        found = self.look_up(request.account, request.id)
        if found is None or found.entry is None:
            return None
        entry = found.entry
        if not self._transitions.is_same(entry, request):
            return IdReused(entry=entry, outcome=entry.outcome) if entry.owns_id else None
        if entry.awaits_caller:
            return None
        return found if entry.owns_id or entry.reason == EXHAUSTED else None

    def foresee(self, request: SendRequest, message: Message) -> Entry | NotOurs:
        """Return what ``claim`` would write for a caller, or find; nothing is written.

        Raises ``StorageError``.
        """
        intent = Intent(request, message, Status.SENDING, {"attempts": 1})
        existing = self._store.read(request.account, request.id)
        if existing is None:
            return self._transitions.new(intent, "")
        return self._judge(existing, intent, "", takes_queued=False)

    def _write(
        self, intent: Intent, *, patient: bool = False, takes_queued: bool = True
    ) -> Written | NotOurs:
        writer = self._writer()
        wanted = self._transitions.new(intent, writer)
        existing: Entry | None = None
        for _ in range(_MAX_WRITES):
            try:
                existing = self._store.put(wanted, patient=patient)
            except StorageError:
                if wanted.status is Status.SENDING:
                    due = existing.next_attempt_at if existing else None
                    self._remember(UnconfirmedClaim(wanted, takes_queued, due))
                raise
            if existing is None:
                return Written(wanted)
            judged = self._judge(existing, intent, writer, takes_queued=takes_queued)
            if not isinstance(judged, Entry):
                return judged
            wanted = judged
        raise StorageError("write the message's entry", "Contended")

    def _judge(self, existing: Entry, intent: Intent, writer: str, *, takes_queued: bool) -> Entry | NotOurs:
        unconfirmed = self._unconfirmed.get(existing.writer)
        return self._transitions.judge(
            existing, intent, writer, takes_queued=takes_queued, unconfirmed=unconfirmed
        )

    def _remember(self, unconfirmed: UnconfirmedClaim) -> None:
        if len(self._unconfirmed) >= _MAX_UNCONFIRMED:
            self._unconfirmed.pop(next(iter(self._unconfirmed)), None)
        writer = unconfirmed.claim.writer
        self._unconfirmed[writer] = unconfirmed
        self._release(writer)
