"""Some messages whose receipts' functions are killed at each of their requests, one world for each."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.oracle.evidence import Report
from tests.simulation.receipts.oracle import Workload, finish, judge
from tests.simulation.receipts.world import ReceiptWorld
from tests.simulation.world.faults import NO_FAULTS

MESSAGES = 6


def reports(function: str) -> Iterator[tuple[str, Report]]:
    """What came of it, with the place of the kill: of each invocation of a function each request."""
    for invocation in range(1000):
        for point in range(1000):
            world, report = _run(function, [None] * invocation + [point])
            killed = getattr(world, function)
            if killed.invocations <= invocation:
                return
            yield f"{function} {invocation + 1}, request {point + 1}", report
            if world.last_points <= point:
                break


def _run(function: str, plan: list[int | None]) -> tuple[ReceiptWorld, Report]:
    world = ReceiptWorld("kills", NO_FAULTS, thorough=False)
    workload = Workload(world, MESSAGES)
    getattr(world, function).plan = plan
    with world.standing():
        workload.begin()
        finish(world, workload)
    # A publication may be repeated after a kill: an event comes at least once.
    return world, judge(world, workload, world.mix, killed=True)
