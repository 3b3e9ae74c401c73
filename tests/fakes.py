"""Stand-ins for all that lies outside of the process: they keep the rules that the real ones keep.

``FakeWeChat`` knows WeChat's rules of tokens and of two messages at a time; ``FakeParameterStore``,
``FakeRefresher``, ``FakeQueue``, ``FakeLedgerStore`` and ``FakeBus`` raise what the adapters raise.
``Service`` puts the real core between them and lends it to the handlers.
"""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from wechat_notify import bootstrap
from wechat_notify.core.delivery.batch import BatchSender
from wechat_notify.core.delivery.circuit import AccountCircuits, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.returns import Returns
from wechat_notify.core.delivery.sender import Sender
from wechat_notify.core.errors import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.messages.identifiers import is_account_name, new_id
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import (
    Bilingual,
    DelayedMessage,
    DomainEvent,
    ErrorClass,
    Holds,
    Outcome,
    Status,
)
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken, Account, Grant, Refresher, TokenReader, TokenSource
from wechat_notify.telemetry import Telemetry, hash_openid

START = 1772348645.0
"""2026-03-01 15:04:05 in Beijing, the hour of the sample events."""
OPENID = "oQk3h5LrVfTnWb8xYc2ZpJd0GmEs"
OTHER_OPENID = "oQk3h5DwXeRuHa7oNi4BtKy1PvFc"

_EVENTS = Path(__file__).parents[1] / "events"
_BEIJING = timezone(timedelta(hours=8))


