"""Small things that happen to every message: its check, its JSON, the look at the token, a put."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from benchmarks import events
from benchmarks.figures import Comparison
from benchmarks.processes import Server, interleaved, values, workers
from benchmarks.server import TOKEN
from benchmarks.worker import measured

PRODUCT = "wechat_notify"
NAIVE = "naive"
MESSAGE_CASE = "validate a message and write WeChat's JSON"
DOOR_CASE = "the same from the queue's body"
TOKEN_CASE = "token cache hit"
PUT_CASE = "a conditional PutItem over TLS"
BOTO3 = "boto3"


class Product:
    """The service's own."""

    def __init__(self) -> None:
        from wechat_notify.core.messages.envelope import parse_queue_body  # noqa: PLC0415 - only in this worker
        from wechat_notify.core.messages.parser import parse_message  # noqa: PLC0415 - the same
        from wechat_notify.core.tokens.access_tokens import AccessTokens  # noqa: PLC0415 - the same
        from wechat_notify.core.tokens.token import AccessToken  # noqa: PLC0415 - the same

        self._parse_body = parse_queue_body
        self._parse_message: Any = parse_message

        class Stored:
            def read(self, _account: str) -> AccessToken:
                return AccessToken(TOKEN, time.time() + 7000, time.time())

        no_refresher: Any = None
        self._tokens = AccessTokens(
            Stored(), no_refresher, now=time.time, sleep=time.sleep, jitter=random.uniform
        )

    def message(self, count: int) -> dict[str, float]:
        """From decoded JSON to the bytes for WeChat."""
        bodies = [events.message(index) for index in range(count)]
        took = measured(lambda: [self._parse_message(body)[0].wire() for body in bodies])
        return {"cpu": took["cpu"] / count}

    def door(self, count: int) -> dict[str, float]:
        """From the queue's text to the bytes for WeChat."""
        bodies = [record["body"] for record in events.batch(count)["Records"]]
        took = measured(
            lambda: [
                self._parse_message(self._parse_body(body, default_id="id").message)[0].wire()
                for body in bodies
            ]
        )
        return {"cpu": took["cpu"] / count}

    def token(self, count: int) -> dict[str, float]:
        """A token that is at hand."""
        took = measured(lambda: [self._tokens.get("account-0") for _ in range(count)])
        return {"cpu": took["cpu"] / count}


class Naive:
    """pydantic as it comes, and Powertools' parameters."""

    def __init__(self) -> None:
        from benchmarks.naive import accounts, messages  # noqa: PLC0415 - only in this worker

        self._messages = messages
        self._accounts = accounts

    def message(self, count: int) -> dict[str, float]:
        """From decoded JSON to the bytes for WeChat."""
        bodies = [events.message(index) for index in range(count)]
        model = self._messages.TemplateMessage
        took = measured(
            lambda: [
                json.dumps(
                    model.model_validate(body).model_dump(exclude_none=True), ensure_ascii=False
                ).encode()
                for body in bodies
            ]
        )
        return {"cpu": took["cpu"] / count}

    def door(self, count: int) -> dict[str, float]:
        """From the queue's text to the bytes for WeChat."""
        bodies = [record["body"] for record in events.batch(count)["Records"]]
        model = self._messages.Envelope
        took = measured(
            lambda: [
                json.dumps(
                    model.model_validate_json(body).message.model_dump(exclude_none=True), ensure_ascii=False
                ).encode()
                for body in bodies
            ]
        )
        return {"cpu": took["cpu"] / count}

    def token(self, count: int) -> dict[str, float]:
        """A token that is at hand."""
        took = measured(lambda: [self._accounts.client_for("account-0") for _ in range(count)])
        return {"cpu": took["cpu"] / count}


class Clients:
    """The service's way to DynamoDB: boto3 with the options of ``aws.clients``."""

    def __init__(self) -> None:
        from wechat_notify.aws.clients import Clients as Product  # noqa: PLC0415 - only in this worker

        self._clients = Product()

    def put(self, count: int) -> dict[str, float]:
        """An item such as the ledger's."""
        took = measured(lambda: [self._clients.call("put", self._put) for _ in range(count)])
        return {"cpu": took["cpu"] / count}

    def _put(self) -> Any:
        return self._clients.dynamodb.put_item(**_PUT)


class Boto3:
    """boto3 as it comes."""

    def __init__(self) -> None:
        import boto3  # noqa: PLC0415 - only in this worker

        self._client = boto3.client("dynamodb")

    def put(self, count: int) -> dict[str, float]:
        """An item such as the ledger's."""
        took = measured(lambda: [self._client.put_item(**_PUT) for _ in range(count)])
        return {"cpu": took["cpu"] / count}


_ITEM: dict[str, Any] = {
    "pk": {"S": "message#account-0#order-20260301"},
    "account": {"S": "account-0"},
    "id": {"S": "order-20260301"},
    "status": {"S": "sent"},
    "fingerprint": {"S": "0123456789abcdef"},
    "writer": {"S": "0" * 32},
    "created_at": {"N": "1772348640.123"},
    "updated_at": {"N": "1772348640.456"},
    "version": {"N": "2"},
    "kind": {"S": "template"},
    "template_id": {"S": events.TEMPLATE_ID},
    "attempts": {"N": "1"},
    "timeline": {"L": [{"M": {"status": {"S": "sent"}, "at": {"N": "1772348640.456"}}}]},
    "ttl": {"N": "1774940640"},
}
_PUT: dict[str, Any] = {
    "TableName": "ledger",
    "Item": _ITEM,
    "ConditionExpression": "attribute_not_exists(pk) OR version = :previous",
    "ExpressionAttributeValues": {":previous": {"N": "1"}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """The small things side by side."""
    found = []
    count = 500 if quick else 5000
    subjects = {PRODUCT: "benchmarks.calls:Product", NAIVE: "benchmarks.calls:Naive"}
    with workers(server, subjects) as made:
        for case, method in ((MESSAGE_CASE, "message"), (DOOR_CASE, "door"), (TOKEN_CASE, "token")):
            took = values(interleaved(made, rounds, method, {"count": count}), "cpu")
            scaled = {name: [1e6 * value for value in each] for name, each in took.items()}
            found.append(Comparison("calls", case, "µs", NAIVE, scaled))
    subjects = {
        PRODUCT: "benchmarks.calls:Clients",
        BOTO3: "benchmarks.calls:Boto3",
    }
    with workers(server, subjects) as made:
        took = values(interleaved(made, rounds, "put", {"count": count // 10}), "cpu")
        scaled = {name: [1e6 * value for value in each] for name, each in took.items()}
        found.append(Comparison("calls", PUT_CASE, "µs", BOTO3, scaled))
    return found
