"""Messages and visibility timeouts in SQS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.aws.samples import Aws, asked, sent
from tests.integration.conftest import ClientsAt
from tests.integration.raw_server import (
    RawServer,
    in_turn,
    refused,
)
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.queue import Queue
from wechat_notify.core.errors import (
    StorageError,
)
from wechat_notify.core.outcomes import (
    DelayedMessage,
)


def receive(aws: Aws, url: str) -> list[dict[str, Any]]:
    answer = aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


@pytest.fixture
def queue_url(aws: Aws) -> str:
    url: str = aws("sqs").create_queue(QueueName="send", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    return url


@pytest.mark.parametrize(
    "attributes", [{}, {"reason": "not JSON: 行", "message_id": "1-2"}], ids=["without", "with"]
)
def test_message_is_sent_with_attributes(
    aws: Aws, clients: Clients, queue_url: str, attributes: dict[str, str]
) -> None:
    """An empty attribute is left out, for SQS refuses it."""
    Queue(clients, queue_url).send('{"a": "\\u6df1"}', **attributes, nothing="")
    (received,) = receive(aws, queue_url)
    assert received["Body"] == '{"a": "\\u6df1"}'
    typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    assert received.get("MessageAttributes", {}) == typed


def test_visibility_timeout_can_be_changed(aws: Aws, clients: Clients, queue_url: str) -> None:
    queue = Queue(clients, queue_url)
    queue.send("body")
    (received,) = receive(aws, queue_url)
    assert receive(aws, queue_url) == []
    queue.change_visibility(received["ReceiptHandle"], 0.0)
    assert [again["Body"] for again in receive(aws, queue_url)] == ["body"]
    queue.change_visibility(received["ReceiptHandle"], 11.5 * 3600)


def test_missing_queue_is_a_storage_error(clients: Clients) -> None:
    queue = Queue(clients, "https://sqs.eu-central-1.amazonaws.com/123456789012/none")
    with pytest.raises(StorageError, match="NonExistentQueue"):
        queue.send("body")
    with pytest.raises(StorageError):
        queue.change_visibility("handle", 5)


def test_delayed_messages_are_sent_in_batches(
    clients_at: ClientsAt,
) -> None:
    small, large = DelayedMessage("small", 1), DelayedMessage("深" * 80_000, 900, "shop", {"message_id": "1"})
    with RawServer(in_turn(sent(*range(10)), sent(10, 11, 12), sent(13), sent(14))) as server:
        assert Queue(clients_at(server.url), "url").send_delayed([small] * 12 + [large] * 3) == []
    calls = [call["Entries"] for call in asked(server)]
    assert [[entry["MessageBody"][0] for entry in entries] for entries in calls] == [
        ["s"] * 10,
        ["s"] * 2 + ["深"],
        ["深"],
        ["深"],
    ]
    assert calls[1][0] == {"Id": "10", "DelaySeconds": 1, "MessageBody": "small", "MessageAttributes": {}}
    assert {name: calls[3][0][name] for name in ("Id", "DelaySeconds", "MessageGroupId")} == {
        "Id": "14",
        "DelaySeconds": 900,
        "MessageGroupId": "shop",
    }


def test_unreported_entries_count_as_failed(clients_at: ClientsAt) -> None:
    some = sent(*(number for number in range(10) if number not in {3, 4}))
    with RawServer(in_turn(some, refused("AccessDenied"), sent(20))) as server:
        queue = Queue(clients_at(server.url), "url")
        assert queue.send_delayed([DelayedMessage("body", 5)] * 21) == [3, 4, *range(10, 20)]
