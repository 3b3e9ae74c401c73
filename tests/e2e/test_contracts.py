"""The emulator is held to what the fakes and moto are held to: a false green here would be one everywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.e2e.conftest import Service
from tests.integration.test_contracts import (  # the tests are run here with the fixtures below
    Bus,
    BusAt,
    DynamoDbLedgerAt,
    LedgerAt,
    QueueAt,
    SqsQueueAt,
    TestBus,
    TestLedgerStore,
    TestQueue,
    fail_with,
)
from wechat_notify.aws import clients
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger import LedgerTable
from wechat_notify.core.outcomes import Notice

__all__ = ["TestBus", "TestLedgerStore", "TestQueue"]

_names = (f"contract-{number}" for number in itertools.count())


@pytest.fixture
def aws(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The service's own clients, on the emulator."""
    client = cache(service.client)
    monkeypatch.setattr(clients, "client", lambda name, **_: client(name))
    return client


@pytest.fixture
def queue(aws: Any, monkeypatch: pytest.MonkeyPatch) -> QueueAt:
    return SqsQueueAt(aws, monkeypatch, next(_names))


@pytest.fixture
def ledger(service: Service, aws: Any, monkeypatch: pytest.MonkeyPatch) -> LedgerAt:  # noqa: ARG001
    """The table that was deployed, where the adapter finds it."""
    table = service.stack.deployment.outputs["LedgerTableName"]
    return DynamoDbLedgerAt(LedgerTable(table, 86_400), next(_names), monkeypatch)


class EmulatedBusAt:
    """The bus that was deployed, heard by a queue."""

    def __init__(self, service: Service, aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bus = service.state.event_bus_name
        self.bus: Bus = EventBus(self._bus)
        self._events, self._sqs, self._monkeypatch = aws("events"), aws("sqs"), monkeypatch
        self._name = next(_names)
        self._url: str = self._sqs.create_queue(QueueName=self._name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        pattern = json.dumps({"source": ["wechat-notify"]})
        self._events.put_rule(Name=self._name, EventBusName=self._bus, EventPattern=pattern)
        self._events.put_targets(
            Rule=self._name,
            EventBusName=self._bus,
            Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}],
        )

    def arrived(self) -> list[Notice]:
        heard: list[dict[str, Any]] = []
        while received := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            heard += [json.loads(message["Body"]) for message in received]
        heard.sort(key=lambda event: event["detail"]["number"])
        return [Notice(event["detail-type"], event["detail"]) for event in heard]

    def break_down(self, code: str) -> None:
        self._monkeypatch.setattr(clients, "client", lambda _service, **_: fail_with(code))

    def remove(self) -> None:
        self._events.remove_targets(Rule=self._name, EventBusName=self._bus, Ids=["queue"])
        self._events.delete_rule(Name=self._name, EventBusName=self._bus)


@pytest.fixture
def bus(service: Service, aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[BusAt]:
    built = EmulatedBusAt(service, aws, monkeypatch)
    yield built
    built.remove()
