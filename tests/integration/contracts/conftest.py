from collections.abc import Iterator

import pytest

from tests.integration.contracts.samples import (
    BusAt,
    ClientsAt,
    DynamoDbLedgerAt,
    DynamoDbReceiptsAt,
    EventBridgeBusAt,
    FakeBusAt,
    FakeLedgerAt,
    FakeQueueAt,
    FakeReceiptsAt,
    FakeStore,
    LedgerAt,
    QueueAt,
    ReceiptsAt,
    SqsQueueAt,
    SsmStore,
    Store,
)
from tests.integration.raw_server import RawServer
from wechat_notify.aws.events import EventBus


@pytest.fixture(params=["fake", "SSM"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "fake":
        return FakeStore()
    return SsmStore(request.getfixturevalue("clients"), request.getfixturevalue("put"))


@pytest.fixture(params=["fake", "SQS"])
def queue(request: pytest.FixtureRequest) -> QueueAt:
    if request.param == "fake":
        return FakeQueueAt()
    return SqsQueueAt(request.getfixturevalue("aws"), request.getfixturevalue("clients"))


@pytest.fixture(params=["fake", "DynamoDB"])
def ledger(request: pytest.FixtureRequest) -> LedgerAt:
    if request.param == "fake":
        return FakeLedgerAt()
    request.getfixturevalue("ledger_table")
    return DynamoDbLedgerAt(request.getfixturevalue("clients"), "ledger", "shop")


@pytest.fixture(params=["fake", "DynamoDB"])
def receipts(request: pytest.FixtureRequest) -> ReceiptsAt:
    if request.param == "fake":
        return FakeReceiptsAt()
    request.getfixturevalue("ledger_table")
    return DynamoDbReceiptsAt(request.getfixturevalue("clients"), "ledger")


@pytest.fixture(params=["fake", "EventBridge"])
def bus(request: pytest.FixtureRequest) -> Iterator[BusAt]:
    if request.param == "fake":
        yield FakeBusAt()
        return
    clients_at: ClientsAt = request.getfixturevalue("clients_at")
    built = EventBridgeBusAt()
    with RawServer(built.script) as server:
        built.bus = EventBus(clients_at(server.url), "bus")
        yield built
