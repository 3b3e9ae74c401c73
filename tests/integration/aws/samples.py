"""An entry, every call to AWS, and what a server was asked, for the tests of the AWS adapters."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.integration.conftest import PATH, RETENTION
from tests.integration.contracts.samples import TOKEN, Source, entry
from tests.integration.raw_server import RawServer
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import Change, Entry
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.wechat.outcomes import hint_for

SENT = Entry(
    account="shop",
    id="019ca8d13f2b7c3e8a4d5e6f70819203",
    status=Status.SENT,
    fingerprint="5e884898da28047151d0e56f8dc62927",
    writer="c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e",
    created_at=1_772_348_645.123,
    updated_at=1_772_348_645.5,
    version=2,
    kind="subscription",
    template_id="ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
    openid_hash="0123456789abcdef",
    attempts=1,
    outcome=Outcome(
        Status.SENT,
        ErrorClass.SUCCESS,
        hint_for(0),
        errcode=0,
        errmsg="ok",
        msgid=1_864_323_726_461_255_680,
    ),
    timeline=(
        Change(Status.SENDING, 1_772_348_645.123),
        Change(Status.SENT, 1_772_348_645.5, errcode=0),
    ),
)


def asked(server: RawServer) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in server.requests]


def calls_of(clients: Clients, said: str = "said") -> dict[str, Callable[[], object]]:
    """Every call to AWS that may raise, with this text where a secret may stand."""
    accounts = Accounts(clients, PATH, Source)
    queue = Queue(clients, "url")
    table = LedgerTable(clients, "ledger", RETENTION)
    return {
        "read": lambda: StoredTokens(clients, PATH).read("shop"),
        "load": lambda: accounts.load("shop"),
        "load_all": lambda: list(accounts.load_all()),
        "save": lambda: accounts.save("shop", replace(TOKEN, value=said)),
        "send": lambda: queue.send(said),
        "change_visibility": lambda: queue.change_visibility(said, 5),
        "ask": lambda: RefreshFunction(clients, "token-refresh").ask("shop", said),
        "put": lambda: table.put(entry("shop", said)),
        "put patiently": lambda: table.put(entry("shop", said), patient=True),
        "read entry": lambda: table.read("shop", said),
        "put_circuits": lambda: table.put_circuits(AccountCircuits("shop")),
        "read_circuits": lambda: table.read_circuits(["shop"]),
    }
