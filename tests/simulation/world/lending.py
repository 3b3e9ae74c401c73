"""What the service is lent while a world stands: time, threads, chance, loggers and transports."""

from __future__ import annotations

import errno
import importlib
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, cast

import urllib3.connection
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import base as single_metrics
from aws_lambda_powertools.metrics.provider.cloudwatch_emf import cloudwatch

from tests.simulation.clients import WatchedClients
from tests.simulation.pool import Line, WireAdapter
from tests.simulation.scheduler import Lock, Pool
from tests.simulation.wechat import Wire
from tests.simulation.world.invocations import running
from tests.simulation.world.setting import ENVIRONMENT, GATEWAY_DROPS_AFTER
from wechat_notify import bootstrap, telemetry
from wechat_notify.aws.versioned_items import VersionedItems
from wechat_notify.settings import Settings
from wechat_notify.wechat.session import HttpSession

if TYPE_CHECKING:
    from tests.simulation.world.world import World

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")

_WRITERS = (cloudwatch, single_metrics)
"""The modules of Powertools that print metrics."""
_worlds = itertools.count(1)


class Lender:
    """Puts a world's stand-ins into the service's modules, and takes them out again."""

    def __init__(self, world: World, *, thorough: bool) -> None:
        self._world = world
        self._jitter = Random(f"{world.seed}/jitter")
        self._log_level = "INFO" if thorough else "WARNING"
        self._number = next(_worlds)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Lend them for a while."""
        world = self._world
        undo: list[Callable[[], None]] = []

        def put(owner: Any, name: str, value: Any) -> None:
            before = getattr(owner, name)
            undo.append(lambda: setattr(owner, name, before))
            setattr(owner, name, value)

        clock = SimpleNamespace(
            time=self.now,
            sleep=self._world.scheduler.sleep,
            perf_counter=self.now,
            monotonic=self._monotonic,
            gmtime=time.gmtime,
            strftime=time.strftime,
        )
        threads = SimpleNamespace(Lock=lambda: Lock(self._world.scheduler))
        lent = {
            id(time): clock,
            id(threading): threads,
            id(ThreadPoolExecutor): lambda max_workers: Pool(self._world.scheduler, max_workers),
        }
        for function in world.functions:
            importlib.import_module(function._handler)
        for module_name, module in sorted(sys.modules.items()):
            if module_name.partition(".")[0] not in {"wechat_notify", "functions"}:
                continue
            for name, value in list(vars(module).items()):
                if id(value) in lent:
                    put(module, name, lent[id(value)])
        for module_name in sorted(name for name in sys.modules if name.startswith(bootstrap.__name__)):
            module = sys.modules[module_name]
            for name, part in list(vars(module).items()):
                if hasattr(part, "cache_info"):
                    full = f"{module_name}.{name}".removeprefix(f"{bootstrap.__name__}.")
                    put(module, name, lambda name=full, make=part.__wrapped__: self._part(name, make))
        put(bootstrap, "_random", self._jitter)
        put(
            VersionedItems.__init__,
            "__kwdefaults__",
            {"now": self.now, "clock": self._monotonic, "sleep": self._world.scheduler.sleep},
        )
        for owner, name, value in world.lent:
            put(owner, name, value)
        wire = Wire(
            world.wechat,
            world.chance,
            network=lambda: world.mix.network,
            exchange=world.exchange,
            whose=running,
            asked=world.refreshes.asked_and_stored,
        )

        def session(*parts: Any, **named: Any) -> HttpSession:
            made = HttpSession(*parts, **named)
            made._session.mount("https://", WireAdapter(wire, self._connection))
            return made

        put(bootstrap, "HttpSession", session)
        put(
            urllib3.connection, "wait_for_read", lambda *_, **__: False
        )  # a forgotten connection says nothing
        for writer in _WRITERS:
            setattr(writer, "print", self._world.sink.print)  # noqa: B010 - a name that the module lacks
        try:
            yield
        finally:
            for writer in _WRITERS:
                delattr(writer, "print")
            for action in reversed(undo):
                action()
            self._forget_loggers()

    def now(self) -> float:
        """The time by the clock of whoever asks."""
        return self._world.scheduler.now + running().sandbox.skew

    def _monotonic(self) -> float:
        """The time by a clock that stands still while the process is frozen."""
        return self._world.scheduler.now - running().sandbox.frozen_for

    def _connection(self) -> Line:
        return Line(lambda: self._world.scheduler.now, self._judge_idle)

    def _judge_idle(self, seconds: float) -> None:
        if seconds > GATEWAY_DROPS_AFTER:
            self._world.dropped.append(
                f"{running().name} after {seconds:.0f} s at {self._world.scheduler.now:.3f}"
            )
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    def _part(self, name: str, make: Callable[[], Any]) -> Any:
        parts = running().sandbox.parts
        if name not in parts:
            match name:
                case "settings":
                    parts[name] = Settings(
                        {
                            **ENVIRONMENT,
                            **self._world.environment_of(running()),
                        }
                    )
                case "hash_keys":
                    parts[name] = self._world.key_source(running().sandbox)
                case "telemetry":
                    parts[name] = telemetry.Telemetry(self._logger())
                case "aws":
                    parts[name] = self._clients()
                case _:
                    parts[name] = make()
        return parts[name]

    def _clients(self) -> WatchedClients:
        return WatchedClients(
            self._world.aws,
            unexpected_calls=self._world.unexpected_calls.append,
            given_up=self._world.writes.note_given_up,
            clock=self._monotonic,
            sleep=self._world.scheduler.sleep,
            jitter=self._jitter.uniform,
        )

    def _logger(self) -> Logger:
        # Loggers of one name share their fields; every process has its own.
        name = f"simulation-{self._number}-{running().sandbox.name}"
        return Logger(
            service=name,
            stream=cast("IO[str]", self._world.sink),
            level=self._log_level,
            utc=True,
            use_rfc3339=True,
        )

    def _forget_loggers(self) -> None:
        known = logging.Logger.manager.loggerDict
        for name in [name for name in known if name.startswith(f"simulation-{self._number}-")]:
            del known[name]
