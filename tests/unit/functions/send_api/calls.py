"""Calls of the HTTP API as its tests make them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from functions.send_api.handler import lambda_handler
from tests.fakes import FakeContext, load_event, metrics
from tests.fakes import body as a_body
from tests.unit.functions import contract
from tests.unit.functions.contract import problem_name
from tests.unit.standings import KEY

Json = dict[str, Any]

SUBSCRIPTION = load_event("send_api/send_subscription")
KEYED = load_event("send_api/idempotency_key")
GET = load_event("send_api/get_message")
DELETE = load_event("send_api/delete_message")
RESET = 8 * 3600 + 55 * 60 + 55 + 120
"""Seconds until midnight in Beijing by the slowest clock."""
MSGID = 1864323726461255680
RID = "66695e1c-5d4a8e9f-0b2c3d4e"


class Response(NamedTuple):
    """An answer as its caller reads it."""

    status: int
    headers: Json
    content: Json

    @property
    def says(self) -> str:
        """The name of the problem, or the message's status."""
        return problem_name(str(self.content.get("type", self.content["status"])))

    @property
    def replayed(self) -> bool:
        return bool(self.headers.get("Idempotent-Replayed") == "true")

    @property
    def retry_after(self) -> str | None:
        return self.headers.get("Retry-After")


def call(event: Json) -> Response:
    response = lambda_handler(event, FakeContext())
    assert response.keys() == {"statusCode", "headers", "body"}
    contract.check(event, response)
    status, headers, content = response["statusCode"], response["headers"], json.loads(response["body"])
    if status >= 400:
        _check_problem(status, content, event)
    assert headers["Content-Type"] == ("application/problem+json" if status >= 400 else "application/json")
    return Response(status, headers, content)


def _check_problem(status: int, content: Json, event: Json) -> None:
    assert (content["status"], content["title"]) == (status, TITLES[status])
    assert content["request_id"] == event.get("requestContext", {}).get("requestId", "")
    assert isinstance(content["retryable"], bool)
    assert content["class"]
    assert content["hint"]["en"] == content["detail"]
    assert content["hint"]["zh"]
    assert {"errcode", "errmsg"} <= content.keys() or {"errCode", "errMsg"} <= content.keys()
    assert "rid" in content


TITLES = {
    400: "Malformed request",
    404: "Not found",
    409: "Conflict",
    410: "Gone",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Refused",
    429: "Limit reached at WeChat",
    500: "Internal error",
    502: "WeChat does not accept this account's calls",
    503: "Busy",
    504: "WeChat's answer was lost: whether the message was sent is not known",
}


def post(content: object, account: str = "shop", **headers: str) -> Response:
    text = content if isinstance(content, str) else json.dumps(content)
    event = {**SUBSCRIPTION, "headers": {**SUBSCRIPTION["headers"], **headers}, "body": text}
    return call({**event, "pathParameters": {"account": account}})


def keyed(content: object = None, key: str = KEY, account: str = "shop", **headers: str) -> Response:
    """The message ``body()``, or another one, with an ``Idempotency-Key``."""
    content = a_body() if content is None else content
    return post(content, account, **{"idempotency-key": key, **headers})


def look(key: str = KEY, account: str = "shop") -> Response:
    return call({**GET, "pathParameters": {"account": account, "id": key}})


def cancel(key: str = KEY, account: str = "shop") -> Response:
    return call({**DELETE, "pathParameters": {"account": account, "id": key}})


ASK: list[Callable[..., Response]] = [look, cancel]


def counts(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """What was counted since the last look, under ``service`` alone."""
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.unit == "Count"]
    return {metric.name: metric.value for metric in found if not metric.dimensions}
