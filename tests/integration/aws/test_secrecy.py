"""No secret in what comes back from AWS's adapters."""

import json
import time
from collections.abc import Callable
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import hashes
from tests.integration.aws.samples import calls_of
from tests.integration.conftest import PATH, ClientsAt
from tests.integration.contracts.samples import EventBridgeBusAt, Source
from tests.integration.raw_server import (
    Connection,
    RawServer,
    Script,
    always,
    answer,
    json_answer,
    once,
    refused,
    reset,
    silence,
)
from tests.integration.secrecy import (
    BODY,
    CANARY,
    ECHOES,
    MESSAGE,
    OPENID,
    SECRET,
    TOKEN,
    ClientAt,
    assert_clean,
    echo,
    texts_of,
)
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, AppCredentials, Credentials, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.delivery.circuit import QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.errors import RefresherBusyError, StorageError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.outcomes import DomainEvent
from wechat_notify.core.queue_messages import DelayedMessage
from wechat_notify.core.tokens.token import AccessToken, Grant, TokenSource

STORED = AccessToken(TOKEN, expires_at=2_000_000_000.0, obtained_at=1.0)


def parameters(credentials: str) -> bytes:
    """What SSM answers whatever is asked: one account, as JSON."""
    named = {
        "credentials": credentials,
        "access-token": json.dumps({"value": TOKEN, "expires_at": 2e9, "obtained_at": 1.0}),
    }
    stored = [{"Name": f"{PATH}/shop/{name}", "Value": value} for name, value in named.items()]
    return json_answer(Parameters=stored, Parameter=stored[1])


@pytest.mark.usefixtures("heard")
def test_parameters_are_not_quoted(clients_at: ClientsAt) -> None:
    credentials = json.dumps({"type": "app", "app_id": "wxapp", "app_secret": SECRET})
    seen: list[AppCredentials] = []

    def source(_account: str, credentials: Credentials, _stored: AccessToken | None) -> TokenSource:
        assert isinstance(credentials, AppCredentials)
        seen.append(credentials)
        return None  # type: ignore[return-value] # none is needed

    with RawServer(always(parameters(credentials))) as server:
        clients = clients_at(server.url)
        accounts = Accounts(clients, PATH, source)
        accounts.save("shop", STORED)
        assert StoredTokens(clients, PATH).read("shop") == STORED
        assert_clean([repr(accounts.load("shop")), repr(list(accounts.load_all())), repr(seen)])
    assert [given.app_secret for given in seen] == [SECRET, SECRET]
    for holder in (STORED, Grant(TOKEN, 5), seen[0]):
        assert_clean([repr(holder), str(holder), f"{holder}"])
    assert_clean([STORED.digest, repr(clients), repr(vars(clients))])
    assert CANARY in server.requests[0].all_text


@pytest.mark.parametrize(
    "credentials",
    [
        CANARY,
        f'{{"app_secret": "{CANARY}"',
        f'["{CANARY}"]',
        json.dumps({"type": CANARY, "app_id": "a", "app_secret": "s"}),
        json.dumps({"type": "app", "app_id": "a", "app_secret": {CANARY: 1}}),
        json.dumps({"type": "app", "app_id": "a", "app_secret": "s", CANARY: CANARY}),
        json.dumps({"app_id": "", "app_secret": CANARY}),
        json.dumps({"type": "app", "app_id": {CANARY: 1}, "app_secret": "s"}),
    ],
)
@pytest.mark.usefixtures("heard")
def test_wrong_credentials_are_not_quoted(clients_at: ClientsAt, credentials: str) -> None:
    with RawServer(always(parameters(credentials))) as server:
        account = Accounts(clients_at(server.url), PATH, Source).load("shop")
    assert account.source is None
    assert account.problem
    assert_clean([repr(account), account.problem.en, account.problem.zh])


AWS_ECHOES: dict[str, Callable[[str], bytes]] = {
    "in the message": lambda seen: refused("ValidationException", Message=seen, message=seen),
    "as the code": refused,
    "as another code": lambda seen: refused(f"a b:{seen}", Code=seen),
    "in the fields": lambda seen: answer(
        b"{}",
        f"x-amzn-query-error: {seen};Sender",
        f"X-Amzn-ErrorType: {seen}",
        f"X-Amz-Function-Error: {seen}",
        status="400 Bad Request",
    ),
    "as what stands there": lambda seen: refused(
        "ConditionalCheckFailedException", Item={"pk": {"S": seen}, seen: {"N": seen}}
    ),
    "as the answer": lambda seen: answer(json.dumps(seen).encode()),
    "in an answer of nothing that was asked": lambda seen: json_answer(**{seen: seen}),
    "in a failed function": lambda seen: answer(
        json.dumps({"errorMessage": seen, "stackTrace": [seen]}).encode(), "X-Amz-Function-Error: Unhandled"
    ),
    **{name: ECHOES[name] for name in ("in bad JSON", "in bad UTF-8", "in a 302 page", "in a 500 page")},
    **{name: ECHOES[name] for name in ("truncated", "in the status line", "nowhere, it hangs up")},
}


