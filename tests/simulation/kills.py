"""A function that is killed at each of its requests, in one world for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.simulation.oracle.evidence import Report
from tests.simulation.world.world import World

Run = Callable[[str, list[int | None]], tuple[World, Report]]
"""Makes a world, kills the function where the list says, an entry for each invocation, and judges it."""


def reports(run: Run, function: str, invocations: int = 1000) -> Iterator[tuple[str, Report]]:
    """What came of it, with the place of the kill: of each of the first invocations each request."""
    for invocation in range(invocations):
        for point in range(1000):
            world, report = run(function, [None] * invocation + [point])
            if getattr(world, function).invocations <= invocation:
                return
            yield f"{function} {invocation + 1}, request {point + 1}", report
            if world.last_points <= point:
                break
