"""What is known of a run that is over, and where broken promises are noted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.aws.dynamodb import plain
from tests.simulation.wechat import Accepted, Attempt
from tests.simulation.workload import Ask, Workload
from tests.simulation.world.records import GivenUp
from tests.simulation.world.setting import SEND_QUEUE_FUNCTION, TABLE
from tests.simulation.world.world import World

REJECTED = frozenset({40001, 40014, 42001, 48012})
"""Codes by which WeChat rejects a token."""


@dataclass
class Report:
    """What was counted, and which promises were broken."""

    counts: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Evidence:
    """One run: what was asked for, what the ledger says, and WeChat's own log."""

    def __init__(self, world: World, workload: Workload) -> None:
        self.world = world
        self.workload = workload
        self.report = Report()
        self.entries: dict[str, dict[str, Any]] = {}
        self.accepted: dict[str, list[Accepted]] = defaultdict(list)
        self.attempts: dict[str, list[Attempt]] = defaultdict(list)
        for key, item in self.world.table.tables.get(TABLE, {}).items():
            if key.startswith("message#"):
                self.entries[key] = plain(item, but="timeline")
        for accepted in self.world.wechat.accepted:
            self.accepted[accepted.marker].append(accepted)
        for attempt in self.world.wechat.attempts:
            self.attempts[attempt.marker].append(attempt)

    def breaks(self, promise: str, what: object) -> None:
        """Note that a promise was broken, and by what."""
        self.report.broken.append(f"{promise}: {what}")

    def ask_of(self, marker: str) -> Ask | None:
        """Who asked for the message that carries a marker."""
        number = int(marker[1:]) if marker[1:].isdigit() else -1
        return self.workload.asks[number] if 0 <= number < len(self.workload.asks) else None

    def unrecorded(self, key: str) -> int:
        """The writes of an entry that nobody can undo.

        Not a claim that was given up by a process that came to work again while the claim lasted.
        """
        return sum(
            given_up.status != "sending" or not self._could_give_back(given_up)
            for given_up in self.world.writes.unrecorded.get(key, ())
        )

    def _could_give_back(self, given_up: GivenUp) -> bool:
        """Whether its process took further batches while the table could be reached and the claim lasted.

        Each batch begins with giving back; a request that asks what became of a message does not.
        """
        outages = self.world.outages["dynamodb"]
        again = [
            at
            for at in given_up.invocation.sandbox.invoked
            if given_up.at < at < given_up.at + 60
            and not any(since - 2 < at < until + 2 for since, until, _ in outages)
        ]
        takes_batches = SEND_QUEUE_FUNCTION in given_up.invocation.name
        return takes_batches and len(again) > 1 and not given_up.invocation.dead
