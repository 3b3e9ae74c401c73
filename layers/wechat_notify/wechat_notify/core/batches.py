"""A batch of queued messages: read each, send them side by side, say which go back.

Messages to one openid follow one another in the order of the batch: WeChat refuses two at a time
(43108). Different openids are sent concurrently, since almost all of the time is waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from wechat_notify.core.delivery import TIME_FOR_A_MESSAGE, Delivery, Sender, deduplicated, repeat_in
from wechat_notify.core.envelope import SendRequest, is_account_name, parse_queue_body
from wechat_notify.core.messages import Message, parse_message
from wechat_notify.core.outcomes import (
    InvalidMessageError,
    MalformedBodyError,
    Status,
    StorageError,
    UnknownAccountError,
    Violation,
)

_CONCURRENCY = 10
_NOW = 0.0
_UNFORESEEN_MOST = 5
"""Receives after which a message that fails for a reason that nobody foresaw is put aside."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message as the queue handed it out, for the ``receive_count``-th time."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int


class Disposition(StrEnum):
    """What happens to a queued message after this attempt."""

    FINISHED = "finished"
    RETURNED = "returned"
    """It stays on the queue and is handed out again."""
    DEAD_LETTER = "dead_letter"
    """It was put among the dead letters."""


@dataclass(frozen=True, slots=True)
class Handled:
    """One record and what became of it.

    ``refusal`` is set where the message was never attempted, ``delivery`` where it was;
    neither where there was no time left. ``error`` is what nobody foresaw.
    """

    record: Record
    disposition: Disposition
    request: SendRequest | None = None
    message: Message | None = None
    delivery: Delivery | None = None
    refusal: str | None = None
    violations: Sequence[Violation] = ()
    detail: str | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Readable:
    record: Record
    request: SendRequest
    message: Message
    warnings: Sequence[Violation]


class DeadLetters(Protocol):
    """Where bodies go that nobody can read."""

    def send(self, body: str, **attributes: str) -> None:
        """Keep a body; raises ``StorageError``."""


class Visibility(Protocol):
    """How a received message is handed out again at a time of our choice."""

    def hand_out_again(self, receipt_handle: str, seconds: float) -> None:
        """Set the visibility timeout; raises ``StorageError``."""


