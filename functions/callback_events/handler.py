"""What WeChat has told, from the queue: receipts settle messages, platforms get tickets and merchants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from functions.callback_events import platform
from wechat_notify import bootstrap
from wechat_notify.bootstrap import callback_events
from wechat_notify.core.callbacks.events import CallbackBodyError, Receipt
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.delivery.receipts import Match, Settled
from wechat_notify.core.errors import StorageError
from wechat_notify.wechat.callbacks.events import events_of

if TYPE_CHECKING:  # at run time it would bring Powertools' parser along: 30 ms
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

_AGAIN: Final = "again"
_THREADS: Final = 10
PAUSES: Final = (2, 10, 60, 600)
"""Seconds after which a receipt without a message comes again. An answer is in the ledger within a moment, or
the send was cut off. Then the queue's function finds that after the visibility timeout of its queue, 432
seconds; after the last pause the message is looked for among those whose answer was lost."""


class _Record(NamedTuple):
    """One callback as the queue handed it out, for the ``receive_count``-th time."""

    message_id: str
    receipt_handle: str
    account: str
    fields: dict[str, Any]
    body: dict[str, Any]
    receive_count: int

    @property
    def is_last(self) -> bool:
        """It does not come again."""
        return self.receive_count > len(PAUSES)


def lambda_handler(event: dict[str, Any], context: Any) -> PartialItemFailureResponse:
    """Work through one SQS batch; what is to come again is reported as a batch item failure."""
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        records = [_record(record) for record in event["Records"]]
        with ThreadPoolExecutor(min(_THREADS, len(records))) as threads:
            handled = list(threads.map(_settle, records))
            acted = list(threads.map(_act, records))
        returned = [
            record
            for record, settled, result in zip(records, handled, acted, strict=True)
            if _comes_again(settled) or result is _AGAIN
        ]
        found = [each for settled in handled for each in settled or ()]
        for settled in found:
            telemetry.receipt(settled)
        entries = [each.entry for each in found if each.match is Match.SETTLED and each.entry]
        telemetry.publish(list(_events(entries)), bootstrap.event_bus)
        matches = Counter(settled.match.value for settled in found)
        line.update(callbacks=len(records), returned=len(returned), receipts=matches)
        line.update(platform=Counter(result for result in acted if result))
    return {"batchItemFailures": [{"itemIdentifier": record.message_id} for record in returned]}


def _events(entries: Iterable[Any]) -> Iterator[Any]:
    for entry in entries:
        yield from message_events(entry)


def _record(record: dict[str, Any]) -> _Record:
    body = json.loads(record["body"])  # the function callback wrote it
    receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    return _Record(
        record["messageId"], record["receiptHandle"], body["account"], body["fields"], body, receive_count
    )


def _settle(record: _Record) -> list[Settled] | None:
    """What the receipts of a callback met; None where the ledger did not answer."""
    try:
        receipts = [event for event in events_of(record.fields) if isinstance(event, Receipt)]
        settled = [
            callback_events.receipts().settle(record.account, receipt, is_last=record.is_last)
            for receipt in receipts
        ]
        if _comes_again(settled):
            pause = PAUSES[record.receive_count - 1]
            callback_events.queue().change_visibility(record.receipt_handle, pause)
    except (StorageError, CallbackBodyError):
        # It comes again after the queue's own visibility timeout. What cannot be read, since another version
        # has queued it, goes to the dead letter queue in the end.
        return None
    return settled


def _act(record: _Record) -> str | None:
    """What came of a platform's event; None of any other callback."""
    try:
        if asked := record.body.get("release_test"):
            return platform.answer_release_test(record.account, asked)
        results = [platform.act(record.account, record.body, event) for event in events_of(record.fields)]
        return results[0] if results else None
    except CallbackBodyError:
        return None  # as above
    except StorageError:
        if not record.is_last:
            with suppress(StorageError):  # then it comes after the queue's own
                pause = PAUSES[record.receive_count - 1]
                callback_events.queue().change_visibility(record.receipt_handle, pause)
        return _AGAIN


def _comes_again(settled: list[Settled] | None) -> bool:
    return settled is None or any(each.match is Match.TOO_EARLY for each in settled)
