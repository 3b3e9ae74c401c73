"""WeChat in a process of its own, on the service's clock, and what it saw: the run's only witness.

``python -m tests.chaos.wechat DESCRIPTOR SEED APPID=SECRET...`` is that process. It is one of its own so
that it shares no interpreter lock with the service: what is late there must not be late here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import requests

from local.processes import Child
from local.simulator.server import Simulator
from tests.chaos.clock import SIZE, Clock

_PAGE = 10_000
"""The newest that WeChat's journal keeps, and lists at once."""
_MAX_START = 20.0
_NUMBER = re.compile("no([0-9]+)")


def marked(number: int) -> str:
    """The text by which a message is known wherever it turns up, escaped or not."""
    return f"消息no{number}"


def number_in(body: str) -> int | None:
    """Which message a body is."""
    found = _NUMBER.search(body)
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call to a send endpoint, as WeChat's journal has it."""

    number: int | None
    at: float
    app_id: str | None
    path: str
    body: str
    accepted: bool
    errcode: int | None
    fault: str | None


class WeChatProcess:
    """The simulator in its process."""

    def __init__(self, apps: Mapping[str, str], *, now: float, speed: float, seed: int) -> None:
        self._begin = (now, speed)
        with tempfile.TemporaryFile() as shared:
            shared.truncate(SIZE)
            self.clock = Clock(shared.fileno())
            self.clock.start(*self._begin)
            named = [f"{app_id}={secret}" for app_id, secret in apps.items()]
            command = ["tests.chaos.wechat", str(shared.fileno()), str(seed), *named]
            self._child = Child("simulator", command, os.environ)
            self._child.start(pass_fds=[shared.fileno()])
        self._session = requests.Session()
        self._session.trust_env = False
        self._lock = threading.Lock()
        self.arrivals: list[Arrival] = []
        self._seen = 0
        try:
            self.url = self._address()
        except BaseException:
            self.stop()
            raise

    def _address(self) -> str:
        deadline = time.monotonic() + _MAX_START
        while time.monotonic() < deadline:
            self._child.check()
            said = self._child.output()
            if "\n" in said:
                return str(json.loads(said)["url"])
            time.sleep(0.01)
        raise TimeoutError("the simulator says nothing")

    def tell(self, order: str, **body: object) -> None:
        """Give the simulator an order."""
        with self._lock:
            self._session.post(f"{self.url}/_sim/{order}", json=body, timeout=10).raise_for_status()

    def ask(self, path: str) -> Any:
        """What the simulator's control API answers."""
        with self._lock:
            answer = self._session.get(f"{self.url}/_sim/{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def look(self) -> None:
        """Take over what has arrived since the last time: the journal keeps the newest only."""
        total = self.ask("messages?limit=0")["total"]
        # What arrives between the two questions is newer, and would push out the oldest.
        limit = min(_PAGE, total - self._seen + _PAGE // 10)
        new = [line for line in self.ask(f"messages?limit={limit}")["messages"] if line["id"] > self._seen]
        assert not new or new[-1]["id"] == self._seen + 1, "the journal has forgotten what nobody has read"
        self._seen += len(new)
        self.arrivals += map(_arrival, reversed(new))

    def reset(self) -> None:
        """Be as new, the time included."""
        self.tell("reset")
        self.clock.start(*self._begin)
        self.arrivals, self._seen = [], 0

    def stop(self) -> None:
        """End the process."""
        self._session.close()
        self._child.stop()
        self.clock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _arrival(line: Mapping[str, Any]) -> Arrival:
    return Arrival(
        number_in(line["body"]),
        datetime.fromisoformat(line["time"]).timestamp(),
        line["app_id"],
        line["path"],
        line["body"],
        line["accepted"],
        line["errcode"],
        line["fault"],
    )


def main(descriptor: str, seed: str, *apps: str) -> None:
    """Answer until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    clock = Clock(int(descriptor))
    secrets = dict(app.split("=", 1) for app in apps)
    with Simulator(secrets, seed=int(seed), clock=clock.now) as simulator:
        sys.stdout.write(json.dumps({"url": simulator.url}) + "\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
