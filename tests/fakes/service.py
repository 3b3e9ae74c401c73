"""The real core between the fakes, lent to the handlers."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from concurrent.futures import Executor
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from aws_lambda_powertools import Logger

from tests.fakes.broadcast_store import FakeBroadcastStore
from tests.fakes.callback_keys import FakeCallbackKeys
from tests.fakes.clock import BEIJING, Clock, lowest
from tests.fakes.consent_store import FakeConsentStore
from tests.fakes.event_bus import FakeBus
from tests.fakes.hashes import FakeHashKeys
from tests.fakes.ledger_store import FakeLedgerStore
from tests.fakes.messages import OPENID
from tests.fakes.objects import FakeObjects
from tests.fakes.parameter_store import FakeParameterStore
from tests.fakes.platform_function import FakePlatformFunction
from tests.fakes.queue import FakeQueue
from tests.fakes.refresher import FakeRefresher
from tests.fakes.row_queue import FakeRowQueue
from tests.fakes.schedules import FakeSchedules
from tests.fakes.step_queue import FakeStepQueue
from tests.fakes.wechat import FakeWeChat
from wechat_notify import bootstrap
from wechat_notify.bootstrap import (
    broadcasts,
    callback_events,
    callbacks,
    platform,
    teams,
    template_sync,
    token_refresh,
)
from wechat_notify.core.broadcasts.creating import NewBroadcasts
from wechat_notify.core.broadcasts.engine import Engine
from wechat_notify.core.broadcasts.operations import Broadcasts
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.consents.consents import Consents, Links
from wechat_notify.core.consents.links import Signer
from wechat_notify.core.cursors import Cursors
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.circuit import QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.consented import UnsentEntries
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.holds import OpenHolds
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.listing import MessageList
from wechat_notify.core.delivery.quotas import Quotas
from wechat_notify.core.delivery.receipts import Receipts
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.delivery.sender import Sender
from wechat_notify.core.messages.identifiers import new_id
from wechat_notify.core.openid_hashes import KeyedHash, OpenidHashes
from wechat_notify.core.platform.requests import PlatformRequests
from wechat_notify.core.templates.registry import TemplateRegistry
from wechat_notify.core.templates.sync import TemplateSync
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import Refresher, TokenReader
from wechat_notify.telemetry import Telemetry
from wechat_notify.wechat.callbacks.door import CallbackDoor

_services = itertools.count()


class AnyClock(Protocol):
    """Whatever tells the time."""

    def now(self) -> float: ...


class Core:
    """The real core between the services that it is given, as ``bootstrap`` makes it of the real ones."""

    def __init__(
        self,
        clock: AnyClock,
        *,
        table: Any,
        tokens: AccessTokens,
        wechat: Any,
        queue: Any,
        dead_letters: Any,
        writer: Callable[[], str],
        keyed_hash: KeyedHash,
        consent_store: Any = None,
        jitter: Callable[[float, float], float] = lowest,
        pool: Executor | None = None,
    ) -> None:
        now = clock.now
        self.tokens = tokens
        self.sender = Sender(tokens, wechat, now=now, clock=now)
        self.ledger = Ledger(table, now=now, writer=writer, keyed_hash=keyed_hash)
        self.circuits = Circuits(table, now=now, writer=writer, quota_reset=QuotaReset(BEIJING))
        self.template_registry = TemplateRegistry(table, now=now)
        self.consents = Consents(
            consent_store or FakeConsentStore(),
            UnsentEntries(table),
            long_term=self.template_registry.is_long_term,
            keyed_hash=keyed_hash,
            now=now,
            writer=writer,
        )
        self.dispatcher = Dispatcher(
            self.ledger,
            self.circuits,
            self.sender,
            queue,
            self.consents,
            now=now,
            jitter=jitter,
            check=self.template_registry.check,
        )
        returns = Returns(queue, dead_letters, now=now, jitter=jitter)
        self.batch_sender = BatchSender(self.dispatcher, returns, pool=pool)


class Service(Core):
    """The real core over fakes, with the account ``shop`` and its token in the store."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hash_keys = FakeHashKeys(b"a key for tests")
        self.openid_hash = OpenidHashes(self.hash_keys)
        """How the service writes an openid into logs and into the ledger."""
        self.wechat = FakeWeChat(self.clock)
        self.store = FakeParameterStore()
        self.queue = FakeQueue()
        self.dead_letters = FakeQueue()
        self.step_queue = FakeQueue()
        self.bus = FakeBus()
        self.ledger_store = FakeLedgerStore()
        self.consent_store = FakeConsentStore()
        self.log = io.StringIO()
        self.telemetry = Telemetry(
            Logger(service=f"service-{next(_services)}", stream=self.log, utc=True, use_rfc3339=True)
        )
        self.token_refresher = TokenRefresher(self.store, now=self.clock.now)
        self.refresher = FakeRefresher(self.token_refresher)
        writers = itertools.count(1)

        def writer() -> str:
            return f"writer-{next(writers)}"

        self.platform_function = FakePlatformFunction()
        self.platform_requests = PlatformRequests(
            self.platform_function, now=self.clock.now, sleep=self.clock.sleep, jitter=lowest
        )
        self.schedules = FakeSchedules()
        self.open_holds = OpenHolds(self.ledger_store, now=self.clock.now, writer=writer)
        self.template_sync = TemplateSync(
            self.store, self.store, self.wechat, self.ledger_store, now=self.clock.now, writer=writer
        )
        super().__init__(
            self.clock,
            table=self.ledger_store,
            tokens=access_tokens(self.store, self.refresher, self.clock),
            wechat=self.wechat,
            queue=self.queue,
            dead_letters=self.dead_letters,
            writer=writer,
            keyed_hash=self.openid_hash,
            consent_store=self.consent_store,
        )
        bits = itertools.count(2**64)
        self.consent_links = Links(
            self.consent_store,
            self.consents,
            Signer(lambda: self.hash_keys.load().all),
            keyed_hash=self.openid_hash,
            now=self.clock.now,
            writer=writer,
            random_bits=lambda _: next(bits),
        )
        self.broadcast_store = FakeBroadcastStore()
        self.objects = FakeObjects(self.clock.now)
        self.rows = FakeRowQueue(self.clock.now)
        self.steps = FakeStepQueue(self.clock.now)
        self.broadcasts = Services(
            store=self.broadcast_store,
            objects=self.objects,
            rows=self.rows,
            steps=self.steps,
            entries=self.ledger_store,
            holds=self.open_holds,
            templates=self.template_registry.of,
            events=self.bus,
            cancel_message=self.ledger.cancel,
            has_receipts=lambda _: False,
            now=self.clock.now,
            new_id=writer,
            ceiling=100.0,
        )
        self.callback_keys = FakeCallbackKeys()
        self.callback_queue = FakeQueue()
        self.matches_receipts = True
        self.door = CallbackDoor(self.callback_keys, now=self.clock.now)
        self.receipts = Receipts(self.ledger, self.ledger_store, self.openid_hash)
        self.add_account("shop")

    def add_account(self, account: str, *, stored: bool = True) -> None:
        """An account of an app of its own, with a token from WeChat in the store."""
        self.store.sources[account] = self.wechat.app(f"wx-{account}")
        if stored:
            self.token_refresher.refresh(account)
            self.forget()

    def forget(self) -> None:
        """Forget what was called so far."""
        for calls in (self.wechat.fetches, self.wechat.attempts, self.store.reads, self.store.saves):
            calls.clear()

    def lend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let ``bootstrap`` hand out these parts until the test ends."""
        bits = itertools.count(1)
        parts: dict[str, object] = {
            "telemetry": self.telemetry,
            "openid_hasher": self.openid_hash,
            "id_factory": lambda: new_id(self.clock.now, lambda _bits: next(bits)),
            "dispatcher": self.dispatcher,
            "consents": self.consents,
            "ledger": self.ledger,
            "event_bus": self.bus,
            "batch_sender": self.batch_sender,
            "access_tokens": self.tokens,
            "template_registry": self.template_registry,
        }
        for name, part in parts.items():
            monkeypatch.setattr(bootstrap, name, lambda part=part: part)
        of_teams: dict[str, object] = {
            "open_holds": self.open_holds,
            "consent_links": self.consent_links,
            "message_list": MessageList(self.ledger_store, self.ledger_store),
            "cursors": Cursors(lambda: [b"a key for tests"]),
            "quotas": Quotas(
                self.tokens,
                self.wechat,
                self.ledger_store,
                self.open_holds,
                now=self.clock.now,
                reset=QuotaReset(BEIJING),
                lists_sent=True,
            ),
            "schedules": self.schedules,
            "template_store": self.ledger_store,
        }
        for name, part in of_teams.items():
            monkeypatch.setattr(teams, name, lambda part=part: part)
        of_broadcasts: dict[str, object] = {
            "services": self.broadcasts,
            "engine": Engine(self.broadcasts),
            "broadcasts": Broadcasts(self.broadcasts),
            "new_broadcasts": NewBroadcasts(self.broadcasts),
            "step_queue": self.step_queue,
        }
        for name, part in of_broadcasts.items():
            monkeypatch.setattr(broadcasts, name, lambda part=part: part)
        monkeypatch.setattr(platform, "platform_requests", lambda: self.platform_requests)
        monkeypatch.setattr(token_refresh, "token_refresher", lambda: self.token_refresher)
        monkeypatch.setattr(callbacks, "door", lambda: self.door)
        monkeypatch.setattr(callbacks, "keys", lambda: self.callback_keys)
        monkeypatch.setattr(callbacks, "matches_receipts", lambda: self.matches_receipts)
        monkeypatch.setattr(callback_events, "receipts", lambda: self.receipts)
        for module in (callbacks, callback_events):
            monkeypatch.setattr(module, "queue", lambda: self.callback_queue)
        monkeypatch.setattr(template_sync, "template_sync", lambda: self.template_sync)
        fake_time = SimpleNamespace(time=self.clock.now)
        for name in ("token_refresh", "send_queue", "broadcast", "callback_events"):
            monkeypatch.setattr(f"functions.{name}.handler.time", fake_time)

    def lines(self, text: str | None = None) -> list[dict[str, Any]]:
        """The log's lines, all of them or those of one text."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if text in (None, line["message"])]


def access_tokens(
    reader: TokenReader,
    refresher: Refresher,
    clock: Clock,
    jitter: Callable[[float, float], float] = lowest,
) -> AccessTokens:
    """A sender's cache on a fake clock."""
    return AccessTokens(reader, refresher, now=clock.now, sleep=clock.sleep, jitter=jitter)


def break_down(*_: object, **__: object) -> Any:
    """What takes the place of a function that fails with an unexpected error."""
    raise RuntimeError(f"{OPENID} {'s' * 32}")
