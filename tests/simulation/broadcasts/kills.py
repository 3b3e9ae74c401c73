"""One broadcast whose function is killed at each of its requests, one world for each."""

from __future__ import annotations

from random import Random

from tests.simulation.broadcasts.oracle import finish, judge, watch
from tests.simulation.broadcasts.workload import Ask, Workload
from tests.simulation.broadcasts.world import BroadcastWorld
from tests.simulation.oracle.evidence import Report
from tests.simulation.world.faults import NO_FAULTS

ROWS = 16
RATE = 0.1
"""Six rows a chunk, and three chunks."""


def run(function: str, plan: list[int | None]) -> tuple[BroadcastWorld, Report]:
    world = BroadcastWorld("kills", NO_FAULTS, thorough=False)
    puts = watch(world)
    workload = Workload(world, 0, 0, troubled=False)
    ask = Ask("a", RATE)
    chance, openids = Random(2), list[str]()
    for _ in range(ROWS):
        ask.add(chance, openids)
    workload.asks.append(ask)
    getattr(world, function).plan = plan
    with world.standing():
        workload.begin()
        finish(world, workload)
    return world, judge(world, workload, puts, NO_FAULTS)
