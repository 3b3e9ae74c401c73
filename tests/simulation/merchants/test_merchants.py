from __future__ import annotations

import pytest

from tests.simulation.merchants.oracle import run
from tests.simulation.merchants.planted_bugs import BUGS, plant
from tests.simulation.merchants.world import NO_FAULTS

SEEDS = 8
MAX_SEEDS = 12


def _broken(seed: int) -> list[str]:
    return [f"seed {seed}: {line}" for line in run(seed).broken]


def _caught(name: str) -> int | None:
    """The first seed at which the bug breaks its promise."""
    with plant(name):
        for seed in range(1, MAX_SEEDS + 1):
            if any(line.startswith(f"{BUGS[name].broken}: ") for line in run(seed).broken):
                return seed
    return None


def test_seeds_keep_every_promise() -> None:
    assert [line for seed in range(1, SEEDS + 1) for line in _broken(seed)] == []


def test_without_faults_no_call_is_vain() -> None:
    """Nothing is looked up but the refresh tokens that were lost at WeChat, and no event is given up."""
    report = run(1, NO_FAULTS)
    assert (report.broken, report.counts["dropped"], report.counts["kills"]) == ([], 0, 0)
    assert report.counts["calls"]["api_get_authorizer_list"] <= report.counts["lost"]


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str) -> None:
    assert _caught(name) is not None, f"nobody noticed: {BUGS[name].text}"


def test_one_seed_is_one_history() -> None:
    assert run(3).counts == run(3).counts != run(4).counts
