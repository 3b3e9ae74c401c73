"""Where a platform's and a merchant's tokens come from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.unit.core.platform.world import PLATFORM, SHOP, World
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.platform import refusals
from wechat_notify.core.platform.ports import Merchant
from wechat_notify.core.tokens.refresher import Refreshed


def plenty() -> float:
    return 100.0


def run(world: World) -> list[Refreshed]:
    """A scheduled run."""
    world.wechat.calls.clear()
    return world.refresher.refresh_all(plenty)


def ready() -> World:
    """A platform with one merchant."""
    world = World()
    world.wechat.authorize(SHOP, "code")
    world.authorize()
    world.wechat.calls.clear()
    return world


# ---------------------------------------------------------------- the platform


def test_token_lasts_until_it_ends_soon() -> None:
    """Two hours less fifteen minutes: one call for a token, and none for a stored one."""
    world = World()
    run(world)
    assert world.wechat.calls == ["component_token"]
    for seconds, calls in ((6290, []), (20, ["component_token"])):
        world.clock.advance(seconds)
        world.push_ticket()
        assert [result.failure for result in run(world)] == [None]
        assert world.wechat.calls == calls


def test_no_ticket_says_what_to_check() -> None:
    world = World()
    world.store.tickets.clear()
    (result,) = run(world)
    assert result.failure == refusals.NO_TICKET
    assert world.wechat.calls == ["start_ticket_push"]


def test_push_is_asked_for_every_half_hour() -> None:
    """Not with each run, and by no other process either."""
    world = World()
    run(world)
    asked = 0
    for _ in range(24):  # two hours
        world.clock.advance(300)
        world.restart()
        run(world)
        asked += world.wechat.calls.count("start_ticket_push")
    assert asked == 4  # 30 minutes after the ticket, and three times more


def test_refused_push_is_the_reason() -> None:
    world = World()
    world.store.tickets.clear()
    world.wechat.refuse_push = 61004
    for _ in range(2):  # it is asked again, and once the address is registered it helps
        (result,) = run(world)
        assert result.failure
        assert result.failure.errcode == 61004
    world.wechat.refuse_push = None
    (result,) = run(world)
    assert (result.failure, world.wechat.calls) == (refusals.NO_TICKET, ["start_ticket_push"])


def test_refused_push_spares_a_good_token() -> None:
    world = World()
    run(world)
    world.wechat.refuse_push = 61004
    world.clock.advance(1900)
    (result,) = run(world)
    assert (result.failure, world.wechat.calls) == (None, ["start_ticket_push"])


def test_ticket_of_yesterday_is_none() -> None:
    world = World()
    world.clock.advance(12 * 3600 + 1)
    (result,) = run(world)
    assert result.failure == refusals.NO_TICKET


def test_app_of_a_platform_is_changed() -> None:
    """Neither the ticket nor the token of the app before is used."""
    world = World()
    run(world)
    world.platform = replace(PLATFORM, app_id="wxanother")
    (result,) = run(world)
    assert result.failure == refusals.NO_TICKET


def test_platform_token_that_is_not_stored() -> None:
    """It is not fetched again for each merchant, and none of their refresh tokens is used up."""
    world = ready()
    for name in ("wx1", "wx2", "wx3"):
        world.wechat.authorize(name, name)
        world.authorize(name, account=name, app_id=name)
    world.clock.advance(7200)
    world.push_ticket()
    world.failing = {"platform"}
    assert [result.failure is None for result in run(world)] == [True, False, False, False, False]
    assert world.wechat.calls == ["component_token", "component_token"]
    world.failing = set()
    world.clock.advance(300)
    assert [result.failure for result in run(world)] == [None] * 5


def test_platform_sends_nothing() -> None:
    world = World()
    run(world)
    refused = world.refresher.replace("platform", None)
    assert refused.token is None
    assert refused.failure
    assert "sends no messages" in refused.failure.hint.en


# ---------------------------------------------------------------- a merchant


def test_merchant_is_renewed_after_its_platform() -> None:
    """In one run, with one call for each; the merchant's name comes first."""
    world = ready()
    world.clock.advance(7200)
    world.push_ticket()
    assert [result.account for result in run(world)] == ["platform", SHOP]
    assert world.wechat.calls == ["component_token", "authorizer_token"]
    assert world.works()


def test_refresh_token_is_stored_first() -> None:
    world = ready()
    world.store.writes.clear()
    world.clock.advance(7200)
    world.push_ticket()
    run(world)
    assert world.store.writes == ["access token", "refresh token", "access token"]
    assert world.store.refresh_tokens == world.wechat.refresh_tokens


