"""The writes to the ledger: whether each one may be, and whose it was."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from tests.simulation.world.invocations import Invocation, running
from tests.simulation.world.records import GivenUp
from tests.simulation.world.setting import MAX_SKEW

if TYPE_CHECKING:
    from tests.simulation.world.world import World

_FINAL = frozenset({"expired", "cancelled", "delivered", "undelivered"})
_RECEIPTS = frozenset({"delivered", "undelivered"})


class Writes:
    """Judges and remembers what is written, and what may have been."""

    def __init__(self, world: World) -> None:
        self.illegal: list[str] = []
        """Writes to the ledger that may not be."""
        self.circuits_stored: list[tuple[float, dict[str, Any]]] = []
        self.by_http: dict[str, Any] = {}
        """What the first HTTP request that wrote an entry or put it on the queue was about, by its key."""
        self.killed_with: dict[str, list[float]] = defaultdict(list)
        """When a worker was killed that had written a message's entry, by the entry's key."""
        self.unrecorded: dict[str, list[GivenUp]] = defaultdict(list)
        """The writes of an entry that were given up, by the entry's key."""
        self._world = world
        self._holders: dict[str, Invocation] = {}

    def judge(self, key: str, existing: dict[str, Any] | None, item: dict[str, Any] | None) -> None:
        """Hold a write against the rules of the ledger, which are written down here once more."""
        if key.startswith("circuits#"):
            assert item is not None
            self.circuits_stored.append((self._world.scheduler.now, item))
        if not key.startswith("message#"):
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
        is_over = was in _FINAL or (was == "sent" and status not in _RECEIPTS)
        if is_over or (was == "failed" and reason != "try_again" and not refused):
            self.illegal.append(f"{key} {was} -> {status}")
        worker = self._world.ending or getattr(getcurrent(), "process", None)
        if isinstance(worker, Invocation):
            worker.written.append(key)
            if worker.world.send_api.name in worker.sandbox.name:
                self.by_http.setdefault(key, worker.subject)
        holder = self._holders.pop(key, None)
        if (
            was == "sending"
            and holder is not None
            and not holder.ended
            and holder is not worker
            # Two clocks that differ by more than they may.
            and not (isinstance(worker, Invocation) and abs(worker.skew - holder.skew) > 2 * MAX_SKEW)
        ):
            self.illegal.append(f"{key} was taken from somebody alive")
        if status == "sending" and isinstance(worker, Invocation):
            self._holders[key] = worker

    def note_put(self, body: str) -> None:
        """Note whose message an HTTP request puts on the queue: its id may be the service's, and unheard."""
        worker = self._world.ending or getattr(getcurrent(), "process", None)
        if isinstance(worker, Invocation) and self._world.send_api.name in worker.sandbox.name:
            envelope = json.loads(body)
            key = f"message#{envelope['account']}#{envelope['id']}"
            self.by_http.setdefault(key, worker.subject)

    def note_killed(self, invocation: Invocation) -> None:
        """Note whose messages a killed worker may have been at."""
        for key in invocation.written:
            self.killed_with[key].append(self._world.scheduler.now)

    def note_given_up(self, item: dict[str, Any]) -> None:
        """Note a write of which nobody knows whether it was stored."""
        given_up = GivenUp(
            self._world.scheduler.now, item["status"]["S"] if "status" in item else "", running()
        )
        self.unrecorded[item["pk"]["S"]].append(given_up)