def load_event(name: str) -> dict[str, Any]:
    """A sample event, as ``send_api/respond_async``."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def body(kind: str = "subscription", touser: str = OPENID, **fields: Any) -> dict[str, Any]:
    """A small valid message of a kind, as JSON has it."""
    thing = {"thing1": {"value": "礼盒"}}
    required: dict[str, dict[str, Any]] = {
        "subscription": {"data": thing},
        "one_time_subscription": {"scene": "1000", "title": "到货", "data": {"content": {"value": "到货"}}},
        "mini_program_template": {"form_id": "8b2f6d1c", "data": {"keyword1": {"value": "339208499"}}},
        "mini_program_subscription": {"data": thing},
        "template": {"data": thing},
    }
    return {"kind": kind, "touser": touser, "template_id": "J5tWfHcX2mNq8sVb", **required[kind], **fields}


def message(kind: str = "subscription", touser: str = OPENID, **fields: Any) -> Message:
    """The same, parsed."""
    return parse_message(body(kind, touser, **fields))[0]


# ---------------------------------------------------------------- time and chance


class Clock:
    """Time that passes only where somebody sleeps or a test says so; seconds since the epoch."""

    def __init__(self, now: float = START) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._now += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


def lowest(low: float, high: float) -> float:
    """The jitter that is always the lower bound."""
    return min(low, high)


def highest(low: float, high: float) -> float:
    """The jitter that is always the upper bound."""
    return max(low, high)


# ---------------------------------------------------------------- WeChat

_HOLDS = {
    **dict.fromkeys((40001, 40014, 42001, 45009, 45011, 45103, 48001), Holds.KIND),
    **dict.fromkeys((40013, 40125, 40164, 40243), Holds.ACCOUNT),
    43107: Holds.TEMPLATE,
}
_REPEATS = dict.fromkeys((40001, 40014, 40037, 42001), 2)
_ANSWERS: dict[int, tuple[ErrorClass, bool, float | None]] = {
    -1: (ErrorClass.TRANSIENT, True, 2.0),
    0: (ErrorClass.SUCCESS, False, None),
    40001: (ErrorClass.TOKEN, True, 3.0),
    40003: (ErrorClass.RECIPIENT, False, None),
    40013: (ErrorClass.CONFIG, False, None),
    40014: (ErrorClass.TOKEN, True, 3.0),
    40037: (ErrorClass.TEMPLATE, False, None),
    40125: (ErrorClass.CONFIG, False, None),
    40164: (ErrorClass.CONFIG, False, None),
    40241: (ErrorClass.DUPLICATE, False, None),
    40243: (ErrorClass.CONFIG, False, None),
    41030: (ErrorClass.REQUEST, False, None),
    42001: (ErrorClass.TOKEN, True, 3.0),
    43101: (ErrorClass.RECIPIENT, False, None),
    43107: (ErrorClass.BANNED, False, None),
    43108: (ErrorClass.RATE_LIMIT, True, 1.0),
    43117: (ErrorClass.RATE_LIMIT, True, 60.0),
    45009: (ErrorClass.QUOTA, False, None),
    45011: (ErrorClass.RATE_LIMIT, True, 60.0),
    45103: (ErrorClass.DEPRECATED, False, None),
    47003: (ErrorClass.REQUEST, False, None),
    48001: (ErrorClass.PERMISSION, False, None),
    99999: (ErrorClass.OTHER, False, None),
}
ERRCODES = tuple(_ANSWERS)


def answer(errcode: int, errmsg: str | None = None, **fields: Any) -> Outcome:
    """What a send comes to when WeChat answers with this errcode."""
    error_class, retryable, retry_after = _ANSWERS[errcode]
    sent = error_class in {ErrorClass.SUCCESS, ErrorClass.DUPLICATE}
    hint = Bilingual(f"What to do about {errcode}.", f"如何处理 {errcode}。")
    outcome = Outcome(Status.SENT if sent else Status.FAILED, error_class, hint, retryable, errcode)
    fields = {
        "errmsg": errmsg if errmsg is not None else "ok" if not errcode else f"error {errcode}",
        "rid": None if sent else "66695e1c-5d4a8e9f-0b2c3d4e",
        "retry_after": retry_after,
        "repeats": _REPEATS.get(errcode),
        "holds": _HOLDS.get(errcode),
        "until_reset": errcode == 45009,
        **fields,
    }
    return outcome._replace(**fields)


def lost() -> Outcome:
    """What a send comes to when the answer never arrives."""
    hint = Bilingual("WeChat's answer was lost (ReadTimeout).", "未收到微信的应答（读取超时）。")
    return Outcome(Status.UNKNOWN, ErrorClass.UNKNOWN, hint, cause="ReadTimeout")


def unreachable() -> Outcome:
    """What a send or a token call comes to when no connection can be made."""
    hint = Bilingual("WeChat could not be reached (ConnectTimeout).", "无法连接微信（连接超时）。")
    return Outcome(
        Status.FAILED,
        ErrorClass.TRANSIENT,
        hint,
        retryable=True,
        retry_after=2.0,
        unjudged=True,
        cause="ConnectTimeout",
    )


def misdirected() -> Outcome:
    """What a send comes to when something in between answers with a page of its own."""
    hint = Bilingual(
        "WeChat's address answered HTTP 404; check WeChatApiBase.", "微信接口地址返回 HTTP 404。"
    )
    return Outcome(Status.FAILED, ErrorClass.CONFIG, hint, unjudged=True)


@dataclass
class _App:
    secret: str
    generation: int = 0
    token: str | None = None
    expires_at: float = 0.0
    forced: deque[float] = field(default_factory=deque)


class FakeWeChat:
    """WeChat: its ``stable_token`` and its send endpoints.

    Attempts are answered with what ``plan`` holds, in its order; without a plan by the token: 40001
    where it is not a valid one, otherwise errcode 0. A message to an openid that already has one
    in flight is answered 43108.
    """

    def __init__(self, clock: Clock, *, life: float = 7200.0) -> None:
        self.attempts: list[tuple[Message, str]] = []
        self.accepted: list[Message] = []
        self.fetches: list[tuple[str, bool]] = []
        self.plan: deque[Outcome] = deque()
        self.while_in_flight: Callable[[Message], None] = lambda _message: None
        self.while_fetching: Callable[[str], None] = lambda _app_id: None
        self.refusals: dict[str, Outcome] = {}
        self._clock = clock
        self._life = life
        self._apps: dict[str, _App] = {}
        self._valid: dict[str, float] = {}
        self._in_flight: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._msgid = itertools.count(1864323726461255680)

    def app(self, app_id: str, secret: str = "s" * 32) -> TokenSource:
        """The token source of an app; the first secret named for it is the right one."""
        self._apps.setdefault(app_id, _App(secret))
        return _FakeTokenSource(self, app_id, secret)

    def refuse_tokens(self, app_id: str, outcome: Outcome) -> None:
        """Answer so whenever a token of this app is asked for."""
        self.refusals[app_id] = outcome

    def reject(self, app_id: str) -> None:
        """From now on refuse the app's token on sends, though normal mode still hands it out."""
        app = self._apps[app_id]
        assert app.token is not None
        self._valid.pop(app.token, None)

    def renew(self, app_id: str) -> None:
        """Replace the app's token, as another program's forced refresh does: the old one is void at once."""
        app = self._apps[app_id]
        if app.token is not None:
            self._valid.pop(app.token, None)
        self._issue(app_id, app)

    def send(self, message: Message, token: str) -> Outcome:
        """Make one attempt; never raises."""
        person = (token.rpartition("-of-")[2], message.touser)  # an openid is one app's name for somebody
        with self._lock:
            self.attempts.append((message, token))
            if person in self._in_flight:
                return answer(43108)
            self._in_flight.add(person)
            planned = self.plan.popleft() if self.plan else None
        self.while_in_flight(message)
        with self._lock:
            self._in_flight.remove(person)
            if planned is None and self._valid.get(token, 0.0) <= self._clock.now():
                return answer(40001, "invalid credential, access_token is invalid or not latest")
            outcome = planned or answer(0, msgid=next(self._msgid))
            if outcome.errcode == 0:
                self.accepted.append(message)
            return outcome

    def fetch(self, app_id: str, secret: str, *, force: bool) -> Grant:
        """The token endpoint; raises ``TokenUnavailableError``."""
        with self._lock:
            self.fetches.append((app_id, force))
        self.while_fetching(app_id)
        with self._lock:
            app = self._apps[app_id]
            if app_id in self.refusals:
                raise TokenUnavailableError(self.refusals[app_id])
            if secret != app.secret:
                raise TokenUnavailableError(answer(40125, "invalid appsecret"))
            now = self._clock.now()
            if force and self._may_force(app, now):
                app.forced.append(now)
                if app.token is not None:
                    self._valid.pop(app.token, None)
                self._issue(app_id, app)
            elif app.token is None or app.expires_at - now <= 300:
                if app.token is not None and app.token in self._valid:
                    self._valid[app.token] = now + 300  # the old one overlaps for 5 minutes
                self._issue(app_id, app)
            assert app.token is not None
            return Grant(app.token, float(int(app.expires_at - now)))

    def _may_force(self, app: _App, now: float) -> bool:
        """WeChat does not refresh beyond 20 a day (of Beijing) or within 30 s of the last time."""
        day = datetime.fromtimestamp(now, _BEIJING).date()
        today = [at for at in app.forced if datetime.fromtimestamp(at, _BEIJING).date() == day]
        return len(today) < 20 and (not app.forced or now - app.forced[-1] >= 30)

    def _issue(self, app_id: str, app: _App) -> None:
        app.generation += 1
        app.token = f"token-{app.generation}-of-{app_id}"
        app.expires_at = self._clock.now() + self._life
        self._valid[app.token] = app.expires_at


