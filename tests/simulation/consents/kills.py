"""Few people whose functions are killed at each of their requests, one world for each."""

from __future__ import annotations

from tests.simulation.consents.oracle import Workload, finish, judge
from tests.simulation.consents.world import ConsentWorld
from tests.simulation.oracle.evidence import Report
from tests.simulation.world.faults import NO_FAULTS

PEOPLE = 3
INVOCATIONS = 2


def run(function: str, plan: list[int | None]) -> tuple[ConsentWorld, Report]:
    world = ConsentWorld("kills", NO_FAULTS, thorough=False)
    workload = Workload(world, PEOPLE)
    getattr(world, function).plan = plan
    with world.standing():
        workload.begin()
        finish(world, workload)
    return world, judge(world, workload)
