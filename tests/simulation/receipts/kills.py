"""Some messages whose receipts' functions are killed at each of their requests, one world for each."""

from __future__ import annotations

from tests.simulation.oracle.evidence import Report
from tests.simulation.receipts.oracle import Workload, finish, judge
from tests.simulation.receipts.world import ReceiptWorld
from tests.simulation.world.faults import NO_FAULTS

MESSAGES = 6


def run(function: str, plan: list[int | None]) -> tuple[ReceiptWorld, Report]:
    world = ReceiptWorld("kills", NO_FAULTS, thorough=False)
    workload = Workload(world, MESSAGES)
    getattr(world, function).plan = plan
    with world.standing():
        workload.begin()
        finish(world, workload)
    # A publication may be repeated after a kill: an event comes at least once.
    return world, judge(world, workload, world.mix, killed=True)
