"""What is kept of a run: its history, what the service wrote to its logs, writes that were given up."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.world.setting import CANARY

if TYPE_CHECKING:
    from tests.simulation.world.invocations import Invocation


class History:
    """A hash over all that happened, so that two runs can be compared."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.events = 0

    def note(self, line: str) -> None:
        self.events += 1
        self._hash.update(line.encode())

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Sink(io.TextIOBase):
    """Where log lines and metrics go: searched and forgotten."""

    def __init__(self, seen: Callable[[str, str], None]) -> None:
        super().__init__()
        self.problems: list[str] = []
        self._seen = seen

    def write(self, text: str) -> int:
        if CANARY in text:
            self._seen("a log line or a metric", text)
        # Nothing of the service's is expected to fail in a way that nobody foresaw.
        if '"internal_error"' in text or "not reported" in text or "invocation failed" in text:
            self.problems.append(text)
        return len(text)

    def print(self, text: str) -> None:
        self.write(text)


class GivenUp(NamedTuple):
    """A write of an entry of which nobody knows whether it was stored."""

    at: float
    status: str
    invocation: Invocation
