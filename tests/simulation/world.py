"""The service's real handlers, adapters and core between fakes of AWS and WeChat, in one thread.

Every invocation runs in a sandbox of its own that ``bootstrap`` fills, as a Lambda process would be: its
token cache, its circuits, its clock. Nothing is real but the code: time, threads, chance and the transports
to AWS and WeChat are lent by the world while it stands.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import itertools
import json
import logging
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import IO, Any, NamedTuple, cast

import urllib3.connection
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import base as single_metrics
from aws_lambda_powertools.metrics.provider.cloudwatch_emf import cloudwatch
from greenlet import getcurrent

from tests.simulation.aws import MAX_STALE, EventsApi, FakeParameters, LambdaApi, SqsApi
from tests.simulation.clients import Aws, WatchedClients, Weather
from tests.simulation.dynamodb import FakeDynamoDb
from tests.simulation.pool import Line, WireAdapter
from tests.simulation.scheduler import Killed, Lock, Pool, Process, Scheduler, Task
from tests.simulation.sqs import FakeSqs, Stored, records, succeeded
from tests.simulation.wechat import FakeWeChat, Network, Wire
from wechat_notify import bootstrap, telemetry
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.settings import Settings
from wechat_notify.wechat.session import HttpSession

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")

START = 1772375400.0
"""2026-03-01 22:30 in Beijing: a daily quota that is reached holds for an hour and a half."""
EARLY_START = START - 4 * 3600.0
"""Where one world in four begins: a quota holds for more rounds than Lambda has patience with a loop."""
MIDNIGHT = START + 5400.0
LATE_RESET = 1200.0
"""Seconds after midnight at which every other world's daily quotas start again."""
MAX_CHAIN = 16
"""Invocations in one chain, after which Lambda takes it for a loop."""
GATEWAY_DROPS_AFTER = 60.0
"""Seconds after which a gateway forgets an idle connection, and tells nobody."""
_SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
_TEMPLATE = Path(__file__).parents[2] / "template.yaml"
CANARY = "CANARY"
"""Stands in every secret, token and openid, and in the text of every error that a library raises."""
PATH = "/wechat-notify/simulation/accounts"
TABLE = "ledger"
SEND_QUEUE, DEAD_LETTERS = "https://sqs/send", "https://sqs/dead"
_ENVIRONMENT = {
    "PARAMETER_PATH": PATH,
    "WECHAT_API_BASE": "https://api.weixin.qq.com",
    "TOKEN_REFRESH_FUNCTION": "token-refresh",
    "SEND_QUEUE_URL": SEND_QUEUE,
    "DEAD_LETTER_QUEUE_URL": DEAD_LETTERS,
    "LEDGER_TABLE": TABLE,
    "LEDGER_RETENTION_DAYS": "30",
    "EVENT_BUS_NAME": "default",
    "QUOTA_RESET": "00:00+08:00",
}
BATCH_SIZE = 10
QUEUE_WORKERS = 10
MAX_RECEIVES = 1000
TIMEOUTS = {"SendQueueFunction": 67.0, "SendApiFunction": 29.0, "TokenRefreshFunction": 120.0}
"""Seconds, as the template has them."""
SEND_QUEUE_FUNCTION = "send-queue"
MAX_SKEW = 60.0
"""Seconds by which a clock may be wrong."""
_FINAL = frozenset({"sent", "expired", "cancelled"})
_FINE = Weather()
OUTAGE = Weather(throttled=0.9, request_lost=0.02, answer_lost=0.05)
DOWN = Weather(throttled=1.0)
DEAF = Weather(answer_lost=1.0)
"""It does what it is asked and nobody hears of it."""
_WRITERS = (cloudwatch, single_metrics)
"""The modules of Powertools that print metrics."""
_POLL = 0.02
_SCHEDULE = 300.0
_worlds = itertools.count(1)


