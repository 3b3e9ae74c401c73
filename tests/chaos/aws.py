"""AWS as several processes see it at once: the queue with its visibility timeouts, and calls that fail.

``Aws`` and ``Sqs`` outlive every sandbox. The others are one sandbox's way there, made of what the core knows
AWS by. Calls are throttled and answers get lost, as botocore tells of it; the service's own ``Clients``
repeat them and say what failed. Before and after each call the sandbox may die.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.chaos.clock import Clock
from tests.chaos.workload import Mix
from tests.fakes import FakeBus, FakeLedgerStore, FakeParameterStore
from wechat_notify.aws import ledger_table, parameters
from wechat_notify.aws.clients import Clients
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.outcomes import DelayedMessage, ErrorClass
from wechat_notify.core.tokens.token import AccessToken, Account, TokenSource

VISIBILITY = 432.0
MAX_RECEIVES = 1000
"""As the template has them."""
_THROTTLED: Any = {"Error": {"Code": "ThrottlingException"}}

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Stored:
    message_id: str
    body: str
    attributes: Mapping[str, str]
    visible_at: float
    receives: int = 0
    receipt: str = ""
    gone: bool = False


class Sqs:
    """A standard queue: every message at least once, sometimes twice, each copy with receipts of its own."""

    def __init__(self, clock: Clock, rng: random.Random, delivered_twice: float) -> None:
        self.dead: list[str] = []
        self.delivered_twice = 0
        self._clock = clock
        self._rng = rng
        self._probability = delivered_twice
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._waiting: list[tuple[float, int, _Stored]] = []
        self._handed_out: dict[str, _Stored] = {}
        self._count = 0

    def put(self, body: str, attributes: Mapping[str, str] | None = None, delay: float = 0.0) -> None:
        """Take a message."""
        with self._lock:
            message_id = f"message-{next(self._ids)}"
            self._count += 1
            self._show(_Stored(message_id, body, dict(attributes or {}), self._clock.now() + delay))

    def receive(self, most: int = 10) -> list[dict[str, Any]]:
        """A batch as Lambda hands it to a function; empty where nothing is visible."""
        now = self._clock.now()
        batch: list[dict[str, Any]] = []
        with self._lock:
            while len(batch) < most and (stored := self._next(now)):
                stored.receives += 1
                if stored.receives > MAX_RECEIVES:
                    self._forget(stored)
                    self.dead.append(stored.body)
                    continue
                stored.receipt = f"receipt-{next(self._ids)}"
                self._handed_out[stored.receipt] = stored
                stored.visible_at = now + VISIBILITY
                self._show(stored)
                batch.append(_record(stored))
                if self._rng.random() < self._probability:
                    self.delivered_twice += 1
                    self._count += 1
                    later = now + self._rng.choice((0.0, 1.0, 90.0)) * self._rng.random()
                    self._show(replace(stored, visible_at=later, receipt=""))
        return batch

    def delete(self, receipts: Iterable[str]) -> None:
        """Forget what was worked off; the receipt of an earlier time counts for nothing."""
        with self._lock:
            for receipt in receipts:
                stored = self._handed_out.get(receipt)
                if stored and stored.receipt == receipt and not stored.gone:
                    self._forget(stored)

    def hide(self, receipt: str, seconds: float) -> None:
        """Set a visibility timeout."""
        with self._lock:
            stored = self._handed_out[receipt]
            if stored.receipt == receipt and not stored.gone:
                stored.visible_at = self._clock.now() + round(seconds)
                self._show(stored)

    def next_at(self) -> float | None:
        """When the next message becomes visible; None where there is none."""
        with self._lock:
            while self._waiting and self._stale(self._waiting[0]):
                heappop(self._waiting)
            return self._waiting[0][0] if self._waiting else None

    def __len__(self) -> int:
        return self._count

    def _show(self, stored: _Stored) -> None:
        heappush(self._waiting, (stored.visible_at, next(self._ids), stored))

    def _next(self, now: float) -> _Stored | None:
        while self._waiting and (self._waiting[0][0] <= now or self._stale(self._waiting[0])):
            waiting = heappop(self._waiting)
            if not self._stale(waiting):
                return waiting[2]
        return None

    def _forget(self, stored: _Stored) -> None:
        stored.gone = True
        self._count -= 1
        self._handed_out.pop(stored.receipt, None)

    @staticmethod
    def _stale(waiting: tuple[float, int, _Stored]) -> bool:
        return waiting[2].gone or waiting[0] != waiting[2].visible_at


def _record(stored: _Stored) -> dict[str, Any]:
    return {
        "messageId": stored.message_id,
        "receiptHandle": stored.receipt,
        "body": stored.body,
        "attributes": {"ApproximateReceiveCount": str(stored.receives)},
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String"} for name, value in stored.attributes.items()
        },
    }


@dataclass
class Aws:
    """All that outlives a sandbox, and what went wrong with it.

    ``in_doubt`` are the messages, by account and id, of whose entry a write failed or may have failed.
    ``quota_since`` is when the ledger first knew of an account's used-up quota.
    """

    clock: Clock
    rng: random.Random
    mix: Mix
    queue: Sqs
    table: FakeLedgerStore = field(default_factory=FakeLedgerStore)
    parameters: FakeParameterStore = field(default_factory=FakeParameterStore)
    bus: FakeBus = field(default_factory=FakeBus)
    dead_letters: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    in_doubt: set[tuple[str, str]] = field(default_factory=set)
    quota_since: dict[str, float] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None


class Mortal(Protocol):
    """A process that may die wherever it leaves a trace outside of itself."""

    def reached(self) -> None:
        """A place where it can die."""


class _Calls:
    """One sandbox's way to AWS: what of a call fails, under the repeats of the service."""

    def __init__(self, aws: Aws, sandbox: Mortal) -> None:
        self._aws = aws
        self._sandbox = sandbox
        self._clients = Clients(clock=aws.clock.now, sleep=aws.clock.sleep, jitter=aws.rng.uniform)

    def _call(
        self,
        action: str,
        effect: Callable[[], T],
        *,
        throttled: str = "",
        chance: float = 0.0,
        retry_for: float = 0.0,
    ) -> T:
        """What a call answers; raises ``StorageError``, after its effect or without it.

        A throttled call and one whose answer was lost are made again, where there is time for that.
        """
        aws = self._aws

        def attempt() -> T:
            if aws.rng.random() < chance:
                aws.struck[throttled] += 1
                raise ClientError(_THROTTLED, action)
            result = effect()
            if retry_for and aws.rng.random() < aws.mix.answer_lost:
                aws.struck["AWS answer lost"] += 1
                raise ReadTimeoutError(endpoint_url="https://aws.test")
            return result

        self._sandbox.reached()
        if aws.rng.random() < aws.mix.storage:
            aws.struck["storage error"] += 1
            if aws.rng.random() < 0.5:
                effect()
            raise StorageError(action, "InternalError")
        result = self._clients.call(action, attempt, retry_for=retry_for)
        self._sandbox.reached()
        return result


