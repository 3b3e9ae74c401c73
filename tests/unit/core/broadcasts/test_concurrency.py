"""Two chains of steps at the same time: a seed decides at each call which of them goes on."""

from __future__ import annotations

import threading
from random import Random

import pytest

from tests.unit.core.broadcasts.test_interruptions import SCENARIOS, Scenario, judge
from tests.unit.core.broadcasts.world import World
from wechat_notify.core.errors import StorageError


class TwoChains(World):
    """Each step is done by two functions at once, of which one runs at a time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)  # noqa: S311 - a test's chance
        self._turn = threading.Condition()
        self._runs: set[int] = set()
        self._next = 0
        self.switches = 0

    def called(self) -> None:
        """Let the other one go on, perhaps."""
        me = self._me()
        if me is None:
            return
        with self._turn:
            others = self._runs - {me}
            if others and self._random.random() < 0.5:
                self.switches += 1
                self._next = next(iter(others))
                self._turn.notify_all()
                self._wait(me)

    def run_step(self, account: str, broadcast_id: str, step: int) -> None:
        failed: list[StorageError] = []

        def chain(me: int) -> None:
            with self._turn:
                self._wait(me)
            try:
                self.engine.run(account, broadcast_id, step)
            except StorageError as error:
                failed.append(error)
            with self._turn:
                self._runs.discard(me)
                self._next = next(iter(self._runs), 0)
                self._turn.notify_all()

        self._runs = {1, 2}
        self._next = self._random.choice([1, 2])
        threads = [threading.Thread(target=chain, args=(me,), name=str(me)) for me in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def _me(self) -> int | None:
        name = threading.current_thread().name
        return int(name) if name in {"1", "2"} else None

    def _wait(self, me: int) -> None:
        assert self._turn.wait_for(lambda: self._next == me, timeout=30.0)


@pytest.mark.parametrize(("scenario", "state"), SCENARIOS)
def test_two_chains_at_once(scenario: Scenario, state: str) -> None:
    switches = 0
    for seed in range(40):
        world = TwoChains(seed)
        scenario(world)
        judge(world, state)
        switches += world.switches
    assert switches > 40 * 10
