"""The queues of broadcasts: the fakes, and SQS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.fakes import Clock, FakeRowQueue, FakeStepQueue
from tests.integration.contracts.samples import Aws
from wechat_notify.aws.broadcast_queues import RowQueue, StepQueue
from wechat_notify.aws.queue import Queue
from wechat_notify.core.broadcasts import ports
from wechat_notify.core.errors import StorageError
from wechat_notify.core.queue_messages import DelayedMessage


class Queues(NamedTuple):
    """Both queues, and what is visible on them now."""

    rows: ports.RowQueue
    steps: ports.StepQueue
    visible_rows: Callable[[], list[str]]
    visible_steps: Callable[[], list[tuple[str, str, int]]]


def _fake() -> Queues:
    now = Clock().now
    rows, steps = FakeRowQueue(now), FakeStepQueue(now)
    return Queues(
        rows,
        steps,
        lambda: list(iter(rows.receive, None)),
        lambda: [(each.account, each.broadcast_id, each.step) for each in iter(steps.receive, None)],
    )


@pytest.fixture(params=["fake", "SQS"])
def queues(request: pytest.FixtureRequest) -> Queues:
    if request.param == "fake":
        return _fake()
    aws: Aws = request.getfixturevalue("aws")
    clients, sqs = request.getfixturevalue("clients"), aws("sqs")
    rows, steps = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("rows", "steps"))

    def bodies(url: str) -> list[str]:
        found: list[str] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in messages]
        return found

    def visible_steps() -> list[tuple[str, str, int]]:
        read: list[dict[str, Any]] = [json.loads(body) for body in bodies(steps)]
        return [(each["account"], each["broadcast"], each["step"]) for each in read]

    return Queues(
        RowQueue(Queue(clients, rows)),
        StepQueue(Queue(clients, steps)),
        lambda: bodies(rows),
        visible_steps,
    )


def test_rows_are_visible_when_due(queues: Queues) -> None:
    queues.rows.send_all([DelayedMessage(f"{number}", 900 if number % 3 else 0) for number in range(120)])
    assert sorted(map(int, queues.visible_rows())) == list(range(0, 120, 3))
    queues.rows.send_all([])
    assert queues.visible_rows() == []


def test_impossible_delay_of_a_row(queues: Queues) -> None:
    with pytest.raises(StorageError):
        queues.rows.send_all([DelayedMessage("late", 901)])


def test_steps_are_visible_when_due(queues: Queues) -> None:
    queues.steps.send("shop", "now", 7, 0)
    queues.steps.send("shop", "later", 7, 900)
    assert queues.visible_steps() == [("shop", "now", 7)]
    with pytest.raises(StorageError):
        queues.steps.send("shop", "never", 7, 901)
