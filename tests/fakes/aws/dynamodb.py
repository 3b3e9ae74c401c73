"""DynamoDB: one table with the key ``pk``, conditional writes and consistent reads.

It takes the requests of ``aws.ledger_table``. Not modelled: any other condition or statement, eventually
consistent reads, item sizes, deletion by ``ttl``.
"""

# ruff: noqa: N803 - the names of a request's fields are AWS's

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fakes.aws import Refusal

IS_NEXT = "version = :previous"
"""The condition of an item that stays deleted."""
CONDITION = f"attribute_not_exists(pk) OR {IS_NEXT}"
MAX_KEYS = 100
MAX_STATEMENTS = 25
TRANSIENT = ("ProvisionedThroughputExceeded", "ThrottlingError", "InternalServerError", "TransactionConflict")
"""Codes of a statement that was not executed, and may be the next time."""

INSERT = re.compile(r"""INSERT INTO "(?P<table>\w+)" VALUE \{(?P<item>[^{}]+)\}""")
UPDATE = re.compile(r"""UPDATE "(?P<table>\w+)" (?P<changes>.+) WHERE "pk" = \? AND "version" = \?""")

Item = dict[str, Any]


class FakeDynamoDb:
    """The tables, by name.

    ``partial`` is how often a batch is read or written in part only, as a throttled table's is.
    """

    def __init__(self, chance: Random, partial: Callable[[], float] = lambda: 0.0) -> None:
        self.tables: dict[str, dict[str, Item]] = {}
        self.on_write: Callable[[str, Item | None, Item | None], None] = lambda *_: None
        """Is told the key, what stood there and what stands there now, before that is so."""
        self._chance = chance
        self._partial = partial

    def put_item(
        self,
        *,
        TableName: str,
        Item: Item,
        ConditionExpression: str | None = None,
        ExpressionAttributeValues: Item | None = None,
        ReturnValuesOnConditionCheckFailure: str = "NONE",
    ) -> dict[str, Any]:
        """Store an item where the condition holds."""
        table = self.tables.setdefault(TableName, {})
        key = Item["pk"]["S"]
        existing = table.get(key)
        if ConditionExpression == IS_NEXT or (ConditionExpression is not None and existing is not None):
            assert ConditionExpression in {IS_NEXT, CONDITION}
            assert ExpressionAttributeValues is not None
            if existing is None or existing.get("version") != ExpressionAttributeValues[":previous"]:
                asked_for = existing and ReturnValuesOnConditionCheckFailure == "ALL_OLD"
                raise Refusal("ConditionalCheckFailedException", **({"Item": existing} if asked_for else {}))
        self._store(TableName, Item)
        return {}

    def batch_execute_statement(self, *, Statements: list[dict[str, Any]]) -> dict[str, Any]:
        """Execute each statement, or answer why not."""
        if not 1 <= len(Statements) <= MAX_STATEMENTS:
            raise Refusal("ValidationException")
        spared = self._chance.random() >= self._partial()
        responses: list[dict[str, Any]] = []
        for each in Statements:
            if spared or self._chance.random() < 0.5:
                error = self._execute(**each)
            else:
                error = {"Code": self._chance.choice(TRANSIENT)}
            responses.append({"Error": error} if error else {"TableName": "ledger"})
        return {"Responses": responses}

    def _execute(
        self, *, Statement: str, Parameters: list[Any], ReturnValuesOnConditionCheckFailure: str = "NONE"
    ) -> dict[str, Any] | None:
        """Execute one statement; its error."""
        if inserted := INSERT.fullmatch(Statement):
            item = dict(zip(re.findall(r"'(\w+)': \?", inserted["item"]), Parameters, strict=True))
            if item["pk"]["S"] in self.tables.get(inserted["table"], {}):
                return {"Code": "DuplicateItem"}
            self._store(inserted["table"], item)
            return None
        updated = UPDATE.fullmatch(Statement)
        assert updated, Statement
        *values, key, version = Parameters
        existing = self.tables.get(updated["table"], {}).get(key["S"])
        if existing is None or existing.get("version") != version:
            asked_for = existing and ReturnValuesOnConditionCheckFailure == "ALL_OLD"
            return {"Code": "ConditionalCheckFailed", **({"Item": existing} if asked_for else {})}
        removed = re.findall(r'REMOVE "(\w+)"', updated["changes"])
        kept = {name: value for name, value in existing.items() if name not in removed}
        changed = dict(zip(re.findall(r'SET "(\w+)" = \?', updated["changes"]), values, strict=True))
        self._store(updated["table"], kept | changed)
        return None

    def _store(self, table_name: str, item: Item) -> None:
        table, key = self.tables.setdefault(table_name, {}), item["pk"]["S"]
        self.on_write(key, table.get(key), item)
        table[key] = item

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:
        """One item, if it is there."""
        assert ConsistentRead
        existing = self.tables.get(TableName, {}).get(Key["pk"]["S"])
        return {} if existing is None else {"Item": existing}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        """Several items; those that are not there are left out."""
        responses: dict[str, list[Item]] = {}
        unread: dict[str, Any] = {}
        for name, request in RequestItems.items():
            assert request["ConsistentRead"]
            keys = [key["pk"]["S"] for key in request["Keys"]]
            if not 1 <= len(keys) <= MAX_KEYS or len(set(keys)) < len(keys):
                raise Refusal("ValidationException")
            if self._chance.random() < self._partial():
                read = self._chance.randrange(len(keys))
                unread[name] = {**request, "Keys": request["Keys"][read:]}
                keys = keys[:read]
            table = self.tables.get(name, {})
            responses[name] = [table[key] for key in keys if key in table]
        return {"Responses": responses, "UnprocessedKeys": unread}

    def query(
        self,
        *,
        TableName: str,
        IndexName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Item,
        ScanIndexForward: bool = True,
        Limit: int | None = None,
        ExclusiveStartKey: Item | None = None,
    ) -> dict[str, Any]:
        """The items of one partition of an index, without a next page: there are few."""
        assert ExclusiveStartKey is None
        partition, *bounds = KeyConditionExpression.split(" AND ", 1)
        attribute, _, name = partition.partition(" = ")
        assert attribute == {"listed": "listed", "receipts": "receipt_key"}[IndexName]
        assert not bounds or bounds == ["created_at >= :since"], bounds
        since = float(ExpressionAttributeValues[":since"]["N"]) if bounds else 0.0
        found = [
            item
            for item in self.tables.get(TableName, {}).values()
            if item.get(attribute) == ExpressionAttributeValues[name]
            and float(item["created_at"]["N"]) >= since
        ]
        found.sort(key=lambda item: float(item["created_at"]["N"]), reverse=not ScanIndexForward)
        assert Limit is None or len(found) <= Limit
        return {"Items": found[:Limit]}

    def delete_item(self, *, TableName: str, Key: Item) -> dict[str, Any]:
        """Forget an item."""
        existing = self.tables.get(TableName, {}).pop(Key["pk"]["S"], None)
        if existing is not None:
            self.on_write(Key["pk"]["S"], existing, None)
        return {}


def plain(item: Item, but: str | None = None) -> dict[str, Any]:
    """An item, ``but`` for one of its attributes, without DynamoDB's types."""
    return {name: _value(value) for name, value in item.items() if name != but}


def _value(attribute: dict[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return float(value)
        case "M":
            return plain(value)
        case "L":
            return [_value(each) for each in value]
    return value
