"""The index of the ledger's table in which WeChat's receipts find their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.items import to_attribute
from wechat_notify.aws.ledger_items import message_id, msgid_key, receiver_key
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.core.delivery.entry import Entry

INDEX = "receipts"
RETRY_FOR = 2.5


class ReceiptIndex:
    """Finds the messages of receipts. Every method raises ``StorageError``.

    Parameters
    ----------
    aws, table_name
        The table that has the index.
    table
        Reads the entries.
    """

    def __init__(self, aws: Clients, table_name: str, table: LedgerTable) -> None:
        self._aws = aws
        self._table_name = table_name
        self._table = table

    def by_msgid(self, account: str, msgid: int) -> str | None:
        """The id of the message that WeChat gave this msgid, None where none is known (yet)."""
        return next(iter(self._ids(msgid_key(account, msgid))), None)

    def by_receiver(self, account: str, openid_hash: str) -> Sequence[str]:
        """The ids of the messages to one person that may have been sent, and whose msgid is not known."""
        return self._ids(receiver_key(account, openid_hash))

    def read_many(self, account: str, message_ids: Iterable[str]) -> Mapping[str, Entry]:
        """The entries of these messages, by id."""
        return self._table.read_many(account, message_ids)

    def _ids(self, key: str) -> Sequence[str]:
        # One page: it has room for thousands, and a person has few.
        def query() -> Sequence[str]:
            answer: Any = self._aws.dynamodb.query(
                TableName=self._table_name,
                IndexName=INDEX,
                KeyConditionExpression="receipt_key = :key",
                ExpressionAttributeValues={":key": to_attribute(key)},
            )
            return [message_id(item["pk"]["S"]) for item in answer["Items"]]

        return self._aws.call("find the message of a receipt", query, retry_for=RETRY_FOR)
