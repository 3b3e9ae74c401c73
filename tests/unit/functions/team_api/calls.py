"""Calls of the teams' API as its tests make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from functions.team_api.handler import lambda_handler
from tests.fakes import FakeContext, load_event
from tests.unit.functions import contract
from tests.unit.functions.contract import problem_name

Json = dict[str, Any]


class Response(NamedTuple):
    """An answer as its caller reads it."""

    status: int
    content: Json
    headers: Mapping[str, str]

    @property
    def problem(self) -> str:
        """The name of the problem."""
        return problem_name(str(self.content["type"]))


def call(
    route: str,
    content: object = None,
    query: Json | None = None,
    headers: Json | None = None,
    **path: str,
) -> Response:
    """Call a route of the account ``shop``, such as ``GET holds/{hold}``, with its path parameters."""
    method, _, pattern = route.partition(" ")
    event = load_event("team_api/request")
    event["routeKey"] = f"{method} /v1/accounts/{{account}}/{pattern}"
    event["pathParameters"] |= path
    event["headers"] |= headers or {}
    if content is not None:
        event["body"] = content if isinstance(content, str) else json.dumps(content)
    if query is not None:
        event["queryStringParameters"] = query
    response = lambda_handler(event, FakeContext())
    contract.check(event, response)
    status, body = response["statusCode"], json.loads(response["body"])
    media_type = "application/problem+json" if status >= 400 else "application/json"
    assert response["headers"]["Content-Type"] == media_type
    assert status == 502 or status < 500 or body["class"] == "transient"
    return Response(status, body, response["headers"])
