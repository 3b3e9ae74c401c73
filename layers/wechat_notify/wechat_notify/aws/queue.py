"""The queues: what is to be sent, and what could not be read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from wechat_notify.aws.chunks import chunks
from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage

RETRY_FOR = 1.5
"""Seconds in which a call is repeated."""


class Queue:
    """One SQS queue; every method but ``send_delayed`` raises ``StorageError``.

    ``group`` is the ``MessageGroupId``, which on a standard queue makes for fair queues: a group with
    a backlog (an account's fifty thousand messages) does not stand before another group's ten.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
    """

    def __init__(self, aws: Clients, url: str) -> None:
        self._aws = aws
        self._url = url

    def send(self, body: str, *, group: str | None = None, **attributes: str) -> None:
        """Put a message on the queue, with string message attributes."""
        message = _message(body, group, attributes)
        self._aws.call(
            "put the message on the queue",
            lambda: self._aws.sqs.send_message(QueueUrl=self._url, **message),
            retry_for=RETRY_FOR,
        )

    def send_delayed(self, items: Sequence[DelayedMessage]) -> list[int]:
        """Put messages on the queue that stay hidden for a while; the indices of those that failed."""
        failed: list[int] = []
        for batch in chunks(enumerate(items), lambda numbered: _size(numbered[1])):
            entries = [
                {
                    "Id": str(index),
                    "DelaySeconds": item.delay_seconds,
                    **_message(item.body, item.group, item.attributes),
                }
                for index, item in batch
            ]
            sent = self._send_batch(entries)
            failed += [index for index, _ in batch if str(index) not in sent]
        return failed

    def _send_batch(self, entries: list[Any]) -> set[str]:
        """The ids of the entries that SQS says it has taken."""
        try:
            answer = self._aws.call(
                "put the messages on the queue",
                lambda: self._aws.sqs.send_message_batch(QueueUrl=self._url, Entries=entries),
                retry_for=RETRY_FOR,
            )
        except StorageError:
            return set()
        return {entry["Id"] for entry in answer.get("Successful", [])}

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        """Make a received message visible again after so many seconds (its visibility timeout)."""
        self._aws.call(
            "set the visibility timeout",
            lambda: self._aws.sqs.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=math.ceil(seconds),  # a moment earlier the ledger would send it back
            ),
            retry_for=RETRY_FOR,
        )


def _message(body: str, group: str | None, attributes: Mapping[str, str]) -> dict[str, Any]:
    typed = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
    }
    return {"MessageBody": body, "MessageAttributes": typed, **({"MessageGroupId": group} if group else {})}


def _size(item: DelayedMessage) -> int:
    # SQS counts the attributes too, with their names and types.
    parts = [item.body, *(f"{name}String{value}" for name, value in item.attributes.items())]
    return sum(len(part.encode()) for part in parts)
