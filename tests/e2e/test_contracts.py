"""The emulator is held to what the fakes and moto are held to: a false green here would be one everywhere.

It checks the signatures of an IAM user's keys, which moto does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Service, listening
from tests.integration.contracts.samples import (
    Bus,
    BusAt,
    DynamoDbLedgerAt,
    LedgerAt,
    QueueAt,
    SqsQueueAt,
    entry,
)
from tests.integration.contracts.test_event_bus import TestBus
from tests.integration.contracts.test_ledger_store import FULL, TestLedgerStore
from tests.integration.contracts.test_queue import TestQueue
from wechat_notify.aws.clients import Clients, client_config
from wechat_notify.aws.conditional_put import ConditionalPut
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_items import ENTRIES
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, StoredTokens
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import DomainEvent

__all__ = ["TestBus", "TestLedgerStore", "TestQueue"]

_names = (f"contract-{number}" for number in itertools.count())


def clients_of(service: Service, access_key_id: str = "", secret_access_key: str = "") -> Clients:
    state = service.state
    session = boto3.Session(
        access_key_id or state.access_key_id,
        secret_access_key or state.secret_access_key,
        region_name=state.region,
    )
    return Clients(
        lambda name: session.client(name, endpoint_url=state.aws_endpoint_url, config=client_config(name))
    )


@pytest.fixture
def clients(service: Service) -> Iterator[Clients]:
    """The adapters' way to the emulator."""
    made = clients_of(service)
    yield made
    made.close()


@pytest.fixture
def queue(service: Service, clients: Clients) -> QueueAt:
    return SqsQueueAt(service.client, clients, next(_names))


@pytest.fixture
def ledger(service: Service, clients: Clients) -> LedgerAt:
    """The table that was deployed."""
    return DynamoDbLedgerAt(clients, service.stack.deployment.outputs["LedgerTableName"], next(_names))


class EmulatedBusAt:
    """The bus that was deployed, and what a queue hears of it."""

    def __init__(self, service: Service, clients: Clients, hear: Callable[[], list[dict[str, Any]]]) -> None:
        self.bus: Bus = EventBus(clients, service.state.event_bus_name)
        self._hear = hear

    def arrived(self) -> list[DomainEvent]:
        # What the service itself publishes meanwhile has no number.
        heard = sorted(
            (event for event in self._hear() if "number" in event["detail"]),
            key=lambda event: int(event["detail"]["number"]),
        )
        return [DomainEvent(event["detail-type"], event["detail"]) for event in heard]


@pytest.fixture
def bus(service: Service, clients: Clients) -> Iterator[BusAt]:
    with listening(service, next(_names), {"source": ["wechat-notify"]}) as hear:
        yield EmulatedBusAt(service, clients, hear)


def test_refresher_returns_the_stored_token(service: Service, clients: Clients) -> None:
    outputs, account = service.stack.deployment.outputs, service.state.account
    token = RefreshFunction(clients, outputs["TokenRefreshFunctionName"]).ask(account, None)
    path = outputs["ParameterPath"]
    assert StoredTokens(clients, path).read(account) == token
    loaded = Accounts(clients, path, lambda *_: None).load(account)  # type: ignore[arg-type]
    assert (loaded.token, loaded.problem) == (token, None)
    assert StoredTokens(clients, path).read("nobody") is None
    with pytest.raises(StorageError, match="ResourceNotFoundException"):
        RefreshFunction(clients, "no-such-function").ask(account, None)


def test_group_is_one_call(service: Service, clients: Clients) -> None:
    """moto's parser refuses such an INSERT, so nothing but the emulator shows what is answered."""
    table = LedgerTable(clients, service.stack.deployment.outputs["LedgerTableName"], 86_400.0)
    account = next(_names)
    full = entry(account, "changed", **FULL)
    for before in (full, entry(account, "taken"), entry(account, "stale", 1), entry(account, "stale", 2)):
        assert table.put(before) is None
    group = [
        entry(account, "new", **FULL),
        entry(account, "changed", 2),
        entry(account, "taken", writer="late"),
        entry(account, "stale", 2, writer="late"),
        entry(account, "gone", 2),
    ]
    kind = ENTRIES
    called: list[str] = []
    clients.dynamodb.meta.events.register(
        "before-call.dynamodb", lambda model, **_: called.append(model.name), unique_id="called"
    )
    answers = table._put_group(
        [
            ConditionalPut("write", kind.to_item(each), kind.attributes, each.version - 1, 0.0, 0.0)
            for each in group
        ]
    )
    clients.dynamodb.meta.events.unregister("before-call.dynamodb", unique_id="called")
    assert called == ["BatchExecuteStatement"]
    assert [answer and answer.stored for answer in answers] == [True, True, None, False, None]
    assert answers[3]
    assert kind.from_item(answers[3].existing) == entry(account, "stale", 2)
    found = [table.read(account, each.id) for each in group]
    assert found == [group[0], group[1], entry(account, "taken"), entry(account, "stale", 2), None]
    # The same by threads, of which each repeats its own write alone where the group left it open.
    with ThreadPoolExecutor(5) as pool:
        met = list(pool.map(table.put, group))
    assert met == [None, None, entry(account, "taken"), entry(account, "stale", 2), None]


@pytest.mark.parametrize("changed", ["secret_access_key", "access_key_id"])
def test_wrong_signature_is_refused(service: Service, changed: str) -> None:
    other = clients_of(service, **{changed: "AKIAOTHERKEYOTHERKEY"})
    url = service.state.send_queue_url
    calls: list[Callable[[], object]] = [
        lambda: other.dynamodb.get_item(TableName="t", Key={"pk": {"S": "1"}}),
        lambda: other.ssm.get_parameter(Name="n"),
        lambda: other.sqs.send_message(QueueUrl=url, MessageBody="b"),
        lambda: other.events.put_events(Entries=[]),
        lambda: other.lambda_.invoke(FunctionName="f", Payload="{}"),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            other.call("do", call)
        assert raised.value.code in {
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        }
    other.close()
