"""A batch of queued messages: read each, send them side by side, say which go back.

Messages to one openid follow one another in the order of the batch: WeChat refuses two at a time
(43108). Different openids are sent concurrently, since almost all of the time is waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from wechat_notify.core.clocks import Jitter, SecondsLeft
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.entry import MAX_RETENTION
from wechat_notify.core.delivery.results import Again, Held, Result
from wechat_notify.core.delivery.time_budgets import TIME_FOR_A_MESSAGE
from wechat_notify.core.errors import (
    InvalidMessageError,
    InvalidRequestError,
    MalformedBodyError,
    StorageError,
    UnknownAccountError,
)
from wechat_notify.core.messages import intake
from wechat_notify.core.messages.envelope import SendRequest, queue_body
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import Bilingual, DelayedMessage, ErrorClass, Outcome, Status
from wechat_notify.core.violations import Violation

_WORKER_THREADS = 20
"""Openids that are sent to at a time. At WeChat's 80 ms ten of them are 125 messages a second at most,
whatever the CPU; these are 250, which is more than the smallest function has the CPU for, and the more
threads there are, the more of that a message takes. A batch of ten has ten at most."""
_NOW = 0.0
_MAX_DIGITS = 12
_CLOCKS_APART = 300.0
"""Seconds by which another process may be ahead."""
_MAX_UNFORESEEN = 5
"""Receives after which a message that fails for a reason that nobody foresaw is given up."""
_STORE_WAIT = 300.0
"""Seconds at most between attempts while the ledger does not answer."""
_MAX_DELAY = 900.0
"""Seconds for which SQS delays a message at most: what is parked for longer comes by and is parked again."""
_SPREAD = 600.0
"""Seconds at most over which messages that were parked together come back."""
_MAX_RULES = 10
HELD_SINCE = "held_since"
MESSAGE_ID = "message_id"
PRODUCER_ID = "id"
"""Message attributes: since when it is parked (seconds since the epoch); the id that a body without one
had when it first came; of a dead letter, the id that its body names."""

Lane = list["_Readable"]


class Record(NamedTuple):
    """One message as the queue handed it out, for the ``receive_count``-th time."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    attributes: Mapping[str, str] = MappingProxyType({})


class Disposition(StrEnum):
    """The fate of a queued message after it was handled."""

    FINISHED = "finished"
    RETURNED = "returned"
    """It stays on the queue and is handed out again."""
    PARKED = "parked"
    """A copy that comes later took its place on the queue."""
    DEAD_LETTER = "dead_letter"
    """It was put among the dead letters."""


class Handled(NamedTuple):
    """One record and what became of it.

    ``refusal`` is set where the message will never be attempted, ``result`` where the ledger knows
    it; neither where there was no time left. ``message_id`` is the id that a body without a request names.
    ``error`` is what nobody foresaw.
    """

    record: Record
    disposition: Disposition
    request: SendRequest | None = None
    message: Message | None = None
    result: Result | None = None
    refusal: str | None = None
    violations: Sequence[Violation] = ()
    detail: str | None = None
    error: Exception | None = None
    message_id: str | None = None


class _Readable(NamedTuple):
    record: Record
    request: SendRequest
    message: Message
    warnings: Sequence[Violation]

    def handled(self, disposition: Disposition, result: Result | None = None) -> Handled:
        return Handled(self.record, disposition, self.request, self.message, result, violations=self.warnings)


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