class BatchSender:
    """Sends batches; nothing that one record holds can stop another."""

    def __init__(
        self,
        sender: Sender,
        queue: Visibility,
        dead_letters: DeadLetters,
        *,
        now: Callable[[], float],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._sender = sender
        self._queue = queue
        self._dead_letters = dead_letters
        self._now = now
        self._jitter = jitter

    def send(self, records: Sequence[Record], seconds_left: Callable[[], float]) -> list[Handled]:
        """What became of each record, in no particular order.

        Parameters
        ----------
        records : Sequence
            The batch.
        seconds_left : Callable
            Seconds until the function is stopped.
        """
        handled: list[Handled] = []
        lanes: dict[tuple[str, str], list[_Readable]] = {}
        for record in records:
            try:
                read: _Readable | Handled = self._read(record)
            except Exception as error:  # noqa: BLE001 - the others of the batch are to be sent all the same
                read = self._unforeseen(record, None, error)
            if isinstance(read, Handled):
                handled.append(read)
            else:
                lanes.setdefault((read.request.account, read.message.touser), []).append(read)

        def send_lane(lane: list[_Readable]) -> list[Handled]:
            return [self._attempt(read, seconds_left) for read in lane]

        if lanes:
            with ThreadPoolExecutor(min(_CONCURRENCY, len(lanes))) as pool:
                for lane in pool.map(send_lane, lanes.values()):
                    handled.extend(lane)
        return handled

    def _read(self, record: Record) -> _Readable | Handled:
        try:
            request = parse_queue_body(record.body, default_id=record.message_id)
        except MalformedBodyError as error:
            return self._unreadable(record, error)
        if not is_account_name(request.account):
            return Handled(record, Disposition.FINISHED, request, refusal=UnknownAccountError.reason)
        if request.expires_at and request.expires_at <= datetime.fromtimestamp(self._now(), UTC):
            return Handled(record, Disposition.FINISHED, request, refusal="expired")
        try:
            message, warnings = parse_message(request.message)
        except InvalidMessageError as error:
            return Handled(
                record,
                Disposition.FINISHED,
                request,
                refusal=InvalidMessageError.reason,
                violations=error.violations,
            )
        return _Readable(record, request, message, warnings)

    def _unreadable(self, record: Record, error: MalformedBodyError) -> Handled:
        return self._put_aside(
            Handled(record, Disposition.DEAD_LETTER, refusal=error.reason, detail=error.text.en)
        )

    def _unforeseen(self, record: Record, request: SendRequest | None, error: Exception) -> Handled:
        handled = Handled(record, Disposition.RETURNED, request, refusal="internal_error", error=error)
        if record.receive_count < _UNFORESEEN_MOST:
            return handled
        return self._put_aside(replace(handled, disposition=Disposition.DEAD_LETTER, detail="given up"))

    def _put_aside(self, handled: Handled) -> Handled:
        """Keep the body among the dead letters."""
        attributes = {"reason": handled.detail or "", "message_id": handled.record.message_id}
        try:
            self._dead_letters.send(handled.record.body, **attributes)
        except Exception:  # noqa: BLE001 - it goes back, and the queue's own redrive policy does the same in the end
            return replace(handled, disposition=Disposition.RETURNED)
        return handled

    def _attempt(self, read: _Readable, seconds_left: Callable[[], float]) -> Handled:
        if seconds_left() < TIME_FOR_A_MESSAGE:
            return self._again(read, _NOW, None)
        try:
            delivery = self._send(read, seconds_left)
        except UnknownAccountError:
            return Handled(
                read.record, Disposition.FINISHED, read.request, refusal=UnknownAccountError.reason
            )
        except Exception as error:  # noqa: BLE001 - raised on, it would repeat what is sent already
            return self._unforeseen(read.record, read.request, error)
        wait = repeat_in(
            delivery.outcome,
            receive_count=read.record.receive_count,
            now=self._now(),
            jitter=self._jitter,
        )
        if wait is not None:
            return self._again(read, wait, delivery)
        return Handled(
            read.record, Disposition.FINISHED, read.request, read.message, delivery, violations=read.warnings
        )

    def _send(self, read: _Readable, seconds_left: Callable[[], float]) -> Delivery:
        delivery = self._sender.send(read.request.account, read.message, seconds_left)
        if (
            delivery.outcome.status is not Status.UNKNOWN
            or not deduplicated(read.message)
            or seconds_left() < TIME_FOR_A_MESSAGE
        ):
            return delivery
        # At once and not by way of the queue: no other outcome, with a wait beyond WeChat's 10 minutes,
        # may come between the two copies.
        try:
            second = self._sender.send(read.request.account, read.message, seconds_left)
        except Exception:  # noqa: BLE001 - the first answer stays lost, and so nothing goes back
            return delivery
        outcome = second.outcome if second.outcome.status is Status.SENT else delivery.outcome
        return Delivery(outcome, delivery.attempts + second.attempts, delivery.seconds + second.seconds)

    def _again(self, read: _Readable, wait: float, delivery: Delivery | None) -> Handled:
        detail = f"again in {wait:.0f} s"
        try:
            self._queue.hand_out_again(read.record.receipt_handle, wait)
        except Exception as error:  # noqa: BLE001 - raised on, it would repeat what others of the batch sent
            code = error.code if isinstance(error, StorageError) else type(error).__name__
            detail = f"again after the queue's visibility timeout ({code})"
        return Handled(
            read.record,
            Disposition.RETURNED,
            read.request,
            read.message,
            delivery,
            violations=read.warnings,
            detail=detail,
        )
