"""The control API: what arrived is listed and counted, and wrong orders change nothing."""

import json
import re
from typing import Any

import pytest

from local.simulator.messages import TEMPLATE_SEND
from local.simulator.orders import ControlError
from local.simulator.paths import TOKEN
from tests.unit.local.simulator.conftest import World


def test_messages_are_listed_newest_first(world: World) -> None:
    for touser in ("o1", "o2", "o3"):
        world.errcode(touser=touser)
    world.errcode("subscribe/send", token=world.token("wxB"))
    listed = world.see("messages", limit=2, app_id="wxA", path=TEMPLATE_SEND)
    assert listed["total"] == 3
    assert [json.loads(entry["body"])["touser"] for entry in listed["messages"]] == ["o3", "o2"]
    entry = listed["messages"][0]
    assert entry["time"].startswith("2025-10-09T16:00:00")
    assert (entry["app_id"], entry["path"], entry["errcode"]) == ("wxA", TEMPLATE_SEND, 0)
    assert world.order("messages", "DELETE") == {"cleared": 4}
    assert world.see("messages") == {"total": 0, "messages": []}
    assert world.see("stats")["arrived"] == 0


def test_newest_are_kept_all_counted(world: World) -> None:
    call = world.call("template/send", b"")
    for _ in range(10_005):
        world.wechat.handle(call)
    listed = world.see("messages", limit=10_000)
    assert (listed["total"], len(listed["messages"])) == (10_005, 10_000)
    assert world.see("stats")["errcodes"] == {"44002": 10_005}


def test_stats(world: World) -> None:
    token = world.token()
    world.token(forced=True)
    world.stable(secret="wrong")
    world.plain()
    world.errcode(token=token)
    world.errcode(touser="errcode-43101")
    world.errcode("subscribe/send")
    stats = world.see("stats")
    assert (stats["arrived"], stats["accepted"], stats["refused"]) == (3, 1, 2)
    assert stats["by_path"][TEMPLATE_SEND]["errcodes"] == {"40001": 1, "43101": 1}
    # Each of the two later sends fetched its token.
    assert stats["by_app"]["wxA"]["token_calls"] == {"normal": 3, "forced": 1, "plain": 1, "refused": 1}
    assert stats["by_app"]["wxA"]["accepted"] == 1
    assert stats["by_app"]["wxB"]["arrived"] == 0


def test_reset_goes_back_to_start(world: World) -> None:
    token = world.token()
    world.order("apps", app_id="wxC", secret="secretC")
    assert world.token("wxC")
    assert "secretC" not in json.dumps(world.see("apps"))
    world.order("faults", effect="reset")
    world.order("settings", latency=1)
    world.order("templates", template_id="other")
    world.order("quotas", path=TEMPLATE_SEND, daily=0)
    world.order("reset")
    assert (world.errcode(token=token), world.errcode()) == (40001, 0)
    assert world.see("health") == {"status": "ok", "apps": 2}
    assert world.see("settings")["latency"] == 0


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("apps", {}, "app_id is missing"),
        ("apps", {"app_id": "wxC"}, "secret is missing"),
        ("apps", {"app_id": "wxA", "retired": True}, "retired must be one of null, 46101, 45103"),
        ("apps", {"app_id": "wxA", "ip_whitelist": ["home"]}, "ip_whitelist: home is neither"),
        ("apps", {"app_id": "wxA", "pages": "index"}, "pages must be a list of strings"),
        ("apps", {"app_id": "wxA", "color": 1}, "unknown: color"),
        ("faults", {"effect": "fire"}, "effect must be one of"),
        ("faults", {"effect": []}, "effect must be one of"),
        ("faults", {"effect": "errcode"}, "errcode is missing"),
        ("faults", {"effect": "reset", "probability": 2}, "probability must be a number from 0 to 1"),
        ("faults", {"effect": "reset", "count": 1.5}, "count must be a whole number"),
        ("faults", {"effect": "reset", "path": "/none"}, "path must be"),
        ("faults", {"effect": "redirect", "location": "/\r\nX: y"}, "location must be an address"),
        ("consents", {"app_id": "wxA", "openid": "o", "template_id": "T"}, "credits is missing"),
        ("consents", {"app_id": "wxZ"}, "there is no app wxZ"),
        ("quotas", {"app_id": "wxA", "path": TOKEN, "daily": -1}, "daily must be a number from 0"),
        ("templates", {"app_id": "wxA", "template_id": "T", "enums": []}, "enums must be an object"),
        ("settings", {"latency": "fast"}, "latency must be a number"),
        ("settings", {"token_seconds": 300}, "token_seconds must be a number from 301"),
        ("tokens/revoke", {"sticky": "yes"}, "sticky must be one of true, false"),
    ],
)
def test_bad_input_gets_a_reason(world: World, path: str, body: dict[str, Any], message: str) -> None:
    before = world.see("settings"), world.see("apps")
    with pytest.raises(ControlError, match=re.escape(message)) as error:
        world.control.handle("POST", f"/_sim/{path}", {}, json.dumps(body).encode())
    assert error.value.status == 400
    assert before == (world.see("settings"), world.see("apps"))


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_bodies_are_json_objects(world: World, body: bytes) -> None:
    with pytest.raises(ControlError):
        world.control.handle("POST", "/_sim/apps", {}, body)
