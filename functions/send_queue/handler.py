"""Messages from the send queue, from whichever producer: SQS, EventBridge Scheduler, the event bus."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wechat_notify import bootstrap
from wechat_notify.core.delivery.records import Disposition, Handled, Record
from wechat_notify.core.delivery.waiting import oldest, oldest_held
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import sent_at
from wechat_notify.telemetry import Telemetry

if TYPE_CHECKING:  # at run time it would bring Powertools' parser along: 30 ms
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

bootstrap.register_for_snapshots()


def lambda_handler(event: dict[str, Any], context: Any) -> PartialItemFailureResponse:
    """Send one SQS batch; what is worth repeating is reported as a batch item failure."""
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        openid_hash = bootstrap.openid_hasher()
        records = [_record(record) for record in event["Records"]]
        try:
            openid_hash.load()  # before a message is sent: without its key none may be
        except StorageError as error:
            handled = bootstrap.batch_sender().put_off(records, error)
        else:
            handled = bootstrap.batch_sender().send(
                records, lambda: context.get_remaining_time_in_millis() / 1000
            )
        returned = [item for item in handled if item.disposition is Disposition.RETURNED]
        for item in handled:
            _report(telemetry, item, openid_hash)
        telemetry.returned(len(returned))
        now = time.time()
        telemetry.waited(oldest(handled, now), oldest_held(handled, now))
        events = [domain_event for item in handled if item.result for domain_event in item.result.events]
        telemetry.publish(events, bootstrap.event_bus)
        line.update(messages=len(records), returned=len(returned), statuses=Counter(map(_status, handled)))
    return {"batchItemFailures": [{"itemIdentifier": item.record.message_id} for item in returned]}


def _record(record: dict[str, Any]) -> Record:
    attributes = record.get("messageAttributes") or {}
    return Record(
        message_id=record["messageId"],
        receipt_handle=record["receiptHandle"],
        body=record["body"],
        receive_count=int(record["attributes"]["ApproximateReceiveCount"]),
        attributes={
            name: value["stringValue"] for name, value in attributes.items() if value["dataType"] == "String"
        },
        sent_at=sent_at(record),
    )


def _status(item: Handled) -> str:
    status = item.result.status if item.result else None
    return (status or item.disposition).value


def _report(telemetry: Telemetry, item: Handled, openid_hash: Callable[[str], str]) -> None:
    fields: dict[str, Any] = {
        "message_id": item.request.id if item.request else item.message_id or item.record.message_id,
        "correlation_id": item.record.message_id,
        "receive_count": item.record.receive_count,
        "disposition": item.disposition.value,
        "detail": item.detail,
    }
    if item.refusal:
        account = item.request.account if item.request else None
        errors = [violation.for_log() for violation in item.violations]
        telemetry.refused(
            item.refusal,
            item.error,
            counts=item.disposition is not Disposition.RETURNED,  # what comes again is counted then
            account=account,
            errors=errors,
            **fields,
        )
    elif item.result and item.message and item.request:
        telemetry.message(
            item.message,
            item.result,
            account=item.request.account,
            openid_hash=openid_hash,
            warnings=item.violations,
            **fields,
        )
    else:
        telemetry.logger.warning("message put off", **fields)