@dataclass(frozen=True)
class _FakeTokenSource:
    wechat: FakeWeChat
    app_id: str
    secret: str

    def fetch(self, *, force: bool) -> Grant:
        return self.wechat.fetch(self.app_id, self.secret, force=force)


# ---------------------------------------------------------------- AWS


class FakeParameterStore:
    """Both sides of the parameter store: ``AccountStore`` and ``TokenReader``.

    ``failing`` maps a method's name to AWS's error code, for as long as it stands there; ``broken``
    an account to why its credentials cannot be used.
    """

    def __init__(self) -> None:
        self.sources: dict[str, TokenSource] = {}
        self.broken: dict[str, Bilingual] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.failing: dict[str, str] = {}
        self.reads: list[str] = []
        self.saves: list[tuple[str, AccessToken]] = []
        self._lock = threading.Lock()

    def read(self, account: str) -> AccessToken | None:
        """The sender's side."""
        with self._lock:
            self.reads.append(account)
            self._fail("read", "read the access token")
            return self.tokens.get(account)

    def load(self, account: str) -> Account:
        if not is_account_name(account):
            raise UnknownAccountError(account)
        with self._lock:
            self._fail("load", "read the account")
            if account not in self.sources and account not in self.broken:
                raise UnknownAccountError(account)
            return self._account(account)

    def load_all(self) -> Iterator[Account]:
        with self._lock:
            self._fail("load_all", "list the accounts")
            accounts = [self._account(name) for name in (*self.sources, *self.broken)]
        yield from accounts

    def save(self, account: str, token: AccessToken) -> None:
        with self._lock:
            self._fail("save", "store the access token")
            self.saves.append((account, token))
            self.tokens[account] = token

    def _account(self, name: str) -> Account:
        if name in self.broken:
            return Account(name, None, self.tokens.get(name), self.broken[name])
        return Account(name, self.sources[name], self.tokens.get(name))

    def _fail(self, method: str, action: str) -> None:
        if method in self.failing:
            raise StorageError(action, self.failing[method])


