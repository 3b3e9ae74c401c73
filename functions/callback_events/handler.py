"""What WeChat has told, from the queue: receipts settle their messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wechat_notify import bootstrap
from wechat_notify.bootstrap import callback_events
from wechat_notify.core.callbacks.events import CallbackBodyError, Receipt
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.delivery.receipts import Match, Settled
from wechat_notify.core.errors import StorageError
from wechat_notify.wechat.callbacks.events import events_of

if TYPE_CHECKING:  # at run time it would bring Powertools' parser along: 30 ms
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

_THREADS: Final = 10
PAUSES: Final = (10, 60, 300)
"""Seconds after which a receipt without a message comes again. An answer is in the ledger within seconds, or
the send was cut off and its lease runs out; after the last pause a lost answer is looked for."""


class _Record(NamedTuple):
    """One callback as the queue handed it out, for the ``receive_count``-th time."""

    message_id: str
    receipt_handle: str
    account: str
    fields: dict[str, Any]
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
        returned = [record for record, settled in zip(records, handled, strict=True) if _comes_again(settled)]
        found = [each for settled in handled for each in settled or ()]
        for settled in found:
            telemetry.receipt(settled)
        entries = [each.entry for each in found if each.match is Match.SETTLED and each.entry]
        telemetry.publish(list(_events(entries)), bootstrap.event_bus)
        matches = Counter(settled.match.value for settled in found)
        line.update(callbacks=len(records), returned=len(returned), receipts=matches)
    return {"batchItemFailures": [{"itemIdentifier": record.message_id} for record in returned]}


def _events(entries: Iterable[Any]) -> Iterator[Any]:
    for entry in entries:
        yield from message_events(entry)


def _record(record: dict[str, Any]) -> _Record:
    body = json.loads(record["body"])  # the function callback wrote it
    receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    return _Record(
        record["messageId"], record["receiptHandle"], body["account"], body["fields"], receive_count
    )


def _settle(record: _Record) -> list[Settled] | None:
    """What the receipts of a callback met; None where the ledger did not answer."""
    receipts = [event for event in events_of(record.fields) if isinstance(event, Receipt)]
    try:
        settled = [
            callback_events.receipts().settle(record.account, receipt, is_last=record.is_last)
            for receipt in receipts
        ]
        if _comes_again(settled):
            pause = PAUSES[record.receive_count - 1]
            callback_events.queue().change_visibility(record.receipt_handle, pause)
    except (StorageError, CallbackBodyError):
        # It comes again after the queue's own visibility timeout. What cannot be read, a callback that an older
        # version has queued, goes to the dead letter queue in the end.
        return None
    return settled


def _comes_again(settled: list[Settled] | None) -> bool:
    return settled is None or any(each.match is Match.TOO_EARLY for each in settled)
