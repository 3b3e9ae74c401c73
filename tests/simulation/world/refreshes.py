"""Who makes the refresher run: the schedule, and senders that wait for its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from tests.fakes.aws.ssm import MAX_STALE
from tests.simulation.scheduler import Task
from tests.simulation.world.invocations import DEAD, Invocation, running
from tests.simulation.world.setting import PATH

if TYPE_CHECKING:
    from tests.simulation.world.world import World

_SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
_SCHEDULE = 300.0


@dataclass
class _Asked:
    answer: Any = None
    waiter: Task | None = None


class Refreshes:
    """Begins refreshes, and lets those who asked for one wait."""

    def __init__(self, world: World) -> None:
        self._world = world

    def ask(self, event: dict[str, Any]) -> object | None:
        """Begin a refresh that a sender waits for; None where one runs already."""
        asked = _Asked()

        def ended(_: Invocation, answer: Any) -> None:
            asked.answer = (answer is DEAD, None if answer is DEAD else answer)
            if asked.waiter is not None:
                waiter, asked.waiter = asked.waiter, None
                waiter.switch()

        return asked if self._world.token_refresh.invoke(event, ended, "asked") else None

    def wait(self, asked: object, seconds: float) -> Any:
        """What came of a refresh, if it ends in time."""
        assert isinstance(asked, _Asked)
        task = getcurrent()
        assert isinstance(task, Task)
        if asked.answer is None:
            asked.waiter = task

            def give_up() -> None:
                if asked.waiter is task:
                    asked.waiter = None
                    task.switch()

            self._world.scheduler.at(self._world.scheduler.now + seconds, give_up)
            self._world.scheduler.park()
        running().point()
        return asked.answer

    def keep_tokens_fresh(self, wanted: Callable[[], bool]) -> None:
        """What the schedule does, for as long as it is wanted."""

        def run() -> None:
            if wanted():
                began = self._world.token_refresh.invoke(_SCHEDULED, lambda *_: None)
                # Lambda tries a throttled asynchronous invocation again.
                self._world.scheduler.at(self._world.scheduler.now + (_SCHEDULE if began else 20.0), run)

        run()

    def asked_and_stored(self, account: str) -> tuple[bool, str | None]:
        """Whether a sender asked for this refresh, and the token that was stored before it began."""
        invocation = running()
        name = f"{PATH}/{account}/access-token"
        stored = self._world.parameters.stored_at.get(name)
        found = stored is not None and stored < invocation.began - MAX_STALE
        token = json.loads(self._world.parameters.values[name])["value"] if found else None
        return invocation.subject == "asked", token
