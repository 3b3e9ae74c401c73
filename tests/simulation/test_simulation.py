from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.simulation.oracle import run
from tests.simulation.planted_bugs import BUGS, plant
from tests.simulation.wechat import Network
from tests.simulation.workload import KINDS, Ask, Workload, key_of
from tests.simulation.world.faults import NO_FAULTS, Mix
from tests.simulation.world.setting import START, TABLE
from tests.simulation.world.world import World

SEEDS = 20
MESSAGES = 200
FEW = 60
"""Messages of a world with a planted bug; the scenarios come beside them."""
BUG_SEEDS = (1, 9, 7, 12, 3, 2, 4, 5, 6, 8, 10, 11)
"""Tried in turn until a bug is caught. The first ones catch all bugs between them."""
_ROOT = Path(__file__).parents[2]


def _broken(seed: int) -> list[str]:
    report = run(seed, MESSAGES)
    return [f"SEED={seed} MESSAGES={MESSAGES} make simulate: {line}" for line in report.broken]


def _caught(name: str) -> int | None:
    """The first seed at which the bug breaks its promise."""
    for seed in BUG_SEEDS:
        with plant(name):
            broken = run(seed, FEW).broken
        if any(line.startswith(f"{BUGS[name].broken}: ") for line in broken):
            return seed
    return None


@pytest.fixture(scope="module")
def caught(workers: ProcessPoolExecutor) -> dict[str, int | None]:
    return dict(zip(BUGS, workers.map(_caught, BUGS), strict=True))


def test_seeds_keep_every_promise(workers: ProcessPoolExecutor) -> None:
    broken = [line for lines in workers.map(_broken, range(1, SEEDS + 1), chunksize=3) for line in lines]
    assert broken == []


@cache
def _sound(seed: int) -> bool:
    return not run(seed, FEW).broken


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str, caught: dict[str, int | None]) -> None:
    seed = caught[name]
    assert seed is not None, f"nobody noticed: {BUGS[name].text}"
    assert _sound(seed), f"seed {seed} breaks a promise without any bug"


def test_planted_bugs_are_removed_again() -> None:
    before = run(7, 50).counts
    for name in BUGS:
        with plant(name):
            pass
    assert run(7, 50).counts == before


def _told(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the command prints in a process of its own."""
    path = os.pathsep.join((str(_ROOT), str(_ROOT / "layers" / "wechat_notify")))
    return subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "tests.simulation", *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def test_one_seed_is_one_history() -> None:
    here = run(3, 200).counts
    assert run(3, 200).counts == here
    assert run(4, 200).counts["history"] != here["history"]
    for hash_seed in ("0", "1"):
        told = _told("--seed", "3", "--messages", "200", PYTHONHASHSEED=hash_seed)
        assert told.returncode == 0
        assert str(here["history"]) in told.stdout


def test_failure_prints_its_replay_command() -> None:
    told = _told("--seed", "1", "--messages", "300", "--planted", "no_condition")
    assert told.returncode == 1
    assert "the ledger's rules are kept" in told.stdout
    assert "SEED=1 MESSAGES=" in told.stdout


# ---------------------------------------------------------------- a kill at every point

LOST = Mix(network=Network(timeout_after=1.0))
GOOD_OR_LOST = pytest.mark.parametrize("mix", [NO_FAULTS, LOST], ids=["good", "lost"])
OPTIONS = pytest.mark.parametrize("at_least_once", [False, True], ids=["at_most_once", "at_least_once"])
Begin = Callable[[World, Workload, Ask], None]


def _to_queue(_world: World, workload: Workload, ask: Ask) -> None:
    workload._to_queue(ask, as_event=False)


def _killed_at_each_request(
    function: str, begin: Begin, mix: Mix, kind: str, *, at_least_once: bool = False
) -> Iterator[tuple[World, str]]:
    """One message, and a function that is killed at its first request, at its second and so on.

    Yields the world after each, and what the ledger says of the message.
    """
    for point in range(100):
        ask = Ask(0, "shop-e", kind, "oCANARYe00000000000000000001", "order-0", at_least_once)
        world = _run_alone(ask, mix, begin, function, point)
        yield world, _status(world, ask)
        assert getattr(world, function).kills == 1
        if world.last_points <= point:
            return
    pytest.fail("there is no end to it")


def _run_alone(ask: Ask, mix: Mix, begin: Begin, function: str, point: int) -> World:
    """A world with one message, and faults and a kill while it is sent for the first time."""
    world = World("kills", NO_FAULTS)
    workload = Workload(world, 0)
    workload.asks.append(ask)
    workload.outstanding += 1

    def start() -> None:
        workload.outstanding -= 1
        getattr(world, function).plan = [point]
        begin(world, workload, ask)

    for at, then in ((START + 1, mix), (START + 4, NO_FAULTS)):
        world.scheduler.at(at, partial(setattr, world, "mix", then))
    with world.standing():
        workload.begin()
        world.scheduler.at(START + 2, start)
        world.scheduler.run(START + 7200, lambda: workload.over)
        assert workload.over
        world.scheduler.run(world.scheduler.now + 300, lambda: False)
    return world


def _status(world: World, ask: Ask) -> str:
    """What the ledger says of the message, which must be what became of it."""
    item = world.table.tables[TABLE].get(key_of(ask.account, "order-0"))
    status = item["status"]["S"] if item else "none"
    accepted = len(world.wechat.accepted)
    assert world.leaks == world.writes.illegal == world.unexpected_calls == []
    # While SSM takes hardly any request the refresher can do nothing.
    assert all("StorageError" in each for each in (*world.raised, *world.sink.problems))
    assert accepted <= (2 if ask.at_least_once and ask.kind != "template" else 1)
    # Nobody comes back to a claim of the API's: who asks is told that it is unknown.
    assert status in ({"sent", "unknown", "sending"} if ask.by_http else {"sent", "unknown"})
    assert accepted or status != "sent"
    return status


@GOOD_OR_LOST
@OPTIONS
@pytest.mark.parametrize("kind", KINDS)
def test_queue_worker_killed_at_each_request(mix: Mix, kind: str, *, at_least_once: bool) -> None:
    ends = _killed_at_each_request("send_queue", _to_queue, mix, kind, at_least_once=at_least_once)
    statuses = [status for _, status in ends]
    assert set(statuses) <= ({"sent"} if at_least_once or kind == "template" else {"sent", "unknown"})
    assert "sent" in statuses or mix is LOST
    assert len(statuses) > 8


@GOOD_OR_LOST
@OPTIONS
@pytest.mark.parametrize("wait", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("kind", ["subscription", "template"])
def test_api_worker_killed_at_each_request(mix: Mix, kind: str, *, wait: bool, at_least_once: bool) -> None:
    def to_api(_world: World, workload: Workload, ask: Ask) -> None:
        workload._to_api(ask, wait=wait)

    ends = _killed_at_each_request("send_api", to_api, mix, kind, at_least_once=at_least_once)
    assert len(list(ends)) > 4


def test_refresher_killed_at_each_request() -> None:
    def revoke(world: World, workload: Workload, ask: Ask) -> None:
        world.wechat.revoke_token(world.wechat.app_of(ask.account))
        _to_queue(world, workload, ask)

    ends = list(_killed_at_each_request("token_refresh", revoke, NO_FAULTS, "subscription"))
    for world, status in ends:
        forced = world.wechat.app_of("shop-e").force_calls
        assert status == "sent"
        assert len(forced) <= 2
        assert all(b - a >= 30 for a, b in pairwise(forced))
    assert len(ends) > 8
