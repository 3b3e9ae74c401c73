"""The service's real handlers, adapters and core between fakes of AWS and WeChat, in one thread.

Every invocation runs in a sandbox of its own that ``bootstrap`` fills, as a Lambda process would be: its
token cache, its circuits, its clock. Nothing is real but the code: time, threads, chance and the transports
to AWS and WeChat are lent by the world while it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

from greenlet import getcurrent

from tests.fakes import FakeHashKeys
from tests.fakes.aws.dynamodb import FakeDynamoDb
from tests.fakes.aws.event_bus import EventsApi
from tests.fakes.aws.functions import LambdaApi
from tests.fakes.aws.sqs import FakeSqs, SqsApi
from tests.fakes.aws.ssm import MAX_STALE, FakeParameters
from tests.simulation.clients import Aws, Faults
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.wechat import FakeWeChat
from tests.simulation.world import setting
from tests.simulation.world.faults import FAULTY, Mix
from tests.simulation.world.functions import Function
from tests.simulation.world.invocations import Invocation, Sandbox, running
from tests.simulation.world.lending import Lender
from tests.simulation.world.mapping import Mapping
from tests.simulation.world.records import History, Sink
from tests.simulation.world.refreshes import Refreshes
from tests.simulation.world.setting import (
    CANARY,
    DEAD_LETTERS,
    EARLY_START,
    LATE_RESET,
    MIDNIGHT,
    QUEUE_WORKERS,
    SEND_QUEUE,
    SEND_QUEUE_FUNCTION,
    START,
    TIMEOUTS,
)
from tests.simulation.world.writes import Writes
from wechat_notify.core.openid_hashes import KeySource

_FINE = Faults()


class World:
    """Everything, from one seed."""

    def __init__(self, seed: int | str, mix: Mix = FAULTY, *, thorough: bool = True) -> None:
        self.seed = seed
        self.mix = mix
        is_early = isinstance(seed, int) and seed % 4 == 1
        self.start = EARLY_START if is_early else START
        late = LATE_RESET if isinstance(seed, int) and seed % 2 else 0.0
        self.reset = MIDNIGHT + late
        """When the daily quotas start again."""
        self.loops_allowed = setting.loops_allowed(setting.template())
        self.chance = Random(f"{seed}/chance")
        self.scheduler = Scheduler(self.start)
        self.history = History()
        self.leaks: list[str] = []
        self.raised: list[str] = []
        self.sink = Sink(self.seen)
        self.last_points = 0
        """The points that the last process that was killed had come by."""
        self.doubled: list[str] = []
        """Texts that hold the messages of which there may be two copies: requests to SQS that were repeated
        because their answer was lost, and batches whose worker was killed."""
        self.outages: dict[str, list[tuple[float, float, Faults]]] = defaultdict(list)
        """From when to when a service takes hardly any request."""
        self.bad_parks: list[tuple[float, float]] = []
        """From when to when many entries of a batch are refused by SQS."""
        self.dropped: list[str] = []
        """Requests that went over a connection that a gateway had forgotten."""
        self.table = FakeDynamoDb(self.chance, lambda: self.mix.entries_lost)
        self.parameters = FakeParameters(lambda: self.scheduler.now, self._lag)
        self.dead_letters = FakeSqs(lambda: self.scheduler.now, "dead")
        self.queue = FakeSqs(lambda: self.scheduler.now, "send", dead_letters=self.dead_letters)
        self.wechat = FakeWeChat(lambda: self.scheduler.now, self.chance)
        self.wechat.late_reset = late
        self.events = EventsApi(self.chance, lambda: self.mix.entries_lost)
        self.send_queue = Function(
            self,
            SEND_QUEUE_FUNCTION,
            "functions.send_queue.handler",
            TIMEOUTS["SendQueueFunction"],
            QUEUE_WORKERS,
        )
        self.send_api = Function(
            self, "send-api", "functions.send_api.handler", TIMEOUTS["SendApiFunction"], 50
        )
        self.send_api.points_most = 12
        self.token_refresh = Function(
            self, "token-refresh", "functions.token_refresh.handler", TIMEOUTS["TokenRefreshFunction"], 1
        )
        self.token_refresh.points_most = 12
        self.lent: list[tuple[Any, str, Any]] = []
        """What else of the service's has another value while this world stands: owner, name and value."""
        self.functions = [self.send_queue, self.send_api, self.token_refresh]
        self.mapping = Mapping(self, self.send_queue, self.queue, loops_allowed=self.loops_allowed)
        self.queue.on_arrival = self.mapping.kick
        self.writes = Writes(self)
        self.table.on_write = self.writes.judge
        self.ending: Invocation | None = None
        self.refreshes = Refreshes(self)
        self._lender = Lender(self, thorough=thorough)
        self.queues = {SEND_QUEUE: self.queue, DEAD_LETTERS: self.dead_letters}
        """By their URLs."""
        sqs = SqsApi(
            self.queues,
            self.chance,
            self._parks_refused,
            lambda: running().chain if running().batch else 0,
            self.writes.note_put,
        )
        apis = {
            "dynamodb": self.table,
            "ssm": self.parameters,
            "sqs": sqs,
            "events": self.events,
            "lambda": LambdaApi(self.refreshes.ask, self.refreshes.wait),
        }
        self.aws = Aws(
            apis,
            chance=self.chance,
            faults=self._faults,
            exchange=self.exchange,
            doubled=self.doubled.append,
            seen=self.seen,
        )
        self.unexpected_calls: list[str] = []
        """Calls to AWS that were not made as often as they must be, or succeeded without an answer."""

    @contextmanager
    def standing(self) -> Iterator[World]:
        """Lend the service this world's time, chance, threads and transports."""
        with self._lender.standing():
            yield self

    def hash_keys(self, at: float) -> list[bytes]:
        """The keys of openids' hashes that a process reads then: the current one, and those before it."""
        number = int(at - self.start) // 10
        return [f"key {each} for simulations".encode() for each in range(number, max(-1, number - 3), -1)]

    def key_source(self, sandbox: Sandbox) -> KeySource:
        """A process's keys. They are rotated by and by, so that two functions may have different ones."""
        return FakeHashKeys(*self.hash_keys(sandbox.born))

    def environment_of(self, _invocation: Invocation) -> dict[str, str]:
        """What a function's environment has that is not the same for all."""
        return {}

    def keep_tokens_fresh(self, wanted: Callable[[], bool]) -> None:
        """What the schedule does, for as long as it is wanted."""
        self.refreshes.keep_tokens_fresh(wanted)

    def exchange(
        self, operation: str, subject: str, seconds: float, effect: Callable[[], Any], *, early: bool = False
    ) -> Any:
        """One request and its answer: it may be killed before, between and after."""
        task = cast("Task", getcurrent())
        invocation = cast("Invocation", task.process)
        scheduler = self.scheduler
        invocation.point()
        existing = min(0.05, seconds / 2) if early else seconds / 2
        task.on_the_wire = effect
        scheduler.sleep(existing)
        task.on_the_wire = None
        answer = effect()
        self.history.note(
            f"{scheduler.now:.6f} {invocation.sandbox.name} {operation} {subject} {_gist(answer)}\n"
        )
        invocation.point()
        scheduler.sleep(seconds - existing)
        return answer

    def seen(self, where: str, text: str) -> None:
        """A text that leaves the service: no secret may stand in it."""
        if CANARY in text:
            self.leaks.append(f"{where}: {text[:2000]}")

    def _faults(self, service: str) -> Faults:
        for since, until, faults in self.outages[service]:
            if since <= self.scheduler.now < until:
                return faults
        return self.mix.faults.get(service, _FINE)

    def _lag(self) -> float:
        """Seconds by which a read of a parameter is behind.

        Not modelled: a new process that reads what was stored before it began, which takes it longer.
        """
        if self.chance.random() >= self.mix.stale:
            return 0.0
        return min(self.chance.uniform(0, MAX_STALE), self.scheduler.now - running().sandbox.born)

    def _parks_refused(self) -> float:
        now = self.scheduler.now
        bad = any(since <= now < until for since, until in self.bad_parks)
        return 0.3 if bad else self.mix.entries_lost


def _gist(answer: object) -> object:
    """What there is to note of an answer from AWS or WeChat."""
    if isinstance(answer, Exception):
        return type(answer).__name__
    return answer.get("errcode", "") if isinstance(answer, dict) else ""
