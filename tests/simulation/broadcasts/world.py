"""A world with broadcasts: their functions, their two queues and their bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from tests.fakes import load_event
from tests.fakes.aws.s3 import FakeS3
from tests.fakes.aws.sqs import FakeSqs
from tests.simulation.world import setting
from tests.simulation.world.faults import FAULTY, Mix
from tests.simulation.world.functions import Function
from tests.simulation.world.invocations import DEAD, Invocation
from tests.simulation.world.mapping import Mapping
from tests.simulation.world.setting import CANARY, PATH
from tests.simulation.world.world import World
from wechat_notify.core.broadcasts import checking, finishing

ACCOUNT: Final = "shop-a"
ROWS_QUEUE, STEPS_QUEUE = "https://sqs/broadcast", "https://sqs/broadcast-steps"
BUCKET: Final = "broadcasts"
CEILING: Final = 1
"""Messages per second that the account's broadcasts have together."""
STEP_VISIBILITY: Final = 130.0
"""Seconds, as the template has them, like the functions' timeouts here."""
_ROWS_A_STEP: Final = 25
_CHUNKS_A_SECTION: Final = 2
"""Less than the service's own, so that a small file takes several steps as well."""
_ENVIRONMENT: Final = {
    "BROADCAST_BUCKET": BUCKET,
    "BROADCAST_QUEUE_URL": ROWS_QUEUE,
    "BROADCAST_STEP_QUEUE_URL": STEPS_QUEUE,
    "BROADCAST_RATE_LIMIT": str(CEILING),
}
_SEND_BROADCAST: Final = "send-broadcast"
_TRIES: Final = 30
_AGAIN_AFTER: Final = 3.0
_SERVER_ERROR: Final = 500


class BroadcastWorld(World):
    """Everything, from one seed."""

    def __init__(self, seed: int | str, mix: Mix = FAULTY, *, thorough: bool = True) -> None:
        super().__init__(seed, mix, thorough=thorough)

        def now() -> float:
            return self.scheduler.now

        self.bucket = FakeS3(now)
        self.rows = FakeSqs(now, "rows", dead_letters=self.dead_letters)
        self.steps = FakeSqs(now, "steps", dead_letters=self.dead_letters, visibility_timeout=STEP_VISIBILITY)
        self.queues |= {ROWS_QUEUE: self.rows, STEPS_QUEUE: self.steps}
        self.aws.apis["s3"] = self.bucket
        self.broadcast = Function(self, "broadcast", "functions.broadcast.handler", 120.0, 10)
        self.send_broadcast = Function(self, _SEND_BROADCAST, "functions.send_queue.handler", 67.0, 5)
        self.team_api = Function(self, "team-api", "functions.team_api.handler", 29.0, 20)
        self.broadcast.points_most = 20
        self.team_api.points_most = 12
        self.functions += [self.broadcast, self.send_broadcast, self.team_api]
        for function, name, queue, size in (
            (self.broadcast, "BroadcastFunction", self.steps, 1),
            (self.send_broadcast, "SendBroadcastFunction", self.rows, setting.BATCH_SIZE),
        ):
            allowed = setting.loops_allowed(setting.template(), name)
            mapping = Mapping(self, function, queue, loops_allowed=allowed, batch_size=size)
            queue.on_arrival = mapping.kick
        self.calls = 0
        """Requests of the API that are still to be answered or repeated."""
        self.lent += [
            (checking, "MAX_ROWS", _ROWS_A_STEP),
            (finishing, "SECTION_CHUNKS", _CHUNKS_A_SECTION),
        ]
        secret = f"{ACCOUNT}-SECRET-{CANARY}-0123456789"
        app = self.wechat.add(ACCOUNT, secret)
        credentials = {"type": "app", "app_id": app.app_id, "app_secret": secret}
        self.parameters.values[f"{PATH}/{ACCOUNT}/credentials"] = json.dumps(credentials)

    def environment_of(self, invocation: Invocation) -> dict[str, str]:
        """The functions of broadcasts have settings of their own."""
        own = {"SEND_QUEUE_URL": ROWS_QUEUE} if _SEND_BROADCAST in invocation.name else {}
        return _ENVIRONMENT | own

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left to be done."""
        running = any(function.running for function in self.functions if function is not self.token_refresh)
        return not (self.calls or running or self.rows.messages or self.steps.messages)

    def call(
        self,
        route: str,
        answered: Callable[[int, dict[str, Any]], None],
        content: object = None,
        key: str | None = None,
        **path: str,
    ) -> None:
        """Call a route of the account until it answers with anything but a server error."""
        self.calls += 1
        self._call(_event(route, content, key, path), answered, _TRIES)

    def _call(
        self, event: dict[str, Any], answered: Callable[[int, dict[str, Any]], None], tries: int
    ) -> None:
        def ended(_: Invocation, answer: Any) -> None:
            status = _SERVER_ERROR if answer is DEAD else int(answer["statusCode"])
            if status < _SERVER_ERROR:
                self.calls -= 1
                answered(status, json.loads(answer["body"]))
            else:
                again()

        def again() -> None:
            assert tries, "nobody answers"
            self.scheduler.at(
                self.scheduler.now + _AGAIN_AFTER, lambda: self._call(event, answered, tries - 1)
            )

        if self.team_api.invoke(event, ended) is None:
            again()


def _event(route: str, content: object, key: str | None, path: dict[str, str]) -> dict[str, Any]:
    method, _, pattern = route.partition(" ")
    event = load_event("team_api/request")
    event["routeKey"] = f"{method} /v1/accounts/{{account}}/{pattern}"
    event["pathParameters"] = {"account": ACCOUNT, **path}
    if key is not None:
        event["headers"]["idempotency-key"] = key
    if content is not None:
        event["headers"]["content-type"] = "application/json"
        event["body"] = json.dumps(content)
    return event