@dataclass(frozen=True)
class Mix:
    """How often what goes wrong, as shares of calls, messages or invocations."""

    network: Network = field(default_factory=Network)
    weather: dict[str, Weather] = field(default_factory=dict)
    entries_lost: float = 0.0
    ghosts: float = 0.0
    killed: float = 0.0
    clock_skew: float = 0.0
    stale: float = 0.0


CALM = Mix()
BREEZY = Mix(entries_lost=0.05, stale=0.5)
"""Until the daily quotas start again, when nothing else goes wrong."""
STORMY = Mix(
    Network(
        unreachable=0.005,
        timeout_before=0.02,
        timeout_after=0.01,
        reset=0.01,
        server_error=0.02,
        truncated=0.002,
        busy=0.03,
        template_refused=0.001,
        unknown_code=0.0005,
        too_often=0.001,
        duplicate_refused=0.3,
    ),
    {
        "dynamodb": Weather(throttled=0.02, request_lost=0.001, answer_lost=0.002),
        "ssm": Weather(throttled=0.01, request_lost=0.001, answer_lost=0.002),
        "sqs": Weather(throttled=0.005, request_lost=0.001, answer_lost=0.002),
        "events": Weather(throttled=0.01, request_lost=0.001, answer_lost=0.002),
        "lambda": Weather(throttled=0.01, request_lost=0.01, answer_lost=0.01),
    },
    entries_lost=0.01,
    ghosts=0.02,
    killed=0.005,
    clock_skew=60.0,
    stale=0.5,
)