@pytest.mark.parametrize("written", AWS_ECHOES.values(), ids=AWS_ECHOES.keys())
@pytest.mark.usefixtures("heard")
def test_echo_of_aws_is_not_quoted(clients_at: ClientsAt, written: Callable[[str], bytes]) -> None:
    def script(connection: Connection) -> None:
        if request := connection.read_request():
            connection.write(written(f"{request.headers} {request.all_text}"))

    with RawServer(script) as server:
        clients = clients_at(server.url)
        for call in calls_of(clients, TOKEN).values():
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - which one is tested elsewhere
                assert_clean(texts_of(error))
            else:
                assert_clean([repr(result)])
        assert Queue(clients, "url").send_delayed([DelayedMessage(TOKEN, 1)]) == [0]
        assert EventBus(clients, "bus").publish([DomainEvent("message.failed", {"id": TOKEN})]) == 1
    for request in server.requests:
        assert "AKIACANARY" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "token-CANARY"


@pytest.mark.parametrize("script", [reset, silence])
@pytest.mark.usefixtures("heard")
def test_lost_aws_request_is_not_quoted(clients_at: ClientsAt, script: Script) -> None:
    with RawServer(script) as server:
        clients = clients_at(server.url, 0.05)
        calls = calls_of(clients, TOKEN)
        for name in ("save", "send", "ask", "read entry"):
            with pytest.raises((StorageError, RefresherBusyError)) as raised:
                calls[name]()
            assert_clean(texts_of(raised.value))
    assert CANARY in server.requests[0].all_text


@pytest.mark.parametrize("errcode", [0, 43101, 45009, 48001, 40001, 99999])
def test_stored_and_published_data_is_clean(
    aws: Callable[[str], Any],
    clients: Clients,
    ledger_table: LedgerTable,
    clients_at: ClientsAt,
    client_at: ClientAt,
    *,
    errcode: int,
) -> None:
    """Not the ledger's items, not the events; the openid is there as its hash."""
    openid_hash = hashes(b"a key for tests")
    ledger = Ledger(ledger_table, now=time.time, writer=lambda: "writer", keyed_hash=openid_hash)
    circuits = Circuits(ledger_table, now=time.time, writer=lambda: "writer", quota_reset=QuotaReset(UTC))
    said = echo(lambda seen: json_answer(errcode=errcode, errmsg=f"{seen} {TOKEN} rid: a-b"))
    with RawServer(said) as server:
        sender = SimpleNamespace(
            token=lambda *_: STORED,
            send=lambda *_: Exchange(client_at(server.url).send(MESSAGE, TOKEN), 1, 0.1),
        )
        dispatcher = Dispatcher(
            ledger,
            circuits,
            sender,  # type: ignore[arg-type] # as much of one as is needed
            Queue(clients, "url"),
            SimpleNamespace(),  # type: ignore[arg-type] # the account's policy is off
            now=time.time,
            jitter=min,
        )
        dispatched = dispatcher.send_now(SendRequest("order-1", "shop", BODY), MESSAGE, lambda: 60.0)
    assert CANARY in server.requests[0].all_text
    bus = EventBridgeBusAt()
    with RawServer(bus.script) as server:
        assert EventBus(clients_at(server.url), "bus").publish(dispatched.events) == 0
    items = aws("dynamodb").scan(TableName="ledger")["Items"]
    found = ledger.look_up("shop", "order-1")
    assert found
    assert found.entry.outcome
    assert found.entry.outcome.errcode == errcode
    assert found.entry.outcome.rid == "a-b" or not errcode
    assert found.entry.openid_hash == openid_hash(OPENID)
    assert len(items) == 1 + (errcode in {45009, 48001, 40001})
    assert len(bus.arrived()) == {0: 0, 45009: 1, 48001: 2, 40001: 1}.get(errcode, 1)
    assert_clean([repr(items), repr(found.entry), repr(bus.arrived()), repr(dispatched)])


@pytest.mark.parametrize(
    "written",
    [
        json_answer(result="token", token={"value": TOKEN, "expires_at": 2e9, "obtained_at": 1.0}),
        json_answer(result="token", token={"value": TOKEN}),
        json_answer(result=TOKEN),
        refused("TooManyRequestsException", "429 Too Many Requests", message=TOKEN),
    ],
    ids=["a token", "half a token", "odd", "throttled"],
)
@pytest.mark.usefixtures("heard")
def test_asking_for_a_token_says_none(clients_at: ClientsAt, written: bytes) -> None:
    with RawServer(once(written)) as server:
        try:
            token = RefreshFunction(clients_at(server.url), "refresh").ask("shop", None)
        except Exception as error:  # noqa: BLE001 - which one is tested elsewhere
            assert_clean(texts_of(error))
        else:
            assert token.value == TOKEN
            assert_clean([repr(token)])
