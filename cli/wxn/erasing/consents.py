"""The person's consents: one item of the ledger's table, under the keyed hash.

A sender that has read it writes no successor of what is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wxn.erasing.person import Person
from wxn.erasing.place import Count, Found
from wxn.language import text
from wxn.stacks import Stack


class Consents:
    """The consents of one person."""

    def __init__(self, stack: Stack, account: str, person: Person) -> None:
        self.name = text("consents", "订阅授权")
        self._dynamodb = stack.client("dynamodb")
        self._item = {
            "TableName": stack.outputs["LedgerTableName"],
            "Key": {"pk": {"S": f"consents#{account}#{person.hash}"}},
        }
        self._hash = person.hash

    def find(self, count: Count) -> Iterator[Found]:
        """Read the item."""
        answer = self._dynamodb.get_item(**self._item, ConsistentRead=True, ProjectionExpression="pk")
        count(1, 1)
        if "Item" in answer:
            does = text("delete them: what is left is lost", "删除，剩余的授权次数一并失效")
            yield Found(self.name, self._hash, does)

    def erase(self, found: Sequence[Found]) -> None:
        """Delete the item."""
        if found:
            self._dynamodb.delete_item(**self._item)