class BatchSender:
    """Sends batches; nothing that one record holds can stop another.

    Parameters
    ----------
    pool : Executor, optional
        What sends to different openids at the same time; threads, which stay for the next batch, without one.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        queue: Queue,
        dead_letters: DeadLetters,
        *,
        now: Callable[[], float],
        jitter: Jitter,
        pool: Executor | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._queue = queue
        self._dead_letters = dead_letters
        self._now = now
        self._jitter = jitter
        self._pool = pool or ThreadPoolExecutor(_WORKER_THREADS)
        self._queue_answers = True

    def send(self, records: Sequence[Record], seconds_left: SecondsLeft) -> list[Handled]:
        """Send a batch; return what became of each record, in no particular order.

        Parameters
        ----------
        records : Sequence
            The batch.
        seconds_left : Callable
            Seconds until the function is stopped.
        """
        self._queue_answers = True
        handled: list[Handled] = []
        lanes: dict[tuple[str, str], Lane] = {}
        for record in records:
            try:
                read: _Readable | Handled = self._read(record)
            except Exception as error:  # noqa: BLE001 - the others of the batch are to be sent all the same
                read = self._unforeseen(record, None, None, error)
            if isinstance(read, Handled):
                handled.append(read)
            else:
                lanes.setdefault((read.request.account, read.message.touser), []).append(read)

        def send_lane(lane: Lane) -> list[Handled] | BaseException:
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
        return self._park(handled)

    def _in_order(self, lane: Lane, seconds_left: SecondsLeft) -> Iterator[Handled]:
        """The messages to one openid; when WeChat has had enough of them, the rest waits as well."""
        wait: float | None = None
        for read in lane:
            if wait is not None:
                yield self._again(read.handled(Disposition.RETURNED), wait)
                continue
            item = self._send(read, seconds_left)
            if _too_often(item.result) and isinstance(item.result, Again):
                wait = item.result.after
            yield item

    def _read(self, record: Record) -> _Readable | Handled:
        default_id = record.attributes.get(MESSAGE_ID) or record.message_id
        try:
            request = intake.read_queue_body(record.body, default_id=default_id)
        except MalformedBodyError as error:
            return self._put_aside(
                Handled(record, Disposition.DEAD_LETTER, refusal=error.reason, detail=error.text.en)
            )
        except InvalidRequestError as error:
            return self._refused_request(record, error)
        try:
            return _Readable(record, *intake.check(request))
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
        return self._put_aside(handled)

    def _refused(
        self,
        record: Record,
        request: SendRequest,
        message: Message | None,
        reason: str,
        violations: Sequence[Violation] = (),
    ) -> Handled:
        try:
            result = self._dispatcher.refuse(request, message, reason, _refused(reason, violations))
        except StorageError as error:
            return self._again_after(Handled(record, Disposition.RETURNED, request, message), error)
        except Exception as error:  # noqa: BLE001 - raised on, it would stop the others
            return self._unforeseen(record, request, message, error)
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
        return self._again(handled, result.after) if isinstance(result, Again) else handled

    def _send(self, read: _Readable, seconds_left: SecondsLeft) -> Handled:
        record, request, message = read.record, read.request, read.message
        if seconds_left() < TIME_FOR_A_MESSAGE:
            return self._again(read.handled(Disposition.RETURNED), _NOW)
        try:
            result = self._dispatcher.send_queued(
                request,
                message,
                seconds_left,
                receive_count=record.receive_count,
                held_since=self._held_since(record),
            )
        except UnknownAccountError as error:
            return self._refused(record, request, message, error.reason)
        except StorageError as error:
            return self._again_after(read.handled(Disposition.RETURNED), error)
        except Exception as error:  # noqa: BLE001 - raised on, it would stop the others
            return self._unforeseen(record, request, message, error)
        if isinstance(result, Held):
            return read.handled(Disposition.PARKED, result)
        handled = read.handled(Disposition.FINISHED, result)
        return self._again(handled, result.after) if isinstance(result, Again) else handled

    def _park(self, handled: Sequence[Handled]) -> list[Handled]:
        """Put copies of what is held on the queue, to be handed out later; what cannot be goes back.

        A delayed copy begins its count of receives anew, and is not in flight: of those a queue has
        120,000 at most, and one account's quota could fill them.
        """
        held = [item for item in handled if item.disposition is Disposition.PARKED]
        if not held:
            return list(handled)
        failed = set(self._queue.send_delayed([self._later(item) for item in held]))
        unparked = {id(item) for index, item in enumerate(held) if index in failed}
        return [
            self._again(item._replace(disposition=Disposition.RETURNED), self._jitter(60, _STORE_WAIT))
            if id(item) in unparked
            else item
            for item in handled
        ]

    def _later(self, item: Handled) -> DelayedMessage:
        assert item.request  # noqa: S101 - what is held was read
        assert isinstance(item.result, Held)  # noqa: S101 - the same
        held_for = item.result.after
        delay = held_for + self._jitter(0, min(_SPREAD, held_for))
        if held_for >= _MAX_DELAY:  # spread already while it waits
            delay = self._jitter(_MAX_DELAY - 150, _MAX_DELAY)
        since = self._held_since(item.record)
        body = queue_body(item.request)
        began = str(int(self._now() if since is None else since))
        return DelayedMessage(body, round(min(_MAX_DELAY, delay)), item.request.account, {HELD_SINCE: began})

    def _held_since(self, record: Record) -> float | None:
        """Since when a message waits; None where it was not held yet, or a producer made the time up."""
        text = record.attributes.get(HELD_SINCE, "")
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            return None
        since, now = float(text), self._now()
        return since if now - MAX_RETENTION <= since <= now + _CLOCKS_APART else None

    def _unforeseen(
        self, record: Record, request: SendRequest | None, message: Message | None, error: Exception
    ) -> Handled:
        handled = Handled(
            record, Disposition.RETURNED, request, message, refusal="internal_error", error=error
        )
        if record.receive_count < _MAX_UNFORESEEN:
            return handled
        given_up = handled._replace(disposition=Disposition.DEAD_LETTER, detail="given up")
        if request is None:
            return self._put_aside(given_up)
        try:
            result = self._dispatcher.refuse(request, message, "internal_error")
        except StorageError:  # it goes back, and is given up another time
            return handled
        except Exception:  # noqa: BLE001 - what the ledger cannot take must not come again for days
            return self._put_aside(given_up)
        if isinstance(result, Again):  # this very attempt's claim, perhaps: it has to run out first
            return self._again(handled._replace(result=result), result.after)
        return handled._replace(disposition=Disposition.FINISHED, result=result, detail="given up")

    def _put_aside(self, handled: Handled) -> Handled:
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

    def _again_after(self, handled: Handled, error: StorageError) -> Handled:
        """Hand the message out again when the ledger may have come back."""
        growth = 2.0 ** min(handled.record.receive_count, 16)
        again = self._again(handled, self._jitter(1, min(_STORE_WAIT, 2 * growth)))
        return again._replace(detail=f"{again.detail}: {error}")

    def _again(self, handled: Handled, wait: float) -> Handled:
        returned = handled._replace(disposition=Disposition.RETURNED)
        if not self._queue_answers:  # ten in a lane that each wait for SQS in vain would outlast the function
            return returned._replace(detail="again after the queue's visibility timeout")
        try:
            self._queue.change_visibility(handled.record.receipt_handle, wait)
        except Exception as error:  # noqa: BLE001 - raised on, it would repeat what others of the batch sent
            self._queue_answers = False
            code = error.code if isinstance(error, StorageError) else type(error).__name__
            return returned._replace(detail=f"again after the queue's visibility timeout ({code})")
        return returned._replace(detail=f"again in {wait:.0f} s")


def _too_often(result: Result | None) -> bool:
    """Return whether WeChat has just had enough of messages to one openid."""
    outcome = result.outcome if result and result.attempted else None
    return outcome is not None and outcome.error_class is ErrorClass.RATE_LIMIT


def _refused(reason: str, violations: Sequence[Violation]) -> Outcome:
    """Return the outcome of a refused message: the rules that were broken, without values."""
    if reason == UnknownAccountError.reason:
        hint = Bilingual("No credentials are stored for this account.", "该账号没有存储凭证。")
        return Outcome(Status.FAILED, ErrorClass.CONFIG, hint)
    return Outcome(Status.FAILED, ErrorClass.REQUEST, _rules(violations))


def _rules(violations: Sequence[Violation]) -> Bilingual:
    """The rules that a message or its envelope breaks, as sentences without values."""
    told = [violation.told() for violation in violations[:_MAX_RULES]]
    return Bilingual("; ".join(rule.en for rule in told) + ".", "；".join(rule.zh for rule in told) + "。")
