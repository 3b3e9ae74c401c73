"""The steps of broadcasts, and the broadcasts of schedules: each message of their queue is one of the two."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wechat_notify import bootstrap
from wechat_notify.bootstrap import broadcasts
from wechat_notify.core.broadcasts.broadcast import is_broadcast_id
from wechat_notify.core.broadcasts.scheduled import is_creation, scheduled_id
from wechat_notify.core.broadcasts.spec import parse_spec
from wechat_notify.core.errors import (
    BroadcastIdReusedError,
    InvalidFieldsError,
    MalformedBodyError,
    StorageError,
    UnknownUploadError,
)
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.queue_messages import oldest_age

if TYPE_CHECKING:  # at run time it would bring Powertools' parser along: 30 ms
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

_AGAIN_AFTER, MAX_AGAIN_AFTER = 10.0, 900.0
"""Seconds after which a step that failed is done again, times its failures, and at most: SQS gives a message
up after a thousand, which take nine days then."""


def lambda_handler(event: dict[str, Any], context: Any) -> PartialItemFailureResponse:
    """Do the steps of one SQS batch; one that fails is reported as a batch item failure, and comes again."""
    failed: list[str] = []
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        for record in event["Records"]:
            try:
                line.update(_run(record))
            except StorageError as error:
                line.update(reason=error.reason, detail=str(error))
                failed.append(record["messageId"])
                failures = int(record["attributes"]["ApproximateReceiveCount"])
                wait = min(failures * _AGAIN_AFTER, MAX_AGAIN_AFTER)
                with suppress(StorageError):  # it comes back later then, after the queue's own timeout
                    broadcasts.step_queue().change_visibility(record["receiptHandle"], wait)
        line.update(returned=len(failed))
        telemetry.waited(oldest_age(event["Records"], time.time()))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _run(record: dict[str, Any]) -> dict[str, Any]:
    account = name = content = None
    creates = False
    with suppress(MalformedBodyError, KeyError, TypeError):
        body = parse_json(record["body"])
        creates = is_creation(body)
        account = body["account"]
        name, content = (body[each] for each in (("id", "broadcast") if creates else ("broadcast", "step")))
    # Neither a key of the table nor one of the bucket is made of what nobody can have given.
    if isinstance(account, str) and is_account_name(account) and isinstance(name, str):
        if creates:
            return _create(account, name, content)
        if is_broadcast_id(name) and isinstance(content, int):
            broadcasts.engine().run(account, name, content)
            return {"account": account, "broadcast": name, "step": content}
    bootstrap.telemetry().refused("malformed_body", correlation_id=record["messageId"])
    return {}


def _create(account: str, firing: str, asked: object) -> dict[str, Any]:
    """Create the broadcast of a schedule that has fired."""
    try:
        spec = parse_spec(asked, broadcasts.services().now())
        created = broadcasts.new_broadcasts().create(account, scheduled_id(firing), spec)
    except (InvalidFieldsError, UnknownUploadError, BroadcastIdReusedError) as error:
        detail = str(error)[:500]
        bootstrap.telemetry().refused(error.reason, account=account, schedule=firing, detail=detail)
        return {}
    return {"account": account, "broadcast": created.id, "schedule": firing}
