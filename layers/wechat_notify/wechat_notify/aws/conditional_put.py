"""A conditional put: an item in place of its previous version, as DynamoDB is asked for it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, cast


class Answer(NamedTuple):
    """DynamoDB's answer to a put; ``existing`` is the item that is another version's, empty if not told."""

    stored: bool
    existing: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def answer_to_statement(error: dict[str, Any] | None) -> Answer | None:
    """Return the answer that one statement of a group was given, None where that is not clear.

    ``DuplicateItem`` comes without the item. An ``UPDATE`` of an item that is gone fails, a put would not.
    """
    if error is None:
        return Answer(stored=True)
    existing = error.get("Item")
    if error.get("Code") == "ConditionalCheckFailed" and existing:
        return Answer(stored=False, existing=existing)
    return None


class ConditionalPut(NamedTuple):
    """An item that takes the place of its version ``previous``, which is 0 for the first.

    ``attributes`` are the names that an item of its type can have. ``retry_for`` is for how many seconds the
    put is repeated after ``began``. ``revives``: an item that was deleted meanwhile is stored anew.
    """

    action: str
    item: dict[str, Any]
    attributes: frozenset[str]
    previous: int
    retry_for: float
    began: float
    revives: bool = True

    @property
    def key(self) -> str:
        """The item's key."""
        return cast("str", self.item["pk"]["S"])

    def request(self, table_name: str) -> Any:
        """The put as ``PutItem`` is asked for it."""
        is_next = "version = :previous"
        return {
            "TableName": table_name,
            "Item": self.item,
            "ConditionExpression": f"attribute_not_exists(pk) OR {is_next}"
            if self.revives or not self.previous
            else is_next,
            "ExpressionAttributeValues": {":previous": {"N": str(self.previous)}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def statement(self, table_name: str) -> dict[str, Any]:
        """The same in PartiQL: an ``INSERT`` where there is no item yet, otherwise an ``UPDATE``."""
        if not self.previous:
            return {"Statement": _insert(table_name, tuple(self.item)), "Parameters": [*self.item.values()]}
        given = {name: value for name, value in self.item.items() if name != "pk"}
        absent = self.attributes - self.item.keys()
        return {
            "Statement": _update(table_name, tuple(given), tuple(sorted(absent))),
            "Parameters": [*given.values(), self.item["pk"], {"N": str(self.previous)}],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


@lru_cache
def _insert(table_name: str, names: tuple[str, ...]) -> str:
    given = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table_name}" VALUE {{{given}}}'


@lru_cache
def _update(table_name: str, given: tuple[str, ...], absent: tuple[str, ...]) -> str:
    changes = [f'SET "{name}" = ?' for name in given] + [f'REMOVE "{name}"' for name in absent]
    return f'UPDATE "{table_name}" {" ".join(changes)} WHERE "pk" = ? AND "version" = ?'
