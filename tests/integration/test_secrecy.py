"""No token, no secret and no URL with one gets out: not in logs, answers, errors or tracebacks."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import ssl
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.conftest import PATH, SHORT, ClientsAt
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
from tests.integration.test_contracts import EventBridgeBusAt
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.events import EventBus
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.aws.parameters import Accounts, AppCredentials, StoredTokens
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.delivery.circuit import AccountCircuits, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.delivery.dispatcher import Dispatcher
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Ledger
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.errors import RefresherBusyError, StorageError, TokenUnavailableError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import DelayedMessage, DomainEvent, Status
from wechat_notify.core.tokens.token import AccessToken, Grant
from wechat_notify.telemetry import hash_openid
from wechat_notify.wechat import connections
from wechat_notify.wechat.client import WeChatClient

ClientAt = Callable[..., WeChatClient]

# A slash, so that the spelling in a URL is another one.
CANARY = "CANARY"
TOKEN = f"57_{CANARY}/token"
SECRET = f"{CANARY}/secret"
OPENID = f"o{CANARY}0123456789012345678"

BODY = {
    "kind": "template",
    "touser": OPENID,
    "template_id": "t",
    "data": {"keyword1": {"value": "v"}},
}
MESSAGE = parse_message(BODY)[0]


class Listener(logging.Handler):
    """Keeps everything that any logger says, arguments and exceptions included."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard += [record.getMessage(), repr(vars(record))]
        if record.exc_info and record.exc_info[1]:
            self.heard += _texts(record.exc_info[1])


