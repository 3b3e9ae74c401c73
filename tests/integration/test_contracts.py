"""What holds for a real adapter holds for its fake, so that a test on fakes says something about both."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError

from functions.token_refresh.handler import lambda_handler
from local.simulator.server import Simulator
from tests import fakes
from tests.integration.conftest import PATH
from tests.integration.raw_server import Connection, RawServer, answer
from wechat_notify.aws import clients
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.aws.sqs import Queue
from wechat_notify.aws.ssm import Accounts, AppCredentials, StoredTokens
from wechat_notify.core.batches import DeadLetters, Visibility
from wechat_notify.core.delivery import MessageApi
from wechat_notify.core.messages import Message
from wechat_notify.core.outcomes import (
    ErrorClass,
    Outcome,
    RefresherBusyError,
    Status,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.tokens import (
    AccessToken,
    AccountStore,
    Grant,
    Refresher,
    TokenReader,
    TokenSource,
)
from wechat_notify.wechat.client import WeChatClient

Aws = Callable[..., Any]

TOKEN = AccessToken("57_token", 2_000_000_000.0, 1_999_990_000.0, "2033-05-18", 3, 1_999_980_000.0)
RENEWED = AccessToken("58_token", 2_000_007_200.0, 2_000_000_000.0)


def fail_with(code: str) -> Any:
    """An AWS client of which every call is answered with an error."""

    class Failing:
        def __getattr__(self, method: str) -> Callable[..., None]:
            def fail(**_: object) -> None:
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, method)

            return fail

    return Failing()


# The parameter store


class Store(Protocol):
    """Both sides of a parameter store, and the operator's hand."""

    reader: TokenReader
    accounts: AccountStore

    def add(self, account: str) -> None: ...
    def add_broken(self, account: str) -> None: ...
    def break_down(self, code: str) -> None: ...


class FakeStore:
    def __init__(self) -> None:
        self._store = fakes.FakeParameterStore()
        self.reader: TokenReader = self._store
        self.accounts: AccountStore = self._store

    def add(self, account: str) -> None:
        self._store.sources[account] = fakes.FakeWeChat(fakes.Clock()).app(account)

    def add_broken(self, account: str) -> None:
        self._store.broken[account] = "wrong: app_secret"

    def break_down(self, code: str) -> None:
        self._store.failing = dict.fromkeys(("read", "load", "load_all", "save"), code)


class _Source:
    def __init__(self, credentials: AppCredentials) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


