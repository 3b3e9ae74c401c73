"""A Lambda process, and one invocation in it, which may be killed at each of its requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from greenlet import getcurrent

from tests.fakes import FakeContext
from tests.simulation.scheduler import Killed, Process, Task

if TYPE_CHECKING:
    from tests.simulation.world.world import World


class Sandbox:
    """One Lambda process: its parts, and a clock of its own."""

    def __init__(self, name: str, skew: float) -> None:
        self.name = name
        self.skew = skew
        self.parts: dict[str, Any] = {}
        self.born = 0.0
        self.invoked: list[float] = []
        self.froze_at: float | None = None
        self.frozen_for = 0.0
        """Seconds in all between its invocations, which its monotonic clock does not count."""


class Invocation(Process):
    """One invocation of a function, until it answers, fails, is killed or runs out of time."""

    aws_request_id = FakeContext.aws_request_id
    function_name = FakeContext.function_name

    def __init__(
        self, world: World, sandbox: Sandbox, seconds: float, on_end: Callable[[Invocation, Any], None]
    ) -> None:
        super().__init__()
        self.world = world
        self.sandbox = sandbox
        self.began = world.scheduler.now
        self.deadline = self.began + seconds
        self.on_end = on_end
        self.points = 0
        self.kill_at: int | None = None
        self.ended = False
        self.written: list[str] = []
        self.batch: list[tuple[str, str]] = []
        """Of each message: its number on the queue, and its body."""
        self.chain = 1
        """Invocations that led to this one, itself included."""
        self.subject: Any = None
        """What it is about: the message of an HTTP request, the ids of a batch, who asks for a token."""

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - self.world.scheduler.now) * 1000))

    @property
    def name(self) -> str:
        """Its process's."""
        return self.sandbox.name

    @property
    def skew(self) -> float:
        """Seconds by which its clock is fast."""
        return self.sandbox.skew

    def kill_next(self) -> None:
        """Have it killed at the next point."""
        self.kill_at = self.points

    def point(self) -> None:
        """A place where the process may be killed."""
        if self.dead:
            raise Killed
        number, self.points = self.points, self.points + 1
        if number == self.kill_at:
            self.die()

    def die(self) -> None:
        """Kill the process that is running."""
        self.dead = True
        self.world.scheduler.at(self.world.scheduler.now, self.end_dead)
        raise Killed

    def end_dead(self) -> None:
        """What is left to do for a dead process: what was on the wire may still arrive."""
        if self.ended:
            return
        self.ended = True
        self.world.ending = self
        for task in self.tasks:
            effect = task.on_the_wire
            if effect is not None and self.world.chance.random() < 0.5:
                with suppress(Exception):  # nobody hears of it
                    effect()
            task.on_the_wire = None
        self.world.ending = None
        self.world.last_points = self.points
        self.world.writes.note_killed(self)
        self.world.scheduler.kill(self)
        self.on_end(self, DEAD)


DEAD = object()
"""What came of an invocation that was killed, ran out of time or raised."""


def running() -> Invocation:
    """Whose turn it is."""
    # Asked at every turn, so without a look at what it is.
    return cast("Invocation", cast("Task", getcurrent()).process)
