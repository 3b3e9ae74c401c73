"""What the index of receipts does not hold, against DynamoDB as moto has it."""

from __future__ import annotations

import pytest

from tests.integration.aws.samples import SENT
from tests.integration.contracts.samples import DynamoDbReceiptsAt
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.receipt_index import ReceiptIndex
from wechat_notify.core.errors import StorageError


def test_without_receipts_nothing_is_indexed(ledger_table: LedgerTable, clients: Clients) -> None:
    receipts = DynamoDbReceiptsAt(clients, "ledger")
    ledger_table.put(SENT._replace(version=1))
    assert SENT.outcome
    assert SENT.outcome.msgid
    assert receipts.index.by_msgid("shop", SENT.outcome.msgid) is None


def test_missing_table_is_a_storage_error(clients: Clients) -> None:
    receipts = DynamoDbReceiptsAt(clients, "another")
    assert isinstance(receipts.index, ReceiptIndex)
    with pytest.raises(StorageError):
        receipts.index.by_msgid("shop", 1)
