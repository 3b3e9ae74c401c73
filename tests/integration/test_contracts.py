"""What holds for a real adapter holds for its fake, so that a test on fakes says something about both."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import pytest

from local.simulator.server import Simulator
from tests import fakes
from tests.integration.conftest import PATH, RETENTION, SHORT, RefreshLambda
from tests.integration.raw_server import Connection, RawServer, always, json_answer, refused
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, AppCredentials, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.delivery import returns
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit, CircuitStore
from wechat_notify.core.delivery.dispatcher import SendQueue
from wechat_notify.core.delivery.entry import Change, Entry
from wechat_notify.core.delivery.ledger import LedgerStore
from wechat_notify.core.delivery.returns import DeadLetters
from wechat_notify.core.delivery.sender import MessageApi
from wechat_notify.core.errors import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import (
    Bilingual,
    DelayedMessage,
    DomainEvent,
    ErrorClass,
    Holds,
    Outcome,
    Status,
)
from wechat_notify.core.tokens.refresher import AccountStore
from wechat_notify.core.tokens.token import AccessToken, Grant, Refresher, TokenReader, TokenSource
from wechat_notify.wechat.client import WeChatClient

Aws = Callable[[str], Any]
ClientsAt = Callable[..., Clients]

TOKEN = AccessToken("57_token", 2_000_000_000.0, 1_999_990_000.0, "2033-05-18", 3, 1_999_980_000.0)
RENEWED = AccessToken("58_token", 2_000_007_200.0, 2_000_000_000.0)


# The parameter store


class Store(Protocol):
    """Both sides of a parameter store, and the operator's hand."""

    reader: TokenReader
    accounts: AccountStore

    def add(self, account: str) -> None: ...
    def add_broken(self, account: str) -> None: ...


class FakeStore:
    def __init__(self) -> None:
        self._store = fakes.FakeParameterStore()
        self.reader: TokenReader = self._store
        self.accounts: AccountStore = self._store

    def add(self, account: str) -> None:
        self._store.sources[account] = fakes.FakeWeChat(fakes.Clock()).app(account)

    def add_broken(self, account: str) -> None:
        self._store.broken[account] = Bilingual("wrong: app_secret", "有误：app_secret")


class _Source:
    def __init__(self, credentials: AppCredentials) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


class SsmStore:
    def __init__(self, clients: Clients, put: Callable[[str, str], None]) -> None:
        self.reader: TokenReader = StoredTokens(clients, PATH)
        self.accounts: AccountStore = Accounts(clients, PATH, _Source)
        self._put = put

    def add(self, account: str) -> None:
        credentials = {"type": "app", "app_id": account, "app_secret": "secret"}
        self._put(f"{account}/credentials", json.dumps(credentials))

    def add_broken(self, account: str) -> None:
        self._put(f"{account}/credentials", '{"type": "app", "app_id": "wx"}')


