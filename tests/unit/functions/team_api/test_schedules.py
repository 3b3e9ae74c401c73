from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import Service, body
from tests.unit.functions.team_api.calls import Response, call

WEEKLY = {"cron": "0 9 ? * MON *", "message": body()}
PUT, GET, DELETE, LIST = (
    "PUT schedules/{name}",
    "GET schedules/{name}",
    "DELETE schedules/{name}",
    "GET schedules",
)


def put(name: str = "news", content: object = WEEKLY) -> Response:
    return call(PUT, content, name=name)


@pytest.mark.usefixtures("service")
def test_put_get_delete() -> None:
    created = put()
    assert created.status == 201
    assert put(content=created.content["message"]).status == 422
    assert put(content=WEEKLY | {"enabled": False}).status == 200
    found = call(GET, name="news")
    assert (found.status, found.content) == (200, created.content | {"enabled": False})
    assert call(DELETE, name="news").content == {"account": "shop", "name": "news"}
    assert [call(route, name="news").problem for route in (GET, DELETE)] == ["unknown-schedule"] * 2


@pytest.mark.usefixtures("service")
def test_one_account_sees_its_own() -> None:
    put()
    assert call(GET, name="news", account="other").status == 404
    assert call(LIST, account="other").content == {"account": "other", "schedules": [], "next": None}


@pytest.mark.usefixtures("service")
def test_list_in_pages() -> None:
    for name in ("a", "b", "c"):
        put(name)
    query: dict[str, Any] = {"limit": "2"}
    first = call(LIST, query=query).content
    assert first["schedules"] == [{"name": "a"}, {"name": "b"}]
    query["cursor"] = first["next"]
    assert call(LIST, query=query).content == {"account": "shop", "schedules": [{"name": "c"}], "next": None}
    assert call(LIST, query=query, account="other").problem == "invalid-cursor"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("news", "{", "malformed-body"),
        ("news", WEEKLY | {"cron": "often"}, "invalid-fields"),
        ("a/b", WEEKLY, "invalid-fields"),
    ],
)
def test_refused(service: Service, name: str, content: object, problem: str) -> None:
    assert put(name, content).problem == problem
    assert service.schedules.stored == {}


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("route", [GET, DELETE])
def test_impossible_name(route: str) -> None:
    assert call(route, name="a/b").problem == "unknown-schedule"
