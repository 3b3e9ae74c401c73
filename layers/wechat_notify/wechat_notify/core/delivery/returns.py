"""The ways back of a record that was not sent: handed out again, parked, or put among the dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wechat_notify.core.clocks import Jitter
from wechat_notify.core.delivery.records import (
    HELD_SINCE,
    MESSAGE_ID,
    PRODUCER_ID,
    Disposition,
    Handled,
    Record,
)
from wechat_notify.core.delivery.results import Held
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import queue_body
from wechat_notify.core.queue_messages import DelayedMessage

_STORE_WAIT = 300.0
"""Seconds at most between attempts while the ledger does not answer."""
_MAX_DELAY = 900.0
"""Seconds for which SQS delays a message at most: what is parked for longer comes by and is parked again."""
_SPREAD = 600.0
"""Seconds at most over which messages that were parked together come back."""


class DeadLetters(Protocol):
    """The dead letter queue."""

    def send(self, body: str, **attributes: str) -> None:
        """Keep a body; raises ``StorageError``."""


class Queue(Protocol):
    """The send queue: visibility timeouts and delayed copies."""

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        """Set a received message's visibility timeout; raises ``StorageError``."""

    def send_delayed(self, items: Sequence[DelayedMessage]) -> list[int]:
        """Put messages on the queue; the indices of those that could not be."""


class Returns:
    """Returns records to the queue, or puts them aside.

    Parameters
    ----------
    queue, dead_letters
        The send queue, and that of the dead letters.
    now : Callable
        Seconds since the epoch.
    jitter : Callable
        A random number between two others.
    """

    def __init__(
        self, queue: Queue, dead_letters: DeadLetters, *, now: Callable[[], float], jitter: Jitter
    ) -> None:
        self._queue = queue
        self._dead_letters = dead_letters
        self._now = now
        self._jitter = jitter
        self._queue_answers = True

    def begin_batch(self) -> None:
        """Forget that the queue did not answer in the batch before."""
        self._queue_answers = True

    def return_to_queue(self, handled: Handled, wait: float) -> Handled:
        """Hand the message out again in so many seconds, or when its visibility timeout is over."""
        returned = handled._replace(disposition=Disposition.RETURNED)
        if not self._queue_answers:  # ten in a lane that each wait for SQS would outlast the function
            return returned._replace(detail="again after the queue's visibility timeout")
        try:
            self._queue.change_visibility(handled.record.receipt_handle, wait)
        except Exception as error:  # noqa: BLE001 - raised on, it would repeat what others of the batch sent
            self._queue_answers = False
            code = error.code if isinstance(error, StorageError) else type(error).__name__
            return returned._replace(detail=f"again after the queue's visibility timeout ({code})")
        return returned._replace(detail=f"again in {wait:.0f} s")

    def return_after_storage_error(self, handled: Handled, error: StorageError) -> Handled:
        """Hand the message out again when the ledger may have come back."""
        growth = 2.0 ** min(handled.record.receive_count, 16)
        again = self.return_to_queue(handled, self._jitter(1, min(_STORE_WAIT, 2 * growth)))
        return again._replace(detail=f"{again.detail}: {error}")

    def park(self, handled: Sequence[Handled]) -> list[Handled]:
        """Put copies of what is held on the queue, to be handed out later; what cannot be goes back.

        A delayed copy begins its count of receives anew, and is not in flight: of those a queue has
        120,000 at most, and one account's quota could fill them.
        """
        held = [item for item in handled if item.disposition is Disposition.PARKED]
        if not held:
            return list(handled)
        failed = set(self._queue.send_delayed([self._delayed_copy(item) for item in held]))
        unparked = {id(item) for index, item in enumerate(held) if index in failed}
        return [
            self.return_to_queue(
                item._replace(disposition=Disposition.RETURNED), self._jitter(60, _STORE_WAIT)
            )
            if id(item) in unparked
            else item
            for item in handled
        ]

    def _delayed_copy(self, item: Handled) -> DelayedMessage:
        assert item.request  # noqa: S101 # nosec B101 # what is held was read
        assert isinstance(item.result, Held)  # noqa: S101 # nosec B101 # the same
        held_for = item.result.after
        delay = held_for + self._jitter(0, min(_SPREAD, held_for))
        if held_for >= _MAX_DELAY:  # spread already while it waits
            delay = self._jitter(_MAX_DELAY - 150, _MAX_DELAY)
        since = self.held_since(item.record)
        body = queue_body(item.request)
        began = str(int(self._now() if since is None else since))
        return DelayedMessage(body, round(min(_MAX_DELAY, delay)), item.request.account, {HELD_SINCE: began})

    def held_since(self, record: Record) -> float | None:
        """Time since which a message is held; None where it is not, or a producer made the time up."""
        return record.held_since(self._now())

    def to_dead_letters(self, handled: Handled) -> Handled:
        """Keep the body among the dead letters, with its own id and the one under which it first came."""
        record = handled.record
        attributes = {
            "reason": handled.detail or "",
            MESSAGE_ID: record.attributes.get(MESSAGE_ID) or record.message_id,
            PRODUCER_ID: (handled.request.id if handled.request else handled.message_id) or "",
        }
        try:
            self._dead_letters.send(record.body, **attributes)
        except Exception:  # noqa: BLE001 - it goes back, and the queue's own redrive policy does the same in the end
            return handled._replace(disposition=Disposition.RETURNED)
        return handled
