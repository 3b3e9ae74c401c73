"""Broadcasts in the ledger's table.

``broadcast#<account>#<id>``
    A ``core.broadcasts.broadcast.Broadcast``; ``listed`` puts it into the index as ``<account>#broadcasts``.
``chunk#<account>#<id>#<number>``
    A ``core.broadcasts.broadcast.Chunk``.
``pace#<account>``
    An ``core.broadcasts.broadcast.AccountPace``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.items import ItemType, to_attribute
from wechat_notify.aws.message_index import INDEX
from wechat_notify.aws.versioned_items import RETRY_FOR, VersionedItems
from wechat_notify.core.broadcasts.broadcast import AccountPace, Broadcast, Chunk, Lease, Release
from wechat_notify.core.broadcasts.counts import Counts, ErrcodeCount
from wechat_notify.core.broadcasts.ports import Page
from wechat_notify.core.cursors import Cursors
from wechat_notify.core.texts import Bilingual

_COUNTS = {"counts": Counts, "totals": Counts, "errcodes": ErrcodeCount}
"""The types of fields that hold counts."""


def _broadcast_key(account: str, broadcast_id: str) -> str:
    return f"broadcast#{account}#{broadcast_id}"


def _chunk_key(account: str, broadcast_id: str, number: int) -> str:
    return f"chunk#{account}#{broadcast_id}#{number}"


def _pace_key(account: str) -> str:
    return f"pace#{account}"


BROADCASTS = ItemType(
    Broadcast,
    lambda broadcast: _broadcast_key(broadcast.account, broadcast.id),
    "the broadcast",
    {**_COUNTS, "problem": Bilingual, "releasing": Release},
    "listed",
)
CHUNKS = ItemType(
    Chunk,
    lambda chunk: _chunk_key(chunk.account, chunk.broadcast_id, chunk.number),
    "the broadcast's chunk",
    _COUNTS,
)
PACES = ItemType(AccountPace, lambda pace: _pace_key(pace.account), "the account's pace", {"leases": Lease})


class BroadcastTable(VersionedItems):
    """A ``BroadcastStore``; arguments as ``VersionedItems`` has them, and the writer of cursors."""

    def __init__(
        self, aws: Clients, table_name: str, retention_seconds: float, cursors: Cursors, **clocks: Any
    ) -> None:
        super().__init__(aws, table_name, retention_seconds, **clocks)
        self._cursors = cursors

    def put(self, broadcast: Broadcast) -> Broadcast | None:
        """Store a record after the version before; otherwise return the existing one."""
        listed = {"listed": to_attribute(_partition(broadcast.account))}
        return self.put_item(BROADCASTS, broadcast, broadcast.updated_at, listed)

    def read(self, account: str, broadcast_id: str) -> Broadcast | None:
        """The newest version of a record."""
        return self.read_item(BROADCASTS, _broadcast_key(account, broadcast_id))

    def list_page(self, account: str, *, cursor: str | None, limit: int) -> Page:
        """The account's broadcasts, the newest first, a moment behind; raises ``CursorError``."""
        this_list = ["broadcasts", account]
        request: dict[str, Any] = {}
        if cursor is not None:
            request["ExclusiveStartKey"] = self._cursors.read(this_list, cursor)[0]

        def query() -> tuple[list[str], Any]:
            answer = self._aws.dynamodb.query(
                TableName=self._table_name,
                IndexName=INDEX,
                KeyConditionExpression="listed = :listed",
                ExpressionAttributeValues={":listed": to_attribute(_partition(account))},
                ScanIndexForward=False,
                Limit=limit,
                **request,
            )
            return [item["pk"]["S"] for item in answer["Items"]], answer.get("LastEvaluatedKey")

        keys, last = self._aws.call("list the broadcasts", query, retry_for=RETRY_FOR)
        found = {BROADCASTS.key(each): each for each in self.read_items(BROADCASTS, keys)}
        following = self._cursors.write(this_list, [last]) if last else None
        return Page([found[key] for key in keys if key in found], following)

    def put_chunk(self, chunk: Chunk) -> Chunk | None:
        """Store a chunk after the version before; otherwise return the existing one."""
        return self.put_item(CHUNKS, chunk, chunk.look_at)

    def read_chunks(self, account: str, broadcast_id: str, numbers: Sequence[int]) -> list[Chunk]:
        """The chunks of these numbers, in this order; what is not stored is left out."""
        keys = [_chunk_key(account, broadcast_id, number) for number in numbers]
        found = {chunk.number: chunk for chunk in self.read_items(CHUNKS, keys)}
        return [found[number] for number in numbers if number in found]

    def read_pace(self, account: str) -> AccountPace:
        """The account's running broadcasts; version 0 where none are stored."""
        return self.read_item(PACES, _pace_key(account)) or AccountPace(account)

    def put_pace(self, pace: AccountPace) -> AccountPace | None:
        """Store the running broadcasts after the version before; otherwise return the existing ones."""
        over = max([self._now(), *(lease.until for lease in pace.leases)])
        return self.put_item(PACES, pace, over)


def _partition(account: str) -> str:
    return f"{account}#broadcasts"