class History:
    """A hash over all that happened, so that two runs can be compared, and the last lines to be read."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.events = 0
        self.lines: list[str] | None = None

    def note(self, line: str) -> None:
        self.events += 1
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Sink(io.TextIOBase):
    """Where log lines and metrics go: searched, counted and forgotten."""

    def __init__(self, seen: Callable[[str, str], None]) -> None:
        super().__init__()
        self.lines = 0
        self.problems: list[str] = []
        self._seen = seen

    def write(self, text: str) -> int:
        self.lines += 1
        if CANARY in text:
            self._seen("a log line or a metric", text)
        # Nothing of the service's is expected to fail in a way that nobody foresaw.
        if '"internal_error"' in text or "not reported" in text or "invocation failed" in text:
            self.problems.append(text)
        return len(text)

    def print(self, text: str) -> None:
        self.write(text)


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

    aws_request_id = "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"
    function_name = "function"

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

    def doom(self) -> None:
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
        self.world.scheduler.at(self.world.scheduler.now, self.bury)
        raise Killed

    def bury(self) -> None:
        """What is left to do for a dead process: what was on the wire may still arrive."""
        if self.ended:
            return
        self.ended = True
        self.world.burying = self
        for task in self.tasks:
            effect = task.on_the_wire
            if effect is not None and self.world.chance.random() < 0.5:
                with suppress(Exception):  # nobody hears of it
                    effect()
            task.on_the_wire = None
        self.world.burying = None
        self.world.last_points = self.points
        self.world.killed(self)
        self.world.scheduler.kill(self)
        self.on_end(self, DEAD)


DEAD = object()
"""What came of an invocation that was killed, ran out of time or raised."""


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
            self._world.timeouts += 1
            invocation.dead = True
            invocation.bury()

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


class Mapping:
    """The event source mapping: batches of the send queue for the function, while there is room."""

    def __init__(self, world: World, function: Function) -> None:
        self._world = world
        self._function = function
        self._next: float | None = None

    def kick(self) -> None:
        """Look at the queue soon."""
        self._poll_at(self._world.scheduler.now + _POLL)

    def _poll_at(self, when: float) -> None:
        if self._next is None or when < self._next:
            self._next = when
            self._world.scheduler.at(when, lambda: self._poll(when))

    def _poll(self, when: float) -> None:
        if self._next != when:
            return
        self._next = None
        world = self._world
        while self._function.room:
            batch = world.queue.receive(BATCH_SIZE, world.chance, world.mix.ghosts)
            if not batch:
                break
            self._hand_over(batch)
        due = world.queue.next_visible_at()
        if due is not None and self._function.room:
            self._poll_at(max(due, world.scheduler.now + _POLL))

    def _hand_over(self, handed_out: Sequence[Stored]) -> None:
        # What Lambda takes for a loop is not handed over; its visibility timeout goes by for nothing.
        # https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
        allowed = self._world.loops_allowed
        batch = [stored for stored in handed_out if allowed or stored.chain < MAX_CHAIN]
        self._world.loops_stopped += len(handed_out) - len(batch)
        if not batch:
            return
        receipts = [stored.receipt or "" for stored in batch]

        def ended(_: Invocation, answer: Any) -> None:
            if answer is DEAD:  # what it parked, or finished, comes again
                self._world.doubled += [stored.body for stored in batch]
            else:
                for receipt in succeeded(batch, receipts, answer):
                    self._world.queue.delete(receipt)
            self.kick()

        begun = self._function.invoke({"Records": records(batch)}, ended, [stored.id for stored in batch])
        assert begun
        begun.chain = 1 + max(stored.chain for stored in batch)
        begun.batch = [(stored.number, stored.body) for stored in batch]


class World:
    """Everything, from one seed."""

    def __init__(self, seed: int | str, mix: Mix = STORMY, *, thorough: bool = True) -> None:
        self.seed = seed
        self.mix = mix
        is_early = isinstance(seed, int) and seed % 4 == 1
        self.start = EARLY_START if is_early else START
        late = LATE_RESET if isinstance(seed, int) and seed % 2 else 0.0
        self.reset = MIDNIGHT + late
        """When the daily quotas start again."""
        self.loops_allowed = loops_allowed(template())
        self.loops_stopped = 0
        self.chance = Random(f"{seed}/chance")
        self.scheduler = Scheduler(self.start)
        self.history = History()
        self.leaks: list[str] = []
        self.raised: list[str] = []
        self.sink = Sink(self.seen)
        self.timeouts = 0
        self.last_points = 0
        """The points that the last process that was killed had come by."""
        self.killed_with: dict[str, list[float]] = defaultdict(list)
        """When a worker was killed that had written a message's entry, by the entry's key."""
        self.unrecorded: dict[str, list[GivenUp]] = defaultdict(list)
        """The writes of an entry that were given up, by the entry's key."""
        self.doubled: list[str] = []
        """Texts that hold the messages of which there may be two copies: requests to SQS that were repeated
        because their answer was lost, and batches whose worker was killed."""
        self.outages: dict[str, list[tuple[float, float, Weather]]] = defaultdict(list)
        """From when to when a service takes hardly any request."""
        self.bad_parks: list[tuple[float, float]] = []
        """From when to when many entries of a batch are refused by SQS."""
        self.dropped: list[str] = []
        """Requests that went over a connection that a gateway had forgotten."""
        self.circuits_stored: list[tuple[float, dict[str, Any]]] = []
        self.written_by_http: dict[str, Any] = {}
        self.table = FakeDynamoDb(self.chance, lambda: self.mix.entries_lost)
        self.parameters = FakeParameters(lambda: self.scheduler.now, self._lag)
        self.dead_letters = FakeSqs(self.scheduler, "dead")
        self.queue = FakeSqs(
            self.scheduler, "send", dead_letters=self.dead_letters, receives_most=MAX_RECEIVES
        )
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
        self.mapping = Mapping(self, self.send_queue)
        self.queue.on_arrival = self.mapping.kick
        self.table.on_write = self._judge_write
        self.illegal: list[str] = []
        """Writes to the ledger that may not be."""
        self._holders: dict[str, Invocation] = {}
        self.burying: Invocation | None = None
        self._jitter = Random(f"{seed}/jitter")
        self._log_level = "INFO" if thorough else "WARNING"
        self._number = next(_worlds)
        sqs = SqsApi(
            {SEND_QUEUE: self.queue, DEAD_LETTERS: self.dead_letters},
            self.chance,
            self._parks_refused,
            lambda: _running().chain if SEND_QUEUE_FUNCTION in _running().name else 0,
            self._note_put,
        )
        apis = {
            "dynamodb": self.table,
            "ssm": self.parameters,
            "sqs": sqs,
            "events": self.events,
            "lambda": LambdaApi(self._ask, self._await),
        }
        self.aws = Aws(
            apis,
            chance=self.chance,
            weather=self._weather,
            exchange=self.exchange,
            doubled=self.doubled.append,
            seen=self.seen,
        )
        self.misdone: list[str] = []
        """Calls to AWS that were not made as often as they must be, or succeeded without an answer."""
        self.refreshes_scheduled = 0
        self.refreshes_asked = 0

    # ------------------------------------------------------------ what the service is lent

    @contextmanager
    def standing(self) -> Iterator[World]:
        """Lend the service this world's time, chance, threads and transports."""
        undo: list[Callable[[], None]] = []

        def put(owner: Any, name: str, value: Any) -> None:
            before = getattr(owner, name)
            undo.append(lambda: setattr(owner, name, before))
            setattr(owner, name, value)

        clock = SimpleNamespace(
            time=self.now,
            sleep=self.scheduler.sleep,
            perf_counter=self.now,
            monotonic=self._monotonic,
            gmtime=time.gmtime,
            strftime=time.strftime,
        )
        threads = SimpleNamespace(Lock=lambda: Lock(self.scheduler))
        lent = {
            time: clock,
            threading: threads,
            ThreadPoolExecutor: lambda max_workers: Pool(self.scheduler, max_workers),
        }
        for function in (self.send_queue, self.send_api, self.token_refresh):
            importlib.import_module(function._handler)
        for module_name, module in sorted(sys.modules.items()):
            if module_name.partition(".")[0] not in {"wechat_notify", "functions"}:
                continue
            for name, value in list(vars(module).items()):
                for real, stand_in in lent.items():
                    if value is real:
                        put(module, name, stand_in)
        for name, part in list(vars(bootstrap).items()):
            if hasattr(part, "cache_info"):
                put(bootstrap, name, lambda name=name, make=part.__wrapped__: self._part(name, make))
        put(bootstrap, "_random", self._jitter)
        put(
            LedgerTable.__init__,
            "__kwdefaults__",
            {"now": self.now, "clock": self._monotonic, "sleep": self.scheduler.sleep},
        )
        wire = Wire(
            self.wechat,
            self.chance,
            network=lambda: self.mix.network,
            exchange=self.exchange,
            whose=_running,
            asked=self._asked_and_stored,
        )

        def session(base_url: str, **named: Any) -> HttpSession:
            made = HttpSession(base_url, **named)
            made._session.mount("https://", WireAdapter(wire, self._connection))
            return made

        put(bootstrap, "HttpSession", session)
        put(
            urllib3.connection, "wait_for_read", lambda *_, **__: False
        )  # a forgotten connection says nothing
        for writer in _WRITERS:
            setattr(writer, "print", self.sink.print)  # noqa: B010 - a name that the module lacks
        try:
            yield self
        finally:
            for writer in _WRITERS:
                delattr(writer, "print")
            for action in reversed(undo):
                action()
            self._forget_loggers()

    def now(self) -> float:
        """The time by the clock of whoever asks."""
        return self.scheduler.now + _running().sandbox.skew

    def _monotonic(self) -> float:
        """The time by a clock that stands still while the process is frozen."""
        return self.scheduler.now - _running().sandbox.frozen_for

    def _connection(self) -> Line:
        return Line(lambda: self.scheduler.now, self._judge_idle)

    def _judge_idle(self, seconds: float) -> None:
        if seconds > GATEWAY_DROPS_AFTER:
            self.dropped.append(f"{_running().name} after {seconds:.0f} s at {self.scheduler.now:.3f}")
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    def _lag(self) -> float:
        """Seconds by which a read of a parameter is behind.

        Not modelled: a new process that reads what was stored before it began, which takes it longer.
        """
        if self.chance.random() >= self.mix.stale:
            return 0.0
        return min(self.chance.uniform(0, MAX_STALE), self.scheduler.now - _running().sandbox.born)

    def _parks_refused(self) -> float:
        now = self.scheduler.now
        bad = any(since <= now < until for since, until in self.bad_parks)
        return 0.3 if bad else self.mix.entries_lost

    def _part(self, name: str, make: Callable[[], Any]) -> Any:
        parts = _running().sandbox.parts
        if name not in parts:
            match name:
                case "settings":
                    # Replaced by and by, so that two functions may have different ones.
                    number = int(_running().sandbox.born - self.start) // 10
                    parts[name] = Settings(
                        {**_ENVIRONMENT, "OPENID_HASH_KEY": f"key {number} for simulations"}
                    )
                case "telemetry":
                    parts[name] = telemetry.Telemetry(self._logger())
                case "aws":
                    parts[name] = self._clients()
                case _:
                    parts[name] = make()
        return parts[name]

    def _clients(self) -> WatchedClients:
        return WatchedClients(
            self.aws,
            misdone=self.misdone.append,
            given_up=self._note_given_up,
            clock=self._monotonic,
            sleep=self.scheduler.sleep,
            jitter=self._jitter.uniform,
        )

    def _note_given_up(self, item: dict[str, Any]) -> None:
        given_up = GivenUp(self.scheduler.now, item["status"]["S"] if "status" in item else "", _running())
        self.unrecorded[item["pk"]["S"]].append(given_up)

    def _logger(self) -> Logger:
        # Loggers of one name share their fields; every process has its own.
        name = f"simulation-{self._number}-{_running().sandbox.name}"
        return Logger(
            service=name, stream=cast("IO[str]", self.sink), level=self._log_level, utc=True, use_rfc3339=True
        )

    def _forget_loggers(self) -> None:
        known = logging.Logger.manager.loggerDict
        for name in [name for name in known if name.startswith(f"simulation-{self._number}-")]:
            del known[name]

    # ------------------------------------------------------------ time, and how it ends

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

    def _weather(self, service: str) -> Weather:
        for since, until, weather in self.outages[service]:
            if since <= self.scheduler.now < until:
                return weather
        return self.mix.weather.get(service, _FINE)

    def _judge_write(self, key: str, existing: dict[str, Any] | None, item: dict[str, Any] | None) -> None:
        """Hold a write against the rules of the ledger, which are written down here once more."""
        if not key.startswith("message#"):
            assert item is not None
            self.circuits_stored.append((self.scheduler.now, item))
            return
        if item is None:
            self.illegal.append(f"{key} was deleted")
            return
        was, version, reason = None, 0, None
        if existing is not None:
            was, version = existing["status"]["S"], int(existing["version"]["N"])
            reason = existing["reason"]["S"] if "reason" in existing else None
        status = item["status"]["S"]
        if int(item.get("attempts", {}).get("N", "0")) < 0:
            self.illegal.append(f"{key} has {item['attempts']['N']} attempts")
        if int(item["version"]["N"]) != version + 1:
            self.illegal.append(f"{key} v{version} -> v{item['version']['N']}")
        refused = existing is not None and existing["attempts"]["N"] == "0" and reason != "retries_exhausted"
        if was in _FINAL or (was == "failed" and reason != "try_again" and not refused):
            self.illegal.append(f"{key} {was} -> {status}")
        running = self.burying or getattr(getcurrent(), "process", None)
        if isinstance(running, Invocation):
            running.written.append(key)
            if running.world.send_api.name in running.sandbox.name:
                self.written_by_http.setdefault(key, running.subject)
        holder = self._holders.pop(key, None)
        if (
            was == "sending"
            and holder is not None
            and not holder.ended
            and holder is not running
            # Two clocks that differ by more than they may.
            and not (isinstance(running, Invocation) and abs(running.skew - holder.skew) > 2 * MAX_SKEW)
        ):
            self.illegal.append(f"{key} was taken from somebody alive")
        if status == "sending" and isinstance(running, Invocation):
            self._holders[key] = running

    def _note_put(self, body: str) -> None:
        """Note whose message an HTTP request puts on the queue: its id may be the service's, and unheard."""
        running = self.burying or getattr(getcurrent(), "process", None)
        if isinstance(running, Invocation) and self.send_api.name in running.sandbox.name:
            envelope = json.loads(body)
            key = f"message#{envelope['account']}#{envelope['id']}"
            self.written_by_http.setdefault(key, running.subject)

    def killed(self, invocation: Invocation) -> None:
        """Note whose messages a killed worker may have been at."""
        for key in invocation.written:
            self.killed_with[key].append(self.scheduler.now)

    def _asked_and_stored(self, account: str) -> tuple[bool, str | None]:
        """Whether a sender asked for this refresh, and the token that was stored before it began."""
        running = _running()
        name = f"{PATH}/{account}/access-token"
        stored = self.parameters.stored_at.get(name)
        found = stored is not None and stored < running.began - MAX_STALE
        token = json.loads(self.parameters.values[name])["value"] if found else None
        return running.subject == "asked", token

    def seen(self, where: str, text: str) -> None:
        """A text that leaves the service: no secret may stand in it."""
        if CANARY in text:
            self.leaks.append(f"{where}: {text[:2000]}")

    # ------------------------------------------------------------ the refresher

    def _ask(self, event: dict[str, Any]) -> object | None:
        self.refreshes_asked += 1
        asked = _Asked()

        def ended(_: Invocation, answer: Any) -> None:
            asked.answer = (answer is DEAD, None if answer is DEAD else answer)
            if asked.waiter is not None:
                waiter, asked.waiter = asked.waiter, None
                waiter.switch()

        return asked if self.token_refresh.invoke(event, ended, "asked") else None

    def _await(self, asked: object, seconds: float) -> Any:
        assert isinstance(asked, _Asked)
        task = getcurrent()
        assert isinstance(task, Task)
        if asked.answer is None:
            asked.waiter = task

            def give_up() -> None:
                if asked.waiter is task:
                    asked.waiter = None
                    task.switch()

            self.scheduler.at(self.scheduler.now + seconds, give_up)
            self.scheduler.park()
        _running().point()
        return asked.answer

    def keep_tokens_fresh(self, wanted: Callable[[], bool]) -> None:
        """What the schedule does, for as long as it is wanted."""

        def run() -> None:
            if wanted():
                self.refreshes_scheduled += 1
                began = self.token_refresh.invoke(_SCHEDULED, lambda *_: None)
                # Lambda tries a throttled asynchronous invocation again.
                self.scheduler.at(self.scheduler.now + (_SCHEDULE if began else 20.0), run)

        run()


class GivenUp(NamedTuple):
    """A write of an entry of which nobody knows whether it was stored."""

    at: float
    status: str
    invocation: Invocation


def template() -> str:
    """What is deployed."""
    return _TEMPLATE.read_text("utf-8")


@cache
def loops_allowed(text: str) -> bool:
    """Whether the function that sends may put messages on its own queue for as long as it takes.

    Read as text: a parser of CloudFormation takes longer to load than a world takes.
    """
    function = re.search(r"^  SendQueueFunction:\n((?: {4}.*\n|\n)+)", text, re.MULTILINE)
    assert function
    return re.search(r"^ {6}RecursiveLoop:.*\bAllow\b", function[1], re.MULTILINE) is not None


def _running() -> Invocation:
    # Asked at every turn, so without a look at what it is.
    return cast("Invocation", cast("Task", getcurrent()).process)


def _gist(answer: object) -> object:
    """What there is to note of an answer from AWS or WeChat."""
    if isinstance(answer, Exception):
        return type(answer).__name__
    return answer.get("errcode", "") if isinstance(answer, dict) else ""


@dataclass
class _Asked:
    answer: Any = None
    waiter: Task | None = None
