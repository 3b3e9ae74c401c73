"""The operations that the functions call: hand a message over, send it, look it up, cancel it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from wechat_notify.core.clocks import Jitter, SecondsLeft
from wechat_notify.core.consents.consents import Consents
from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.delivery.attempts import CallerAttempt, QueueAttempt
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.consented import ENFORCE
from wechat_notify.core.delivery.dry_run import Foreseen, Would
from wechat_notify.core.delivery.entry import REQUEUED
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.results import (
    IdReused,
    InFlight,
    NotDue,
    NotOurs,
    Queued,
    Replayed,
    Result,
)
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER, is_expired
from wechat_notify.core.delivery.send import Parts, as_result, is_queued
from wechat_notify.core.delivery.sender import Sender
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.envelope import SendRequest, queue_body
from wechat_notify.core.messages.intake import CheckedRequest
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Outcome, Status


class SendQueue(Protocol):
    """The queue of messages to be sent."""

    def send(self, body: str, *, group: str | None = None) -> None:
        """Put a message on the queue; raises ``StorageError``."""


class Dispatcher:
    """Sends messages to WeChat, and records the outcomes in the ledger.

    ``check`` is how requests are checked, in both triggers; raises ``InvalidMessageError``.
    """

    def __init__(
        self,
        ledger: Ledger,
        circuits: Circuits,
        sender: Sender,
        queue: SendQueue,
        consents: Consents,
        *,
        now: Callable[[], float],
        jitter: Jitter,
        check: Callable[[SendRequest], CheckedRequest] = intake.check,
    ) -> None:
        self._parts = Parts(ledger, circuits, sender, consents, now, jitter)
        self._ledger = ledger
        self._circuits = circuits
        self._sender = sender
        self._consents = consents
        self._queue = queue
        self._now = now
        self.check = check

    def prepare(self, accounts: Iterable[str]) -> None:
        """Release unconfirmed claims and read the accounts' circuits, once for a batch; never raises."""
        self._ledger.release_unconfirmed()
        self._circuits.prefetch(accounts)

    def accept(self, request: SendRequest, message: Message) -> Result:
        """Put a message on the queue.

        The queue is written before the ledger: where the process dies in between, the caller's repeat puts a
        second copy on the queue, with the same id, and it is sent once. A message that the ledger knows as
        waiting is not put there again.

        Raises
        ------
        UnknownAccountError
            There are no credentials for the account.
        StorageError
            The message may be on the queue or not; it is safe to try again with the same id.
        """
        if not self._sender.has_credentials(request.account):
            raise UnknownAccountError(request.account)
        if is_expired(request, self._now()):
            return as_result(self._ledger.set_status(request, message, Status.EXPIRED))
        existing = self._ledger.find_blocker(request, message, takes_queued=False)
        lost = existing is not None and self._copy_is_lost(existing)
        if existing and not isinstance(existing, NotDue) and not lost:
            return as_result(existing)
        self._queue.send(queue_body(request), group=request.account)
        with suppress(StorageError):  # it will be sent, and has its entry then
            found = self._ledger.set_status(
                request, message, Status.QUEUED, reason=REQUEUED if lost else None
            )
            # By now the queue's function may be at it, or through.
            if not isinstance(found, InFlight) and not is_queued(found):
                return as_result(found)
            return Queued(entry=found.entry)
        return Queued()

    def _copy_is_lost(self, found: Written | NotOurs) -> bool:
        """Return whether the queue has no copy any more: it was purged, or went to the dead letters."""
        return is_queued(found) and self._now() - found.entry.updated_at > GIVE_UP_AFTER

    def send_now(self, request: SendRequest, message: Message, seconds_left: SecondsLeft) -> Result:
        """Send a message whose caller waits; raises as ``Attempt.run`` does."""
        self.prepare([request.account])
        return CallerAttempt(self._parts, request, message, seconds_left).run()

    def send_queued(
        self,
        request: SendRequest,
        message: Message,
        seconds_left: SecondsLeft,
        *,
        receive_count: int,
        held_since: float | None,
    ) -> Result:
        """Send a message of the queue; arguments as ``QueueAttempt`` has them, raises as its ``run`` does."""
        attempt = QueueAttempt(
            self._parts, request, message, seconds_left, receive_count=receive_count, held_since=held_since
        )
        return attempt.run()

    def refuse(
        self, request: SendRequest, message: Message | None, reason: str, outcome: Outcome | None = None
    ) -> Result:
        """Record that a message of the queue is never attempted; raises ``StorageError``."""
        return as_result(
            self._ledger.set_status(request, message, Status.FAILED, reason=reason, outcome=outcome)
        )

    def foresee(self, request: SendRequest, message: Message) -> Foreseen:
        """Return what would become of a message that came by HTTP now; the ledger and WeChat are not touched.

        Raises
        ------
        UnknownAccountError
            There are no credentials for the account.
        StorageError
            The ledger did not answer.
        """
        if not self._sender.has_credentials(request.account):
            raise UnknownAccountError(request.account)
        found = self._ledger.foresee(request, message)
        match found:
            case IdReused():
                return Foreseen(Would.CONFLICT)
            case InFlight():
                return Foreseen(Would.IN_FLIGHT, found.status)
            case Replayed() | NotDue():
                return Foreseen(Would.REPLAY, found.status)
        if found.status is not Status.SENDING:  # a lost answer, which is not to be repeated
            return Foreseen(Would.REPLAY, found.status)
        if is_expired(request, self._now()):
            return Foreseen(Would.EXPIRE)
        self._circuits.prefetch([request.account])
        held = self._circuits.admit(request.account, message).held
        return Foreseen(Would.HOLD, hold=held) if held else self._foresee_refusal(request.account, message)

    def _foresee_refusal(self, account: str, message: Message) -> Foreseen:
        token = self._sender.stored_token(account)
        if token is None:
            return Foreseen(Would.SEND)
        need = self._consents.need(account, message) if token.consents else None
        lacks_consent = need is not None and not self._consents.is_given(need)
        if lacks_consent and token.consents == ENFORCE:
            refusal: Outcome | None = own_outcomes.NO_CONSENT
        else:
            refusal = own_outcomes.not_granted(message, token.permissions)
        would = Would.REFUSE if refusal else Would.SEND
        return Foreseen(would, refusal=refusal, lacks_consent=lacks_consent)

    def look_up(self, account: str, message_id: str) -> Result | None:
        """Return what became of a message; None where there is none. Raises ``StorageError``."""
        found = self._ledger.look_up(account, message_id)
        return as_result(found) if found else None

    def cancel(self, account: str, message_id: str) -> Result | None:
        """Keep a message that waits from being sent; None where there is none. Raises ``StorageError``."""
        found = self._ledger.cancel(account, message_id)
        return as_result(found) if found else None
