"""For how long each call to AWS is repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.aws.samples import SENT
from tests.integration.conftest import PATH, RETENTION, ClientsAt
from tests.integration.contracts.samples import TOKEN, Source
from tests.integration.raw_server import RawServer, always, refused
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.errors import StorageError

CALLS: dict[str, tuple[float, Callable[[Clients], object]]] = {
    "read": (1.0, lambda clients: StoredTokens(clients, PATH).read("shop")),
    "load": (7.5, lambda clients: Accounts(clients, PATH, Source).load("shop")),
    "load_all": (7.5, lambda clients: list(Accounts(clients, PATH, Source).load_all())),
    "save": (7.5, lambda clients: Accounts(clients, PATH, Source).save("shop", TOKEN)),
    "send": (1.5, lambda clients: Queue(clients, "url").send("body")),
    "change_visibility": (1.5, lambda clients: Queue(clients, "url").change_visibility("handle", 5)),
    "put": (2.5, lambda clients: LedgerTable(clients, "ledger", RETENTION).put(SENT)),
    "put patiently": (6.0, lambda clients: LedgerTable(clients, "ledger", RETENTION).put(SENT, patient=True)),
    "read entry": (2.5, lambda clients: LedgerTable(clients, "ledger", RETENTION).read("shop", "1")),
    "put_circuits": (
        2.5,
        lambda clients: LedgerTable(clients, "ledger", 1.0).put_circuits(AccountCircuits("a")),
    ),
    "read_circuits": (2.5, lambda clients: LedgerTable(clients, "ledger", 1.0).read_circuits(["shop"])),
}


@pytest.mark.parametrize(("seconds", "call"), CALLS.values(), ids=CALLS.keys())
def test_each_call_has_its_retry_time(
    clients_at: ClientsAt, slept: list[float], seconds: float, call: Callable[[Clients], object]
) -> None:
    with RawServer(always(refused("ThrottlingException"))) as server, pytest.raises(StorageError) as raised:
        call(clients_at(server.url))
    assert raised.value.code == "ThrottlingException"
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert len(server.requests) == len(slept) + 1
    assert sum(slept) == pytest.approx(seconds, abs=0.01)
