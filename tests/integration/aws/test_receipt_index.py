"""The index of receipts, against DynamoDB as moto has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.aws.samples import SENT
from tests.integration.conftest import RETENTION
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.receipt_index import ReceiptIndex
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual

MSGID = 1_864_323_726_461_255_680
HASH = str(SENT.openid_hash)
LOST = Outcome(Status.UNKNOWN, ErrorClass.UNKNOWN, Bilingual("", ""), cause="ReadTimeout")


@pytest.fixture
def table(ledger_table: LedgerTable, clients: Clients) -> LedgerTable:  # noqa: ARG001 - it is there now
    """The ledger's table with receipts."""
    return LedgerTable(clients, "ledger", RETENTION, match_receipts=True)


@pytest.fixture
def index(table: LedgerTable, clients: Clients) -> ReceiptIndex:
    return ReceiptIndex(clients, "ledger", table)


def entry(message_id: str, **fields: Any) -> Entry:
    return SENT._replace(id=message_id, version=1, **fields)


def test_sent_message_is_found_by_msgid(table: LedgerTable, index: ReceiptIndex) -> None:
    table.put(entry("order-1"))
    table.put(entry("order-1", account="bank"))
    assert index.by_msgid("shop", MSGID) == "order-1"
    assert index.by_msgid("bank", MSGID) == "order-1"
    assert index.by_msgid("cafe", MSGID) is None
    assert index.by_msgid("shop", MSGID + 1) is None
    assert list(index.by_receiver("shop", HASH)) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"status": Status.UNKNOWN, "outcome": LOST}, True),
        ({"status": Status.QUEUED, "outcome": LOST, "lost_at": SENT.updated_at}, True),
        ({"status": Status.QUEUED, "outcome": LOST}, False),
        ({"outcome": SENT.outcome and SENT.outcome._replace(msgid=None)}, True),
        ({"status": Status.SENDING, "outcome": None}, False),
        ({"status": Status.FAILED, "outcome": LOST}, False),
        ({"status": Status.UNKNOWN, "outcome": LOST, "kind": "one_time_subscription"}, False),
    ],
)
def test_doubts_are_found_by_receiver(
    table: LedgerTable, index: ReceiptIndex, fields: dict[str, Any], *, found: bool
) -> None:
    table.put(entry("order-1", **fields))
    assert list(index.by_receiver("shop", HASH)) == (["order-1"] if found else [])
    assert index.by_receiver("bank", HASH) == []


def test_settled_doubt_has_its_msgid(table: LedgerTable, index: ReceiptIndex) -> None:
    doubt = entry("order-1", status=Status.UNKNOWN, outcome=LOST)
    table.put(doubt)
    table.put(doubt._replace(version=2, status=Status.DELIVERED, outcome=SENT.outcome))
    assert index.by_msgid("shop", MSGID) == "order-1"
    assert index.by_receiver("shop", HASH) == []
    assert index.read_many("shop", ["order-1", "order-2"]).keys() == {"order-1"}


def test_without_receipts_nothing_is_indexed(ledger_table: LedgerTable, index: ReceiptIndex) -> None:
    ledger_table.put(entry("order-1"))
    assert index.by_msgid("shop", MSGID) is None


def test_missing_index_is_a_storage_error(clients: Clients, table: LedgerTable) -> None:
    with pytest.raises(StorageError):
        ReceiptIndex(clients, "another", table).by_msgid("shop", MSGID)
