"""Broadcasts of accounts for whose messages WeChat's receipts come."""

import pytest

from tests.unit.core.broadcasts.world import ACCOUNT, ID, World, csv_file, openid
from wechat_notify.core.broadcasts.examining import RECEIPTS_FOR
from wechat_notify.core.outcomes import Status

OPENIDS = [openid(number) for number in range(1, 11)]


def settle(world: World, row: int, status: Status, reason: str | None = None) -> None:
    key = ACCOUNT, f"{ID}:{row}"
    entry = world.ledger.entries[key]
    now = world.clock.now()
    world.ledger.entries[key] = entry._replace(status=status, updated_at=now, reason=reason)


@pytest.fixture
def world() -> World:
    """Ten messages were sent a minute ago, and have no receipts yet."""
    world = World()
    world.has_receipts = True
    world.create(csv_file(OPENIDS))
    world.run(60)
    assert world.record().state == "finishing"
    return world


def test_receipts_show_as_they_come(world: World) -> None:
    settle(world, 1, Status.DELIVERED)
    world.run(120)
    counts = world.counts()
    assert (counts.sent, counts.delivered, counts.undelivered) == (9, 1, 0)
    assert world.record().state == "finishing"


def test_last_receipt_finishes(world: World) -> None:
    for row in range(1, 10):
        settle(world, row, Status.DELIVERED)
    settle(world, 10, Status.UNDELIVERED, "user block")
    world.run(120)
    assert world.record().state == "finished"
    assert (world.counts().delivered, world.counts().undelivered) == (9, 1)
    assert [row["status"] for row in world.results()] == ["delivered"] * 9 + ["undelivered"]
    assert world.results()[9]["reason"] == "user block"
    assert world.objects.objects[world.record().failures or ""] == b""  # a retry sends none of them


def test_missing_receipts_have_their_time(world: World) -> None:
    sent_at = world.sends[-1][0]
    world.run()
    record = world.record()
    assert (record.state, world.counts().sent) == ("finished", 10)
    assert record.finished_at is not None
    assert record.finished_at >= sent_at + RECEIPTS_FOR


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("one_time_subscription", Status.SENT),
        ("subscription", Status.FAILED),
        ("subscription", Status.EXPIRED),
    ],
)
def test_messages_without_receipts(kind: str, status: Status) -> None:
    world = World()
    world.has_receipts = True
    world.create(csv_file(OPENIDS))
    world.run(1)
    for key, entry in world.ledger.entries.items():
        world.ledger.entries[key] = entry._replace(status=status, kind=kind)
    world.run(120)
    assert world.record().state == "finished"


def test_lost_answers_are_waited_for() -> None:
    """A receipt may say that the message was sent."""
    world = World()
    world.has_receipts = True
    world.answer = lambda _: None
    world.create(csv_file(OPENIDS))
    world.run(60)
    assert world.record().state == "finishing"
    for row in range(1, 11):
        settle(world, row, Status.DELIVERED)
    world.run()
    assert world.counts().delivered == 10


def test_undelivered_messages_pause_it() -> None:
    world = World()
    world.has_receipts = True
    world.create(csv_file([openid(number) for number in range(1, 5_001)]), messages_per_second=10)
    world.run(70)
    for row in range(1, 101):
        settle(world, row, Status.UNDELIVERED, "freq limit")
    for row in range(101, 601):
        settle(world, row, Status.DELIVERED)
    world.run(60)
    assert world.record().state == "running"
    for row in range(601, 1_201):
        settle(world, row, Status.UNDELIVERED, "freq limit")
    world.run(60)
    assert (world.record().state, world.record().reason) == ("paused", "too_many_failures")
