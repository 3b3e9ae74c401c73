"""Calls to AWS; clients are made on first use: a cold start pays only for what its first event needs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from wechat_notify.core.outcomes import StorageError

Service = Literal["ssm", "sqs", "lambda", "dynamodb", "events"]
T = TypeVar("T")

_CONNECT_TIMEOUT = 1.0
_READ_TIMEOUT = {"ssm": 2.0, "sqs": 3.0, "lambda": 6.0, "dynamodb": 1.0, "events": 2.0}
"""Seconds; a function is invoked synchronously only to refresh a token."""
_ATTEMPTS = {"ssm": 2, "sqs": 2, "lambda": 1, "dynamodb": 6, "events": 2}
"""A busy refresher is waited for by ``core.tokens``, which knows what to look at meanwhile. The times
together are what ``core.delivery`` reckons with."""
_PATIENT_ATTEMPTS = 8
"""For the refresher, which has two minutes: SSM takes only a few writes a second. And for what must not
be lost on its way into the ledger."""
_RETRY_MODE: dict[str, Literal["legacy", "standard"]] = {"dynamodb": "legacy"}
"""``standard`` waits up to 1, 2, 4 … 20 s after a throttled call: longer than a table is throttled, and
than a message has time. ``legacy`` knows DynamoDB and waits 50 ms, doubled each time: 1.6 s in all where
there are six attempts, 6.4 s where there are eight: botocore's retries/standard.py and data/_retry.json.
"""

_BATCH_ENTRIES = 10
_BATCH_BYTES = 262_144
"""What one call takes to SQS or EventBridge; SQS has since raised its bytes, EventBridge has not."""

_making = threading.Lock()


def call(service: Service, method: str, action: str, *, patient: bool = False, **request: Any) -> Any:
    """AWS's answer to one request; raises ``StorageError`` with the action and AWS's error code."""
    try:
        return getattr(client(service, patient=patient), method)(**request)
    except (BotoCoreError, ClientError) as error:
        code = error_code(error)
    # Raised out here: AWS's error may quote what was read or written.
    raise StorageError(action, code)


def put_if(condition: str, action: str, *, patient: bool = False, **request: Any) -> dict[str, Any] | None:
    """Put an item into a table where a condition holds; None where it did.

    Otherwise the item that stands there, as DynamoDB answers it; empty where it answers none.

    Raises
    ------
    StorageError
        The item may have been stored or not.
    """
    try:
        client("dynamodb", patient=patient).put_item(
            ConditionExpression=condition, ReturnValuesOnConditionCheckFailure="ALL_OLD", **request
        )
    except (BotoCoreError, ClientError) as error:
        code = error_code(error)
        response = getattr(error, "response", None) or {}
    else:
        return None
    if code == "ConditionalCheckFailedException":
        there: dict[str, Any] = response.get("Item") or {}
        return there
    raise StorageError(action, code)


def batches(entries: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """The entries in lists that one call to SQS or EventBridge takes; ``size`` is an entry's in bytes."""
    batch: list[T] = []
    room = _BATCH_BYTES
    for entry in entries:
        needed = size(entry)
        if batch and (len(batch) == _BATCH_ENTRIES or needed > room):
            yield batch
            batch, room = [], _BATCH_BYTES
        batch.append(entry)
        room -= needed
    if batch:
        yield batch


def client(service: Service, *, patient: bool = False) -> Any:
    """The process's client for an AWS service; a patient one tries longer."""
    with _making:  # boto3 may not make two at a time
        return _client(service, patient)


@cache
def _client(service: Service, patient: bool) -> Any:  # noqa: FBT001 - the cache's key
    import boto3  # noqa: PLC0415 - 120 ms of a cold start, for those who call AWS only
    from botocore.config import Config  # noqa: PLC0415

    # At DEBUG botocore logs whole answers, and SecureStrings with them.
    logging.getLogger("botocore").setLevel(logging.INFO)
    return boto3.client(
        service,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT[service],
            retries={
                "mode": _RETRY_MODE.get(service, "standard"),
                "total_max_attempts": _PATIENT_ATTEMPTS if patient else _ATTEMPTS[service],
            },
            max_pool_connections=20,
            tcp_keepalive=True,
            # Of 640 us of CPU that a put takes, checking the types of what is made in one place takes 85, and
            # gathering a user agent anew for each call 100.
            parameter_validation=service != "dynamodb",
            user_agent="wechat-notify",
        ),
    )


def error_code(error: BotoCoreError | ClientError) -> str:
    """AWS's name for what went wrong; it never holds what was read or written."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)
