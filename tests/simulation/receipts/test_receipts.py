from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.kills import reports
from tests.simulation.receipts import kills
from tests.simulation.receipts.oracle import MIX, run
from tests.simulation.receipts.planted_bugs import BUGS, plant
from tests.simulation.world.faults import NO_FAULTS

SEEDS = 10
MOST_SEEDS = 20


def _breaks(seed: int) -> Iterator[str]:
    for mix in (NO_FAULTS, MIX):
        yield from (f"seed {seed}: {line}" for line in run(seed, mix=mix).broken)


def _broken(seed: int) -> list[str]:
    return list(_breaks(seed))


def _broken_by_kills(function: str) -> list[str]:
    found = [(where, report.broken) for where, report in reports(kills.run, function)]
    assert len(found) > 10
    return [f"{where}: {line}" for where, lines in found for line in lines]


def _caught(name: str) -> str | None:
    """Where the bug breaks its promise."""
    with plant(name):
        for seed in range(1, MOST_SEEDS + 1):
            if any(f"{BUGS[name].broken}: " in line for line in _breaks(seed)):
                return f"seed {seed}"
    return None


@pytest.fixture(scope="module")
def caught(workers: ProcessPoolExecutor) -> dict[str, str | None]:
    return dict(zip(BUGS, workers.map(_caught, BUGS), strict=True))


def test_seeds_keep_every_promise(workers: ProcessPoolExecutor) -> None:
    """With faults and kills, and without."""
    broken = [line for lines in workers.map(_broken, range(1, SEEDS + 1), chunksize=3) for line in lines]
    assert broken == []


def test_function_killed_at_every_request(workers: ProcessPoolExecutor) -> None:
    functions = ("callback", "callback_events")
    assert [line for lines in workers.map(_broken_by_kills, functions) for line in lines] == []


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str, caught: dict[str, str | None]) -> None:
    assert caught[name] is not None, f"nobody noticed: {BUGS[name].text}"


def test_one_seed_is_one_history() -> None:
    here = run(3).counts
    assert run(3).counts == here
    assert run(4).counts["history"] != here["history"]