class FakeRefresher:
    """The refresher as senders reach it: one at a time, whoever comes meanwhile is turned away.

    ``busy`` asks are turned away before any is let in; ``down`` is AWS's error code of an
    invocation that does not come about; ``while_running`` happens inside of the one that runs.
    """

    def __init__(self, refresher: TokenRefresher) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.try_again_count = 0
        self.busy: float = 0
        self.down: str | None = None
        self.while_running: Callable[[], None] = lambda: None
        self._refresher = refresher
        self._running = threading.Lock()
        self._counting = threading.Lock()

    def ask(self, account: str, rejected: str | None) -> AccessToken:
        with self._counting:
            self.asked.append((account, rejected))
            if self.down:
                raise StorageError("ask for a token", self.down)
            if self.busy > 0 or not self._running.acquire(blocking=False):
                self.busy -= self.busy > 0
                self.try_again_count += 1
                raise RefresherBusyError(account)
        try:
            self.while_running()
            result = self._refresher.replace(account, rejected)
        except StorageError:
            raise StorageError("ask for a token", "FunctionError") from None
        finally:
            self._running.release()
        if result.failure:
            raise TokenUnavailableError(result.failure)
        assert result.token is not None
        return result.token


class FakeQueue:
    """One SQS queue: what was put on it, and the visibility timeouts that were set.

    ``bodies``, ``attributes``, ``groups`` and ``delays`` (seconds) are those of one message at the same
    place. ``failing`` is AWS's error code for as long as it is set; ``failing_entries`` are the indices
    that a batch loses.
    """

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.attributes: list[dict[str, str]] = []
        self.groups: list[str | None] = []
        self.delays: list[int] = []
        self.handed_out_again: dict[str, float] = {}
        self.failing: str | None = None
        self.failing_entries: set[int] = set()
        self._lock = threading.Lock()

    def send(self, body: str, *, group: str | None = None, **attributes: str) -> None:
        if self.failing:
            raise StorageError("put the message on the queue", self.failing)
        self._take(DelayedMessage(body, 0, group, attributes))

    def send_delayed(self, items: Sequence[DelayedMessage]) -> list[int]:
        if self.failing:
            return list(range(len(items)))
        failed = [
            index
            for index, item in enumerate(items)
            if index in self.failing_entries or not 0 <= item.delay_seconds <= 900
        ]
        for index, item in enumerate(items):
            if index not in failed:
                self._take(item)
        return failed

    def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        code = self.failing or (None if 0 <= round(seconds) <= 43200 else "InvalidParameterValue")
        if code:
            raise StorageError("set the visibility timeout", code)
        self.handed_out_again[receipt_handle] = seconds

    def _take(self, item: DelayedMessage) -> None:
        with self._lock:
            self.bodies.append(item.body)
            self.attributes.append({name: value for name, value in item.attributes.items() if value})
            self.groups.append(item.group)
            self.delays.append(item.delay_seconds)


class FakeLedgerStore:
    """The ledger's table: ``LedgerStore`` and ``CircuitStore``.

    ``puts``, ``reads``, ``circuit_puts`` and ``circuit_reads`` count the calls, those that fail too.
    ``failing`` maps a method's name to AWS's error code, for as long as it stands there;
    ``losing_answers`` makes the next so many puts store what they were given and fail all the same.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self.circuits: dict[str, AccountCircuits] = {}
        self.history: list[Entry] = []
        self.puts = self.reads = self.circuit_puts = self.circuit_reads = 0
        self.patient_puts = 0
        self.failing: dict[str, str] = {}
        self.losing_answers = 0
        self._lock = threading.Lock()

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        with self._lock:
            self.puts += 1
            self.patient_puts += patient
            self._fail("put", "write the message's entry")
            existing = self.entries.get((entry.account, entry.id))
            if existing is not None and existing.version != entry.version - 1:
                return existing
            self.entries[entry.account, entry.id] = entry
            self.history.append(entry)
            if self.losing_answers:
                self.losing_answers -= 1
                raise StorageError("write the message's entry", "ReadTimeoutError")
            return None

    def read(self, account: str, message_id: str) -> Entry | None:
        with self._lock:
            self.reads += 1
            self._fail("read", "read the message's entry")
            return self.entries.get((account, message_id))

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        with self._lock:
            self.circuit_puts += 1
            self._fail("put_circuits", "write the account's circuits")
            existing = self.circuits.get(circuits.account)
            if existing is not None and existing.version != circuits.version - 1:
                return existing
            self.circuits[circuits.account] = circuits
            return None

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        with self._lock:
            self.circuit_reads += 1
            self._fail("read_circuits", "read the account's circuits")
            return {account: self.circuits[account] for account in accounts if account in self.circuits}

    def _fail(self, method: str, action: str) -> None:
        if method in self.failing:
            raise StorageError(action, self.failing[method])


class FakeBus:
    """The event bus: what was published. ``failing`` is AWS's error code for as long as it is set."""

    def __init__(self) -> None:
        self.events: list[DomainEvent] = []
        self.failing: str | None = None
        self._lock = threading.Lock()

    def publish(self, events: Sequence[DomainEvent]) -> int:
        json.dumps([domain_event.detail for domain_event in events])  # what is published must be JSON
        with self._lock:
            if self.failing:
                return len(events)
            self.events += events
            return 0


