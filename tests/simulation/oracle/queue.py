"""The queue once it is empty: its dead letters, and what a redrive of them changes."""

from __future__ import annotations

from collections import Counter

from tests.simulation.oracle.evidence import Evidence
from tests.simulation.workload import Workload
from tests.simulation.world import TABLE, World


def judge_dead_letters(evidence: Evidence) -> None:
    """Judge which bodies ended among the dead letters."""
    world = evidence.world
    found = Counter(stored.body for stored in world.dead_letters.messages.values())
    expected = Counter(evidence.workload.unreadable)
    if set(found) != set(expected):
        odd = [*(set(found) - set(expected)), *(set(expected) - set(found))]
        evidence.breaks("the dead letters are the bodies that nobody can read", odd[:2])


def states(world: World) -> tuple[int, int, list[tuple[str, str]]]:
    """What a redrive must leave as it is: acceptances, dead letters and the versions of the entries."""
    table = world.table.tables.get(TABLE, {})
    entries = [(key, item["version"]["N"]) for key, item in table.items() if key.startswith("message#")]
    return len(world.wechat.accepted), len(world.dead_letters.messages), entries


def redrive(world: World, workload: Workload) -> tuple[int, int, list[tuple[str, str]]]:
    """Put the dead letters back on the queue, as SQS's own redrive does; what stands there afterwards."""
    letters = list(world.dead_letters.messages.values())
    world.dead_letters.messages.clear()
    for stored in letters:
        world.queue.put(stored.body, attributes=stored.attributes)
    world.scheduler.run(world.scheduler.now + 3600, lambda: workload.over)
    return states(world)
