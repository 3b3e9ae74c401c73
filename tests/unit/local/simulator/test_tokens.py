"""Which tokens ``stable_token`` and ``token`` hand out, and for how long they are good."""

import json
from typing import Any

import pytest

from local.simulator.calls import Call
from local.simulator.paths import STABLE_TOKEN, TOKEN
from tests.unit.local.simulator.conftest import CREDENTIALS, DAY, EMPTY, MIDNIGHT_BEIJING, World, has_rid


def test_stable_token_overlaps_five_minutes(world: World) -> None:
    """A call in a token's last five minutes renews it; both are good for five more."""
    first = world.stable()
    assert first == {"access_token": first["access_token"], "expires_in": 7200}
    old = first["access_token"]
    world.now += 6900
    assert world.stable() == {**first, "expires_in": 300}
    world.now += 1
    new, expires_in = world.stable().values()
    assert new != old
    assert expires_in == 7200
    world.now += 299.5
    assert (world.errcode(token=old), world.errcode(token=new)) == (0, 0)
    world.now += 0.5
    assert (world.errcode(token=old), world.errcode(token=new)) == (42001, 0)


def test_forced_call_voids_older_tokens(world: World) -> None:
    oldest = world.token()
    world.now += 6901
    old = world.token()
    assert world.errcode(token=oldest) == 0
    new = world.token(forced=True)
    assert [world.errcode(token=token) for token in (oldest, old, new)] == [40001, 40001, 0]


def test_forced_call_waits_30_seconds(world: World) -> None:
    first = world.stable(force_refresh=True)
    world.now += 29
    for _ in range(20):  # which count for nothing
        assert world.stable(force_refresh=True) == {**first, "expires_in": 7171}
    world.now += 1
    assert world.token(forced=True) != first["access_token"]


def test_twenty_forced_calls_a_day(world: World) -> None:
    for _ in range(20):
        world.token(forced=True)
        world.now += 30
    assert world.stable(force_refresh=True)["errcode"] == 45009
    assert world.token()
    world.now = MIDNIGHT_BEIJING + DAY
    assert world.token(forced=True)


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"grant_type": "authorization_code"}, 40002),
        ({"appid": None}, 41002),
        ({"appid": "wxC"}, 40013),
        ({"secret": None}, 41004),
        ({"secret": "wrong"}, 40125),
        ({"force_refresh": "true"}, 47001),
    ],
)
def test_stable_token_refuses_wrong_parameters(world: World, changes: dict[str, Any], errcode: int) -> None:
    answer = world.stable(**changes)
    assert answer["errcode"] == errcode
    assert has_rid(answer)


@pytest.mark.parametrize(
    ("method", "body", "errcode"),
    [("GET", b"", 43002), ("POST", b"{}", 40002), *(("POST", body, 43002) for body in (b"", b"a=b", b"[]"))],
)
def test_stable_token_takes_posted_json(world: World, method: str, body: bytes, errcode: int) -> None:
    assert world.wechat.handle(Call(method, STABLE_TOKEN, CREDENTIALS, body)).payload["errcode"] == errcode


def test_token_calls_have_limits(world: World) -> None:
    stable, plain = (world.wechat.quotas.limits_of("wxA", path) for path in (STABLE_TOKEN, TOKEN))
    assert (stable.per_minute, stable.daily, plain.daily) == (10_000, 500_000, 2_000)
    world.order("quotas", path=STABLE_TOKEN, per_minute=2, daily=3)
    assert world.token()
    assert world.token()
    assert world.stable()["errcode"] == 45011
    assert world.token("wxB")
    world.now += 60
    assert world.token()
    assert world.stable()["errcode"] == 45009
    world.now = MIDNIGHT_BEIJING + DAY
    assert world.token()


@pytest.mark.parametrize(("frozen", "asked", "sent"), [("secret", 40243, 0), ("account", 50007, 50007)])
def test_frozen_secret_and_account(world: World, frozen: str, asked: int, sent: int) -> None:
    token = world.token()
    world.order("apps", **{f"{frozen}_frozen": True})
    assert (world.stable()["errcode"], world.errcode(token=token)) == (asked, sent)
    world.order("apps", **{f"{frozen}_frozen": False})
    assert world.token() == token


def test_ip_whitelist_names_the_address(world: World) -> None:
    world.order("apps", ip_whitelist=["10.0.0.0/8", "192.0.2.7"])
    answer = world.stable()
    assert answer["errcode"] == 40164
    assert "127.0.0.1" in answer["errmsg"]
    world.order("apps", ip_whitelist=["127.0.0.0/8"])
    assert world.token()


def test_apps_have_their_own_tokens(world: World) -> None:
    token_a, token_b = world.token("wxA"), world.token("wxB")
    world.token("wxB", forced=True)
    assert (world.errcode(token=token_b), world.errcode(token=token_a)) == (40001, 0)
    assert world.newest()["app_id"] == "wxA"


def test_empty_force_refresh_is_absent(world: World) -> None:
    token = world.token()
    for empty in EMPTY:
        raw = json.dumps({**CREDENTIALS, "force_refresh": empty}).encode()
        assert world.ask_stable(raw)["access_token"] == token


def test_plain_token_overlaps_five_minutes(world: World) -> None:
    """Every call brings a new one."""
    old, new = world.plain()["access_token"], world.plain()["access_token"]
    assert old != new
    world.now += 299
    assert world.errcode(token=old) == 0
    world.now += 1
    assert (world.errcode(token=old), world.errcode(token=new)) == (40001, 0)


def test_plain_and_stable_are_isolated(world: World) -> None:
    plain = world.plain()["access_token"]
    world.token()
    stable = world.token(forced=True)
    assert world.errcode(token=plain) == 0
    world.plain()
    world.now += 300
    assert world.errcode(token=stable) == 0


def test_plain_token_has_other_errcodes(world: World) -> None:
    assert world.plain(secret="wrong")["errcode"] == 40001
    assert world.wechat.handle(Call("POST", TOKEN)).payload["errcode"] == 43001


def test_revoked_token_is_replaced(world: World) -> None:
    """Where that is sticky, by a forced call alone."""
    token = world.token()
    assert world.order("tokens/revoke", app_id="wxA") == {"revoked": 1}
    assert (world.errcode(token=token), world.errcode()) == (40001, 0)
    token = world.token()
    world.order("tokens/revoke", sticky=True)
    assert (world.token(), world.errcode()) == (token, 40001)
    world.stable(force_refresh=True)
    assert world.errcode() == 0


def test_lifetimes_can_be_ordered(world: World) -> None:
    token = world.token()
    assert world.order("tokens/expire", app_id="wxA", seconds=400) == {"expiring": 1}
    assert world.stable() == {"access_token": token, "expires_in": 400}
    world.order("tokens/expire")
    assert world.errcode(token=token) == 42001
    assert world.stable()["expires_in"] == 7200
    world.order("settings", token_seconds=600)
    assert world.stable("wxB")["expires_in"] == 600


@pytest.mark.parametrize(
    ("token", "errcode"), [("80_" + "x" * 130, 40001), ("ACCESS TOKEN", 40014), ("", 41001)]
)
def test_unknown_malformed_and_missing_tokens(world: World, token: str, errcode: int) -> None:
    assert world.errcode(token=token) == errcode