@pytest.fixture
def heard(capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """What was logged, warned of and printed; it must hold no canary in the end."""
    listener, root = Listener(), logging.getLogger()
    level = root.level
    for library in ("boto3", "botocore", "urllib3"):  # which an earlier test may have made quiet
        logging.getLogger(library).setLevel(logging.NOTSET)
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield listener.heard
    finally:
        root.removeHandler(listener)
        root.setLevel(level)
    _assert_clean(listener.heard)
    _assert_clean([str(warning.message) for warning in warned])
    _assert_clean(capfd.readouterr())


def _texts(error: BaseException) -> list[str]:
    """All that an error and the errors behind it can tell."""
    texts = traceback.format_exception(error)
    todo, seen = [error], set[int]()
    while todo:
        current = todo.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        texts += [str(current), repr(current), repr(current.args), repr(getattr(current, "__dict__", None))]
        texts += [repr(getattr(current, "__notes__", None))]
        todo += [behind for behind in (current.__cause__, current.__context__) if behind]
    return texts


def _assert_clean(texts: Sequence[str]) -> None:
    for text in texts:
        assert CANARY not in text


def use(client: WeChatClient) -> None:
    """Send a message and fetch a token, and look at everything that comes back."""
    _assert_clean([repr(client.send(MESSAGE, TOKEN))])
    client._session.close()  # a server that answers once and hangs up must not meet the next call
    try:
        grant = client.fetch_token("wxapp", SECRET, force=False)
    except TokenUnavailableError as error:
        _assert_clean(_texts(error))
        _assert_clean([repr(error.outcome)])
    else:
        _assert_clean([repr(grant)])


def test_the_trap_snaps(heard: list[str]) -> None:
    """Without this the other tests could pass by hearing nothing."""
    logging.getLogger("somewhere").debug("url %s", TOKEN)
    assert any(CANARY in text for text in heard)
    heard.clear()
    for outer in (RuntimeError("no canary here"), ValueError()):
        outer.__context__ = KeyError()
        outer.__context__.__cause__ = ValueError(TOKEN)
        outer.__suppress_context__ = True
        assert any(CANARY in text for text in _texts(outer))


# What WeChat, or whatever stands before it, can answer with everything that it was told


def page(status: str) -> Callable[[str], bytes]:
    return lambda seen: answer(f"<html>{seen}</html>".encode(), status=status, content_type="text/html")


def head(*lines: str) -> Callable[[str], bytes]:
    return lambda seen: "\r\n".join([*lines, "", "{}"]).replace("SEEN", seen).encode()


OK = "HTTP/1.1 200 OK"
CHUNKED = "Transfer-Encoding: chunked"

ECHOES: dict[str, Callable[[str], bytes]] = {
    "in errmsg": lambda seen: json_answer(errcode=40001, errmsg=f"hint: [{seen}] rid: 1-2"),
    "at the end of a long errmsg": lambda seen: json_answer(errcode=47003, errmsg="x" * 970 + seen),
    "cut in the middle": lambda seen: json_answer(
        errcode=-1, errmsg="x" * (1000 - 11) + (TOKEN if "access_token" in seen else f"57_{SECRET}")
    ),
    "in errMsg": lambda seen: json_answer(errCode=-1, errMsg=seen),
    "as errcode": lambda seen: json_answer(errcode=seen),
    "as expires_in": lambda seen: json_answer(access_token=TOKEN, expires_in=seen),
    "as a key": lambda seen: json_answer(**{seen: 1}),
    "as msgid": lambda seen: json_answer(errcode=0, msgid=seen),
    "as the token": lambda seen: json_answer(access_token=seen, expires_in=7200),
    "in bad JSON": lambda seen: answer(b'{"errmsg":' + seen.encode()),
    "in bad UTF-8": lambda seen: answer(b"\xff\xfe" + seen.encode()),
    "in a 200 page": page(OK[9:]),
    "in a 302 page": page("302 Found"),
    "in a 400 page": page("400 Bad Request"),
    "in a 404 page": page("404 Not Found"),
    "in a 429 page": page("429 Too Many Requests"),
    "in a 500 page": page("500 Internal Server Error"),
    "in a 502 page": page("502 Bad Gateway"),
    "truncated": lambda seen: answer(json.dumps({"errcode": 0, "errmsg": seen}).encode())[:-3],
    "too large": lambda seen: answer(seen.encode() * 2000),
    "gzip bomb": lambda seen: answer(gzip.compress(seen.encode() * 200_000), "Content-Encoding: gzip"),
    "bad gzip": lambda seen: answer(seen.encode(), "Content-Encoding: gzip"),
    "in the status line": head("SEEN", "Content-Length: 2"),
    "as the version": head("HTTP/SEEN 200 OK"),
    "as the reason": head("HTTP/1.1 500 SEEN", "Content-Length: 2"),
    "as the status": head("HTTP/1.1 SEEN"),
    "in a header without a colon": head(OK, "SEEN", "Content-Length: 2"),
    "in a first header line that continues": head(OK, " SEEN", "Content-Length: 2"),
    "in two lengths": head(OK, "Content-Length: 5, 6", "X-Seen: SEEN"),
    "as the length": head(OK, "Content-Length: SEEN"),
    "in both framings": head(OK, "Content-Length: 2", CHUNKED, "X-Seen: SEEN"),
    "as the encoding": head(OK, "Content-Encoding: SEEN", "Content-Length: 2"),
    "as the charset": head(OK, "Content-Type: text/html; charset=SEEN", "Content-Length: 2"),
    "in a chunk's size": head(OK, CHUNKED, "", "SEEN"),
    "in a cookie": head(OK, "Set-Cookie: a=SEEN; expires=SEEN; path=/", "Content-Length: 2"),
    "in a line too long": lambda seen: head(OK, f"X-Seen: {seen * 1000}", "Content-Length: 2")(seen),
    "in too many headers": head(OK, *["X-Seen: SEEN"] * 200, "Content-Length: 2"),
    "nowhere, it hangs up": lambda _seen: b"",
    **{
        f"in the target of a {status}": head(
            f"HTTP/1.1 {status} Moved", "Location: http://127.0.0.1:1SEEN", "Content-Length: 2"
        )
        for status in (301, 302, 303, 307, 308)
    },
}


def echo(written: Callable[[str], bytes]) -> Script:
    def script(connection: Connection) -> None:
        request = connection.read_request()
        if request:
            connection.write(written(request.all_text))

    return script


@pytest.mark.parametrize("written", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.usefixtures("heard")
def test_a_server_that_repeats_what_it_was_told_is_not_quoted(
    client_at: ClientAt, written: Callable[[str], bytes]
) -> None:
    with RawServer(echo(written)) as server:
        use(client_at(server.url, limits=SHORT))
    assert all(CANARY in request.all_text for request in server.requests)
    assert len(server.requests) == 2


@pytest.mark.parametrize("script", [reset, silence])
@pytest.mark.usefixtures("heard")
def test_a_broken_connection_tells_nothing(client_at: ClientAt, script: Script) -> None:
    with RawServer(script) as server:
        use(client_at(server.url, limits=SHORT))


@pytest.mark.usefixtures("heard")
def test_a_closed_pooled_connection_tells_nothing(client_at: ClientAt) -> None:
    with RawServer(echo(lambda _seen: answer(b"{}", "Connection: keep-alive"))) as server:
        client = client_at(server.url)
        use(client)
        use(client)


@pytest.mark.usefixtures("heard")
def test_a_refused_connection_tells_nothing(client_at: ClientAt) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    use(client_at(f"http://127.0.0.1:{port}"))


@pytest.mark.usefixtures("heard")
def test_a_connect_timeout_tells_nothing(client_at: ClientAt, full_backlog: str) -> None:
    use(client_at(full_backlog, limits=SHORT))


@pytest.mark.usefixtures("heard")
def test_an_unknown_name_tells_nothing(client_at: ClientAt, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    use(client_at("http://wechat.invalid"))


@pytest.mark.parametrize(
    "base_url", ["https://api..weixin.qq.com", "127.0.0.1", "ftp://127.0.0.1", "http://[", "http://a:b"]
)
@pytest.mark.usefixtures("heard")
def test_an_address_that_is_none_tells_nothing(client_at: ClientAt, base_url: str) -> None:
    use(client_at(base_url))


@pytest.mark.usefixtures("heard")
def test_a_certificate_that_nobody_vouches_for_tells_nothing(
    client_at: ClientAt, tls: ssl.SSLContext
) -> None:
    with RawServer(always(b""), tls) as server:
        use(client_at(server.url))
    assert server.accepted == 2
    assert not server.requests


@pytest.mark.parametrize("error", [RuntimeError, ValueError, OSError, TimeoutError, ssl.SSLError])
@pytest.mark.parametrize("place", ["connect", "request", "send", "getresponse"])
@pytest.mark.usefixtures("heard")
def test_an_error_that_nobody_expected_tells_nothing(
    client_at: ClientAt, monkeypatch: pytest.MonkeyPatch, error: type[Exception], place: str
) -> None:
    failed: list[object] = []

    def fail(*given: object, **_: object) -> None:
        failed.append(given)
        raise error(TOKEN, SECRET) from KeyError(TOKEN, SECRET)

    monkeypatch.setattr(connections.Connection, place, fail)
    with RawServer(always(b"")) as server:
        use(client_at(server.url))
    assert len(failed) == 2


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_what_urllib3_logs_of_urls_stays_with_urllib3(
    client_at: ClientAt, heard: list[str], monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    """It does log them, at DEBUG and, of an odd head, at WARNING."""
    listener = Listener()
    monkeypatch.setattr(logging.getLogger("urllib3"), "handlers", [listener])
    monkeypatch.setattr(logging.getLogger("urllib3"), "level", level)
    odd = head(OK, "SEEN", "Content-Length: 2")
    with RawServer(echo(odd)) as server:
        use(client_at(server.url, limits=SHORT))
    assert any(CANARY in text for text in listener.heard)
    assert not [text for text in heard if "urllib3" in text]


@pytest.mark.usefixtures("heard")
def test_a_proxy_that_repeats_what_it_was_told_is_not_quoted(client_at: ClientAt) -> None:
    with RawServer(echo(page("502 Bad Gateway"))) as proxy:
        use(client_at("http://wechat.invalid", proxy=proxy.url))
    assert len(proxy.requests) == 2


def test_a_token_and_an_openid_in_errmsg_become_asterisks(client_at: ClientAt) -> None:
    with RawServer(echo(lambda seen: json_answer(errcode=-1, errmsg=f"{seen} {TOKEN} rid: a-b"))) as server:
        outcome = client_at(server.url).send(MESSAGE, TOKEN)
    assert outcome.errmsg is not None
    assert "?access_token=***" in outcome.errmsg
    assert '"touser":"***"' in outcome.errmsg
    assert outcome.errmsg.endswith("*** rid: a-b")


@pytest.mark.usefixtures("heard")
def test_what_a_healthy_call_says_in_the_logs_holds_no_token(client_at: ClientAt) -> None:
    with RawServer(echo(lambda _seen: json_answer(errcode=0, msgid=1, access_token=TOKEN, expires_in=9))) as (
        server
    ):
        use(client_at(server.url))


# AWS

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
def test_reading_and_writing_parameters_says_no_secret(clients_at: ClientsAt) -> None:
    credentials = json.dumps({"type": "app", "app_id": "wxapp", "app_secret": SECRET})
    seen: list[AppCredentials] = []

    def source(given: AppCredentials) -> Any:
        seen.append(given)

    with RawServer(always(parameters(credentials))) as server:
        clients = clients_at(server.url)
        accounts = Accounts(clients, PATH, source)
        accounts.save("shop", STORED)
        assert StoredTokens(clients, PATH).read("shop") == STORED
        _assert_clean([repr(accounts.load("shop")), repr(list(accounts.load_all())), repr(seen)])
    assert [given.app_secret for given in seen] == [SECRET, SECRET]
    assert CANARY in server.requests[0].all_text


@pytest.mark.parametrize(
    "credentials",
    [
        CANARY,
        f'"{CANARY}"',
        f'{{"app_secret": "{CANARY}"',
        f'["{CANARY}"]',
        json.dumps({"type": CANARY, "app_id": "a", "app_secret": "s"}),
        json.dumps({"type": "app", "app_id": "a", CANARY: "s"}),
        json.dumps({"type": "app", "app_id": "a", "app_secret": {CANARY: 1}}),
        json.dumps({"type": "app", "app_id": "a", "app_secret": [CANARY]}),
        json.dumps({"type": "app", "app_id": "a", "app_secret": "s", CANARY: CANARY}),
        json.dumps({"app_id": "", "app_secret": CANARY}),
        json.dumps({"type": "app", "app_id": {CANARY: 1}, "app_secret": "s"}),
    ],
)
@pytest.mark.usefixtures("heard")
def test_credentials_that_are_wrong_are_not_quoted(clients_at: ClientsAt, credentials: str) -> None:
    with RawServer(always(parameters(credentials))) as server:
        accounts = Accounts(clients_at(server.url), PATH, lambda _: None)  # type: ignore[arg-type,return-value]
        account = accounts.load("shop")
    assert account.source is None
    assert account.problem
    _assert_clean([repr(account), account.problem.en, account.problem.zh])


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
def test_an_aws_that_repeats_what_it_was_told_is_not_quoted(
    clients_at: ClientsAt, written: Callable[[str], bytes]
) -> None:
    def script(connection: Connection) -> None:
        if request := connection.read_request():
            connection.write(written(f"{request.headers} {request.all_text}"))

    with RawServer(script) as server:
        clients = clients_at(server.url)
        table, entry = (
            LedgerTable(clients, "ledger", 1.0),
            Entry("shop", TOKEN, Status.QUEUED, "", "", 1.0, 1.0),
        )
        accounts = Accounts(clients, PATH, lambda _: None)  # type: ignore[arg-type,return-value]
        calls: list[Callable[[], object]] = [
            lambda: StoredTokens(clients, PATH).read("shop"),
            lambda: accounts.load("shop"),
            lambda: list(accounts.load_all()),
            lambda: accounts.save("shop", STORED),
            lambda: Queue(clients, "url").send(TOKEN),
            lambda: Queue(clients, "url").change_visibility(TOKEN, 1),
            lambda: RefreshFunction(clients, "refresh").ask("shop", TOKEN),
            lambda: table.read("shop", TOKEN),
            lambda: table.put(entry),
            lambda: table.read_circuits(["shop"]),
            lambda: table.put_circuits(AccountCircuits("shop")),
        ]
        for call in calls:
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - which one is tested elsewhere
                _assert_clean(_texts(error))
            else:
                _assert_clean([repr(result)])
        assert Queue(clients, "url").send_delayed([DelayedMessage(TOKEN, 1)]) == [0]
        assert EventBus(clients, "bus").publish([DomainEvent("message.failed", {"id": TOKEN})]) == 1
    for request in server.requests:
        assert "AKIACANARY" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "token-CANARY"


@pytest.mark.parametrize("script", [reset, silence])
@pytest.mark.usefixtures("heard")
def test_an_aws_that_does_not_answer_is_not_told_of_with_what_it_was_told(
    clients_at: ClientsAt, script: Script
) -> None:
    with RawServer(script) as server:
        clients = clients_at(server.url, 0.05)
        accounts = Accounts(clients, PATH, lambda _: None)  # type: ignore[arg-type,return-value]
        calls: list[Callable[[], object]] = [
            lambda: accounts.save("shop", STORED),
            lambda: Queue(clients, "url").send(TOKEN),
            lambda: RefreshFunction(clients, "refresh").ask("shop", TOKEN),
            lambda: LedgerTable(clients, "ledger", 1.0).read("shop", TOKEN),
        ]
        for call in calls:
            with pytest.raises((StorageError, RefresherBusyError)) as raised:
                call()
            _assert_clean(_texts(raised.value))
    assert CANARY in server.requests[0].all_text


@pytest.mark.parametrize("errcode", [0, 43101, 45009, 48001, 40001, 99999])
def test_what_is_kept_and_told_of_a_message_holds_none_of_it(
    aws: Callable[[str], Any],
    clients: Clients,
    ledger_table: LedgerTable,
    clients_at: ClientsAt,
    client_at: ClientAt,
    *,
    errcode: int,
) -> None:
    """Not the ledger's items, not the events; the openid is there as its hash."""
    openid_hash = partial(hash_openid, key=b"a key for tests")
    ledger = Ledger(ledger_table, now=time.time, writer=lambda: "writer", keyed_hash=openid_hash)
    circuits = Circuits(ledger_table, now=time.time, writer=lambda: "writer", quota_reset=QuotaReset(UTC))
    with RawServer(echo(lambda seen: json_answer(errcode=errcode, errmsg=f"{seen} {TOKEN} rid: a-b"))) as (
        server
    ):
        sender = SimpleNamespace(
            token=lambda *_: STORED,
            send=lambda *_: Delivery(client_at(server.url).send(MESSAGE, TOKEN), 1, 0.1),
        )
        dispatcher = Dispatcher(
            ledger,
            circuits,
            sender,  # type: ignore[arg-type] # as much of one as is needed
            Queue(clients, "url"),
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
    entry = found.entry
    assert entry.outcome
    assert (entry.outcome.errcode, entry.outcome.rid, entry.openid_hash) == (
        errcode,
        "a-b" if errcode else entry.outcome.rid,
        openid_hash(OPENID),
    )
    assert len(items) == 1 + (errcode in {45009, 48001, 40001})
    assert len(bus.arrived()) == {0: 0, 45009: 1, 48001: 2, 40001: 1}.get(errcode, 1)
    _assert_clean([repr(items), repr(entry), repr(bus.arrived()), repr(dispatched)])


@pytest.mark.parametrize(
    "written",
    [
        json_answer(result="token", token={"value": TOKEN, "expires_at": 2e9, "obtained_at": 1.0}),
        json_answer(result="token", token={"value": TOKEN}),
        json_answer(result=TOKEN),
        answer(TOKEN.encode()),
        answer(
            json.dumps({"errorMessage": TOKEN, "stackTrace": [SECRET]}).encode(),
            "X-Amz-Function-Error: Unhandled",
        ),
        json_answer(result="token", token={"value": TOKEN})[:-3],
        answer(
            json.dumps({"message": TOKEN}).encode(),
            "X-Amzn-ErrorType: TooManyRequestsException",
            status="429 Too Many Requests",
        ),
    ],
    ids=["a token", "half a token", "odd", "no JSON", "function error", "truncated", "throttled"],
)
@pytest.mark.usefixtures("heard")
def test_asking_for_a_token_says_none(clients_at: ClientsAt, written: bytes) -> None:
    with RawServer(once(written)) as server:
        try:
            token = RefreshFunction(clients_at(server.url), "refresh").ask("shop", None)
        except Exception as error:  # noqa: BLE001 - which one is tested elsewhere
            _assert_clean(_texts(error))
        else:
            assert token.value == TOKEN
            _assert_clean([repr(token)])


def test_no_repr_shows_a_secret(clients_at: ClientsAt) -> None:
    credentials = AppCredentials(type="app", app_id="wxapp", app_secret=SECRET)
    for holder in (STORED, Grant(TOKEN, 5), credentials):
        _assert_clean([repr(holder), str(holder), f"{holder}"])
    _assert_clean([STORED.digest])
    with RawServer(once(parameters("{}"))) as server:
        clients = clients_at(server.url)
        StoredTokens(clients, PATH).read("shop")
    _assert_clean([repr(clients), repr(vars(clients))])
