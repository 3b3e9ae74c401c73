"""Whole broadcasts in virtual time: the engine between fakes of all that it stands on.

A step of the queue is taken out when it is due; one that ends in an error is handed out again. A message of
the row queue gets its entry in the ledger when it is due, as if it had been sent then.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.fakes import (
    START,
    Clock,
    FakeBroadcastStore,
    FakeBus,
    FakeHashes,
    FakeLedgerStore,
    FakeObjects,
    FakeRowQueue,
    FakeStepQueue,
    answer,
    lost,
)
from tests.fakes.step_queue import Step
from wechat_notify.core.broadcasts.broadcast import Broadcast
from wechat_notify.core.broadcasts.counts import Counts
from wechat_notify.core.broadcasts.creating import NewBroadcasts
from wechat_notify.core.broadcasts.engine import Engine
from wechat_notify.core.broadcasts.operations import Broadcasts
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.spec import parse_spec
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.holds import OpenHolds
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.outcomes import Status
from wechat_notify.core.templates.template import AccountTemplates

ACCOUNT = "shop"
ID = "spring-sale"
VISIBILITY_TIMEOUT = 90.0
"""Seconds after which a step that ended in an error is handed out again."""
MESSAGE = {
    "kind": "subscription",
    "touser": "{{openid}}",
    "template_id": "J5tWfHcX2mNq8sVb",
    "data": {"thing1": {"value": "{{gift}}"}},
}
Answer = Callable[[str], int | Status | None]
"""An openid → errcode, None for a lost answer, or ``queued`` for a message that waits."""


def openid(number: int) -> str:
    return f"o{number:027}"


def csv_file(openids: Sequence[str], gift: str = "礼盒") -> bytes:
    return "".join(["openid,gift\n", *(f"{each},{gift}\n" for each in openids)]).encode()


class World:
    """An account's broadcasts, its two queues and its ledger."""

    def __init__(
        self, *, ceiling: float = 10_000.0, doubled: bool = False, bus: FakeBus | None = None
    ) -> None:
        self.clock = Clock(START)
        now = self.clock.now
        self.store = FakeBroadcastStore()
        self.objects = FakeObjects(now)
        self.rows = FakeRowQueue(now)
        self.steps = FakeStepQueue(now, doubled=doubled)
        self.ledger = FakeLedgerStore()
        self.bus = bus or FakeBus()
        self.sends: list[tuple[float, str]] = []
        self.answer: Answer = lambda _: 0
        self.has_receipts = False
        self.loses: Callable[[str], bool] = lambda _: False
        self.errors = 0
        self.calls = 0
        self.trip_at: int | None = None
        self.trip: Callable[[], None] = lambda: None
        self.trip_after = False
        self.current: Step | None = None
        self.templates: AccountTemplates | None = None
        numbers = itertools.count(1)

        def writer() -> str:
            return f"{next(numbers):x}"

        self.services = Services(
            self._watched(self.store),
            self._watched(self.objects),
            self._watched(self.rows),
            self._watched(self.steps),
            self._watched(self.ledger),
            OpenHolds(self._watched(self.ledger), now=now, writer=writer),
            self._watched(self.bus),
            lambda _account: self.templates,
            Ledger(self._watched(self.ledger), now=now, writer=writer, keyed_hash=FakeHashes(str)).cancel,
            lambda _account: self.has_receipts,
            now,
            writer,
            ceiling,
        )
        self.engine = Engine(self.services)
        self.new = NewBroadcasts(self.services)
        self.broadcasts = Broadcasts(self.services)

    def upload(self, data: bytes, name: str = "file") -> str:
        self.objects.write(f"{ACCOUNT}/uploads/{name}", data)
        return name

    def create(
        self, data: bytes, broadcast_id: str = ID, *, dry_run: bool = False, **fields: Any
    ) -> Broadcast:
        """Create a broadcast from an upload."""
        upload = self.upload(data, f"{broadcast_id}-file")
        return self.ask({"message": MESSAGE, "upload": upload, **fields}, broadcast_id, dry_run=dry_run)

    def ask(self, body: object, broadcast_id: str = ID, *, dry_run: bool = False) -> Broadcast:
        """Create the broadcast that a body asks for."""
        spec = parse_spec(body, self.clock.now())
        return self.new.create(ACCOUNT, broadcast_id, spec, dry_run=dry_run)

    def run(self, seconds: float = 40 * 86400.0) -> None:
        """Let time pass until nothing is left to do, or for so many seconds."""
        end = self.clock.now() + seconds
        while True:
            dues = [due for due in (self.rows.next_due(), self.steps.next_due()) if due is not None]
            if not dues or min(dues) > end:
                break
            self.clock.advance(max(0.0, min(dues) - self.clock.now()))
            self._send_due()
            self._step()
        if seconds < 40 * 86400.0:
            self.clock.advance(end - self.clock.now())

    def record(self, broadcast_id: str = ID) -> Broadcast:
        return self.store.broadcasts[ACCOUNT, broadcast_id]

    def counts(self, broadcast_id: str = ID) -> Counts:
        return self.broadcasts.look_up(ACCOUNT, broadcast_id).counts

    def results(self, broadcast_id: str = ID) -> list[dict[str, str]]:
        """The rows of the results' file."""
        text = self.objects.objects[self.record(broadcast_id).results or ""].decode("utf-8-sig")
        return list(csv.DictReader(text.splitlines()))

    def states(self, broadcast_id: str = ID) -> list[str]:
        """The states that a broadcast went through."""
        states = [each.state.value for each in self.store.history if each.id == broadcast_id]
        return [state for state, _ in itertools.groupby(states)]

    def released(self) -> Counter[str]:
        """The ids of messages that were sent, with how often."""
        return Counter(message_id for _, message_id in self.sends)

    def run_step(self, account: str, broadcast_id: str, step: int) -> None:
        """Do a step as a function does."""
        self.engine.run(account, broadcast_id, step)

    def called(self) -> None:
        """A service is about to be called."""

    def _watched(self, service: Any) -> Any:
        """A service whose calls are counted; at call ``trip_at``, before or after it, ``trip`` is called."""
        return _Watched(service, self)

    def _step(self) -> None:
        step = self.current = self.steps.receive()
        if step is None:
            return
        try:
            self.run_step(step.account, step.broadcast_id, step.step)
        except StorageError:
            self.errors += 1
            self.steps.give_back(step, VISIBILITY_TIMEOUT)

    def _send_due(self) -> None:
        while (body := self.rows.receive()) is not None:
            request = parse_queue_body(body, "none")
            key = request.account, request.id
            touser = json.loads(body)["message"]["touser"]
            if key in self.ledger.entries or self.loses(touser):
                continue
            now = self.clock.now()
            self.sends.append((now, request.id))
            self.ledger.entries[key] = self._entry(request.account, request.id, touser, now)

    def _entry(self, account: str, message_id: str, touser: str, now: float) -> Entry:
        found = self.answer(touser)
        entry = Entry(account, message_id, Status.QUEUED, "", "sender", now, now, kind="subscription")
        if isinstance(found, Status):
            return entry._replace(status=found)
        outcome = lost() if found is None else answer(found)
        return entry._replace(status=outcome.status, outcome=outcome)


class _Watched:
    def __init__(self, service: Any, world: World) -> None:
        self._service = service
        self._world = world

    def __getattr__(self, name: str) -> Any:
        method, world = getattr(self._service, name), self._world

        def call(*args: Any, **kwargs: Any) -> Any:
            world.called()
            world.calls += 1
            is_it = world.calls == world.trip_at
            if is_it and not world.trip_after:
                world.trip()
            result = method(*args, **kwargs)
            if is_it and world.trip_after:
                world.trip()
            return result

        return call
