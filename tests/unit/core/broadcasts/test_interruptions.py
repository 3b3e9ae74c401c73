"""A broadcast whose function ends early, or whose steps come twice: at each call to a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.core.broadcasts.world import ACCOUNT, ID, World, csv_file, openid
from wechat_notify.core.errors import StorageError

ROWS = [openid(1), openid(2), "", openid(3), openid(1), openid(4), openid(5), openid(6), openid(7), openid(8)]
SENT = [1, 2, 4, 6, 7, 8, 9, 10]
"""The row numbers of those that are neither invalid nor duplicate."""
Scenario = Callable[[World], None]


def create(world: World, **fields: Any) -> None:
    """As a caller who repeats a request that was not answered."""
    for _ in range(2):
        try:
            world.create(csv_file(ROWS), messages_per_second=0.05, **fields)
        except StorageError:
            continue
        return


def whole(world: World) -> None:
    create(world)
    world.run()


def insist(operation: Callable[[str, str], object]) -> None:
    """As a caller who repeats what was not answered."""
    for _ in range(2):
        try:
            operation(ACCOUNT, ID)
        except StorageError:
            continue
        return


def run_until_second_chunk(world: World) -> None:
    while world.record().chunks < 2:
        world.run(1.0)


def cancelled(world: World) -> None:
    create(world)
    run_until_second_chunk(world)
    insist(world.broadcasts.cancel)
    world.run()


def paused(world: World) -> None:
    create(world)
    run_until_second_chunk(world)
    insist(world.broadcasts.pause)
    world.run(600.0)
    assert len(world.sends) == 6
    insist(world.broadcasts.resume)
    world.run()


def expiring(world: World) -> None:
    create(world, expires_at="2026-03-01T15:05:45+08:00")
    world.run()


SCENARIOS: list[tuple[Scenario, str]] = [
    (whole, "finished"),
    (cancelled, "cancelled"),
    (paused, "finished"),
    (expiring, "finished"),
]


def judge(world: World, state: str) -> None:
    record, counts = world.record(), world.counts()
    assert (record.state, record.open_chunks, record.releasing) == (state, (), None)
    assert set(world.released().values()) == {1}
    sent = [f"{ID}:{row}" for row in SENT][: len(world.sends)]
    assert [message_id for _, message_id in world.sends] == sent
    assert (counts.rows, counts.sent) == (len(ROWS), len(world.sends))
    assert (counts.invalid, counts.duplicate, counts.waiting, counts.failed) == (1, 1, 0, 0)
    assert len(SENT) == counts.sent + counts.expired + counts.unreleased
    statuses = [row["status"] for row in world.results()]
    assert [row["row"] for row in world.results()] == [str(row) for row in range(1, len(ROWS) + 1)]
    for status in ("sent", "expired", "unreleased", "invalid", "duplicate"):
        assert statuses.count(status) == getattr(counts, status)
    assert world.record().totals == counts
    assert {event.detail_type for event in world.bus.events} == {"broadcast.finished"}


def calls_of(scenario: Scenario) -> int:
    """The count of calls where nothing goes wrong."""
    world = World()
    scenario(world)
    return world.calls


@pytest.mark.parametrize(("scenario", "state"), SCENARIOS)
@pytest.mark.parametrize("after", [False, True])
def test_function_killed_at_any_call(scenario: Scenario, state: str, *, after: bool) -> None:
    """The step is handed out again; ``after``: the service had done its part."""
    for call in range(1, calls_of(scenario) + 1):
        world = World()
        world.trip_at, world.trip, world.trip_after = call, kill, after
        scenario(world)
        assert world.trip_at <= world.calls
        judge(world, state)


def kill() -> None:
    raise StorageError("go on", "Killed")


@pytest.mark.parametrize(("scenario", "state"), SCENARIOS)
def test_second_chain_at_any_call(scenario: Scenario, state: str) -> None:
    """The same step is done by another function, from its first to its last call, in the middle of one."""
    for call in range(1, calls_of(scenario) + 1):
        world = World()

        def run_step(world: World = world) -> None:
            step = world.current
            if step is not None:
                world.engine.run(step.account, step.broadcast_id, step.step)

        world.trip_at, world.trip = call, run_step
        scenario(world)
        judge(world, state)


@pytest.mark.parametrize(("scenario", "state"), [each for each in SCENARIOS if each[0] is not paused])
def test_function_frozen_at_any_call(scenario: Scenario, state: str) -> None:
    """The step is done by another function, and so are those after it; then the first one goes on."""
    for call in range(1, calls_of(scenario) + 1):
        world = World()

        def freeze(world: World = world) -> None:
            if world.current is not None:
                world.steps.give_back(world.current, 0.0)
                world.run(100.0)

        world.trip_at, world.trip = call, freeze
        scenario(world)
        judge(world, state)


@pytest.mark.parametrize("after", [False, True])
def test_pause_at_any_call(*, after: bool) -> None:
    """A person's wish and a step's progress are both kept, and the step is not done again for it."""
    for call in range(1, calls_of(whole) + 1):
        world = World()

        def pause(world: World = world) -> None:
            world.trip_at = None
            if world.store.broadcasts and world.record().state == "running":
                world.broadcasts.pause(ACCOUNT, ID)
                world.broadcasts.pause(ACCOUNT, ID)

        world.trip_at, world.trip, world.trip_after = call, pause, after
        whole(world)
        if world.record().state == "paused":
            world.broadcasts.resume(ACCOUNT, ID)
            world.run()
        assert world.errors == 0
        judge(world, "finished")


@pytest.mark.parametrize(("scenario", "state"), SCENARIOS)
def test_every_step_comes_twice(scenario: Scenario, state: str) -> None:
    """A copy does not make copies of the steps after it."""
    undisturbed, world = World(), World(doubled=True)
    for each in (undisturbed, world):
        scenario(each)
        judge(each, state)
    assert world.steps.sent <= 2 * undisturbed.steps.sent
