"""The queues: what is to be sent, and what could not be read."""

from __future__ import annotations

from wechat_notify.aws.clients import call


class Queue:
    """One SQS queue; every method raises ``StorageError``."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, body: str, **attributes: str) -> None:
        """Put a message on the queue, with string message attributes."""
        typed = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        }
        call(
            "sqs",
            "send_message",
            "put the message on the queue",
            QueueUrl=self._url,
            MessageBody=body,
            MessageAttributes=typed,
        )

    def hand_out_again(self, receipt_handle: str, seconds: float) -> None:
        """Make a received message visible again after so many seconds (its visibility timeout)."""
        call(
            "sqs",
            "change_message_visibility",
            "set the visibility timeout",
            QueueUrl=self._url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=round(seconds),
        )
