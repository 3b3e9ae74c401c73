"""A batch of queued messages: read each, send them side by side, say which go back.

Messages to one openid follow one another in the order of the batch: WeChat refuses two at a time
(43108). Different openids are sent concurrently, since almost all of the time is waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from wechat_notify.core.delivery import TIME_FOR_A_MESSAGE, Delivery, Sender, repeat_in
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


@dataclass(frozen=True, slots=True)
class Record:
    """One message as the queue handed it out; ``first_received`` is seconds since the epoch."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    first_received: float


class Disposition(StrEnum):
    """What happens to a queued message after this attempt."""

    FINISHED = "finished"
    RETURNED = "returned"
    """It stays on the queue and is handed out again."""


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
                read = _unforeseen(record, None, error)
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
            return Handled(record, Disposition.FINISHED, request, refusal="unknown_account")
        if request.expires_at and request.expires_at <= datetime.fromtimestamp(self._now(), UTC):
            return Handled(record, Disposition.FINISHED, request, refusal="expired")
        try:
            message, warnings = parse_message(request.message)
        except InvalidMessageError as error:
            return Handled(
                record, Disposition.FINISHED, request, refusal="invalid_message", violations=error.violations
            )
        return _Readable(record, request, message, warnings)

    def _unreadable(self, record: Record, error: MalformedBodyError) -> Handled:
        try:
            self._dead_letters.send(record.body, reason=error.text.en, message_id=record.message_id)
        except StorageError:
            # It goes back, and the queue's own redrive policy takes it to the same place in the end.
            return Handled(record, Disposition.RETURNED, refusal="unreadable", detail=error.text.en)
        return Handled(record, Disposition.FINISHED, refusal="unreadable", detail=error.text.en)

    def _attempt(self, read: _Readable, seconds_left: Callable[[], float]) -> Handled:
        if seconds_left() < TIME_FOR_A_MESSAGE:
            return self._again(read, _NOW, None)
        try:
            delivery = self._sender.send(read.request.account, read.message, seconds_left)
        except UnknownAccountError:
            return Handled(read.record, Disposition.FINISHED, read.request, refusal="unknown_account")
        except Exception as error:  # noqa: BLE001 - raised on, it would repeat what is sent already
            return _unforeseen(read.record, read.request, error)
        now = self._now()
        wait = repeat_in(
            read.message,
            delivery.outcome,
            receive_count=read.record.receive_count,
            age=now - read.record.first_received,
            now=now,
            jitter=self._jitter,
        )
        if wait is not None:
            return self._again(read, wait, delivery)
        return Handled(
            read.record, Disposition.FINISHED, read.request, read.message, delivery, violations=read.warnings
        )

    def _again(self, read: _Readable, wait: float, delivery: Delivery | None) -> Handled:
        disposition, detail = Disposition.RETURNED, f"again in {wait:.0f} s"
        try:
            self._queue.hand_out_again(read.record.receipt_handle, wait)
        except StorageError as error:
            detail = f"again after the queue's visibility timeout ({error.code})"
            if delivery and delivery.outcome.status is Status.UNKNOWN:
                # By then WeChat may no longer know the first copy, and would send the second.
                disposition, detail = Disposition.FINISHED, f"not repeated ({error.code})"
        return Handled(
            read.record,
            disposition,
            read.request,
            read.message,
            delivery,
            violations=read.warnings,
            detail=detail,
        )


def _unforeseen(record: Record, request: SendRequest | None, error: Exception) -> Handled:
    """It goes back, and if it stays what it is, to the dead letters in the end."""
    return Handled(record, Disposition.RETURNED, request, refusal="internal_error", error=error)
