"""Broadcasts that end otherwise than planned: paused, cancelled, expired, or without their file."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.fakes import START
from tests.unit.core.broadcasts.world import ACCOUNT, ID, World, csv_file, openid
from wechat_notify.core.outcomes import Status

TEN = [openid(number) for number in range(1, 11)]
MANY = [openid(number) for number in range(1, 1001)]


def test_dry_run_waits_for_its_start() -> None:
    world = World()
    world.create(csv_file(["", *TEN]), dry_run=True)
    world.run()
    overview = world.broadcasts.look_up(ACCOUNT, ID)
    assert (overview.broadcast.state, world.sends) == ("checked", [])
    assert (overview.counts.invalid, overview.counts.unreleased) == (1, 10)
    assert overview.report is not None
    assert overview.report["invalid"]["first"][0]["row"] == 1
    assert overview.report["messages"][0]["message"]["touser"] == openid(1)
    world.broadcasts.start(ACCOUNT, ID)
    world.broadcasts.start(ACCOUNT, ID)
    world.run()
    world.broadcasts.start(ACCOUNT, ID)
    world.run()
    assert set(world.released().values()) == {1}
    assert (world.record().state, len(world.sends)) == ("finished", 10)


@pytest.mark.parametrize("vanishes", [False, True])
@pytest.mark.parametrize(("after", "sent"), [(0.0, 0), (61.0, 240)])
def test_upload_changes_while_it_is_read(after: float, sent: int, *, vanishes: bool) -> None:
    world = World()
    created = world.create(csv_file(MANY), messages_per_second=2)
    if after:
        world.run(after)
    if vanishes:
        del world.objects.objects[created.source]
    else:
        world.objects.write(created.source, csv_file(MANY, "另一份"))
    world.run()
    record, counts = world.record(), world.counts()
    assert (record.state, record.reason, record.has_ended) == ("failed", "upload_changed", True)
    assert (counts.sent, len(world.sends)) == (sent, sent)
    assert counts.unreleased == (1000 - sent if sent else 0)
    assert len(world.results() if sent else []) == sent


def test_pause_and_resume_within_a_chunk() -> None:
    world = World()
    world.create(csv_file(MANY[:300]), messages_per_second=1)
    world.run(70.0)
    world.broadcasts.pause(ACCOUNT, ID)
    world.run(3600.0)
    assert (world.record().state, world.record().next_step_at) == ("paused", None)
    assert len(world.sends) == 120  # what was on the queue
    assert (world.counts().sent, world.counts().unreleased) == (120, 180)
    world.broadcasts.resume(ACCOUNT, ID)
    world.run(59.5)
    assert len(world.sends) == 180
    world.run()
    assert (world.record().state, len(world.sends)) == ("finished", 300)


def test_cancel_within_a_chunk() -> None:
    world = World()
    world.create(csv_file([*MANY[:300], openid(1)]), messages_per_second=1)
    world.run(70.0)
    world.broadcasts.cancel(ACCOUNT, ID)
    world.run()
    counts = world.counts()
    assert (world.record().state, len(world.sends)) == ("cancelled", 120)
    assert (counts.sent, counts.unreleased, counts.duplicate, counts.rows) == (120, 180, 1, 301)
    assert [row["status"] for row in world.results()[119:122]] == ["sent", "unreleased", "unreleased"]
    assert [event.detail["state"] for event in world.bus.events] == ["cancelled"]


@pytest.mark.parametrize("rate", [1, 1000])
def test_cancel_reaches_held_messages(rate: int) -> None:
    """They are on the queue, and would be sent when the hold is over."""
    world = World()
    world.answer = lambda touser: Status.QUEUED if int(touser[1:]) > 10 else 0
    world.create(
        csv_file([*MANY, *(openid(number) for number in range(2000, 4000))]), messages_per_second=rate
    )
    world.run(6 * 3600.0 if rate > 1 else 1500.0)
    before, released = world.clock.now(), len(world.sends)
    world.broadcasts.cancel(ACCOUNT, ID)
    world.run()
    counts = world.counts()
    assert (world.record().state, counts.sent, counts.waiting) == ("cancelled", 10, 0)
    assert counts.cancelled + counts.sent in range(released, released + 61)
    assert counts.cancelled + counts.unreleased == 2990
    assert (world.record().finished_at or 0.0) - before < 120.0


@pytest.mark.parametrize("dry_run", [False, True])
def test_cancel_before_anything_was_sent(*, dry_run: bool) -> None:
    world = World()
    world.create(csv_file(TEN), dry_run=dry_run, starts_at="2026-03-02T00:00:00+08:00")
    world.run(60.0)
    world.broadcasts.cancel(ACCOUNT, ID)
    world.run()
    record = world.record()
    assert (record.state, record.has_ended, record.results) == ("cancelled", True, None)
    assert (world.counts().unreleased, world.sends) == (10, [])


def test_rest_expires_in_the_middle() -> None:
    world = World()
    expires_at = datetime.fromtimestamp(START + 90.0, UTC).isoformat()
    world.create(csv_file(MANY[:300]), messages_per_second=1, expires_at=expires_at)
    world.run()
    counts = world.counts()
    assert (world.record().state, counts.sent, counts.expired, counts.unreleased) == ("finished", 90, 210, 0)
    assert world.results()[90]["status"] == "expired"


def test_too_many_failures_pause_it() -> None:
    world = World()
    world.answer = lambda touser: 43101 if int(touser[1:]) % 4 == 0 else 0
    world.create(csv_file(MANY), messages_per_second=2)
    world.run()
    (event,) = world.bus.events
    assert (world.record().state, event.detail_type) == ("paused", "broadcast.paused")
    assert (event.detail["reason"], event.detail["errcode"]) == ("too_many_failures", 43101)
    released = len(world.sends)
    assert 120 <= released <= 240
    world.broadcasts.resume(ACCOUNT, ID)
    world.run()
    assert len(world.sends) >= released + 100
    assert [each.detail_type for each in world.bus.events] == ["broadcast.paused"] * 2


@pytest.mark.parametrize(("percent", "state"), [(24, "paused"), (25, "finished")])
def test_share_of_failures_that_is_accepted(percent: int, state: str) -> None:
    world = World()
    world.answer = lambda touser: 43101 if int(touser[1:]) % 4 == 0 else 0
    world.create(csv_file(MANY[:400]), messages_per_second=2, max_failures_percent=percent)
    world.run()
    assert world.record().state == state


def test_few_failures_do_not_pause_it() -> None:
    world = World()
    world.answer = lambda _: 43101
    world.create(csv_file(MANY[:99]), messages_per_second=1)
    world.run()
    assert (world.record().state, world.counts().failed) == ("finished", 99)
