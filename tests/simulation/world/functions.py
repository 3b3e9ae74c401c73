"""A Lambda function: which process takes an invocation, and how an invocation ends."""

from __future__ import annotations

import importlib
import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.scheduler import Killed
from tests.simulation.world.invocations import DEAD, Invocation, Sandbox

if TYPE_CHECKING:
    from tests.simulation.world.world import World


class Function:
    """One Lambda function: its handler, its sandboxes and how many of them there may be."""

    def __init__(self, world: World, name: str, handler: str, seconds: float, most: int) -> None:
        self.name = name
        self.running = 0
        self.invocations = 0
        self.kills = 0
        self._world = world
        self._handler = handler
        self._seconds = seconds
        self._most = most
        self._free: dict[float | None, list[Sandbox]] = defaultdict(list)
        """Those that are frozen; by how fast their clocks are, where that was asked for."""
        self._sandboxes = itertools.count(1)
        self.points_most = 40
        """The points among which one is chosen to be killed at."""
        self.plan: list[int | None] = []
        """Where the next invocations are killed, before chance has a say."""

    @property
    def room(self) -> bool:
        return self.running < self._most

    def invoke(
        self,
        event: Any,
        on_end: Callable[[Invocation, Any], None],
        subject: Any = None,
        *,
        skew: float | None = None,
    ) -> Invocation | None:
        """Begin an invocation; None where too many run already.

        ``skew`` is for a process whose clock is so many seconds fast.
        """
        if not self.room:
            return None
        world = self._world
        self.running += 1
        self.invocations += 1
        if self._free[skew]:
            sandbox = self._free[skew].pop()
        else:
            name = f"{self.name}-{next(self._sandboxes)}"
            spread = world.mix.clock_skew
            sandbox = Sandbox(name, world.chance.uniform(-spread, spread) if skew is None else skew)
            sandbox.born = world.scheduler.now
        sandbox.invoked.append(world.scheduler.now)
        if sandbox.froze_at is not None:
            sandbox.frozen_for += world.scheduler.now - sandbox.froze_at
        invocation = Invocation(world, sandbox, self._seconds, self._ended(on_end))
        invocation.subject = subject
        if self.plan:
            invocation.kill_at = self.plan.pop(0)
        elif world.chance.random() < world.mix.killed:
            invocation.kill_at = world.chance.randrange(self.points_most)
        handler = importlib.import_module(self._handler).lambda_handler

        def run() -> None:
            try:
                answer = handler(event, invocation)
            except Exception as error:  # noqa: BLE001 - Lambda reports it
                world.raised.append(f"{self.name}: {type(error).__name__}: {error}")
                answer = DEAD
            if invocation.dead:
                raise Killed
            if invocation.kill_at is not None and answer is not DEAD:
                invocation.die()  # on its way out: nobody gets the answer
            invocation.ended = True
            sandbox.froze_at = world.scheduler.now
            self._free[skew].append(sandbox)
            world.scheduler.at(world.scheduler.now, lambda: invocation.on_end(invocation, answer))

        world.scheduler.at(invocation.deadline, lambda: self._time_out(invocation))
        world.scheduler.spawn(run, invocation)
        return invocation

    def _time_out(self, invocation: Invocation) -> None:
        if not invocation.ended:
            invocation.dead = True
            invocation.end_dead()

    def _ended(self, on_end: Callable[[Invocation, Any], None]) -> Callable[[Invocation, Any], None]:
        def ended(invocation: Invocation, answer: Any) -> None:
            self.running -= 1
            self.kills += invocation.dead
            if answer is DEAD:
                self._world.history.note(
                    f"{self._world.scheduler.now:.6f} {invocation.sandbox.name} failed\n"
                )
            on_end(invocation, answer)

        return ended
