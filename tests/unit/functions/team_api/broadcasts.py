"""Broadcasts as the tests of the teams' API ask for them."""

from __future__ import annotations

import csv
from typing import Any

from tests.fakes import OPENID, OTHER_OPENID, Service
from tests.unit.core.broadcasts.world import MESSAGE
from tests.unit.functions.team_api.calls import Response, call

Json = dict[str, Any]
POST, LIST, GET = "POST broadcasts", "GET broadcasts", "GET broadcasts/{id}"
RESULTS, RETRY = "GET broadcasts/{id}/results", "POST broadcasts/{id}/retry"
ONE = {"openid": OPENID, "gift": "礼盒"}
BODY: Json = {"message": MESSAGE, "recipients": [ONE, {"openid": OTHER_OPENID, "gift": "盆栽"}]}


def create(
    content: object, *, key: str | None = None, query: Json | None = None, account: str = "shop"
) -> Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return call(POST, content, query, headers, account=account)


def change(name: str, broadcast_id: str = "b", account: str = "shop") -> Response:
    return call(f"POST broadcasts/{{id}}/{name}", id=broadcast_id, account=account)


def look(broadcast_id: str = "b", account: str = "shop") -> Response:
    return call(GET, id=broadcast_id, account=account)


def upload(service: Service, data: bytes) -> str:
    """Upload a file; return its id."""
    answered = call("POST uploads")
    assert answered.status == 201
    path = answered.content["url"].removeprefix("https://bucket.invalid/").partition("?")[0]
    service.objects.write(path, data)
    return str(answered.content["id"])


def results(service: Service, broadcast_id: str = "b") -> list[dict[str, str]]:
    """The rows of the results' file."""
    answered = call(RESULTS, id=broadcast_id)
    assert answered.status == 200
    key = answered.content["url"].removeprefix("https://bucket.invalid/").partition("?")[0]
    return list(csv.DictReader(service.objects.objects[key].decode("utf-8-sig").splitlines()))
