"""The queues: what is to be sent, and what could not be read."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from wechat_notify.aws.clients import client, error_code
from wechat_notify.core.outcomes import StorageError


class Queue:
    """One SQS queue; every method raises ``StorageError``."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, body: str, **attributes: str) -> None:
        """Put a message on the queue, with string message attributes."""
        typed = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        }
        try:
            client("sqs").send_message(QueueUrl=self._url, MessageBody=body, MessageAttributes=typed)
        except (BotoCoreError, ClientError) as error:
            code = error_code(error)
        else:
            return
        raise StorageError("put the message on the queue", code)

    def hand_out_again(self, receipt_handle: str, seconds: float) -> None:
        """Make a received message visible again after so many seconds (its visibility timeout)."""
        try:
            client("sqs").change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=round(seconds)
            )
        except (BotoCoreError, ClientError) as error:
            code = error_code(error)
        else:
            return
        raise StorageError("set the visibility timeout", code)
