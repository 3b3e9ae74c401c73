"""The queues: what is to be sent, and what could not be read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from wechat_notify.aws.calls import Caller
from wechat_notify.aws.chunks import chunks
from wechat_notify.core.outcomes import Later, StorageError


class Queue:
    """One SQS queue; every method but ``send_later`` raises ``StorageError``.

    ``group`` is the ``MessageGroupId``, which on a standard queue makes for fair queues: a group with
    a backlog (an account's fifty thousand messages) does not stand before another group's ten.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
    """

    def __init__(self, aws: Caller, url: str) -> None:
        self._aws = aws
        self._url = url

    def send(self, body: str, *, group: str | None = None, **attributes: str) -> None:
        """Put a message on the queue, with string message attributes."""
        self._aws.call(
            "sqs",
            "SendMessage",
            "put the message on the queue",
            QueueUrl=self._url,
            **_message(body, group, attributes),
        )

    def send_later(self, items: Sequence[Later]) -> list[int]:
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
            try:
                answer = self._aws.call(
                    "sqs",
                    "SendMessageBatch",
                    "put the messages on the queue",
                    QueueUrl=self._url,
                    Entries=entries,
                )
            except StorageError:
                answer = {}
            sent = {entry["Id"] for entry in answer.get("Successful", [])}
            failed += [index for index, _ in batch if str(index) not in sent]
        return failed

    def hand_out_again(self, receipt_handle: str, seconds: float) -> None:
        """Make a received message visible again after so many seconds (its visibility timeout)."""
        self._aws.call(
            "sqs",
            "ChangeMessageVisibility",
            "set the visibility timeout",
            QueueUrl=self._url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=math.ceil(seconds),  # a moment earlier the ledger would send it back
        )


def _message(body: str, group: str | None, attributes: Mapping[str, str]) -> dict[str, Any]:
    typed = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
    }
    return {"MessageBody": body, "MessageAttributes": typed, **({"MessageGroupId": group} if group else {})}


def _size(item: Later) -> int:
    # SQS counts the attributes too, with their names and types.
    parts = [item.body, *(f"{name}String{value}" for name, value in item.attributes.items())]
    return sum(len(part.encode()) for part in parts)
