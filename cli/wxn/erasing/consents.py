"""The person's consents: one item of the ledger's table, under the keyed hash, and one under an earlier key's.

A sender that has read it writes no successor of what is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wxn.erasing.person import Person
from wxn.erasing.place import Count, Found
from wxn.language import text
from wxn.stacks import Stack


class Consents:
    """The consents of one person."""

    def __init__(self, stack: Stack, account: str, person: Person) -> None:
        self.name = text("consents", "订阅授权")
        self._dynamodb = stack.client("dynamodb")
        self._table = stack.outputs["LedgerTableName"]
        self._account = account
        self._hashes = person.hashes

    def find(self, count: Count) -> Iterator[Found]:
        """Read the items."""
        does = text("delete them: what is left is lost", "删除，剩余的授权次数一并失效")
        for number, hashed in enumerate(self._hashes, 1):
            answer = self._dynamodb.get_item(
                **self._item(hashed), ConsistentRead=True, ProjectionExpression="pk"
            )
            count(number, len(self._hashes))
            if "Item" in answer:
                yield Found(self.name, hashed, does)

    def erase(self, found: Sequence[Found]) -> None:
        """Delete the items."""
        # There and back, and whichever were found: the service moves what it reads under an earlier key's hash.
        for hashed in self._hashes + self._hashes[-2::-1] if found else ():
            self._dynamodb.delete_item(**self._item(hashed))

    def _item(self, hashed: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": {"pk": {"S": f"consents#{self._account}#{hashed}"}}}
