"""What the libraries cost: a POST, an AWS call, a check, a log line; and what a new connection adds.

``Product`` calls them as the service does; the peers are the libraries as their documentation has them.
"""

from __future__ import annotations

import json
import os
from typing import Any

from benchmarks import events
from benchmarks.figures import PRODUCT, Comparison
from benchmarks.processes import Server, interleaved, measured, workers
from benchmarks.server import TOKEN

SECTION = "libraries"
SESSION = "requests.Session"
BOTO3 = "boto3"
PLAIN = "pydantic"
POST_CASE = "requests: a POST to WeChat"
PUT_CASE = "boto3: a conditional PutItem"
GROUP_CASE = "boto3: an entry in a BatchExecuteStatement of ten"
CHECK_CASE = "pydantic: a body checked, and WeChat's JSON made of it"
LINE_CASE = "Powertools: a log line"
CONNECTION_CASES = {"post": "a new TLS connection to WeChat", "put": "a new TLS connection to DynamoDB"}
GROUP = 10


class Product:
    """The libraries as the service uses them, with what it makes of their answers."""

    def __init__(self) -> None:
        from wechat_notify.aws.clients import Clients  # noqa: PLC0415 - only in this worker
        from wechat_notify.core.messages.envelope import parse_queue_body  # noqa: PLC0415 - the same
        from wechat_notify.core.messages.parser import parse_message  # noqa: PLC0415 - the same
        from wechat_notify.telemetry import Telemetry  # noqa: PLC0415 - the same
        from wechat_notify.wechat.client import WeChatClient  # noqa: PLC0415 - the same
        from wechat_notify.wechat.session import HttpSession  # noqa: PLC0415 - the same

        self._wechat = WeChatClient(HttpSession(os.environ["WECHAT_API_BASE"]))
        self._aws = Clients()
        self._logger = Telemetry().logger
        self._parse_body, self._parse_message = parse_queue_body, parse_message

    def post(self, count: int) -> dict[str, float]:
        """Messages one after the other."""
        messages = [self._parse_message(events.message(index))[0] for index in range(count)]
        return measured(lambda each: _check(self._wechat.send(each, TOKEN).errcode), messages)

    def put(self, count: int) -> dict[str, float]:
        """An item such as the ledger's."""
        call, table = self._aws.call, self._aws.dynamodb
        return measured(lambda _: call("put", lambda: table.put_item(**_PUT)), range(count))

    def put_group(self, count: int) -> dict[str, float]:
        """The same as statements of one call."""
        call, table = self._aws.call, self._aws.dynamodb
        return measured(
            lambda _: call("put", lambda: table.batch_execute_statement(Statements=_STATEMENTS)),
            range(max(1, count // GROUP)),
            GROUP,
        )

    def check(self, count: int) -> dict[str, float]:
        """From the queue's text to the bytes for WeChat."""

        def check(body: str) -> None:
            self._parse_message(self._parse_body(body, default_id="id").message)[0].wire()

        return measured(check, _bodies(count))

    def line(self, count: int) -> dict[str, float]:
        """A line with as many fields as an invocation's has."""
        fields = {f"field_{number}": number for number in range(8)}
        return measured(lambda _: self._logger.info("invocation finished", extra=fields), range(count))


class Wechatpy:
    """wechatpy with a token that it has."""

    def __init__(self) -> None:
        from wechatpy import WeChatClient  # noqa: PLC0415 - only in this worker

        self._client = WeChatClient("wx3c2f1e0d9b8a7654", "", access_token=TOKEN, timeout=5)
        self._client.API_BASE_URL = os.environ["WECHAT_API_BASE"] + "/cgi-bin/"

    def post(self, count: int) -> dict[str, float]:
        """Messages one after the other."""
        send = self._client.message.send_template
        rest = (events.TEMPLATE_ID, events.DATA, events.URL)
        return measured(lambda index: _check(send(events.openid(index), *rest)["errcode"]), range(count))


class Plain:
    """A ``requests.Session``, a client of boto3 and models of pydantic, without options."""

    def __init__(self) -> None:
        import boto3  # noqa: PLC0415 - only in this worker
        import requests  # noqa: PLC0415 - the same

        from benchmarks.naive.messages import Envelope  # noqa: PLC0415 - the same

        self._session = requests.Session()
        self._url = os.environ["WECHAT_API_BASE"] + "/cgi-bin/message/template/send"
        self._client = boto3.client("dynamodb")
        self._model = Envelope

    def post(self, count: int) -> dict[str, float]:
        """Messages one after the other."""

        def send(index: int) -> None:
            body = json.dumps(events.message(index), ensure_ascii=False).encode()
            answer = self._session.post(self._url, params={"access_token": TOKEN}, data=body, timeout=5)
            _check(answer.json()["errcode"])

        return measured(send, range(count))

    def put(self, count: int) -> dict[str, float]:
        """An item such as the ledger's."""
        return measured(lambda _: self._client.put_item(**_PUT), range(count))

    def check(self, count: int) -> dict[str, float]:
        """From the queue's text to the bytes for WeChat."""

        def check(body: str) -> bytes:
            message = self._model.model_validate_json(body).message
            return json.dumps(message.model_dump(exclude_none=True), ensure_ascii=False).encode()

        return measured(check, _bodies(count))


def _bodies(count: int) -> list[str]:
    return [record["body"] for record in events.batch(count)["Records"]]


def _check(errcode: int | None) -> bool:
    if errcode != 0:
        raise RuntimeError(errcode)
    return True


_ITEM: dict[str, Any] = {
    "pk": {"S": "message#shop#order-20260301"},
    **{
        name: {"S": "0123456789abcdef"}
        for name in ("account", "id", "status", "fingerprint", "kind", "writer")
    },
    **{name: {"N": "1772348640.123"} for name in ("created_at", "updated_at", "version", "attempts", "ttl")},
    "template_id": {"S": events.TEMPLATE_ID},
    "timeline": {"L": [{"M": {"status": {"S": "sent"}, "at": {"N": "1772348640.456"}}}]},
}
_PUT: dict[str, Any] = {
    "TableName": "ledger",
    "Item": _ITEM,
    "ConditionExpression": "attribute_not_exists(pk) OR version = :previous",
    "ExpressionAttributeValues": {":previous": {"N": "1"}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
_INSERT = 'INSERT INTO "ledger" VALUE {' + ", ".join(f"'{name}': ?" for name in _ITEM) + "}"
_STATEMENTS: Any = [{"Statement": _INSERT, "Parameters": [*_ITEM.values()]}] * GROUP


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """The libraries, as the service uses them and as they come."""
    found: list[Comparison] = []
    count = 50 if quick else 500
    subjects: dict[str, dict[str, type]] = {
        "post": {PRODUCT: Product, "wechatpy": Wechatpy, SESSION: Plain},
        "put": {PRODUCT: Product, BOTO3: Plain},
        "put_group": {PRODUCT: Product},
        "check": {PRODUCT: Product, PLAIN: Plain},
        "line": {PRODUCT: Product},
    }
    cases = dict(zip(subjects, (POST_CASE, PUT_CASE, GROUP_CASE, CHECK_CASE, LINE_CASE), strict=True))
    kept: dict[str, dict[str, list[dict[str, float]]]] = {}
    for method, made_of in subjects.items():
        with workers(server, made_of) as made:
            kept[method] = interleaved(made, rounds, method, count=count)
            found.append(Comparison.of(SECTION, cases[method], "µs", kept[method]))
    for method, case in CONNECTION_CASES.items():
        with workers(server, subjects[method], wechat="wechat_tls_hangs_up", aws="aws_hangs_up") as made:
            took = interleaved(made, rounds, method, count=5 if quick else 50)
        more = {
            name: [
                {"cpu": max(0.0, new["cpu"] - old["cpu"])}
                for new, old in zip(each, kept[method][name], strict=True)
            ]
            for name, each in took.items()
        }
        found.append(Comparison.of(SECTION, case, "ms", more))
    return found