class SsmStore:
    def __init__(self, put: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader: TokenReader = StoredTokens(PATH)
        self.accounts: AccountStore = Accounts(PATH, _Source)
        self._put = put
        self._monkeypatch = monkeypatch

    def add(self, account: str) -> None:
        credentials = {"type": "app", "app_id": account, "app_secret": "secret"}
        self._put(f"{account}/credentials", json.dumps(credentials))

    def add_broken(self, account: str) -> None:
        self._put(f"{account}/credentials", '{"type": "app", "app_id": "wx"}')

    def break_down(self, code: str) -> None:
        self._monkeypatch.setattr(clients, "client", lambda _service, **_: fail_with(code))


@pytest.fixture(params=["fake", "SSM"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "fake":
        return FakeStore()
    return SsmStore(request.getfixturevalue("put"), monkeypatch)


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
    assert "app_secret" in account.problem


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


def test_a_store_that_is_down_says_so_with_awss_code(store: Store) -> None:
    store.add("shop")
    store.break_down("ThrottlingException")
    calls: list[Callable[[], object]] = [
        lambda: store.reader.read("shop"),
        lambda: store.accounts.load("shop"),
        lambda: list(store.accounts.load_all()),
        lambda: store.accounts.save("shop", TOKEN),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        assert raised.value.code == "ThrottlingException"


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
    """The same core behind the function's handler, behind the Lambda service's HTTP, behind boto3."""

    def __init__(self, service: fakes.Service) -> None:
        self.service = service
        self.refresher: Refresher
        self._busy = False

    def make_busy(self) -> None:
        self._busy = True

    def script(self, connection: Connection) -> None:
        while request := connection.read_request():
            if self._busy:
                written = answer(
                    b"{}", "X-Amzn-ErrorType: TooManyRequestsException", status="429 Too Many Requests"
                )
            else:
                written = self._invoke(json.loads(request.body))
            connection.write(written)

    def _invoke(self, event: dict[str, Any]) -> bytes:
        try:
            return answer(json.dumps(lambda_handler(event, fakes.FakeContext())).encode())
        except Exception as error:  # noqa: BLE001 - Lambda answers every error of a function so
            return answer(
                json.dumps({"errorMessage": str(error)}).encode(), "X-Amz-Function-Error: Unhandled"
            )


@pytest.fixture(params=["fake", "Lambda"])
def refresher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[RefresherAt]:
    if request.param == "fake":
        yield FakeRefresherAt()
        return
    at: Callable[[str], RefreshFunction] = request.getfixturevalue("lambda_at")
    service = fakes.Service()
    service.lend(monkeypatch)
    built = LambdaRefresherAt(service)
    with RawServer(built.script) as server:
        built.refresher = at(server.url)
        yield built


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


class BothSides(DeadLetters, Visibility, Protocol):
    """A queue as this service uses it."""


class QueueAt(Protocol):
    queue: BothSides

    def messages(self) -> list[tuple[str, dict[str, str]]]: ...
    def receipt_handle(self) -> str: ...
    def break_down(self, code: str) -> None: ...


class FakeQueueAt:
    def __init__(self) -> None:
        self._queue = fakes.FakeQueue()
        self.queue: BothSides = self._queue

    def messages(self) -> list[tuple[str, dict[str, str]]]:
        return list(zip(self._queue.bodies, self._queue.attributes, strict=True))

    def receipt_handle(self) -> str:
        return "handle"

    def break_down(self, code: str) -> None:
        self._queue.failing = code


class SqsQueueAt:
    def __init__(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sqs = aws("sqs")
        self._url: str = self._sqs.create_queue(QueueName="send")["QueueUrl"]
        self._monkeypatch = monkeypatch
        self.queue: BothSides = Queue(self._url)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MessageAttributeNames=["All"], MaxNumberOfMessages=10
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

    def receipt_handle(self) -> str:
        self.queue.send("body")
        handle: str = self._receive()[0]["ReceiptHandle"]
        return handle

    def break_down(self, code: str) -> None:
        self._monkeypatch.setattr(clients, "client", lambda _service, **_: fail_with(code))


@pytest.fixture(params=["fake", "SQS"])
def queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> QueueAt:
    if request.param == "fake":
        return FakeQueueAt()
    return SqsQueueAt(request.getfixturevalue("aws"), monkeypatch)


def test_a_body_is_kept_with_the_attributes_that_are_not_empty(queue: QueueAt) -> None:
    queue.queue.send('{"a": 1}', reason="not JSON", message_id="")
    queue.queue.send("plain")
    assert sorted(queue.messages()) == [("plain", {}), ('{"a": 1}', {"reason": "not JSON"})]


@pytest.mark.parametrize("seconds", [0, 0.4, 7.6, 11.5 * 3600])
def test_a_message_can_be_handed_out_again(queue: QueueAt, seconds: float) -> None:
    queue.queue.hand_out_again(queue.receipt_handle(), seconds)


@pytest.mark.parametrize("seconds", [43_201, 1e6])
def test_sqs_holds_back_for_twelve_hours_at_most(queue: QueueAt, seconds: float) -> None:
    handle = queue.receipt_handle()
    with pytest.raises(StorageError) as raised:
        queue.queue.hand_out_again(handle, seconds)
    assert raised.value.code == "InvalidParameterValue"


def test_a_queue_that_is_down_says_so_with_awss_code(queue: QueueAt) -> None:
    handle = queue.receipt_handle()
    queue.break_down("ServiceUnavailable")
    calls: list[Callable[[], None]] = [
        lambda: queue.queue.send("body"),
        lambda: queue.queue.hand_out_again(handle, 5),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        assert raised.value.code == "ServiceUnavailable"


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
    return SimulatedWeChatAt(simulator, request.getfixturevalue("connect")(simulator.url))


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
        outcome.unattempted,
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


@pytest.mark.usefixtures("impatient")
def test_a_lost_answer_looks_the_same(simulator: Simulator, connect: Callable[[str], WeChatClient]) -> None:
    client = connect(simulator.url)
    token = client.fetch_token("wxapp", "app-secret", force=False).value
    assert facts(client.send(fakes.message(touser="fault-timeout"), token)) == facts(fakes.lost())


def test_an_unreachable_wechat_looks_the_same(connect: Callable[[str], WeChatClient]) -> None:
    with RawServer(lambda _connection: None) as server:
        client = connect(server.url)
    assert facts(client.send(fakes.message(), "57_token")) == facts(fakes.unreachable())
    with pytest.raises(TokenUnavailableError) as raised:
        client.fetch_token("wxapp", "app-secret", force=False)
    assert facts(raised.value.outcome) == facts(fakes.unreachable())
