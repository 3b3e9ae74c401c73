"""The index of the ledger's table by WeChat's id of a message, for its receipts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.items import to_attribute
from wechat_notify.aws.ledger_items import message_id, receipt_key
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.message_index import MessageIndex
from wechat_notify.core.delivery.entry import Entry

INDEX = "receipts"
RETRY_FOR = 2.5


class ReceiptIndex(MessageIndex):
    """Finds the messages of receipts. Every method raises ``StorageError``.

    Parameters
    ----------
    aws, table_name
        As `MessageIndex` has them.
    table
        Reads the entries.
    """

    def __init__(self, aws: Clients, table_name: str, table: LedgerTable) -> None:
        super().__init__(aws, table_name)
        self._table = table

    def by_msgid(self, account: str, msgid: int) -> str | None:
        """The id of the message that WeChat gave this msgid, None where none is known (yet)."""

        def query() -> str | None:
            answer: Any = self._aws.dynamodb.query(
                TableName=self._table_name,
                IndexName=INDEX,
                KeyConditionExpression="receipt_key = :key",
                ExpressionAttributeValues={":key": to_attribute(receipt_key(account, msgid))},
                Limit=1,
            )
            return next((message_id(item["pk"]["S"]) for item in answer["Items"]), None)

        return self._aws.call("find the message of a receipt", query, retry_for=RETRY_FOR)

    def read_many(self, account: str, message_ids: Iterable[str]) -> Mapping[str, Entry]:
        """The entries of these messages, by id."""
        return self._table.read_many(account, message_ids)
