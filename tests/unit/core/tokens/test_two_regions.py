"""Two regions serve one account: each has a store and a refresher, and WeChat is all that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes import Clock, FakeParameterStore, FakeWeChat
from wechat_notify.core.tokens.refresher import FORCED_A_DAY, FORCED_APART, Refreshed, TokenRefresher
from wechat_notify.core.tokens.token import AccessToken, Grant, TokenSource

MINUTES = 60.0


class Region:
    """A stack's store of tokens, and its token_refresh."""

    def __init__(self, wechat: FakeWeChat, clock: Clock) -> None:
        self.store = FakeParameterStore()
        self.store.sources["shop"] = wechat.app("wx-shop")
        self._refresher = TokenRefresher(self.store, now=clock.now)

    def refresh(self) -> Refreshed:
        (result,) = self._refresher.refresh_all(lambda: 60.0)
        return result

    def is_rejected(self) -> Refreshed:
        """WeChat rejects the stored token, and a sender asks for another one."""
        return self._refresher.replace("shop", self.token.digest)

    @property
    def token(self) -> AccessToken:
        return self.store.tokens["shop"]


@dataclass
class Interrupted:
    """A source of tokens; after its first answer something else happens before anybody acts on it."""

    source: TokenSource
    meanwhile: Callable[[], object] | None

    def fetch(self, *, force: bool) -> Grant:
        answer = self.source.fetch(force=force)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return answer


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.wechat = FakeWeChat(self.clock)
        self.first, self.second = (Region(self.wechat, self.clock) for _ in range(2))
        for region in (self.first, self.second):
            region.refresh()

    @property
    def same_token(self) -> bool:
        same = self.first.token.value == self.second.token.value
        return same and self.wechat.is_good(self.first.token.value)


def test_both_have_the_same_token_all_day() -> None:
    """Each run of either asks in normal mode, and voids nothing."""
    world = World()
    for run in range(12 * 24):
        region = (world.first, world.second)[run % 2]
        assert not region.refresh().forced
        assert all(world.wechat.is_good(each.token.value) for each in (world.first, world.second))
        world.clock.advance(2.5 * MINUTES)


def test_forced_refresh_of_one_costs_the_other_one_call() -> None:
    world = World()
    world.wechat.reject("wx-shop")
    assert world.first.is_rejected().forced
    assert not world.wechat.is_good(world.second.token.value)
    recovered = world.second.is_rejected()
    assert (recovered.calls, recovered.forced, world.same_token) == (1, False, True)


def test_schedule_brings_the_others_token() -> None:
    """Where the second region sends nothing meanwhile, its next run has it."""
    world = World()
    world.wechat.reject("wx-shop")
    world.first.is_rejected()
    assert world.second.refresh().changed
    assert world.same_token


def test_both_force_at_the_same_time() -> None:
    """WeChat takes the second of two forced calls within 30 s for a normal one: neither voids the other."""
    world = World()
    world.wechat.reject("wx-shop")
    source = world.second.store.sources["shop"]
    world.second.store.sources["shop"] = Interrupted(source, world.first.is_rejected)
    late = world.second.is_rejected()
    assert (late.forced, late.failure, world.same_token) == (True, None, True)


def test_forced_refreshes_of_the_day_are_shared() -> None:
    """Each region counts its own; where WeChat gives no more, the account is held and nobody loops."""
    world = World()
    for _ in range(FORCED_A_DAY):
        world.wechat.reject("wx-shop")
        assert world.first.is_rejected().failure is None
        world.clock.advance(2 * FORCED_APART)
    world.second.refresh()
    world.wechat.reject("wx-shop")
    refused = world.second.is_rejected()
    assert refused.failure is not None
    assert (refused.calls, refused.failure.holds) == (2, "account")
