"""Few people whose functions are killed at each of their requests, one world for each."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.consents.oracle import Workload, finish, judge
from tests.simulation.consents.world import ConsentWorld
from tests.simulation.oracle.evidence import Report
from tests.simulation.world.faults import NO_FAULTS

PEOPLE = 3
INVOCATIONS = 2


def reports(function: str) -> Iterator[tuple[str, Report]]:
    """What came of it, with the place of the kill: of each of the first invocations each request."""
    for invocation in range(INVOCATIONS):
        for point in range(1000):
            world, report = _run(function, [None] * invocation + [point])
            if getattr(world, function).invocations <= invocation:
                return
            yield f"{function} {invocation + 1}, request {point + 1}", report
            if world.last_points <= point:
                break


def _run(function: str, plan: list[int | None]) -> tuple[ConsentWorld, Report]:
    world = ConsentWorld("kills", NO_FAULTS, thorough=False)
    workload = Workload(world, PEOPLE)
    getattr(world, function).plan = plan
    with world.standing():
        workload.begin()
        finish(world, workload)
    return world, judge(world, workload)
