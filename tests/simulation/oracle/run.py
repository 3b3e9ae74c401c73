"""One run from its seed: the world, its faults and their end, then the judgements."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.oracle.conduct import judge_conduct, judge_dead_letters
from tests.simulation.oracle.counts import count
from tests.simulation.oracle.evidence import Evidence, Report
from tests.simulation.oracle.holds import judge_circuits, judge_holds, judge_probes
from tests.simulation.oracle.messages import judge_asked, judge_messages
from tests.simulation.oracle.tokens import judge_tokens
from tests.simulation.oracle.waits import judge_lanes, judge_obedient, judge_unrecorded, judge_waits
from tests.simulation.workload import Workload
from tests.simulation.world.faults import FEW_FAULTS, NO_FAULTS
from tests.simulation.world.setting import TABLE
from tests.simulation.world.world import World

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
        before = _state(world)
        redriven = [_redriven(world, workload) for _ in range(2)] if drained else []
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
    for judge in (
        judge_waits,
        judge_circuits,
        judge_probes,
        judge_holds,
        judge_obedient,
        judge_lanes,
        judge_unrecorded,
        judge_tokens,
        judge_conduct,
        judge_dead_letters,
    ):
        judge(evidence)
    count(evidence, ended)
    return evidence.report


def _state(world: World) -> tuple[int, int, list[tuple[str, str]]]:
    """What a redrive must leave as it is: acceptances, dead letters and the versions of the entries."""
    table = world.table.tables.get(TABLE, {})
    entries = [(key, item["version"]["N"]) for key, item in table.items() if key.startswith("message#")]
    return len(world.wechat.accepted), len(world.dead_letters.messages), entries


def _redriven(world: World, workload: Workload) -> tuple[int, int, list[tuple[str, str]]]:
    """What stands there once the dead letters were put back on the queue, as SQS's own redrive does."""
    letters = list(world.dead_letters.messages.values())
    world.dead_letters.messages.clear()
    for stored in letters:
        world.queue.put(stored.body, attributes=stored.attributes)
    world.scheduler.run(world.scheduler.now + 3600, lambda: workload.over)
    return _state(world)


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
