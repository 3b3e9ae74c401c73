"""The events of the callback queue: receipts settle messages, platforms get tickets and merchants."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from functions.callback_events import platform
from wechat_notify import bootstrap
from wechat_notify.bootstrap import callback_events
from wechat_notify.core.callbacks.events import CallbackBodyError, ConsentChange, PersonLeft, Receipt
from wechat_notify.core.consents.consents import Recorded
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.delivery.receipts import Match, Settled
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage, oldest_age
from wechat_notify.telemetry import Telemetry
from wechat_notify.wechat.callbacks.events import events_of

if TYPE_CHECKING:  # at run time it would bring Powertools' parser along: 30 ms
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

_AGAIN: Final = "again"
_THREADS: Final = 10
PAUSES: Final = (2, 10, 60, 600)
"""Seconds after which a receipt without a message comes again. An answer is in the ledger within a moment, or
the send was cut off. Then the queue's function finds that after the visibility timeout of its queue, 432
seconds; after the last pause the message is looked for among those whose answer was lost."""
_COPY_OF: Final = "copy_of"
"""Message attribute of the copy that waits for the last pause: the id of the message before it."""
_BATCH: Final = 10
"""Messages that SQS takes in one request."""


class _Record(NamedTuple):
    """One callback as the queue handed it out, for the ``receive_count``-th time."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    copy_of: str | None = None

    @property
    def callback(self) -> str:
        """The callback's id, whichever of its messages this is."""
        return self.copy_of or self.message_id

    @property
    def is_last(self) -> bool:
        """It does not come again."""
        return self.copy_of is not None or self.receive_count > len(PAUSES)

    @property
    def waits_as_copy(self) -> bool:
        """Its pause is the last and long one.

        A message that is hidden is in flight, and a queue hands out nothing while 120,000 are: the receipts
        of another program that sends 180 a second, for which tickets and the service's own would wait.
        """
        return not self.is_last and self.receive_count == len(PAUSES)

    @property
    def pause(self) -> float:
        """Seconds after which it comes again, where this is not the last time."""
        return PAUSES[self.receive_count - 1]


class _Handled(NamedTuple):
    """The matches of a callback's receipts, the result of a platform event, and the error that stopped it.

    ``consents`` is what came of a person's decisions, of the account ``account``.
    """

    record: _Record
    settled: list[Settled]
    account: str = ""
    consents: Recorded | None = None
    result: str | None = None
    error: Exception | None = None

    @property
    def comes_again(self) -> bool:
        """Another try is to follow."""
        return self.error is not None or any(each.match is Match.TOO_EARLY for each in self.settled)


def lambda_handler(event: dict[str, Any], context: Any) -> PartialItemFailureResponse:
    """Work through one SQS batch; what is to come again is reported as a batch item failure."""
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        records = [_record(record) for record in event["Records"]]
        with ThreadPoolExecutor(
            min(_THREADS, len(records)) or 1
        ) as threads:  # deployment_check has no records
            handled = list(threads.map(_settle, records))
            handled = list(threads.map(_act, handled))
            waiting = [each.record for each in handled if each.error is None and each.comes_again]
            copied = _copied([record for record in waiting if record.waits_as_copy], threads)
        returned = [
            each.record for each in handled if each.comes_again and each.record.message_id not in copied
        ]
        # One that comes again tells of its receipts at its end: then they count as settled once more.
        found = [settled for each in handled if not each.comes_again for settled in each.settled]
        for settled in found:
            telemetry.receipt(settled)
        entries = [each.entry for each in found if each.match is Match.SETTLED and each.entry]
        telemetry.publish(list(_events(entries)), bootstrap.event_bus)
        for each in handled:
            _report(each, telemetry)
        matches = Counter(settled.match.value for each in handled for settled in each.settled)
        line.update(callbacks=len(records), returned=len(returned), copied=len(copied), receipts=matches)
        consents = [(each.account, each.consents) for each in handled if each.consents]
        for account, recorded in consents:
            if recorded.granted:
                telemetry.metrics.count("ConsentsGranted", recorded.granted, account=account)
        line.update(consents=Counter("changed" if each.changed else "unchanged" for _, each in consents))
        telemetry.waited(oldest_age(event["Records"], time.time()))
        line.update(platform=Counter(each.result for each in handled if each.result))
    return {"batchItemFailures": [{"itemIdentifier": record.message_id} for record in returned]}


def _events(entries: Iterable[Entry]) -> Iterator[Any]:
    for entry in entries:
        yield from message_events(entry)


def _record(record: dict[str, Any]) -> _Record:
    receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    copy_of = (record.get("messageAttributes") or {}).get(_COPY_OF, {}).get("stringValue")
    return _Record(record["messageId"], record["receiptHandle"], record["body"], receive_count, copy_of)


def _copied(records: Sequence[_Record], threads: ThreadPoolExecutor) -> set[str]:
    """Put callbacks on the queue again, to come after the last pause; the ids of those that SQS has taken."""

    def send(batch: Sequence[_Record]) -> set[str]:
        copies = [
            DelayedMessage(
                record.body, PAUSES[-1], json.loads(record.body)["account"], {_COPY_OF: record.message_id}
            )
            for record in batch
        ]
        failed = set(callback_events.queue().send_delayed(copies))
        return {record.message_id for index, record in enumerate(batch) if index not in failed}

    batches = [records[start : start + _BATCH] for start in range(0, len(records), _BATCH)]
    return set().union(*threads.map(send, batches))


def _settle(record: _Record) -> _Handled:
    handled = _Handled(record, [])
    try:
        body = json.loads(record.body)
        events = events_of(body["fields"])
        for event in events:
            if isinstance(event, Receipt):
                receipts = callback_events.receipts()
                handled.settled.append(
                    receipts.settle(body["account"], event, is_last=record.is_last, callback=record.callback)
                )
        if decisions := [event for event in events if isinstance(event, ConsentChange | PersonLeft)]:
            recorded = bootstrap.consents().record(body["account"], decisions)
            handled = handled._replace(account=body["account"], consents=recorded)
        if handled.comes_again and not record.waits_as_copy:
            callback_events.queue().change_visibility(record.receipt_handle, record.pause)
    # It comes again after the queue's own visibility timeout, and is in the dead letter queue in the end.
    # Raised on, it would take the others of the batch along.
    except Exception as error:  # noqa: BLE001
        return handled._replace(error=error)
    return handled


def _act(handled: _Handled) -> _Handled:
    """The same with what came of a platform's event."""
    record = handled.record
    if handled.error is not None:
        return handled
    try:
        body = json.loads(record.body)
        if asked := body.get("release_test"):
            return handled._replace(result=platform.answer_release_test(body["account"], asked))
        results = [platform.act(body["account"], body, event) for event in events_of(body["fields"])]
        return handled._replace(result=results[0] if results else None)
    except StorageError as error:
        if not record.is_last:
            with suppress(StorageError):  # then it comes after the queue's own
                callback_events.queue().change_visibility(record.receipt_handle, record.pause)
        return handled._replace(result=_AGAIN, error=error)
    except Exception as error:  # noqa: BLE001 - as above
        return handled._replace(error=error)


def _report(handled: _Handled, telemetry: Telemetry) -> None:
    error, correlation_id = handled.error, handled.record.message_id
    if isinstance(error, StorageError | CallbackBodyError):
        telemetry.logger.warning("callback put off", detail=str(error), correlation_id=correlation_id)
    elif error is not None:
        telemetry.refused("internal_error", error, counts=False, correlation_id=correlation_id)