@pytest.fixture(params=["fake", "SSM"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "fake":
        return FakeStore()
    return SsmStore(request.getfixturevalue("clients"), request.getfixturevalue("put"))


def test_what_is_saved_is_read_and_loaded(store: Store) -> None:
    store.add("shop")
    assert store.reader.read("shop") is None
    assert store.accounts.load("shop").token is None
    for token in (TOKEN, RENEWED):
        store.accounts.save("shop", token)
        assert store.reader.read("shop") == token
        assert store.accounts.load("shop").token == token
        assert [account.token for account in store.accounts.load_all()] == [token]


def test_an_account_with_credentials_has_a_source_and_no_problem(store: Store) -> None:
    store.add("shop")
    account = store.accounts.load("shop")
    assert (account.name, account.problem) == ("shop", None)
    assert account.source is not None


def test_credentials_that_cannot_be_used_are_a_problem_and_no_error(store: Store) -> None:
    store.add_broken("broken")
    account = store.accounts.load("broken")
    assert account.source is None
    assert account.problem
    assert "app_secret" in account.problem.en
    assert "app_secret" in account.problem.zh


@pytest.mark.parametrize("name", ["nobody", "", "Shop", "a/b", "shop ", "a" * 65])
def test_an_account_that_is_none_is_unknown_and_has_no_token(store: Store, name: str) -> None:
    store.add("shop")
    store.accounts.save("shop", TOKEN)
    with pytest.raises(UnknownAccountError):
        store.accounts.load(name)


def test_a_token_alone_makes_no_account(store: Store) -> None:
    store.accounts.save("left-over", TOKEN)
    assert store.reader.read("left-over") == TOKEN
    assert list(store.accounts.load_all()) == []
    with pytest.raises(UnknownAccountError):
        store.accounts.load("left-over")


def test_all_accounts_are_loaded_the_broken_ones_too(store: Store) -> None:
    names = [f"shop-{number}" for number in range(12)]
    for name in names:
        store.add(name)
    store.add_broken("broken")
    store.accounts.save("shop-3", TOKEN)
    loaded = {account.name: account for account in store.accounts.load_all()}
    assert loaded.keys() == {*names, "broken"}
    assert [name for name, account in loaded.items() if account.source is None] == ["broken"]
    assert [name for name, account in loaded.items() if account.token] == ["shop-3"]


# The refresher


class RefresherAt(Protocol):
    refresher: Refresher
    service: fakes.Service

    def make_busy(self) -> None: ...


class FakeRefresherAt:
    def __init__(self) -> None:
        self.service = fakes.Service()
        self.refresher: Refresher = self.service.refresher

    def make_busy(self) -> None:
        self.service.refresher.busy = float("inf")


class LambdaRefresherAt:
    """The same core behind the function's handler, behind the Lambda service's HTTP, behind a call."""

    def __init__(self, service: fakes.Service, function: RefreshLambda, clients: Clients) -> None:
        self.service = service
        self.refresher: Refresher = RefreshFunction(clients, "token-refresh")
        self._function = function

    def make_busy(self) -> None:
        self._function.busy = True


@pytest.fixture(params=["fake", "Lambda"])
def refresher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[RefresherAt]:
    if request.param == "fake":
        yield FakeRefresherAt()
        return
    clients_at: ClientsAt = request.getfixturevalue("clients_at")
    service, function = fakes.Service(), RefreshLambda()
    service.lend(monkeypatch)
    with RawServer(function.script) as server:
        yield LambdaRefresherAt(service, function, clients_at(server.url))


def test_a_stored_token_that_was_not_rejected_is_handed_out(refresher: RefresherAt) -> None:
    stored = refresher.service.store.tokens["shop"]
    assert refresher.refresher.ask("shop", None) == stored
    assert refresher.refresher.ask("shop", "another digest") == stored
    assert refresher.service.wechat.fetches == []


def test_a_rejected_token_is_replaced(refresher: RefresherAt) -> None:
    stored = refresher.service.store.tokens["shop"]
    refresher.service.wechat.renew("wx-shop")
    replaced = refresher.refresher.ask("shop", stored.digest)
    assert replaced.value != stored.value
    assert refresher.service.store.tokens["shop"] == replaced


def test_an_account_without_credentials_is_unknown(refresher: RefresherAt) -> None:
    with pytest.raises(UnknownAccountError):
        refresher.refresher.ask("nobody", None)


def test_why_wechat_gives_no_token_comes_through_unchanged(refresher: RefresherAt) -> None:
    refused = fakes.answer(40164, "invalid ip", field="x", retry_after=1.5)
    refresher.service.wechat.refuse_tokens("wx-shop", refused)
    digest = refresher.service.store.tokens["shop"].digest
    with pytest.raises(TokenUnavailableError) as raised:
        refresher.refresher.ask("shop", digest)
    assert raised.value.outcome == refused


def test_a_busy_refresher_says_so(refresher: RefresherAt) -> None:
    refresher.make_busy()
    with pytest.raises(RefresherBusyError):
        refresher.refresher.ask("shop", None)


def test_a_refresher_without_its_store_is_a_failed_function(refresher: RefresherAt) -> None:
    refresher.service.store.failing["load"] = "ThrottlingException"
    with pytest.raises(StorageError) as raised:
        refresher.refresher.ask("shop", None)
    assert raised.value.code == "FunctionError"


# Queues


class BothSides(SendQueue, DeadLetters, returns.Queue, Protocol):
    """A queue as this service uses it."""

    def send(self, body: str, *, group: str | None = None, **attributes: str) -> None: ...


class QueueAt(Protocol):
    queue: BothSides

    def messages(self) -> list[tuple[str, dict[str, str]]]: ...
    def groups(self) -> dict[str, str | None]: ...
    def hidden(self) -> int: ...
    def receipt_handle(self) -> str: ...


class FakeQueueAt:
    def __init__(self) -> None:
        self._queue = fakes.FakeQueue()
        self.queue: BothSides = self._queue

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        kept = zip(self._queue.bodies, self._queue.attributes, self._queue.delays, strict=True)
        return [(body, attributes) for body, attributes, delay in kept if not delay]

    def groups(self) -> dict[str, str | None]:
        return dict(zip(self._queue.bodies, self._queue.groups, strict=True))

    def hidden(self) -> int:
        return sum(delay > 0 for delay in self._queue.delays)

    def receipt_handle(self) -> str:
        return "handle"


class SqsQueueAt:
    def __init__(self, aws: Aws, clients: Clients, name: str = "send") -> None:
        self._sqs = aws("sqs")
        self._url: str = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.queue: BothSides = Queue(clients, self._url)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            MaxNumberOfMessages=10,
        )
        received: list[dict[str, Any]] = answer.get("Messages", [])
        return received

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        return [
            (
                message["Body"],
                {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()},
            )
            for message in self._receive()
        ]

    def groups(self) -> dict[str, str | None]:
        return {message["Body"]: message["Attributes"].get("MessageGroupId") for message in self._receive()}

    def hidden(self) -> int:
        name = "ApproximateNumberOfMessagesDelayed"
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def receipt_handle(self) -> str:
        self.queue.send("body")
        handle: str = self._receive()[0]["ReceiptHandle"]
        return handle


@pytest.fixture(params=["fake", "SQS"])
def queue(request: pytest.FixtureRequest) -> QueueAt:
    if request.param == "fake":
        return FakeQueueAt()
    return SqsQueueAt(request.getfixturevalue("aws"), request.getfixturevalue("clients"))


class TestQueue:
    """What SQS promises; tests/e2e holds the emulator to it too."""

    def test_a_body_is_kept_with_the_attributes_that_are_not_empty(self, queue: QueueAt) -> None:
        queue.queue.send('{"a": 1}', reason="not JSON", message_id="")
        queue.queue.send("plain")
        assert sorted(queue.messages()) == [("plain", {}), ('{"a": 1}', {"reason": "not JSON"})]

    def test_a_message_belongs_to_its_group_if_it_has_one(self, queue: QueueAt) -> None:
        queue.queue.send("first", group="shop")
        queue.queue.send("second")
        failed = queue.queue.send_delayed([DelayedMessage("third", 0, "shop-2"), DelayedMessage("fourth", 0)])
        assert failed == []
        assert queue.groups() == {"first": "shop", "second": None, "third": "shop-2", "fourth": None}

    def test_messages_for_later_are_hidden_until_then(self, queue: QueueAt) -> None:
        items = [
            DelayedMessage("now", 0, "shop", {"message_id": "1-2", "empty": ""}),
            DelayedMessage("soon", 30),
            DelayedMessage("late", 900),
        ]
        assert queue.queue.send_delayed(items) == []
        assert queue.messages() == [("now", {"message_id": "1-2"})]
        assert queue.hidden() == 2

    def test_a_delay_that_sqs_does_not_know_fails_alone(self, queue: QueueAt) -> None:
        items = [DelayedMessage("first", 900), DelayedMessage("second", 901), DelayedMessage("third", 60)]
        assert queue.queue.send_delayed(items) == [1]
        assert queue.hidden() == 2

    def test_more_messages_than_one_call_takes_are_all_kept(self, queue: QueueAt) -> None:
        assert queue.queue.send_delayed([]) == []
        assert queue.queue.send_delayed([DelayedMessage(f"body {number}", 60) for number in range(23)]) == []
        assert queue.hidden() == 23

    @pytest.mark.parametrize("seconds", [0, 0.4, 7.6, 11.5 * 3600])
    def test_a_message_can_be_handed_out_again(self, queue: QueueAt, seconds: float) -> None:
        queue.queue.change_visibility(queue.receipt_handle(), seconds)

    @pytest.mark.parametrize("seconds", [43_201, 1e6])
    def test_sqs_holds_back_for_twelve_hours_at_most(self, queue: QueueAt, seconds: float) -> None:
        handle = queue.receipt_handle()
        with pytest.raises(StorageError) as raised:
            queue.queue.change_visibility(handle, seconds)
        assert raised.value.code == "InvalidParameterValue"


# The ledger


class LedgerAndCircuits(LedgerStore, CircuitStore, Protocol):
    """Both sides of the ledger's table."""


class LedgerAt(Protocol):
    """A table in which the account is nobody else's."""

    store: LedgerAndCircuits
    account: str

    def delete(self, message_id: str) -> None: ...


class FakeLedgerAt:
    def __init__(self) -> None:
        self._store = fakes.FakeLedgerStore()
        self.store: LedgerAndCircuits = self._store
        self.account = "shop"

    def delete(self, message_id: str) -> None:
        del self._store.entries[self.account, message_id]


class DynamoDbLedgerAt:
    def __init__(self, clients: Clients, table_name: str, account: str) -> None:
        self.store: LedgerAndCircuits = LedgerTable(clients, table_name, RETENTION)
        self.account = account
        self._clients = clients
        self._table_name = table_name

    def delete(self, message_id: str) -> None:
        key = {"pk": {"S": f"message#{self.account}#{message_id}"}}
        self._clients.call(
            "delete", lambda: self._clients.dynamodb.delete_item(TableName=self._table_name, Key=key)
        )


@pytest.fixture(params=["fake", "DynamoDB"])
def ledger(request: pytest.FixtureRequest) -> LedgerAt:
    if request.param == "fake":
        return FakeLedgerAt()
    request.getfixturevalue("ledger_table")
    return DynamoDbLedgerAt(request.getfixturevalue("clients"), "ledger", "shop")


def entry(account: str, message_id: str = "1", version: int = 1, **fields: Any) -> Entry:
    named = {"writer": f"writer {version}", "status": Status.SENDING, "fingerprint": "f" * 32, **fields}
    return Entry(
        account,
        message_id,
        created_at=fakes.START,
        updated_at=fakes.START + version,
        version=version,
        **named,
    )


CIRCUIT = Circuit("account", ErrorClass.QUOTA, 45009, fakes.START, fakes.START + 32_155.75)
FULL: dict[str, Any] = {
    "status": Status.UNKNOWN,
    "kind": "mini_program_subscription",
    "template_id": "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
    "openid_hash": "0123456789abcdef",
    "attempts": 3,
    "expires_at": fakes.START + 3600.125,
    "lease_until": fakes.START + 0.001,
    "lost_at": fakes.START + 2.999,
    "answers_lost": 2,
    "next_attempt_at": fakes.START + 12.25,
    "resumed_at": fakes.START + 0.5,
    "reason": "answer_not_recorded",
    "outcome": Outcome(
        Status.FAILED,
        ErrorClass.QUOTA,
        Bilingual("The day's quota is used up 🌙.", "当日额度已用完\u3000。"),
        retryable=True,
        errcode=-1,
        errmsg="",
        rid="66695e1c-5d4a8e9f-0b2c3d4e",
        msgid=2**63 - 1,
        field="thing1",
        retry_after=0.5,
        unjudged=True,
        repeats=0,
        holds=Holds.TEMPLATE,
    ),
    "timeline": (
        Change(Status.SENDING, fakes.START),
        Change(Status.UNKNOWN, fakes.START + 0.25, reason="answer_not_recorded"),
        Change(Status.FAILED, fakes.START + 1.125, errcode=45009, reason=""),
    ),
}


class TestLedgerStore:
    """What ``LedgerStore`` and ``CircuitStore`` promise; tests/e2e holds the emulator's table to it too."""

    def test_nothing_is_read_where_nothing_was_put(self, ledger: LedgerAt) -> None:
        ledger.store.put(entry(ledger.account, "1"))
        assert ledger.store.read(ledger.account, "2") is None
        assert ledger.store.read(f"{ledger.account}-2", "1") is None

    def test_a_first_put_and_its_successors_are_stored(self, ledger: LedgerAt) -> None:
        for version in (1, 2, 3):
            wanted = entry(ledger.account, version=version, status=Status.QUEUED)
            assert ledger.store.put(wanted, patient=version == 3) is None
            assert ledger.store.read(ledger.account, "1") == wanted

    def test_every_field_comes_back_as_it_was(self, ledger: LedgerAt) -> None:
        full = entry(ledger.account, "a#b/c~!", **FULL)
        assert {name for name, usual in Entry._field_defaults.items() if getattr(full, name) == usual} == {
            "version"
        }
        assert ledger.store.put(full) is None
        assert ledger.store.read(ledger.account, "a#b/c~!") == full

    def test_a_second_first_put_meets_the_first(self, ledger: LedgerAt) -> None:
        first = entry(ledger.account, **FULL)
        ledger.store.put(first)
        assert ledger.store.put(entry(ledger.account, writer="another")) == first
        assert ledger.store.read(ledger.account, "1") == first

    @pytest.mark.parametrize("version", [1, 2, 3, 5, 12])
    def test_only_the_next_version_is_stored(self, ledger: LedgerAt, version: int) -> None:
        existing = [entry(ledger.account, version=number) for number in (1, 2, 3)]
        for each in existing:
            ledger.store.put(each)
        assert ledger.store.put(entry(ledger.account, version=version, writer="late")) == existing[-1]
        assert ledger.store.read(ledger.account, "1") == existing[-1]

    def test_a_write_that_is_repeated_meets_itself(self, ledger: LedgerAt) -> None:
        wanted = entry(ledger.account)
        assert ledger.store.put(wanted) is None
        assert ledger.store.put(wanted) == wanted

    def test_an_entry_that_was_deleted_can_be_put_again_at_any_version(self, ledger: LedgerAt) -> None:
        for version in (1, 7):
            ledger.store.put(entry(ledger.account))
            ledger.delete("1")
            assert ledger.store.read(ledger.account, "1") is None
            again = entry(ledger.account, version=version)
            assert ledger.store.put(again) is None
            assert ledger.store.read(ledger.account, "1") == again
            ledger.delete("1")

    def test_of_many_who_come_at_once_one_wins_and_the_others_meet_it(self, ledger: LedgerAt) -> None:
        wanted = [entry(ledger.account, writer=f"writer {number}") for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            existing = list(pool.map(ledger.store.put, wanted))
        (winner,) = [mine for mine, found in zip(wanted, existing, strict=True) if found is None]
        assert [found for found in existing if found is not None] == [winner] * 7

    def test_a_name_with_a_separator_leads_to_nobody_elses_entry(self, ledger: LedgerAt) -> None:
        ledger.store.put(entry(ledger.account, "b#c"))
        assert ledger.store.read(f"{ledger.account}#b", "c") is None

    def test_accounts_without_circuits_are_left_out(self, ledger: LedgerAt) -> None:
        assert ledger.store.read_circuits([]) == {}
        assert ledger.store.read_circuits([ledger.account]) == {}
        # Any name can stand in a queue message, and it must not spoil the others' reading.
        open_now = AccountCircuits(ledger.account, 1, "writer", (CIRCUIT,))
        ledger.store.put_circuits(open_now)
        strange = ["", "Shop", "a#b", "深圳", "x" * 3000, ledger.account]
        assert ledger.store.read_circuits(strange) == {ledger.account: open_now}

    def test_circuits_are_stored_read_and_closed(self, ledger: LedgerAt) -> None:
        limited = Circuit(
            "template:T-1_深",
            ErrorClass.RATE_LIMIT,
            None,
            fakes.START + 0.001,
            fakes.START + 60.5,
            4,
            Bilingual("Add 203.0.113.7 to the whitelist.", "请将 203.0.113.7 加入白名单。"),
        )
        for version, circuits in enumerate(((CIRCUIT, limited), (limited,), ()), 1):
            wanted = AccountCircuits(ledger.account, version, "writer", circuits)
            assert ledger.store.put_circuits(wanted) is None
            assert ledger.store.read_circuits([ledger.account]) == {ledger.account: wanted}

    def test_circuits_of_another_version_meet_what_stands_there(self, ledger: LedgerAt) -> None:
        existing = AccountCircuits(ledger.account, 1, "first", (CIRCUIT,))
        assert ledger.store.put_circuits(existing) is None
        for version in (1, 3):
            assert ledger.store.put_circuits(AccountCircuits(ledger.account, version, "late")) == existing
        assert ledger.store.read_circuits([ledger.account]) == {ledger.account: existing}

    def test_the_circuits_of_many_accounts_are_read_at_once(self, ledger: LedgerAt) -> None:
        names = [f"{ledger.account}-{number}" for number in range(130)]
        stored = {name: AccountCircuits(name, 1, "writer", (CIRCUIT,)) for name in names[::2]}
        for circuits in stored.values():
            ledger.store.put_circuits(circuits)
        assert ledger.store.read_circuits(iter(names * 2)) == stored


# The event bus


class Bus(Protocol):
    """A bus as this service uses it."""

    def publish(self, events: Sequence[DomainEvent]) -> int: ...


class BusAt(Protocol):
    bus: Bus

    def arrived(self) -> list[DomainEvent]: ...


class FakeBusAt:
    def __init__(self) -> None:
        self._bus = fakes.FakeBus()
        self.bus: Bus = self._bus

    def arrived(self) -> list[DomainEvent]:
        return self._bus.events


class EventBridgeBusAt:
    """EventBridge as it answers over HTTP: an id for every entry."""

    bus: Bus

    def __init__(self) -> None:
        self._entries: list[dict[str, str]] = []

    def script(self, connection: Connection) -> None:
        while request := connection.read_request():
            assert request.headers["x-amz-target"] == "AWSEvents.PutEvents"
            entries = json.loads(request.body)["Entries"]
            assert 1 <= len(entries) <= 10
            self._entries += entries
            connection.write(json_answer(FailedEntryCount=0, Entries=[{"EventId": "1-2"} for _ in entries]))

    def arrived(self) -> list[DomainEvent]:
        assert all(entry["Source"] == "wechat-notify" for entry in self._entries)
        assert all(entry["EventBusName"] == "bus" for entry in self._entries)
        assert all(entry["Detail"].isascii() for entry in self._entries)
        return [DomainEvent(entry["DetailType"], json.loads(entry["Detail"])) for entry in self._entries]


@pytest.fixture(params=["fake", "EventBridge"])
def bus(request: pytest.FixtureRequest) -> Iterator[BusAt]:
    if request.param == "fake":
        yield FakeBusAt()
        return
    clients_at: ClientsAt = request.getfixturevalue("clients_at")
    built = EventBridgeBusAt()
    with RawServer(built.script) as server:
        built.bus = EventBus(clients_at(server.url), "bus")
        yield built


class TestBus:
    """What EventBridge promises; tests/e2e holds the emulator to it too."""

    @pytest.mark.parametrize("count", [0, 1, 23])
    def test_what_is_published_arrives(self, bus: BusAt, count: int) -> None:
        events = [
            DomainEvent("circuit.opened", {"account": "shop", "number": number, "text": "额度 🌙"})
            for number in range(count)
        ]
        assert bus.bus.publish(events) == 0
        assert bus.arrived() == events


# What is down


class Down(NamedTuple):
    """All that is AWS's."""

    reader: TokenReader
    accounts: AccountStore
    queue: BothSides
    ledger: LedgerAndCircuits
    bus: Bus


@pytest.fixture(params=["fake", "AWS"])
def down(request: pytest.FixtureRequest) -> Iterator[Down]:
    """Where every call is refused with ``InternalError``."""
    if request.param == "fake":
        store, queue, ledger, bus = (
            fakes.FakeParameterStore(),
            fakes.FakeQueue(),
            fakes.FakeLedgerStore(),
            fakes.FakeBus(),
        )
        store.failing = dict.fromkeys(("read", "load", "load_all", "save"), "InternalError")
        ledger.failing = dict.fromkeys(("put", "read", "put_circuits", "read_circuits"), "InternalError")
        queue.failing = bus.failing = "InternalError"
        yield Down(store, store, queue, ledger, bus)
        return
    clients_at: ClientsAt = request.getfixturevalue("clients_at")
    with RawServer(always(refused("InternalError"))) as server:
        clients = clients_at(server.url)
        yield Down(
            StoredTokens(clients, PATH),
            Accounts(clients, PATH, _Source),
            Queue(clients, "url"),
            LedgerTable(clients, "ledger", RETENTION),
            EventBus(clients, "bus"),
        )


def test_what_is_down_says_so_with_awss_code(down: Down) -> None:
    calls: list[Callable[[], object]] = [
        lambda: down.reader.read("shop"),
        lambda: down.accounts.load("shop"),
        lambda: list(down.accounts.load_all()),
        lambda: down.accounts.save("shop", TOKEN),
        lambda: down.queue.send("body"),
        lambda: down.queue.change_visibility("handle", 5),
        lambda: down.ledger.put(entry("shop")),
        lambda: down.ledger.read("shop", "1"),
        lambda: down.ledger.put_circuits(AccountCircuits("shop", 1)),
        lambda: down.ledger.read_circuits(["shop"]),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        assert raised.value.code == "InternalError"


def test_a_queue_or_a_bus_that_is_down_costs_what_is_put_there_and_nothing_else(down: Down) -> None:
    assert down.queue.send_delayed([DelayedMessage("body", 5)] * 12) == list(range(12))
    assert down.bus.publish([DomainEvent("circuit.opened", {})] * 12) == 12


# WeChat


class WeChatAt(Protocol):
    api: MessageApi
    source: TokenSource
    wrong_source: TokenSource

    def message_for(self, errcode: int) -> Message:
        """A message that will be answered so."""

    def hold(self, inside: Callable[[], None]) -> None:
        """From now on call this while a message is in flight."""


class FakeWeChatAt:
    def __init__(self) -> None:
        self._wechat = fakes.FakeWeChat(fakes.Clock())
        self.api: MessageApi = self._wechat
        self.source = self._wechat.app("wxapp", "app-secret")
        self.wrong_source = self._wechat.app("wxapp", "wrong")

    def message_for(self, errcode: int) -> Message:
        if errcode:
            self._wechat.plan.append(fakes.answer(errcode))
        return fakes.message()

    def hold(self, inside: Callable[[], None]) -> None:
        self._wechat.while_in_flight = lambda _message: inside()


class _HttpSource:
    def __init__(self, client: WeChatClient, secret: str) -> None:
        self._client = client
        self._secret = secret

    def fetch(self, *, force: bool) -> Grant:
        return self._client.fetch_token("wxapp", self._secret, force=force)


class SimulatedWeChatAt:
    def __init__(self, simulator: Simulator, client: WeChatClient) -> None:
        self._simulator = simulator
        self.api: MessageApi = client
        self.source: TokenSource = _HttpSource(client, "app-secret")
        self.wrong_source: TokenSource = _HttpSource(client, "wrong")

    def message_for(self, errcode: int) -> Message:
        return fakes.message(touser=f"errcode-{errcode}" if errcode else fakes.OPENID)

    def hold(self, inside: Callable[[], None]) -> None:
        self._simulator.wechat.settings.latency = 0.001
        self._simulator.wechat._wait = lambda _seconds: inside()


@pytest.fixture(params=["fake", "HTTP"])
def wechat(request: pytest.FixtureRequest) -> WeChatAt:
    if request.param == "fake":
        return FakeWeChatAt()
    simulator: Simulator = request.getfixturevalue("simulator")
    return SimulatedWeChatAt(simulator, request.getfixturevalue("client_at")(simulator.url))


def facts(outcome: Outcome) -> tuple[object, ...]:
    """What anything may be decided by."""
    return (
        outcome.status,
        outcome.error_class,
        outcome.retryable,
        outcome.errcode,
        outcome.retry_after,
        outcome.rid is None,
        outcome.msgid is None,
        outcome.unjudged,
    )


@pytest.mark.parametrize("errcode", fakes.ERRCODES)
def test_an_errcode_means_the_same(wechat: WeChatAt, errcode: int) -> None:
    token = wechat.source.fetch(force=False).value
    outcome = wechat.api.send(wechat.message_for(errcode), token)
    expected = fakes.answer(errcode, msgid=1) if errcode == 0 else fakes.answer(errcode)
    if outcome.error_class is ErrorClass.DUPLICATE:
        outcome, expected = (
            Outcome(each.status, each.error_class, each.hint, each.retryable, each.errcode)
            for each in (outcome, expected)
        )
    assert facts(outcome) == facts(expected)


def test_msgids_are_exact_integers_that_differ(wechat: WeChatAt) -> None:
    token = wechat.source.fetch(force=False).value
    first, second = (wechat.api.send(wechat.message_for(0), token).msgid for _ in range(2))
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert first != second
    assert min(first, second) > 2**53


def test_a_token_that_is_none_is_rejected(wechat: WeChatAt) -> None:
    wechat.source.fetch(force=False)
    outcome = wechat.api.send(wechat.message_for(0), "57_" + "x" * 100)
    assert facts(outcome) == facts(fakes.answer(40001))


def test_normal_mode_hands_out_the_same_token_and_force_replaces_it_at_once(wechat: WeChatAt) -> None:
    first, again = (wechat.source.fetch(force=False) for _ in range(2))
    forced = wechat.source.fetch(force=True)
    assert first.value == again.value != forced.value
    assert 0 < forced.expires_in <= 7200
    assert wechat.api.send(wechat.message_for(0), first.value).errcode == 40001
    assert wechat.api.send(wechat.message_for(0), forced.value).status is Status.SENT


def test_a_second_force_within_30_seconds_is_a_normal_call(wechat: WeChatAt) -> None:
    forced = wechat.source.fetch(force=True)
    assert wechat.source.fetch(force=True).value == forced.value


def test_a_wrong_secret_is_a_matter_of_config(wechat: WeChatAt) -> None:
    wechat.source.fetch(force=False)
    with pytest.raises(TokenUnavailableError) as raised:
        wechat.wrong_source.fetch(force=False)
    assert facts(raised.value.outcome) == facts(fakes.answer(40125))


def test_one_openid_has_one_message_in_flight(wechat: WeChatAt) -> None:
    token = wechat.source.fetch(force=False).value
    in_flight, go_on = threading.Event(), threading.Event()

    def inside() -> None:
        in_flight.set()
        go_on.wait(5)

    wechat.hold(inside)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(wechat.api.send, wechat.message_for(0), token)
        try:
            assert in_flight.wait(5)
            second = wechat.api.send(wechat.message_for(0), token)
        finally:
            go_on.set()
        assert first.result(5).status is Status.SENT
    assert facts(second) == facts(fakes.answer(43108))


def test_a_lost_answer_looks_the_same(simulator: Simulator, client_at: Callable[..., WeChatClient]) -> None:
    client = client_at(simulator.url, limits=SHORT)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    assert facts(client.send(fakes.message(touser="fault-timeout"), token)) == facts(fakes.lost())


def test_an_unreachable_wechat_looks_the_same(client_at: Callable[..., WeChatClient]) -> None:
    with RawServer(lambda _connection: None) as server:
        client = client_at(server.url)
    assert facts(client.send(fakes.message(), "57_token")) == facts(fakes.unreachable())
    with pytest.raises(TokenUnavailableError) as raised:
        client.fetch_token("wxapp", "app-secret", force=False)
    assert facts(raised.value.outcome) == facts(fakes.unreachable())
