from __future__ import annotations

import pytest

from tests.fakes import START
from tests.unit.core.broadcasts.world import ACCOUNT, World
from wechat_notify.core.broadcasts.broadcast import AccountPace, Lease
from wechat_notify.core.broadcasts.shares import Shares
from wechat_notify.core.errors import StorageError


def leases(world: World) -> dict[str, float]:
    return {lease.broadcast_id: lease.rate for lease in world.store.paces[ACCOUNT].leases}


def test_shares_are_taken_and_given_back() -> None:
    world = World(ceiling=10.0)
    shares = Shares(world.services)
    assert shares.take(ACCOUNT, "first", None, START) == (10.0, START)
    assert shares.take(ACCOUNT, "second", None, START) == (5.0, START + 60.0)
    assert leases(world) == {"first": 10.0, "second": 0.0}
    assert shares.take(ACCOUNT, "first", None, START + 60.0) == (5.0, START + 60.0)
    assert shares.take(ACCOUNT, "second", None, START + 60.0) == (5.0, START + 60.0)
    shares.give_back(ACCOUNT, "first")
    shares.give_back(ACCOUNT, "first", START + 90.0)
    assert leases(world) == {"first": 5.0, "second": 5.0}
    world.clock.advance(90.0)
    shares.give_back(ACCOUNT, "first")
    assert leases(world) == {"second": 5.0}


def test_share_is_taken_after_another_one() -> None:
    """The other broadcast takes its share between the read and the write."""
    world = World(ceiling=10.0)
    put_pace = world.store.put_pace
    others = [AccountPace(ACCOUNT, 1, "other", (Lease("other", 10.0, START + 30.0),))]

    def put_second(pace: AccountPace) -> AccountPace | None:
        if others:
            put_pace(others.pop())
        return put_pace(pace)

    world.store.put_pace = put_second  # type: ignore[method-assign]
    assert Shares(world.services).take(ACCOUNT, "mine", None, START) == (5.0, START + 30.0)
    assert leases(world) == {"other": 10.0, "mine": 0.0}


def test_contended_share() -> None:
    world = World(ceiling=10.0)
    world.store.put_pace = lambda pace: pace._replace(writer="other")  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        Shares(world.services).take(ACCOUNT, "mine", None, START)
