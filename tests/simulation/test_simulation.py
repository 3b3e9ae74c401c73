from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.simulation.oracle import run
from tests.simulation.planted_bugs import BUGS, Bug, plant
from tests.simulation.wechat import Network
from tests.simulation.workload import KINDS, Ask, Workload, key_of
from tests.simulation.world import NO_FAULTS, START, TABLE, Mix, World

SEEDS = 40
MESSAGES = 200
FEW = 60
"""Messages of a world with a planted bug; the scenarios come beside them."""
MOST_SEEDS = 12
_ROOT = Path(__file__).parents[2]


def _broken(seed: int) -> list[str]:
    report = run(seed, MESSAGES)
    return [f"SEED={seed} MESSAGES={MESSAGES} make simulate: {line}" for line in report.broken]


def _caught(name: str) -> int | None:
    """The first seed at which the bug breaks its promise, and no promise is broken without it."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    for seed in range(1, MOST_SEEDS + 1):
        with plant(name):
            broken = run(seed, FEW).broken
        if any(line.startswith(f"{bug.broken}: ") for line in broken):
            return seed
    return None


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    """Not by xdist: ``make check`` runs on one process, and these are most of its time."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def caught(workers: ProcessPoolExecutor) -> dict[str, int | None]:
    names = [bug.name for bug in BUGS]
    return dict(zip(names, workers.map(_caught, names), strict=True))


def test_forty_seeds_keep_every_promise(workers: ProcessPoolExecutor) -> None:
    broken = [line for lines in workers.map(_broken, range(1, SEEDS + 1), chunksize=5) for line in lines]
    assert broken == []


@cache
def _sound(seed: int) -> bool:
    return not run(seed, FEW).broken


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, caught: dict[str, int | None]) -> None:
    seed = caught[bug.name]
    assert seed is not None, f"nobody noticed: {bug.text}"
    assert _sound(seed), f"seed {seed} breaks a promise without any bug"


def test_planted_bugs_are_removed_again() -> None:
    before = run(7, 50).counts
    for bug in BUGS:
        with plant(bug.name):
            pass
    assert run(7, 50).counts == before


def test_one_seed_is_one_history() -> None:
    here = run(3, 200).counts
    assert run(3, 200).counts == here
    assert run(4, 200).counts["history"] != here["history"]
    for hash_seed in ("0", "1"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "layers" / "wechat_notify"))),
        }
        told = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "3", "--messages", "200"],
            env=environment,
            cwd=_ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        assert str(here["history"]) in told.stdout


def test_failure_prints_its_replay_command() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.simulation",
            "--seed",
            "1",
            "--messages",
            "300",
            "--planted",
            "no_condition",
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "layers" / "wechat_notify"))),
        },
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert "the ledger's rules are kept" in told.stdout
    assert "SEED=1 MESSAGES=" in told.stdout


# ---------------------------------------------------------------- a kill at every point

LOST = Mix(network=Network(timeout_after=1.0))
GOOD_OR_LOST = pytest.mark.parametrize("mix", [NO_FAULTS, LOST], ids=["good", "lost"])
OPTIONS = pytest.mark.parametrize("at_least_once", [False, True], ids=["at_most_once", "at_least_once"])


def _alone(mix: Mix, kind: str, *, at_least_once: bool) -> tuple[World, Workload, Ask]:
    world = World("kills")
    workload = Workload(world, 0)
    ask = Ask(0, "shop-e", kind, "oCANARYe00000000000000000001", "order-0", at_least_once)
    workload.asks.append(ask)
    world.mix = NO_FAULTS

    def go_bad() -> None:
        world.mix = mix

    def go_well() -> None:
        world.mix = NO_FAULTS

    world.scheduler.at(START + 1, go_bad)
    world.scheduler.at(START + 4, go_well)
    return world, workload, ask


def _verdict(world: World, workload: Workload, ask: Ask, mix: Mix, *, killed: bool) -> str:
    world.scheduler.run(START + 7200, lambda: workload.over)
    assert workload.over
    world.scheduler.run(world.scheduler.now + 300, lambda: False)
    item = world.table.tables[TABLE].get(key_of("shop-e", "order-0"))
    status = item["status"]["S"] if item else "none"
    accepted = len(world.wechat.accepted)
    assert world.leaks == world.writes.illegal == world.unexpected_calls == []
    # While SSM takes hardly any request the refresher can do nothing.
    assert all("StorageError" in each for each in (*world.raised, *world.sink.problems))
    assert accepted <= (2 if ask.at_least_once and ask.kind != "template" else 1)
    if status == "sent":
        assert accepted
    else:
        assert status in {"unknown", "sending"}
        assert killed or mix is LOST
    if status == "sending":
        assert ask.by_http  # nobody comes back to it; who asks is told that it is unknown
    return status


@GOOD_OR_LOST
@OPTIONS
@pytest.mark.parametrize("kind", KINDS)
def test_queue_worker_killed_at_each_request(mix: Mix, kind: str, *, at_least_once: bool) -> None:
    states = set()
    for point in range(100):
        world, workload, ask = _alone(mix, kind, at_least_once=at_least_once)
        with world.standing():
            world.send_queue.plan = [point]
            workload.outstanding += 1
            world.keep_tokens_fresh(workload.wanted)

            def begin(workload: Workload = workload, ask: Ask = ask) -> None:
                workload.outstanding -= 1
                workload._to_queue(ask, as_event=False)

            world.scheduler.at(START + 2, begin)
            status = _verdict(world, workload, ask, mix, killed=True)
        states.add(status)
        assert status in ({"sent"} if at_least_once or kind == "template" else {"sent", "unknown"})
        assert world.send_queue.kills == 1
        if world.last_points <= point:
            break
    else:
        pytest.fail("there is no end to it")
    assert point >= 8
    assert "sent" in states or mix is LOST


@GOOD_OR_LOST
@OPTIONS
@pytest.mark.parametrize("wait", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("kind", ["subscription", "template"])
def test_api_worker_killed_at_each_request(mix: Mix, kind: str, *, wait: bool, at_least_once: bool) -> None:
    for point in range(100):
        world, workload, ask = _alone(mix, kind, at_least_once=at_least_once)
        with world.standing():
            world.send_api.plan = [point]
            workload.outstanding += 1
            world.keep_tokens_fresh(workload.wanted)

            def begin(workload: Workload = workload, ask: Ask = ask) -> None:
                workload.outstanding -= 1
                workload._to_api(ask, wait=wait)

            world.scheduler.at(START + 2, begin)
            _verdict(world, workload, ask, mix, killed=True)
        assert world.send_api.kills == 1
        if world.last_points <= point:
            break
    assert 4 <= point < 99


def test_refresher_killed_at_each_request() -> None:
    for point in range(100):
        world, workload, ask = _alone(NO_FAULTS, "subscription", at_least_once=False)
        with world.standing():
            workload.outstanding += 1
            world.keep_tokens_fresh(workload.wanted)

            def begin(
                world: World = world, workload: Workload = workload, ask: Ask = ask, point: int = point
            ) -> None:
                workload.outstanding -= 1
                world.wechat.revoke_token(world.wechat.app_of("shop-e"))
                world.token_refresh.plan = [point]
                workload._to_queue(ask, as_event=False)

            world.scheduler.at(START + 2, begin)
            assert _verdict(world, workload, ask, NO_FAULTS, killed=True) == "sent"
        app = world.wechat.app_of("shop-e")
        assert len(app.force_calls) <= 2
        assert all(b - a >= 30 for a, b in pairwise(app.force_calls))
        if world.token_refresh.kills and world.last_points <= point:
            break
    assert 8 <= point < 99
