"""What was measured: rounds, their median and spread, and the ratio to a peer of the same round."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

PRODUCT = "wechat_notify"
NAIVE = "naive"
IDEMPOTENT = "naive, idempotent"
LATEST = Path(__file__).parent / "results" / "latest.json"


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

    ``rounds`` has each subject's values in the order of the rounds. The last subject is the peer.
    """

    section: str
    case: str
    unit: str
    rounds: Mapping[str, Sequence[float]]
    note: str = ""

    @classmethod
    def of(
        cls,
        section: str,
        case: str,
        unit: str,
        took: Mapping[str, Sequence[Mapping[str, float]]],
        *,
        field: str = "cpu",
        note: str = "",
    ) -> Comparison:
        """Compare one field of what the subjects answered, which is in seconds where the unit is of time.

        Five significant digits are kept: more would be noise in the history of a committed file.
        """
        factor = {"µs": 1e6, "ms": 1e3}.get(unit, 1.0)
        rounds = {
            subject: [float(f"{factor * answer[field]:.5g}") for answer in answers]
            for subject, answers in took.items()
        }
        return cls(section, case, unit, rounds, note)

    def value(self, subject: str = PRODUCT) -> Spread:
        """A subject's value."""
        return Spread.of(self.rounds[subject])

    def ratio(self, subject: str = PRODUCT) -> Spread | None:
        """A subject's ratio to the peer, round by round; None for the peer itself."""
        peer = list(self.rounds)[-1]
        if subject == peer or not all(self.rounds[peer]):
            return None
        pairs = zip(self.rounds[subject], self.rounds[peer], strict=True)
        return Spread.of([mine / theirs for mine, theirs in pairs])


@dataclass(frozen=True)
class Results:
    """One run: the machine, how it was measured, and everything that was."""

    machine: Mapping[str, Any]
    method: Mapping[str, Any]
    comparisons: Sequence[Comparison]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Results:
        """A run as it was written to a file."""
        comparisons = [Comparison(**comparison) for comparison in document["comparisons"]]
        return cls(document["machine"], document["method"], comparisons)

    def as_json(self) -> dict[str, Any]:
        """The run as it is written to a file."""
        return asdict(self)

    def find(self, section: str, case: str) -> Comparison | None:
        """One comparison, None where it was left out."""
        found = (each for each in self.comparisons if (each.section, each.case) == (section, case))
        return next(found, None)


def load(path: Path = LATEST) -> Results:
    """A run that was written to a file."""
    return Results.from_json(json.loads(path.read_text(encoding="utf-8")))


def save(results: Results, path: Path) -> None:
    """Write a run to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def number(value: float) -> str:
    """Three significant digits, or whole where it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - thousands are marked


def machine() -> dict[str, Any]:
    """Of this machine what a reader can use: neither its name nor anybody else's."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return {
        "processor": processors.partition("model name")[2].partition("\n")[0].strip("\t :") or "unknown",
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
