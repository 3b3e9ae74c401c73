"""The pace of whole broadcasts, by the times at which their messages become visible on the queue."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fakes import START
from tests.unit.core.broadcasts.world import World, csv_file, openid
from wechat_notify.core.broadcasts.broadcast import WaitsFor
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.outcomes import ErrorClass

OPENIDS = [openid(number) for number in range(1, 21_001)]


def by_period(world: World, seconds: float, broadcast_id: str = "") -> list[int]:
    """Messages sent in each period from the first one on, the last period left out."""
    times = [at for at, message_id in world.sends if message_id.startswith(broadcast_id)]
    counts = Counter(int((at - times[0]) // seconds) for at in times)
    return [counts[period] for period in range(max(counts))]


@pytest.mark.parametrize(
    ("rate", "rows", "seconds"), [(0.5, 100, 60), (7, 1300, 60), (100, 13_000, 60), (2500, 21_000, 4)]
)
def test_rate_is_kept(rate: float, rows: int, seconds: int) -> None:
    world = World()
    world.create(csv_file(OPENIDS[:rows]), messages_per_second=rate)
    world.run()
    counts = by_period(world, seconds)
    assert len(counts) >= 2
    assert counts == pytest.approx([rate * seconds] * len(counts), rel=0.05)
    assert world.record().state == "finished"


def test_rate_is_kept_where_steps_are_late() -> None:
    """Each step comes 1.5 seconds after its time."""
    world = World()
    receive = world.steps.receive

    def receive_late() -> object:
        world.clock.advance(1.5)
        return receive()

    world.steps.receive = receive_late  # type: ignore[assignment, method-assign]
    world.create(csv_file(OPENIDS[:2400]), messages_per_second=7)
    world.run()
    counts = by_period(world, 60)
    assert counts == pytest.approx([420] * len(counts), rel=0.05)


def test_two_broadcasts_share_the_ceiling() -> None:
    world = World(ceiling=10.0)
    world.create(csv_file(OPENIDS[:1500]), "first")
    world.run(90.0)
    world.create(csv_file(OPENIDS[:900]), "second")
    world.run()
    counts = by_period(world, 60)
    assert counts == pytest.approx([600] * len(counts), rel=0.05)
    assert by_period(world, 60, "second:")[0] == pytest.approx(300, rel=0.05)
    assert {world.record(each).state for each in ("first", "second")} == {"finished"}
    assert world.store.paces["shop"].leases == ()


def test_dead_broadcast_gives_its_share_back() -> None:
    world = World(ceiling=10.0)
    world.create(csv_file(OPENIDS[:1500]), "first")
    world.run(30.0)
    world.store.broadcasts.clear()
    world.run(60.0 + 121.0)
    world.create(csv_file(OPENIDS[:900]), "second")
    world.run()
    assert by_period(world, 60, "second:") == [600]


def test_paused_broadcast_gives_its_share_back() -> None:
    world = World(ceiling=10.0)
    world.create(csv_file(OPENIDS[:1500]), "first")
    world.run(30.0)
    world.broadcasts.pause("shop", "first")
    world.run(60.0)
    world.create(csv_file(OPENIDS[:900]), "second")
    world.run()
    assert by_period(world, 60, "second:") == [600]


def test_cancelled_broadcast_has_its_share_until_its_chunk_ends() -> None:
    """What it has put on the queue goes out at its rate, so that the others do not have that yet."""
    world = World(ceiling=10.0)
    world.create(csv_file(OPENIDS[:1500]), "first", messages_per_second=6)
    world.run(10.0)
    world.broadcasts.cancel("shop", "first")
    world.run(10.0)
    world.create(csv_file(OPENIDS[:900]), "second")
    world.run()
    assert by_period(world, 60, "second:")[0] == pytest.approx(240, rel=0.05)


def test_nothing_is_released_outside_the_window() -> None:
    world = World()  # 15:04:05 in Beijing
    world.create(csv_file(OPENIDS[:300]), messages_per_second=2, send_window="09:00-15:05")
    world.run(300.0)
    record = world.record()
    assert len(world.sends) == 110  # in the 55 seconds that were left
    assert (record.state, record.waits_for) == ("running", WaitsFor.WINDOW)
    assert record.next_release_at == START + 17 * 3600 + 55 * 60 + 55
    world.run()
    times = [at for at, _ in world.sends[110:]]
    assert (times[0], len(times)) == (record.next_release_at, 190)
    assert world.record().state == "finished"


def test_start_in_hours() -> None:
    world = World()
    world.create(csv_file(OPENIDS[:10]), starts_at="2026-03-01T18:00:00+08:00")
    world.run(600.0)
    assert (world.record().state, world.record().waits_for) == ("running", WaitsFor.START)
    world.run()
    assert world.sends[0][0] == START + 2 * 3600 + 55 * 60 + 55
    assert world.steps.sent < 25


def test_hold_stops_the_release() -> None:
    """Messages that WeChat would not take are not put on the queue."""
    world = World()
    circuit = Circuit("kind:subscription", ErrorClass.QUOTA, 45009, START, START + 3600.0)
    world.ledger.circuits["shop"] = AccountCircuits("shop", 1, "writer", (circuit,))
    world.create(csv_file(OPENIDS[:10]))
    world.run(600.0)
    assert (world.record().waits_for, world.rows.taken) == (WaitsFor.HOLD, 0)
    overview = world.broadcasts.look_up("shop", world.record().id).as_dict()
    assert overview["held"] == [
        {"hold": "kind:subscription", "until": "2026-03-01T08:04:05.000Z", "errcode": 45009}
    ]
    world.run(3600.0)
    assert {at for at, _ in world.sends} == {START + 3600.0}
    assert world.record().state == "finished"
