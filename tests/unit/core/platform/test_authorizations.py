"""Merchants come and go, twice and out of order."""

from __future__ import annotations

import pytest

from tests.fakes.platform import Killed, Steps
from tests.unit.core.platform.world import SHOP, World
from wechat_notify.core.errors import AccountTakenError, TokenUnavailableError, UnknownAccountError
from wechat_notify.core.platform import refusals
from wechat_notify.core.platform.ports import Merchant


@pytest.fixture
def world() -> World:
    world = World()
    world.wechat.authorize(SHOP, "code")
    return world


def revoke(world: World, at: int) -> str:
    return world.authorizations.revoke("platform", SHOP, SHOP, at).value


def test_merchant_becomes_an_account(world: World) -> None:
    assert world.authorize(at=100) == "authorized"
    assert world.store.merchants == {SHOP: Merchant(SHOP, SHOP, "platform", (7, 89), 100)}
    assert world.works()
    assert world.store.writes == ["access token", "refresh token", "merchant", "access token"]


def test_first_token_is_that_of_a_run(world: World) -> None:
    """With the policy on consents, which would not hold until the next run: the event comes between two."""
    world.policy = "enforce"
    world.authorize()
    first = world.tokens[SHOP]
    assert (first.app_id, first.consents) == (SHOP, "enforce")
    world.refresher.refresh_all(lambda: 100.0)
    assert world.tokens[SHOP] == first


def test_event_comes_twice(world: World) -> None:
    world.authorize(at=100)
    world.wechat.calls.clear()
    assert world.authorize(at=100) == "unchanged"
    assert world.wechat.calls == []


def test_update_brings_other_permissions(world: World) -> None:
    world.authorize(at=100)
    world.wechat.authorize(SHOP, "update")
    world.wechat.permissions = (7,)
    assert world.authorize("update", at=200) == "authorized"
    assert (world.store.merchants[SHOP].permissions, world.tokens[SHOP].permissions) == ((7,), (7,))


def test_revoked_account_has_no_tokens(world: World) -> None:
    world.authorize(at=100)
    assert revoke(world, at=200) == "revoked"
    assert world.store.merchants[SHOP] == Merchant(SHOP, SHOP, "platform", (7, 89), 100, 200)
    assert world.store.refresh_tokens == {}


@pytest.mark.parametrize("before", [True, False])
def test_older_events_change_nothing(world: World, *, before: bool) -> None:
    """Of a merchant that came, and left, and came again."""
    if before:
        world.authorize(at=300)
        assert revoke(world, at=200) == "unchanged"
        assert world.works()
    else:
        revoke(world, at=200)
        assert world.authorize(at=100) == "unchanged"
        assert SHOP not in world.tokens


def test_merchant_comes_again(world: World) -> None:
    world.authorize(at=100)
    revoke(world, at=200)
    world.wechat.authorize(SHOP, "again")
    assert world.authorize("again", at=300) == "authorized"
    assert world.store.merchants[SHOP].revoked_at is None
    assert world.works()


@pytest.mark.parametrize(
    "known",
    [Merchant("shop", SHOP, "another"), Merchant("shop", "wxother", "platform"), None],
    ids=["of another platform", "another appid", "no merchant"],
)
def test_account_of_somebody_else_stays(world: World, known: Merchant | None) -> None:
    if known:
        world.store.merchants["shop"] = known
    else:
        world.store.others = {"shop"}
    with pytest.raises(AccountTakenError):
        world.authorize(account="shop")
    with pytest.raises(AccountTakenError):
        world.authorizations.revoke("platform", "shop", SHOP, 200)
    assert (world.store.writes, world.wechat.calls) == ([], [])


def test_code_of_another_merchant(world: World) -> None:
    world.wechat.authorize("wxother", "other")
    with pytest.raises(TokenUnavailableError) as caught:
        world.authorize("other")
    assert caught.value.outcome == refusals.OTHER_ACCOUNT
    assert world.store.merchants == {}


def test_expired_code_of_a_listed_merchant(world: World) -> None:
    world.wechat.lose(SHOP)
    assert world.authorize("expired") == "authorized"
    assert world.works()
    assert world.store.merchants[SHOP].permissions is None


def test_expired_code_of_nobody(world: World) -> None:
    with pytest.raises(TokenUnavailableError) as caught:
        world.authorize("expired")
    assert caught.value.outcome == refusals.NOT_LISTED
    assert world.store.merchants == {}


def test_unknown_platform(world: World) -> None:
    for call in (
        lambda: world.authorizations.pre_auth_code("nobody"),
        lambda: world.authorizations.authorize("nobody", SHOP, SHOP, "code", 1),
        lambda: world.authorizations.revoke("nobody", SHOP, SHOP, 1),
    ):
        with pytest.raises(UnknownAccountError):
            call()
    assert world.wechat.calls == []


def test_page_has_a_code_of_the_platform(world: World) -> None:
    code = world.authorizations.pre_auth_code("platform")
    assert (code.component_app_id, code.expires_in) == ("wxplatform", 1800.0)
    assert code.value not in repr(code)


@pytest.mark.parametrize("known", [False, True])
def test_release_test_is_answered(world: World, *, known: bool) -> None:
    """An account is not made of it; the refresh token of one that exists is void by now."""
    if known:
        world.authorize()
        world.wechat.authorize(SHOP, "code")
    world.authorizations.answer_release_test("platform", SHOP, "code", "openid")
    assert world.wechat.texts == [(world.wechat.access_tokens[SHOP], "openid", "code_from_api")]
    assert set(world.store.merchants) == ({SHOP} if known else set())
    assert world.store.refresh_tokens == (world.wechat.refresh_tokens if known else {})


def test_release_test_of_another_account(world: World) -> None:
    world.store.others = {"shop"}
    with pytest.raises(AccountTakenError):
        world.authorizations.answer_release_test("platform", "shop", "code", "openid")
    assert (world.store.refresh_tokens, world.wechat.texts) == ({}, [])


# ---------------------------------------------------------------- a process ends anywhere

POINTS = 40


@pytest.mark.parametrize("point", range(1, POINTS))
def test_kill_cuts_no_merchant_off(point: int) -> None:
    """An event that is cut off at any call comes again; so does the scheduled run.

    WeChat takes a code once, and voids a refresh token when it gives the next one.
    """
    world = World(Steps(kill_at=point))
    world.wechat.authorize(SHOP, "code")

    def live() -> None:
        world.authorize()
        world.clock.advance(7000)
        world.push_ticket()
        world.refresher.refresh_all(lambda: 100.0)

    try:
        live()
    except Killed:
        world.restart()
        live()
    assert world.works()
    assert world.store.refresh_tokens == world.wechat.refresh_tokens


def test_points_are_all_of_them() -> None:
    world = World()
    world.wechat.authorize(SHOP, "code")
    world.authorize()
    world.clock.advance(7000)
    world.push_ticket()
    world.refresher.refresh_all(lambda: 100.0)
    assert 0 < world.steps.taken < POINTS