def break_down(*_: object, **__: object) -> Any:
    """What takes the place of a function that fails with an unexpected error."""
    raise RuntimeError(f"{OPENID} {'s' * 32}")


class FakeContext:
    """What Lambda tells an invocation about itself."""

    aws_request_id = "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"
    function_name = "function"

    def __init__(self, seconds_left: float = 60.0) -> None:
        self.seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds_left * 1000)


# ---------------------------------------------------------------- the service over all of them


@dataclass(frozen=True)
class Metric:
    """One value of a metric under one set of dimensions, ``service`` left out."""

    name: str
    dimensions: dict[str, str]
    value: float
    unit: str


def metrics(stdout: str, *, starts: bool = False) -> list[Metric]:
    """What CloudWatch makes of the embedded metric lines, under each of their sets of dimensions.

    Cold starts are left out where they are not asked for: every service of a test begins with one.
    """
    found: list[Metric] = []
    for line in filter(None, stdout.splitlines()):
        document = json.loads(line)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "WeChatNotify"
            for names, metric in itertools.product(directive["Dimensions"], directive["Metrics"]):
                assert document["service"]
                assert "service" in names
                if metric["Name"] == "ColdStart" and not starts:
                    continue
                dimensions = {name: document[name] for name in names if name != "service"}
                value = document[metric["Name"]]
                values = value if isinstance(value, list) else [value]
                found += [Metric(metric["Name"], dimensions, number, metric["Unit"]) for number in values]
    return found


_services = itertools.count()


class Service:
    """The real core over fakes, with the account ``shop`` and its token in the store."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wechat = FakeWeChat(self.clock)
        self.store = FakeParameterStore()
        self.queue = FakeQueue()
        self.dead_letters = FakeQueue()
        self.log = io.StringIO()
        self.telemetry = Telemetry(
            Logger(service=f"service-{next(_services)}", stream=self.log, utc=True, use_rfc3339=True)
        )
        self.token_refresher = TokenRefresher(self.store, now=self.clock.now)
        self.refresher = FakeRefresher(self.token_refresher)
        self.sender = Sender(
            access_tokens(self.store, self.refresher, self.clock),
            self.wechat,
            now=self.clock.now,
            clock=self.clock.now,
        )
        self.bus = FakeBus()
        self.ledger_store = FakeLedgerStore()
        writers = itertools.count(1)

        def writer() -> str:
            return f"writer-{next(writers)}"

        self.ledger = Ledger(
            self.ledger_store, now=self.clock.now, writer=writer, keyed_hash=self.openid_hash
        )
        self.circuits = Circuits(
            self.ledger_store, now=self.clock.now, writer=writer, quota_reset=QuotaReset(_BEIJING)
        )
        self.dispatcher = Dispatcher(
            self.ledger, self.circuits, self.sender, self.queue, now=self.clock.now, jitter=lowest
        )
        self.batch_sender = BatchSender(
            self.dispatcher, Returns(self.queue, self.dead_letters, now=self.clock.now, jitter=lowest)
        )
        self.add_account("shop")

    def openid_hash(self, openid: str) -> str:
        """How the service writes an openid into logs and into the ledger."""
        return hash_openid(openid, b"a key for tests")

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
            "openid_hash": self.openid_hash,
            "message_id": lambda: new_id(self.clock.now, lambda _bits: next(bits)),
            "dispatcher": self.dispatcher,
            "ledger": self.ledger,
            "event_bus": self.bus,
            "batch_sender": self.batch_sender,
            "token_refresher": self.token_refresher,
        }
        for name, part in parts.items():
            monkeypatch.setattr(bootstrap, name, lambda part=part: part)
        fake_time = SimpleNamespace(time=self.clock.now)
        monkeypatch.setattr("functions.token_refresh.handler.time", fake_time)

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
