"""What arrived at the send endpoints."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, get_args

Outcome = Literal["accepted", "duplicate", "refused", "unanswered"]

_KEPT = 10_000
_KEPT_CHARACTERS = 32 * 1024 * 1024


@dataclass(slots=True)
class Arrival:
    """One request to a send endpoint.

    Attributes
    ----------
    outcome
        ``accepted``: a message went out. ``duplicate``: errcode 0, but ``client_msg_id`` had been sent
        before. ``refused``: an error code. ``unanswered``: a planted fault struck before WeChat looked.
    problems
        What is odd about the request, whether or not it was refused for it.
    """

    at: float
    path: str
    body: str
    app_id: str | None = None
    outcome: Outcome = "refused"
    errcode: int | None = None
    errmsg: str | None = None
    msgid: int | None = None
    fault: str | None = None
    problems: list[str] = field(default_factory=list)
    number: int = 0

    def listed(self) -> dict[str, Any]:
        """Its form in the control API."""
        return {
            "id": self.number,
            "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "app_id": self.app_id,
            "path": self.path,
            "body": self.body,
            "accepted": self.outcome == "accepted",
            "duplicate": self.outcome == "duplicate",
            "errcode": self.errcode,
            "errmsg": self.errmsg,
            "msgid": self.msgid,
            "fault": self.fault,
            "problems": self.problems,
        }


class Journal:
    """The newest arrivals, and exact counts of all. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._kept: deque[Arrival] = deque()
        self._kept_characters = 0
        self._number = 0
        self._counts: Counter[tuple[str | None, str, Outcome, int | None]] = Counter()

    def add(self, arrival: Arrival) -> None:
        """Record an arrival, dropping the oldest when there are too many."""
        self._number += 1
        arrival.number = self._number
        self._counts[arrival.app_id, arrival.path, arrival.outcome, arrival.errcode] += 1
        self._kept.append(arrival)
        self._kept_characters += len(arrival.body)
        while len(self._kept) > _KEPT or self._kept_characters > _KEPT_CHARACTERS:
            self._kept_characters -= len(self._kept.popleft().body)

    def clear(self) -> int:
        """Forget arrivals and counts; returns how many had arrived."""
        count = self._counts.total()
        self._kept.clear()
        self._kept_characters = 0
        self._counts.clear()
        return count

    def newest(
        self, limit: int, app_id: str | None = None, path: str | None = None
    ) -> tuple[int, list[Arrival]]:
        """How many arrived in all, and the newest of them that are kept."""
        total = sum(
            count
            for (of_app, of_path, _, _), count in self._counts.items()
            if app_id in (None, of_app) and path in (None, of_path)
        )
        matching = (
            arrival
            for arrival in reversed(self._kept)
            if app_id in (None, arrival.app_id) and path in (None, arrival.path)
        )
        return total, list(islice(matching, limit))

    def counts(self, app_id: str | None = None, path: str | None = None) -> dict[str, Any]:
        """How the arrivals of an app, at an endpoint, or all of them ended."""
        outcomes = dict.fromkeys(get_args(Outcome), 0)
        errcodes: Counter[str] = Counter()
        for (of_app, of_path, outcome, errcode), count in self._counts.items():
            if app_id in (None, of_app) and path in (None, of_path):
                outcomes[outcome] += count
                if errcode is not None:
                    errcodes[str(errcode)] += count
        return {"arrived": sum(outcomes.values()), **outcomes, "errcodes": dict(sorted(errcodes.items()))}

    def paths(self) -> list[str]:
        """The endpoints at which something arrived."""
        return sorted({path for _, path, _, _ in self._counts})
