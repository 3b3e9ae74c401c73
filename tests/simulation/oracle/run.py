"""One run from its seed: the world, its faults and their end, then the judgements."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.oracle.conduct import judge_conduct
from tests.simulation.oracle.counts import count
from tests.simulation.oracle.evidence import Evidence, Report
from tests.simulation.oracle.holds import judge_circuits, judge_holds, judge_probes
from tests.simulation.oracle.messages import judge_asked, judge_messages
from tests.simulation.oracle.queue import judge_dead_letters, redrive, states
from tests.simulation.oracle.secrecy import judge_secrecy
from tests.simulation.oracle.tokens import judge_tokens
from tests.simulation.oracle.waits import judge_lanes, judge_obedient, judge_unrecorded, judge_waits
from tests.simulation.workload import Workload
from tests.simulation.world import FEW_FAULTS, NO_FAULTS, World

FAULTS_GO_ON = 600.0
"""Seconds from the last message until the faults end."""
DRAIN = 7200.0
"""Seconds from then, or from the new day's quota, until everything must have come to its end."""


def run(seed: int | str, messages: int, *, thorough: bool = True) -> Report:
    """One run from its seed, judged."""
    with _seldom_collecting():
        return _run(seed, messages, thorough=thorough)


def _run(seed: int | str, messages: int, *, thorough: bool) -> Report:
    world = World(seed, thorough=thorough)
    with world.standing():
        workload = Workload(world, messages)
        workload.begin()
        calm_at = workload.last_at + FAULTS_GO_ON
        events_most = 60 * messages + 10_000

        def over() -> bool:
            return workload.over or world.history.events > events_most

        world.scheduler.run(calm_at, over)
        world.mix = FEW_FAULTS
        world.scheduler.run(world.reset, over)
        world.mix = NO_FAULTS
        bound = max(calm_at, world.reset) + DRAIN
        world.scheduler.run(bound, over)
        drained = workload.over
        before = states(world)
        redriven = [redrive(world, workload) for _ in range(2)] if drained else []
        world.scheduler.run(world.scheduler.now + 300, lambda: not drained)  # until the last lease is over
        report = _judged(Evidence(world, workload))
    if not drained:
        left = Counter(stored.body[:60] for stored in world.queue.messages.values()).most_common(3)
        report.broken.append(f"it drains in bounded time: {len(world.queue.messages)} on the queue {left}")
    if any(again != before for again in redriven):
        report.broken.append("a redrive of the dead letters changes nothing")
    return report


def _judged(evidence: Evidence) -> Report:
    """Everything that can be said once a run is over."""
    judge_asked(evidence)
    ended = judge_messages(evidence)
    judge_waits(evidence)
    judge_circuits(evidence)
    judge_probes(evidence)
    judge_holds(evidence)
    judge_obedient(evidence)
    judge_lanes(evidence)
    judge_unrecorded(evidence)
    judge_tokens(evidence)
    judge_secrecy(evidence)
    judge_conduct(evidence)
    judge_dead_letters(evidence)
    count(evidence, ended)
    return evidence.report


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Almost nothing here is garbage in a circle, and there is much to look through."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
