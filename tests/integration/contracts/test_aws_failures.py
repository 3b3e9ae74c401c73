"""Every call to AWS fails: the fakes and the adapters raise the same."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests import fakes
from tests.integration.conftest import PATH, RETENTION
from tests.integration.contracts.samples import (
    TOKEN,
    BothSides,
    Bus,
    ClientsAt,
    LedgerAndCircuits,
    Source,
    entry,
)
from tests.integration.raw_server import RawServer, always, refused
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import DomainEvent
from wechat_notify.core.queue_messages import DelayedMessage
from wechat_notify.core.tokens.refresher import AccountStore
from wechat_notify.core.tokens.token import TokenReader


class Down(NamedTuple):
    """All that is AWS's."""

    reader: TokenReader
    accounts: AccountStore
    queue: BothSides
    ledger: LedgerAndCircuits
    bus: Bus


@pytest.fixture(params=["fake", "AWS"])
def down(request: pytest.FixtureRequest) -> Iterator[Down]:
    """Where every call is refused with ``InternalError``."""
    if request.param == "fake":
        store, queue = fakes.FakeParameterStore(), fakes.FakeQueue()
        ledger, bus = fakes.FakeLedgerStore(), fakes.FakeBus()
        store.failing = dict.fromkeys(("read", "load", "load_all", "save"), "InternalError")
        ledger.failing = dict.fromkeys(("put", "read", "put_circuits", "read_circuits"), "InternalError")
        queue.failing = bus.failing = "InternalError"
        yield Down(store, store, queue, ledger, bus)
        return
    clients_at: ClientsAt = request.getfixturevalue("clients_at")
    with RawServer(always(refused("InternalError"))) as server:
        clients = clients_at(server.url)
        yield Down(
            StoredTokens(clients, PATH),
            Accounts(clients, PATH, Source),
            Queue(clients, "url"),
            LedgerTable(clients, "ledger", RETENTION),
            EventBus(clients, "bus"),
        )


def test_failure_carries_the_code_of_aws(down: Down) -> None:
    calls: list[Callable[[], object]] = [
        lambda: down.reader.read("shop"),
        lambda: down.accounts.load("shop"),
        lambda: list(down.accounts.load_all()),
        lambda: down.accounts.save("shop", TOKEN),
        lambda: down.queue.send("body"),
        lambda: down.queue.change_visibility("handle", 5),
        lambda: down.ledger.put(entry("shop")),
        lambda: down.ledger.read("shop", "1"),
        lambda: down.ledger.put_circuits(AccountCircuits("shop", 1)),
        lambda: down.ledger.read_circuits(["shop"]),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        assert raised.value.code == "InternalError"


def test_failed_batches_are_reported(down: Down) -> None:
    assert down.queue.send_delayed([DelayedMessage("body", 5)] * 12) == list(range(12))
    assert down.bus.publish([DomainEvent("circuit.opened", {})] * 12) == 12
