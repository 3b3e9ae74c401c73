"""What was measured: rounds, their median and spread, and the ratio to a peer of the same round."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """A median with the least and the most of its rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Spread:
        """The spread of these rounds."""
        return cls(statistics.median(rounds), min(rounds), max(rounds))


@dataclass(frozen=True)
class Comparison:
    """One thing that several subjects did in the same rounds.

    ``rounds`` has each subject's values in the order of the rounds; ``peer`` is the subject that ratios
    are taken against. ``baselines`` says of a subject that another one is its peer.
    """

    section: str
    case: str
    unit: str
    peer: str
    rounds: Mapping[str, Sequence[float]]
    note: str = ""
    baselines: Mapping[str, str] = field(default_factory=dict)

    def value(self, subject: str) -> Spread:
        """A subject's value."""
        return Spread.of(self.rounds[subject])

    def peer_of(self, subject: str) -> str:
        """Whom a subject is compared with."""
        return self.baselines.get(subject, self.peer)

    def ratio(self, subject: str) -> Spread | None:
        """A subject's ratio to its peer, round by round; None where the peer did not take part."""
        peer = self.rounds.get(self.peer_of(subject))
        if not peer or not all(peer):
            return None
        return Spread.of([mine / theirs for mine, theirs in zip(self.rounds[subject], peer, strict=True)])


@dataclass(frozen=True)
class Results:
    """One run: the machine, how it was measured, and everything that was."""

    machine: Mapping[str, Any]
    method: Mapping[str, Any]
    comparisons: Sequence[Comparison]

    def as_json(self) -> dict[str, Any]:
        """The run as it is written to a file."""
        return {
            "machine": self.machine,
            "method": self.method,
            "comparisons": [_rounded(asdict(comparison)) for comparison in self.comparisons],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Results:
        """A run as it was written to a file."""
        return cls(
            document["machine"],
            document["method"],
            [Comparison(**comparison) for comparison in document["comparisons"]],
        )

    def find(self, section: str, case: str) -> Comparison | None:
        """One comparison, None where it was left out."""
        found = (each for each in self.comparisons if (each.section, each.case) == (section, case))
        return next(found, None)


def _rounded(comparison: dict[str, Any]) -> dict[str, Any]:
    """Five significant digits: more would be noise in the history of a committed file."""
    rounds = {
        subject: [float(f"{value:.5g}") for value in values]
        for subject, values in comparison["rounds"].items()
    }
    return {**comparison, "rounds": rounds}


def machine() -> dict[str, Any]:
    """Of this machine what a reader can use: neither its name nor anybody else's."""
    model = "unknown"
    megabytes = 0
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            megabytes = int(line.split()[1]) // 1024
            break
    return {
        "processor": model,
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": megabytes,
        "kernel": platform.release().partition("-")[0],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
