"""A batch of queued messages: read each, send them side by side, say which go back.

Messages to one openid follow one another in the order of the batch: WeChat refuses two at a time
(43108). Different openids are sent concurrently, since almost all of the time is waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.records import MESSAGE_ID, Disposition, Handled, ReadableRecord, Record
from wechat_notify.core.delivery.results import BackToQueue, Held, Result
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.delivery.time_budgets import TIME_FOR_A_MESSAGE
from wechat_notify.core.errors import (
    InvalidMessageError,
    InvalidRequestError,
    MalformedBodyError,
    StorageError,
    UnknownAccountError,
)
from wechat_notify.core.messages.envelope import SendRequest, parse_queue_body
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

_WORKER_THREADS = 20
"""Openids that are sent to at a time. At WeChat's 80 ms ten of them are 125 messages a second at most,
whatever the CPU; these are 250, which is more than the smallest function has the CPU for, and the more
threads there are, the more of that a message takes. A batch of ten has ten at most."""
_NOW = 0.0
_MAX_UNEXPECTED = 5
"""Receives after which a message that fails with an unexpected exception is given up."""
_MAX_RULES = 10
OpenidGroup = list[ReadableRecord]


class BatchSender:
    """Sends batches; nothing that one record holds can stop another.

    Parameters
    ----------
    pool : Executor, optional
        What sends to different openids at the same time; threads, which stay for the next batch, without one.
    """

    def __init__(self, dispatcher: Dispatcher, returns: Returns, *, pool: Executor | None = None) -> None:
        self._dispatcher = dispatcher
        self._returns = returns
        self._pool = pool or ThreadPoolExecutor(_WORKER_THREADS)

    def send(self, records: Sequence[Record], seconds_left: SecondsLeft) -> list[Handled]:
        """Send a batch; return what became of each record, in no particular order.

        Parameters
        ----------
        records : Sequence
            The batch.
        seconds_left : Callable
            Seconds until the function is stopped.
        """
        self._returns.begin_batch()
        handled: list[Handled] = []
        lanes: dict[tuple[str, str], OpenidGroup] = {}
        for record in records:
            try:
                read: ReadableRecord | Handled = self._read(record)
            except Exception as error:  # noqa: BLE001 - the others of the batch are to be sent all the same
                read = self._on_unexpected_error(record, None, None, error)
            if isinstance(read, Handled):
                handled.append(read)
            else:
                lanes.setdefault((read.request.account, read.message.touser), []).append(read)

        def send_lane(lane: OpenidGroup) -> list[Handled] | BaseException:
            try:
                return list(self._in_order(lane, seconds_left))
            except BaseException as error:  # noqa: BLE001 - raised when every lane is through
                return error

        if lanes:
            self._dispatcher.prepare({account for account, _ in lanes})
            for part in list(self._pool.map(send_lane, lanes.values())):
                if isinstance(part, BaseException):
                    raise part
                handled.extend(part)
        return self._returns.park(handled)

    def put_off(self, records: Sequence[Record], error: StorageError) -> list[Handled]:
        """Hand a batch out again of which no message can be sent for now."""
        self._returns.begin_batch()
        return [
            self._returns.return_after_storage_error(Handled(record, Disposition.RETURNED), error)
            for record in records
        ]

    def _in_order(self, lane: OpenidGroup, seconds_left: SecondsLeft) -> Iterator[Handled]:
        """The messages to one openid; when WeChat has had enough of them, the rest waits as well."""
        wait: float | None = None
        for read in lane:
            if wait is not None:
                yield self._returns.return_to_queue(read.handled(Disposition.RETURNED), wait)
                continue
            item = self._send(read, seconds_left)
            if _is_rate_limited(item.result) and isinstance(item.result, BackToQueue):
                wait = item.result.after
            yield item

    def _read(self, record: Record) -> ReadableRecord | Handled:
        default_id = record.attributes.get(MESSAGE_ID) or record.message_id
        try:
            request = parse_queue_body(record.body, default_id)
        except MalformedBodyError as error:
            return self._returns.to_dead_letters(
                Handled(record, Disposition.DEAD_LETTER, refusal=error.reason, detail=error.text.en)
            )
        except InvalidRequestError as error:
            return self._refused_request(record, error)
        try:
            return ReadableRecord(record, *self._dispatcher.check(request))
        except InvalidMessageError as error:
            return self._refused(record, request, None, error.reason, error.violations)

    def _refused_request(self, record: Record, error: InvalidRequestError) -> Handled:
        """Say under its id that a body is no send request, or keep it among the dead letters."""
        if error.message_id and error.account:
            request = SendRequest(error.message_id, error.account, error.message)
            return self._refused(record, request, None, error.reason, error.violations)
        handled = Handled(
            record,
            Disposition.DEAD_LETTER,
            refusal=error.reason,
            violations=error.violations,
            detail=_rules(error.violations).en,
            message_id=error.message_id,
        )
        return self._returns.to_dead_letters(handled)

    def _refused(
        self,
        record: Record,
        request: SendRequest,
        message: Message | None,
        reason: str,
        violations: Sequence[Violation] = (),
    ) -> Handled:
        try:
            result = self._dispatcher.refuse(request, message, reason, _refusal_outcome(reason, violations))
        except StorageError as error:
            return self._returns.return_after_storage_error(
                Handled(record, Disposition.RETURNED, request, message), error
            )
        except Exception as error:  # noqa: BLE001 - raised on, it would stop the others
            return self._on_unexpected_error(record, request, message, error)
        handled = Handled(
            record,
            Disposition.FINISHED,
            request,
            message,
            result,
            refusal=reason,
            violations=violations,
        )
        # Whoever is at it may have died: the message comes again to be judged when the claim is over.
        return (
            self._returns.return_to_queue(handled, result.after)
            if isinstance(result, BackToQueue)
            else handled
        )

    def _send(self, read: ReadableRecord, seconds_left: SecondsLeft) -> Handled:
        record, request, message = read.record, read.request, read.message
        if seconds_left() < TIME_FOR_A_MESSAGE:
            return self._returns.return_to_queue(read.handled(Disposition.RETURNED), _NOW)
        try:
            result = self._dispatcher.send_queued(
                request,
                message,
                seconds_left,
                receive_count=record.receive_count,
                held_since=self._returns.held_since(record),
            )
        except UnknownAccountError as error:
            return self._refused(record, request, message, error.reason)
        except StorageError as error:
            return self._returns.return_after_storage_error(read.handled(Disposition.RETURNED), error)
        except Exception as error:  # noqa: BLE001 - raised on, it would stop the others
            return self._on_unexpected_error(record, request, message, error)
        if isinstance(result, Held):
            return read.handled(Disposition.PARKED, result)
        handled = read.handled(Disposition.FINISHED, result)
        return (
            self._returns.return_to_queue(handled, result.after)
            if isinstance(result, BackToQueue)
            else handled
        )

    def _on_unexpected_error(
        self, record: Record, request: SendRequest | None, message: Message | None, error: Exception
    ) -> Handled:
        handled = Handled(
            record, Disposition.RETURNED, request, message, refusal="internal_error", error=error
        )
        if record.receive_count < _MAX_UNEXPECTED:
            return handled
        given_up = handled._replace(disposition=Disposition.DEAD_LETTER, detail="given up")
        if request is None:
            return self._returns.to_dead_letters(given_up)
        try:
            result = self._dispatcher.refuse(request, message, "internal_error")
        except StorageError:  # it goes back, and is given up another time
            return handled
        except Exception:  # noqa: BLE001 - what the ledger cannot take must not come again for days
            return self._returns.to_dead_letters(given_up)
        if isinstance(result, BackToQueue):  # this very attempt's claim, perhaps: it has to run out first
            return self._returns.return_to_queue(handled._replace(result=result), result.after)
        return handled._replace(disposition=Disposition.FINISHED, result=result, detail="given up")


def _is_rate_limited(result: Result | None) -> bool:
    """Return whether WeChat has just had enough of messages to one openid."""
    outcome = result.outcome if result and result.attempted else None
    return outcome is not None and outcome.error_class is ErrorClass.RATE_LIMIT


def _refusal_outcome(reason: str, violations: Sequence[Violation]) -> Outcome:
    """Return the outcome of a refused message: the rules that were broken, without values."""
    if reason == UnknownAccountError.reason:
        hint = Bilingual("No credentials are stored for this account.", "该账号没有存储凭证。")
        return Outcome(Status.FAILED, ErrorClass.CONFIG, hint)
    return Outcome(Status.FAILED, ErrorClass.REQUEST, _rules(violations))


def _rules(violations: Sequence[Violation]) -> Bilingual:
    """The rules that a message or its envelope breaks, as sentences without values."""
    told = [violation.as_sentence() for violation in violations[:_MAX_RULES]]
    return Bilingual("; ".join(rule.en for rule in told) + ".", "；".join(rule.zh for rule in told) + "。")