def test_token_is_not_used_unless_stored() -> None:
    """The next run repairs it by the list."""
    world = ready()
    before = world.tokens[SHOP]
    world.clock.advance(7000)
    world.push_ticket()
    world.store.failing = {"save_refresh_token"}
    failure = run(world)[1].failure
    assert failure
    assert (failure.error_class, failure.retryable) == (ErrorClass.TRANSIENT, True)
    assert world.tokens[SHOP] == before
    world.store.failing = set()
    assert run(world)[1].failure is None
    assert world.works()


@pytest.mark.parametrize("stored", ["an old one", None])
def test_lost_refresh_token_is_looked_up(stored: str | None) -> None:
    world = ready()
    world.store.refresh_tokens = {SHOP: stored} if stored else {}
    world.clock.advance(7000)
    world.push_ticket()
    assert run(world)[1].failure is None
    asked = ["authorizer_token"] if stored else []
    assert world.wechat.calls == ["component_token", *asked, "listed_refresh_token", "authorizer_token"]
    assert world.works()


@pytest.mark.parametrize("listed", [{}, {SHOP: None}, {SHOP: "an old one"}, {SHOP: "a false one"}])
def test_authorization_that_is_lost(listed: dict[str, str | None]) -> None:
    """What is to be done is said, and nothing is tried for ever."""
    world = ready()
    world.store.refresh_tokens[SHOP] = "an old one"
    world.wechat.listed = listed
    world.clock.advance(7000)
    world.push_ticket()
    assert run(world)[1].failure == refusals.LOST
    assert world.wechat.calls.count("authorizer_token") <= 2


def test_rejected_platform_token_is_replaced_once() -> None:
    """For all of its merchants together."""
    world = ready()
    names = [f"wx{number}" for number in range(8)]
    for name in names:
        world.wechat.authorize(name, name)
        world.authorize(name, account=name, app_id=name)
    world.wechat.component_token_now = "another one"
    world.wechat.calls.clear()

    def rejected(name: str) -> Refreshed:
        return world.refresher.replace(name, world.tokens[name].digest)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(rejected, names))
    assert [result.failure for result in results] == [None] * 8
    assert world.wechat.calls.count("component_token") == 1
    assert all(map(world.works, names))


def test_one_refresh_for_one_rejected_token() -> None:
    world = ready()
    rejected = world.tokens[SHOP].digest
    first, second = (world.refresher.replace(SHOP, rejected) for _ in range(2))
    assert first.token == second.token
    assert world.wechat.calls == ["authorizer_token"]


def test_platform_failure_is_asked_for_once() -> None:
    """Its merchants do not each call WeChat with a secret that it refused."""
    world = ready()
    world.wechat.refuse_ticket = 40125
    world.wechat.component_token_now = "another one"
    for _ in range(3):
        failure = world.refresher.replace(SHOP, world.tokens[SHOP].digest).failure
        assert failure
    assert world.wechat.calls.count("component_token") <= 1


def test_ticket_is_used_when_it_comes() -> None:
    """The failure before it is not remembered: it cost no call."""
    world = World()
    ticket = world.store.tickets.pop("platform")
    with pytest.raises(TokenUnavailableError):
        world.authorizations.pre_auth_code("platform")
    world.store.tickets["platform"] = ticket
    assert world.authorizations.pre_auth_code("platform").value


def test_merchant_of_no_platform() -> None:
    world = ready()
    world.store.components.clear()
    world.clock.advance(7000)
    failure = run(world)[1].failure
    assert failure == refusals.no_component("platform")


def test_token_of_another_app_is_replaced() -> None:
    """An operator wrote the account's credentials anew."""
    world = ready()
    world.wechat.lose("wxother")
    world.store.merchants[SHOP] = replace(world.store.merchants[SHOP], app_id="wxother")
    assert run(world)[1].failure is None
    assert world.tokens[SHOP].value == world.wechat.access_tokens["wxother"]


def test_permissions_travel_with_the_token() -> None:
    world = ready()
    assert world.tokens[SHOP].permissions == (7, 89)
    world.store.merchants[SHOP] = replace(world.store.merchants[SHOP], permissions=(18,))
    run(world)
    assert world.tokens[SHOP].permissions == (18,)
    assert world.wechat.calls == []


def test_revoked_merchant_has_no_token() -> None:
    world = ready()
    world.store.merchants[SHOP] = Merchant(SHOP, SHOP, "platform", revoked_at=200)
    world.tokens.clear()
    assert world.refresher.replace(SHOP, None).failure == refusals.REVOKED


def test_unknown_platform_has_no_token() -> None:
    world = ready()
    with pytest.raises(TokenUnavailableError) as caught:
        world._calls.make(SHOP, world.wechat.pre_auth_code)
    assert caught.value.outcome == refusals.no_component(SHOP)


def test_no_secret_in_a_repr() -> None:
    assert "secret" not in repr(PLATFORM)
