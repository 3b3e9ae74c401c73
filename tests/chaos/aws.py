"""AWS as several processes see it at once: the queue with its visibility timeouts, and calls that fail.

``Aws`` outlives every sandbox. The others are one sandbox's way there, made of what the core knows
AWS by. Calls are throttled and answers get lost, as botocore tells of it; the service's own ``Clients``
repeat them and say what failed. Before and after each call the sandbox may die.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.chaos.clock import Clock
from tests.chaos.workload import Mix
from tests.fakes import FakeBus, FakeLedgerStore, FakeParameterStore
from tests.fakes.aws import Refusal
from tests.fakes.aws.sqs import FakeSqs
from wechat_notify.aws import parameters, versioned_items
from wechat_notify.aws.clients import Clients
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.errors import StorageError, UnknownAccountError
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.queue_messages import DelayedMessage
from wechat_notify.core.templates.template import AccountTemplates
from wechat_notify.core.tokens.token import AccessToken, Account, TokenSource

_COPIES_AFTER = (0.0, 0.5, 45.0)
_THROTTLED: Any = {"Error": {"Code": "ThrottlingException"}}

T = TypeVar("T")


class Aws:
    """All that outlives a sandbox, and what went wrong with it."""

    def __init__(self, clock: Clock, rng: random.Random, mix: Mix, changed: Callable[[], None]) -> None:
        self.clock = clock
        self.rng = rng
        self.mix = mix
        self.changed = changed
        self.dead = FakeSqs(clock.now, "dead")
        self.queue = FakeSqs(clock.now, "send", dead_letters=self.dead, copies_after=_COPIES_AFTER)
        self.table = FakeLedgerStore()
        self.parameters = FakeParameterStore()
        self.bus = FakeBus()
        self.dead_letters: list[str] = []
        self.struck: Counter[str] = Counter()
        self.in_doubt: set[tuple[str, str]] = set()
        """Messages, by account and id, of whose entry a write failed or may have failed."""
        self.quota_since: dict[str, float] = {}
        """When the ledger first knew of an account's used-up quota."""


class _Calls:
    """One sandbox's way to AWS: what of a call fails, under the repeats of the service.

    ``reached`` is called where the sandbox may die: wherever it leaves a trace outside of itself.
    """

    def __init__(self, aws: Aws, reached: Callable[[], None]) -> None:
        self._aws = aws
        self._reached = reached
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

        self._reached()
        if aws.rng.random() < aws.mix.storage:
            aws.struck["storage error"] += 1
            if aws.rng.random() < 0.5:
                effect()
            raise StorageError(action, "InternalError")
        result = self._clients.call(action, attempt, retry_for=retry_for)
        self._reached()
        return result


class Table(_Calls):
    """The ledger's table: ``LedgerStore`` and ``CircuitStore``.

    ``blind``: the circuits could not be read in this invocation.
    """

    blind = False

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        try:
            retry_for = versioned_items.PATIENT_RETRY_FOR if patient else versioned_items.RETRY_FOR
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

    def read_templates(self, account: str) -> AccountTemplates | None:
        return self._reach("read", lambda: self._aws.table.read_templates(account), retry_for=0.0)

    def _reach(self, action: str, effect: Callable[[], T], retry_for: float = versioned_items.RETRY_FOR) -> T:
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
        def effect() -> None:
            with suppress(Refusal):  # a receipt of an earlier time changes nothing
                self._aws.queue.hide(receipt_handle, round(seconds))

        self._call("set the visibility", effect)

    def _taken(self, item: DelayedMessage) -> bool:
        assert 0 <= item.delay_seconds <= 900
        try:
            self._call(
                "put on the queue",
                lambda: self._aws.queue.put(item.body, attributes=item.attributes, delay=item.delay_seconds),
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

    def __init__(self, aws: Aws, reached: Callable[[], None], source: Callable[[str], TokenSource]) -> None:
        super().__init__(aws, reached)
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

    def save(self, account: str, token: AccessToken, *, sends: bool = True) -> None:
        self._reach("write", lambda: self._aws.parameters.save(account, token, sends=sends))

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
