from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.broadcasts import kills
from tests.simulation.broadcasts.oracle import MIX, run
from tests.simulation.broadcasts.planted_bugs import BUGS, plant
from tests.simulation.kills import reports
from tests.simulation.world.faults import NO_FAULTS

SEEDS = 15
BUG_SEEDS = (1, 4, 6, 2, 3, 5, 7, 8)
"""Tried in turn until a bug is caught, the kills after them. The first three catch all that seeds can."""


def _breaks(seed: int) -> Iterator[str]:
    for mix in (MIX, NO_FAULTS):
        yield from (f"seed {seed}: {line}" for line in run(seed, mix=mix).broken)


def _broken(seed: int) -> list[str]:
    return list(_breaks(seed))


def _broken_by_kills(function: str) -> list[str]:
    found = [(where, report.broken) for where, report in reports(kills.run, function)]
    assert len(found) > 20
    return [f"{where}: {line}" for where, lines in found for line in lines]


def _caught(name: str) -> str | None:
    """Where the bug breaks its promise."""
    promise = f"{BUGS[name].broken}: "
    with plant(name):
        for seed in BUG_SEEDS:
            if any(promise in line for line in _breaks(seed)):
                return f"seed {seed}"
        for where, report in reports(kills.run, "broadcast"):
            if any(line.startswith(promise) for line in report.broken):
                return where
    return None


@pytest.fixture(scope="module")
def caught(workers: ProcessPoolExecutor) -> dict[str, str | None]:
    return dict(zip(BUGS, workers.map(_caught, BUGS), strict=True))


def test_seeds_keep_every_promise(workers: ProcessPoolExecutor) -> None:
    """With faults and kills, and without."""
    broken = [line for lines in workers.map(_broken, range(1, SEEDS + 1), chunksize=3) for line in lines]
    assert broken == []


def test_function_killed_at_every_request(workers: ProcessPoolExecutor) -> None:
    """The function of broadcasts in each of its steps, the one that sends, and that of the API."""
    functions = ("broadcast", "send_broadcast", "team_api")
    assert [line for lines in workers.map(_broken_by_kills, functions) for line in lines] == []


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str, caught: dict[str, str | None]) -> None:
    assert caught[name] is not None, f"nobody noticed: {BUGS[name].text}"


def test_one_seed_is_one_history() -> None:
    here = run(3).counts
    assert run(3).counts == here
    assert run(4).counts["history"] != here["history"]