class Table(_Calls):
    """The ledger's table: ``LedgerStore`` and ``CircuitStore``.

    ``blind``: the circuits could not be read in this invocation.
    """

    blind = False

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        try:
            retry_for = ledger_table.PATIENT_RETRY_FOR if patient else ledger_table.RETRY_FOR
            return self._reach("write", lambda: self._aws.table.put(entry), retry_for)
        except StorageError:
            self._aws.in_doubt.add((entry.account, entry.id))
            raise

    def read(self, account: str, message_id: str) -> Entry | None:
        return self._reach("read", lambda: self._aws.table.read(account, message_id))

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        def effect() -> AccountCircuits | None:
            existing = self._aws.table.put_circuits(circuits)
            if existing is None and any(each.error_class is ErrorClass.QUOTA for each in circuits.circuits):
                self._aws.quota_since.setdefault(circuits.account, self._aws.clock.now())
            return existing

        return self._reach("write", effect)

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        names = list(accounts)
        try:
            return self._reach("read", lambda: self._aws.table.read_circuits(names))
        except StorageError:
            self.blind = True
            raise

    def _reach(self, action: str, effect: Callable[[], T], retry_for: float = ledger_table.RETRY_FOR) -> T:
        chance = self._aws.mix.ledger_throttled
        return self._call(action, effect, throttled="DynamoDB throttled", chance=chance, retry_for=retry_for)


class Queue(_Calls):
    """The queue: ``SendQueue`` and ``Queue``."""

    def send(self, body: str, *, group: str | None = None) -> None:
        del group
        self._call("put on the queue", lambda: self._aws.queue.put(body))
        self._aws.changed()

    def send_delayed(self, items: Sequence[DelayedMessage]) -> list[int]:
        return [index for index, item in enumerate(items) if not self._taken(item)]

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        self._call("set the visibility", lambda: self._aws.queue.hide(receipt_handle, seconds))

    def _taken(self, item: DelayedMessage) -> bool:
        assert 0 <= item.delay_seconds <= 900
        try:
            self._call(
                "put on the queue",
                lambda: self._aws.queue.put(item.body, item.attributes, item.delay_seconds),
            )
        except StorageError:
            return False
        return True


class DeadLetters(_Calls):
    """The queue of bodies that nobody can read."""

    def send(self, body: str, **attributes: str) -> None:
        assert attributes["message_id"]
        self._call("keep the body", lambda: self._aws.dead_letters.append(body))


class Parameters(_Calls):
    """Both sides of the parameter store; ``source`` makes an account's token source in this sandbox."""

    def __init__(self, aws: Aws, sandbox: Mortal, source: Callable[[str], TokenSource]) -> None:
        super().__init__(aws, sandbox)
        self._source = source

    def read(self, account: str) -> AccessToken | None:
        return self._reach("read", lambda: self._aws.parameters.read(account), parameters.RETRY_FOR)

    def load(self, account: str) -> Account:
        found = self._reach("read", lambda: self._known(account))
        if found is None:
            raise UnknownAccountError(account)
        return self._own(found)

    def load_all(self) -> Iterator[Account]:
        accounts = self._reach("list", lambda: list(self._aws.parameters.load_all()))
        yield from map(self._own, accounts)

    def save(self, account: str, token: AccessToken) -> None:
        self._reach("write", lambda: self._aws.parameters.save(account, token))

    def _reach(
        self, action: str, effect: Callable[[], T], retry_for: float = parameters.PATIENT_RETRY_FOR
    ) -> T:
        chance = self._aws.mix.parameters_throttled
        return self._call(action, effect, throttled="SSM throttled", chance=chance, retry_for=retry_for)

    def _known(self, account: str) -> Account | None:
        with suppress(UnknownAccountError):
            return self._aws.parameters.load(account)
        return None

    def _own(self, account: Account) -> Account:
        return replace(account, source=self._source(account.name))
