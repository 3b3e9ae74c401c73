"""DynamoDB: one table with the key ``pk``, conditional puts and consistent reads.

It takes the requests of ``aws.ledger`` as boto3 does. Not modelled: any other condition, eventually
consistent reads, item sizes, deletion by ``ttl``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

CONDITION = "attribute_not_exists(pk) OR version = :previous"
KEYS_MOST = 100

Item = dict[str, Any]


class FakeDynamoDb:
    """The tables, by name; ``writes`` counts what was stored."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Item]] = {}
        self.writes = 0
        self.on_write: Callable[[str, Item | None, Item | None], None] = lambda *_: None
        """Is told the key, what stood there and what stands there now, before that is so."""
        self.conflicts = 0

    def put_item(
        self,
        *,
        TableName: str,  # noqa: N803 - boto3's names, here and below
        Item: Item,  # noqa: N803
        ConditionExpression: str | None = None,  # noqa: N803
        ExpressionAttributeValues: Item | None = None,  # noqa: N803
        ReturnValuesOnConditionCheckFailure: str = "NONE",  # noqa: N803
    ) -> dict[str, Any]:
        """Store an item where the condition holds."""
        table = self.tables.setdefault(TableName, {})
        key = Item["pk"]["S"]
        there = table.get(key)
        if ConditionExpression is not None and there is not None:
            assert ConditionExpression == CONDITION
            assert ExpressionAttributeValues is not None
            if there.get("version") != ExpressionAttributeValues[":previous"]:
                self.conflicts += 1
                response: Any = {
                    "Error": {
                        "Code": "ConditionalCheckFailedException",
                        "Message": "The conditional request failed",
                    }
                }
                if ReturnValuesOnConditionCheckFailure == "ALL_OLD":
                    response["Item"] = there
                raise ClientError(response, "PutItem")
        self.on_write(key, there, Item)
        table[key] = Item
        self.writes += 1
        return {}

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:  # noqa: N803
        """One item, if it is there."""
        assert ConsistentRead
        there = self.tables.get(TableName, {}).get(Key["pk"]["S"])
        return {} if there is None else {"Item": there}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Several items; those that are not there are left out."""
        responses: dict[str, list[Item]] = {}
        for name, request in RequestItems.items():
            keys = [key["pk"]["S"] for key in request["Keys"]]
            if not 1 <= len(keys) <= KEYS_MOST or len(set(keys)) < len(keys):
                raise ClientError({"Error": {"Code": "ValidationException", "Message": ""}}, "BatchGetItem")
            table = self.tables.get(name, {})
            responses[name] = [table[key] for key in keys if key in table]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def delete_item(self, *, TableName: str, Key: Item) -> dict[str, Any]:  # noqa: N803
        """Forget an item."""
        there = self.tables.get(TableName, {}).pop(Key["pk"]["S"], None)
        if there is not None:
            self.on_write(Key["pk"]["S"], there, None)
        return {}


def plain(item: Item) -> dict[str, Any]:
    """An item without DynamoDB's types."""
    return {name: _value(value) for name, value in item.items()}


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
