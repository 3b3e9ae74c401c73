"""Messages and visibility timeouts in SQS."""

from typing import Any

import pytest

from tests.integration.aws.samples import asked
from tests.integration.conftest import ClientsAt
from tests.integration.contracts.samples import Aws
from tests.integration.raw_server import RawServer, always, in_turn, json_answer, refused
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.queue import Queue
from wechat_notify.core.queue_messages import DelayedMessage


def test_visibility_timeout_can_be_changed(aws: Aws, clients: Clients) -> None:
    attributes = {"VisibilityTimeout": "3600"}
    url = aws("sqs").create_queue(QueueName="send", Attributes=attributes)["QueueUrl"]
    queue = Queue(clients, url)

    def received() -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = aws("sqs").receive_message(QueueUrl=url).get("Messages", [])
        return messages

    queue.send("body")
    (first,) = received()
    assert received() == []
    queue.change_visibility(first["ReceiptHandle"], 0.0)
    assert [again["Body"] for again in received()] == ["body"]


def sent(*numbers: int) -> bytes:
    return json_answer(Successful=[{"Id": str(number)} for number in numbers], Failed=[{"Id": "3"}])


def test_delayed_messages_are_sent_in_batches(clients_at: ClientsAt) -> None:
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
    large_entry = {"Id": "14", "DelaySeconds": 900, "MessageGroupId": "shop"}
    assert calls[3][0].items() >= large_entry.items()


def test_unreported_entries_count_as_failed(clients_at: ClientsAt) -> None:
    some = sent(*(number for number in range(10) if number not in {3, 4}))
    with RawServer(in_turn(some, refused("AccessDenied"), sent(20))) as server:
        queue = Queue(clients_at(server.url), "url")
        assert queue.send_delayed([DelayedMessage("body", 5)] * 21) == [3, 4, *range(10, 20)]


def test_failing_queue_has_its_retry_time(clients_at: ClientsAt, slept: list[float]) -> None:
    with RawServer(always(refused("ThrottlingException"))) as server:
        assert Queue(clients_at(server.url), "url").send_delayed([DelayedMessage("body", 5)]) == [0]
    assert sum(slept) == pytest.approx(1.5, abs=0.01)
