"""``/cgi-bin/openapi/quota/get``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local.simulator.calls import Call
from local.simulator.messages import TEMPLATE_SEND
from local.simulator.paths import QUOTA
from local.simulator.template_lists import GET_TEMPLATE
from tests.unit.local.simulator.conftest import World


def quota(
    world: World, body: object = None, method: str = "POST", token: str | None = None
) -> Mapping[str, Any]:
    query = {"access_token": world.token() if token is None else token}
    content = json.dumps({"cgi_path": TEMPLATE_SEND} if body is None else body).encode()
    return world.wechat.handle(Call(method, QUOTA, query, content)).payload


def test_numbers_follow_the_calls(world: World) -> None:
    world.order("quotas", path=TEMPLATE_SEND, daily=10, per_minute=3)
    told = quota(world)
    assert told["quota"] == {"daily_limit": 10, "used": 0, "remain": 10}
    assert told["rate_limit"] == {"call_count": 3, "refresh_second": 60}
    world.send("template/send")
    assert quota(world)["quota"] == {"daily_limit": 10, "used": 1, "remain": 9}
    assert quota(world, token=world.token("wxB"))["quota"]["used"] == 0
    world.now += 86_400
    assert quota(world)["quota"]["used"] == 0


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"cgi_path": "/cgi-bin/nothing"}, 76021),
        ({}, 76021),
        ([], 76021),
        ({"cgi_path": GET_TEMPLATE}, 76022),
    ],
)
def test_paths_without_a_quota(world: World, body: object, errcode: int) -> None:
    world.order("apps", without=[GET_TEMPLATE])
    assert quota(world, body)["errcode"] == errcode


def test_endpoint_of_another_kind_of_account(world: World) -> None:
    world.order("apps", without=[TEMPLATE_SEND])
    assert world.send("template/send")["errcode"] == 48001
    assert quota(world)["errcode"] == 76022


def test_other_refusals(world: World) -> None:
    assert [quota(world, token=token)["errcode"] for token in ("", "x")] == [41001, 40014]
    assert quota(world, method="GET")["errcode"] == 43002
    world.order("faults", effect="errcode", errcode=-1, path=QUOTA, count=1)
    assert quota(world)["errcode"] == -1
