"""The client against sockets: what it writes, what it can read, and what it makes of every way to fail."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.simulator.server import Simulator
from tests.integration.raw_server import (
    SENT,
    Connection,
    RawServer,
    Script,
    always,
    answer,
    json_answer,
    once,
)
from wechat_notify.core.messages import Message, parse_message
from wechat_notify.core.outcomes import ErrorClass, Holds, Outcome, Status, TokenUnavailableError
from wechat_notify.wechat import transport as transport_module
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.transport import PooledTransport

Connect = Callable[..., WeChatClient]

TOKEN = "57_token"
OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
MSGID = 1864323726461255683  # odd, so that no float can hold it
LONG_AGO = 1_000_000.0
"""Seconds."""


def message(touser: str = OPENID, text: str = "深圳 “é” 😀") -> Message:
    body = {
        "kind": "template",
        "touser": touser,
        "template_id": "template-1",
        "data": {"keyword1": {"value": text}},
    }
    return parse_message(body)[0]


MESSAGE = message()


def send_to(connect: Connect, script: Script) -> Outcome:
    with RawServer(script) as server:
        return connect(server.url).send(MESSAGE, TOKEN)


# What goes out


def test_a_send_is_one_post_of_raw_utf8_with_the_token_in_the_query(connect: Connect) -> None:
    with RawServer(always(SENT)) as server:
        connect(server.url + "/").send(MESSAGE, "57_a/b+c=&d e")
    (request,) = server.requests
    assert request.target == "/cgi-bin/message/template/send?access_token=57_a%2Fb%2Bc%3D%26d%20e"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["content-length"] == str(len(request.body))
    assert "深圳 “é” 😀".encode() in request.body
    assert b"\\u" not in request.body
    assert json.loads(request.body) == {
        "touser": OPENID,
        "template_id": "template-1",
        "data": {"keyword1": {"value": "深圳 “é” 😀"}},
    }


def test_the_token_request_has_the_secret_in_its_body_only(connect: Connect) -> None:
    with RawServer(always(json_answer(access_token="new", expires_in=345))) as server:
        grant = connect(server.url).fetch_token("wxapp", "s/e?c&ret-密", force=True)
    (request,) = server.requests
    assert (grant.value, grant.expires_in) == ("new", 345.0)
    assert request.target == "/cgi-bin/stable_token"
    assert "s/e?c&ret-密".encode() in request.body
    assert json.loads(request.body) == {
        "grant_type": "client_credential",
        "appid": "wxapp",
        "secret": "s/e?c&ret-密",
        "force_refresh": True,
    }


def test_the_environment_names_no_proxy_and_no_password(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with RawServer(always(SENT)) as server, RawServer(once(SENT)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert connect(server.url).send(MESSAGE, TOKEN).status is Status.SENT
    assert proxy.accepted == 0
    assert "authorization" not in server.requests[0].headers


def test_no_cookie_wanders_from_one_account_to_the_next(connect: Connect) -> None:
    with RawServer(always(answer(b'{"errcode":0}', "Set-Cookie: account=first; Path=/"))) as server:
        client = connect(server.url)
        assert [client.send(MESSAGE, TOKEN).status for _ in range(2)] == [Status.SENT] * 2
    assert all("cookie" not in request.headers for request in server.requests)


# What can be read


@pytest.mark.parametrize(
    "written",
    [
        json_answer(errcode=0, errmsg="ok", msgid=MSGID),
        json_answer(errcode="0", errmsg="ok", msgid=str(MSGID)),
        answer(json.dumps({"errcode": 0, "msgid": MSGID}).encode(), content_type="text/plain"),
        answer(b"\xef\xbb\xbf" + json.dumps({"msgid": MSGID}).encode(), content_type="image/png"),
        answer(b'{"errcode":0,"errmsg":"\x01 \xff broken","msgid":%d}' % MSGID),
        b'HTTP/1.1 200 OK\r\n\r\n{"errcode":0,"msgid":%d}' % MSGID,
    ],
    ids=["plain", "strings", "text/plain", "no errcode", "broken UTF-8", "ends with the connection"],
)
def test_a_success_is_read_however_it_is_spelled(connect: Connect, written: bytes) -> None:
    outcome = send_to(connect, once(written))
    assert outcome.status is Status.SENT
    assert outcome.msgid == MSGID
    assert outcome.errcode == 0


def test_a_refusal_carries_errcode_rid_and_field(connect: Connect) -> None:
    errmsg = "argument invalid! data.thing1.value is emtpy rid: 66695e1c-12345678-9abcdef0"
    outcome = send_to(connect, once(json_answer(errcode="47003", errmsg=errmsg)))
    assert (outcome.status, outcome.error_class, outcome.retryable) == (
        Status.FAILED,
        ErrorClass.REQUEST,
        False,
    )
    assert (outcome.errcode, outcome.field) == (47003, "thing1")
    assert (outcome.rid, outcome.errmsg) == ("66695e1c-12345678-9abcdef0", errmsg)


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


BODY = json.dumps({"errcode": 0, "errmsg": "ok" * 500, "msgid": MSGID}).encode()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "written",
    [
        CHUNKED + b"\r\n" + chunked(BODY, 7),
        answer(gzip.compress(BODY), "Content-Encoding: gzip"),
        answer(zlib.compress(BODY), "Content-Encoding: deflate"),
        CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunked(gzip.compress(BODY), 5),
    ],
    ids=["chunked", "gzip", "deflate", "gzip in chunks"],
)
@pytest.mark.parametrize("piece", [3, 100_000])
def test_chunked_and_compressed_answers_are_read(connect: Connect, written: bytes, piece: int) -> None:
    def script(connection: Connection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.read_request():
            for start in range(0, len(written), piece):
                connection.write(written[start : start + piece])

    with RawServer(script) as server:
        client = connect(server.url)
        outcomes = [client.send(MESSAGE, TOKEN) for _ in range(2)]
    assert [outcome.msgid for outcome in outcomes] == [MSGID, MSGID]
    assert server.accepted == 1


def test_an_answer_that_is_complete_counts_even_if_it_is_late(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "_ANSWER_TIMEOUT", 0.05)

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.wait(0.15)
        connection.write(SENT)

    assert send_to(connect, script).status is Status.SENT


# Connections


def test_many_messages_go_over_one_connection(connect: Connect) -> None:
    with RawServer(always(SENT)) as server:
        client = connect(server.url)
        assert all(client.send(MESSAGE, TOKEN).status is Status.SENT for _ in range(20))
    assert server.accepted == 1
    assert len(server.requests) == 20


@pytest.mark.parametrize(
    "written", [json_answer(errcode=-1, errmsg="system error"), answer(b"<html>", status="404 Not Found")]
)
def test_a_refusal_does_not_cost_the_connection(connect: Connect, written: bytes) -> None:
    with RawServer(always(written)) as server:
        client = connect(server.url)
        for _ in range(3):
            client.send(MESSAGE, TOKEN)
    assert server.accepted == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced_unnoticed(connect: Connect) -> None:
    closed = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(SENT)
            connection.socket.shutdown(socket.SHUT_RDWR)
            closed.release()

    with RawServer(script) as server:
        client = connect(server.url)
        for number in range(1, 4):
            assert client.send(MESSAGE, TOKEN).status is Status.SENT
            assert closed.acquire(timeout=2)
            assert len(server.requests) == number


def frozen(client: WeChatClient, seconds: float) -> None:
    """As if the process had been frozen for so long: its idle connections are that much older."""
    assert isinstance(client._transport, PooledTransport)
    for idle in list(client._transport._idle):
        idle._used_at -= seconds


def test_connections_idle_for_too_long_are_not_used_again(connect: Connect) -> None:
    with RawServer(always(SENT)) as server:
        client = connect(server.url)
        client.send(MESSAGE, TOKEN)
        frozen(client, transport_module._IDLE_MOST - 1)
        client.send(MESSAGE, TOKEN)
        assert server.accepted == 1
        frozen(client, transport_module._IDLE_MOST + 0.1)
        assert client.send(MESSAGE, TOKEN).status is Status.SENT
        client.send(MESSAGE, TOKEN)
    assert server.accepted == 2


def test_a_first_message_long_after_the_start_is_sent(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SENT)) as server:
        client = connect(server.url)
        later = time.time() + LONG_AGO
        monkeypatch.setattr(time, "time", lambda: later)
        assert [client.send(MESSAGE, TOKEN).status for _ in range(2)] == [Status.SENT] * 2
    assert server.accepted == 1


def test_threads_share_the_pool_and_idle_ones_may_be_dropped_under_them(
    connect: Connect,
) -> None:
    with RawServer(always(SENT)) as server:
        client = connect(server.url)

        def send(number: int) -> Outcome:
            if number % 7 == 0:
                frozen(client, LONG_AGO)
            return client.send(message(text=f"number {number}"), TOKEN)

        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(send, range(300)))
    assert Counter(outcome.status for outcome in outcomes) == {Status.SENT: 300}
    texts = Counter(json.loads(request.body)["data"]["keyword1"]["value"] for request in server.requests)
    assert texts == {f"number {number}": 1 for number in range(300)}


def test_more_threads_than_pooled_connections_all_get_through(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "_IDLE_CONNECTIONS", 8)
    together = threading.Barrier(40)

    def script(connection: Connection) -> None:
        while connection.read_request():
            together.wait(5)
            connection.write(SENT)

    with RawServer(script) as server:
        client = connect(server.url)
        with ThreadPoolExecutor(together.parties) as pool:
            for _ in range(2):
                sends = [pool.submit(client.send, MESSAGE, TOKEN) for _ in range(together.parties)]
                assert {send.result().status for send in sends} == {Status.SENT}


# Nothing left the machine: repeat


def assert_nothing_was_sent(outcome: Outcome) -> None:
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.TRANSIENT)
    assert outcome.retryable
    assert outcome.retry_after
    assert "nothing was sent" in outcome.hint.en


def test_a_refused_connection_can_be_repeated(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert_nothing_was_sent(connect(f"http://127.0.0.1:{port}").send(MESSAGE, TOKEN))


def test_a_name_that_does_not_resolve_can_be_repeated(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert_nothing_was_sent(connect("http://wechat.invalid").send(MESSAGE, TOKEN))


@pytest.mark.usefixtures("impatient")
def test_a_connect_timeout_can_be_repeated(connect: Connect, full_backlog: str) -> None:
    started = time.perf_counter()
    assert_nothing_was_sent(connect(full_backlog).send(MESSAGE, TOKEN))
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("base_url", ["https://api..weixin.qq.com", "api.weixin.qq.com", "ftp://127.0.0.1"])
def test_an_address_that_is_none_sends_nothing(connect: Connect, base_url: str) -> None:
    outcome = connect(base_url).send(MESSAGE, TOKEN)
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert (outcome.unattempted, outcome.retryable) == (True, False)
    with pytest.raises(TokenUnavailableError) as refused:
        connect(base_url).fetch_token("wxapp", "app-secret", force=False)
    assert refused.value.outcome.error_class is ErrorClass.CONFIG


def test_a_certificate_that_nobody_vouches_for_gets_no_message(connect: Connect, tls: ssl.SSLContext) -> None:
    with RawServer(always(SENT), tls) as server:
        assert_nothing_was_sent(connect(server.url).send(MESSAGE, TOKEN))
    assert server.accepted == 1
    assert not server.requests


def test_a_certificate_for_another_name_gets_no_message(
    connect: Connect, tls: ssl.SSLContext, certificate: Path
) -> None:
    with RawServer(always(SENT), tls) as server:
        client = connect(server.url.replace("127.0.0.1", "localhost"), certificate)
        assert_nothing_was_sent(client.send(MESSAGE, TOKEN))
    assert not server.requests


def test_a_trusted_certificate_gets_the_message(
    connect: Connect, tls: ssl.SSLContext, certificate: Path
) -> None:
    with RawServer(always(SENT), tls) as server:
        client = connect(server.url, certificate)
        assert [client.send(MESSAGE, TOKEN).status for _ in range(3)] == [Status.SENT] * 3
    assert server.accepted == 1


def _silence(connection: Connection) -> None:
    connection.wait(5)


def _reset_the_hello(connection: Connection) -> None:
    connection.socket.recv(1)
    connection.reset()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "script",
    [_silence, _reset_the_hello, lambda connection: connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")],
    ids=["silence", "reset", "no TLS"],
)
def test_a_handshake_that_fails_can_be_repeated(connect: Connect, script: Script) -> None:
    with RawServer(script) as server:
        client = connect(server.url.replace("http:", "https:"))
        assert_nothing_was_sent(client.send(MESSAGE, TOKEN))


# The message may have gone out: do not repeat


def _reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def _reset_in_the_answer(connection: Connection) -> None:
    connection.read_request()
    connection.write(SENT[:-5])
    connection.reset()


def _no_answer(connection: Connection) -> None:
    connection.read_request()
    connection.wait(5)


def _stops_in_the_answer(connection: Connection) -> None:
    connection.read_request()
    connection.write(SENT[:-5])
    connection.wait(5)


ZEROS = b"0" * 50_000_000

LOST: dict[str, Script] = {
    "closed without an answer": once(b""),
    "reset": _reset,
    "reset in the answer": _reset_in_the_answer,
    "read timeout": _no_answer,
    "read timeout in the answer": _stops_in_the_answer,
    "truncated": once(SENT[:-1]),
    "truncated head": once(SENT[:20]),
    "truncated chunks": once(CHUNKED + b"\r\n" + chunked(BODY, 7)[:-20]),
    "chunks without an end": once(CHUNKED + b"\r\n" + chunked(BODY, 7)[: -len(b"0\r\n\r\n")]),
    "no chunks": once(CHUNKED + b"\r\n{}"),
    "truncated gzip": once(answer(gzip.compress(BODY)[:-20], "Content-Encoding: gzip")),
    "no gzip": once(answer(b'{"errcode":0,"msgid":1}', "Content-Encoding: gzip")),
    "too large": once(answer(b'{"errcode":0,"msgid":1}'.ljust(200_000))),
    "too large in chunks": once(CHUNKED + b"\r\n" + chunked(b'{"errcode":0}'.ljust(200_000), 1000)),
    "gzip bomb": once(answer(gzip.compress(ZEROS), "Content-Encoding: gzip")),
    "gzip bomb in a gzip": once(answer(gzip.compress(gzip.compress(ZEROS)), "Content-Encoding: gzip, gzip")),
    "empty": once(answer(b"")),
    "not JSON": once(answer(b'{"errcode":0,')),
    "no object": once(answer(b"[0]")),
    "a page": once(answer(b"<html>system is busy</html>", content_type="text/html")),
    "no errcode": once(answer(b'{"errmsg":"ok"}')),
    "odd errcode": once(answer(b'{"errcode":"zero"}')),
    "no HTTP": once(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "two lengths": once(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n{}"),
    "202 without WeChat's JSON": once(answer(b"", status="202 Accepted")),
    "204": once(b"HTTP/1.1 204 No Content\r\n\r\n"),
    **{
        f"{status} without WeChat's JSON": once(answer(b"<html>", status=f"{status} Oops"))
        for status in (500, 502, 503, 504, 599)
    },
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_a_lost_answer_is_unknown_and_not_repeated(connect: Connect, script: Script) -> None:
    with RawServer(script) as server:
        started = time.perf_counter()
        outcome = connect(server.url).send(MESSAGE, TOKEN)
        elapsed = time.perf_counter() - started
    assert (outcome.status, outcome.error_class) == (Status.UNKNOWN, ErrorClass.UNKNOWN)
    assert not outcome.retryable
    assert outcome.errcode is None
    assert len(server.requests) == 1
    assert elapsed < 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "written",
    [
        answer(b'{"errcode":0,"msgid":1}'.ljust(200)),
        CHUNKED + b"\r\n" + chunked(b'{"errcode":0,"msgid":1}'.ljust(200), 10),
        answer(b"<html>".ljust(200), status="404 Not Found"),
        answer(b"".ljust(200), "Location: /elsewhere", status="302 Found"),
    ],
    ids=["plain", "chunked", "error page", "redirect"],
)
def test_a_slow_drip_is_bounded_by_the_time_for_the_whole_answer(connect: Connect, written: bytes) -> None:
    head, _, body = written.partition(b"\r\n\r\n")

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.write(head + b"\r\n\r\n")
        connection.drip(body, every=0.1)

    started = time.perf_counter()
    outcome = send_to(connect, script)
    assert time.perf_counter() - started < 2
    assert outcome.status is Status.UNKNOWN


def test_after_a_lost_answer_the_next_message_gets_its_own(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late answer to the first message must not be read as the answer to the second."""
    monkeypatch.setattr(transport_module, "_READ_TIMEOUT", 0.2)

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if b"slow" in request.body:
                connection.wait(0.4)
            connection.write(json_answer(errcode=0, msgid=len(request.body)))

    with RawServer(script) as server:
        client = connect(server.url)
        assert client.send(message(text="slow"), TOKEN).status is Status.UNKNOWN
        monkeypatch.setattr(transport_module, "_READ_TIMEOUT", 5.0)
        quick = message(text="quick, and of another length")
        assert client.send(quick, TOKEN).msgid == len(quick.wire())


# Refused on the way


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("location", ["{other}/there?access_token=x", "/here", "http://[", "\xff"])
def test_no_redirect_is_followed(connect: Connect, status: int, location: str) -> None:
    with RawServer(once(SENT)) as other:
        header = f"Location: {location.format(other=other.url)}"
        with RawServer(once(answer(b"", header, status=f"{status} Moved"))) as server:
            outcome = connect(server.url).send(MESSAGE, TOKEN)
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert (outcome.retryable, outcome.unattempted) == (False, True)
    assert str(status) in outcome.hint.en
    assert other.accepted == 0
    assert len(server.requests) == 1


def test_a_redirect_with_an_endless_body_is_not_read_to_its_end(connect: Connect) -> None:
    written = 0

    def script(connection: Connection) -> None:
        nonlocal written
        connection.read_request()
        connection.write(b"HTTP/1.1 302 Found\r\nLocation: /here\r\nContent-Length: 100000000\r\n\r\n")
        while not connection.wait(0):
            connection.write(b"0" * 100_000)
            written += 100_000

    assert send_to(connect, script).status is Status.UNKNOWN
    assert written < 20_000_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 451])
def test_a_refusal_without_wechats_json_is_a_matter_of_config(connect: Connect, status: int) -> None:
    outcome = send_to(connect, once(answer(b"<html>no</html>", status=f"{status} No")))
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.CONFIG)
    assert (outcome.retryable, outcome.unattempted) == (False, True)
    assert f"HTTP {status}" in outcome.hint.en


def test_a_request_that_timed_out_on_the_way_can_be_repeated(connect: Connect) -> None:
    assert_nothing_was_sent(send_to(connect, once(answer(b"", status="408 Request Timeout"))))


def test_too_many_requests_is_a_rate_limit(connect: Connect) -> None:
    outcome = send_to(connect, once(answer(b"", status="429 Too Many Requests")))
    assert (outcome.status, outcome.error_class) == (Status.FAILED, ErrorClass.RATE_LIMIT)
    assert outcome.retryable
    assert (outcome.retry_after, outcome.holds, outcome.unattempted) == (60, Holds.KIND, False)


@pytest.mark.parametrize(
    ("errcode", "kind", "holds", "repeats"),
    [
        (0, "template", None, None),
        (-1, "template", None, None),
        (-1, "one_time_subscription", None, 4),
        (40001, "template", Holds.KIND, 2),
        (40013, "template", None, None),  # the mini program that the message opens: no other has it
        (40037, "template", None, 2),
        (40241, "template", None, None),
        (43101, "template", None, None),
        (43107, "template", Holds.TEMPLATE, None),
        (43108, "template", None, None),
        (43117, "template", None, None),
        (45009, "template", Holds.KIND, None),
        (45011, "template", Holds.KIND, None),
        (46101, "template", Holds.KIND, None),
        (48001, "template", Holds.KIND, None),
        (50007, "template", Holds.ACCOUNT, None),
        (99999, "template", None, None),
    ],
)
def test_an_answer_says_what_else_it_holds_and_what_it_is_worth(
    connect: Connect, errcode: int, kind: str, holds: Holds | None, repeats: int | None
) -> None:
    body = {"scene": "1", "title": "x"} if kind == "one_time_subscription" else {}
    data = {"content": {"value": "x"}} if body else {"thing1": {"value": "x"}}
    what, _ = parse_message({"kind": kind, "touser": OPENID, "template_id": "t", "data": data, **body})
    with RawServer(once(json_answer(errcode=errcode, errmsg="x"))) as server:
        outcome = connect(server.url).send(what, TOKEN)
    assert (outcome.errcode, outcome.holds, outcome.repeats) == (errcode, holds, repeats)


@pytest.mark.parametrize("script", [once(b""), once(answer(b"<html>", status="404 Not Found"))])
def test_what_is_no_answer_of_wechats_holds_nobody_else(connect: Connect, script: Script) -> None:
    outcome = send_to(connect, script)
    assert (outcome.holds, outcome.repeats) == (None, None)


@pytest.mark.parametrize("status", [302, 400, 404, 412, 429, 500, 502])
def test_wechats_json_counts_whatever_the_status_says(connect: Connect, status: int) -> None:
    body = b'{"errcode":43101,"errmsg":"user refuse to accept the msg"}'
    outcome = send_to(connect, once(answer(body, status=f"{status} Odd")))
    assert (outcome.status, outcome.errcode) == (Status.FAILED, 43101)
    assert (outcome.error_class, outcome.unattempted) == (ErrorClass.RECIPIENT, False)


# The token endpoint


def fetch(connect: Connect, script: Script) -> Outcome:
    with RawServer(script) as server, pytest.raises(TokenUnavailableError) as raised:
        connect(server.url).fetch_token("wxapp", "app-secret", force=False)
    assert raised.value.outcome.status is Status.FAILED
    return raised.value.outcome


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("script", LOST.values(), ids=LOST.keys())
def test_a_token_that_did_not_arrive_can_be_asked_for_again(connect: Connect, script: Script) -> None:
    outcome = fetch(connect, script)
    assert outcome.error_class in {ErrorClass.TRANSIENT, ErrorClass.CONFIG}
    assert outcome.errcode is not None or outcome.retryable


@pytest.mark.parametrize(
    "grant",
    [
        {"access_token": "", "expires_in": 7200},
        {"access_token": None, "expires_in": 7200},
        {"access_token": 5, "expires_in": 7200},
        {"access_token": "half a \ud83d", "expires_in": 7200},
        {"access_token": "token"},
        {"access_token": "token", "expires_in": 0},
        {"access_token": "token", "expires_in": -5},
        {"access_token": "token", "expires_in": True},
        {"access_token": "token", "expires_in": "soon"},
        {"access_token": "token", "expires_in": 10**400},
    ],
    ids=lambda grant: str(grant)[:60],
)
def test_half_a_grant_is_none(connect: Connect, grant: dict[str, object]) -> None:
    assert fetch(connect, once(json_answer(**grant))).retryable


def test_a_base_url_that_leads_elsewhere_is_a_matter_of_config(connect: Connect) -> None:
    outcome = fetch(connect, once(answer(b"<html>no</html>", status="404 Not Found")))
    assert (outcome.error_class, outcome.retryable) == (ErrorClass.CONFIG, False)
    assert "WeChatApiBase" in outcome.hint.en


def test_an_infinite_grant_is_none(connect: Connect) -> None:
    assert fetch(connect, once(answer(b'{"access_token":"token","expires_in":1e999}'))).retryable


def test_a_wrong_secret_is_a_matter_of_config_and_not_of_the_token(connect: Connect) -> None:
    outcome = fetch(connect, once(json_answer(errcode=40001, errmsg="invalid credential rid: 1-2-3")))
    assert (outcome.error_class, outcome.retryable, outcome.errcode) == (ErrorClass.CONFIG, False, 40001)
    assert "AppSecret" in outcome.hint.en
    assert outcome.rid == "1-2-3"


@pytest.mark.parametrize(
    ("errcode", "error_class", "holds"),
    [
        (40001, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40013, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40014, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40125, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40164, ErrorClass.CONFIG, Holds.ACCOUNT),
        (40243, ErrorClass.CONFIG, Holds.ACCOUNT),
        (50007, ErrorClass.BANNED, Holds.ACCOUNT),
        (45009, ErrorClass.QUOTA, Holds.ACCOUNT),
        (45011, ErrorClass.RATE_LIMIT, Holds.ACCOUNT),
        (-1, ErrorClass.TRANSIENT, None),
        (99999, ErrorClass.OTHER, None),
    ],
)
def test_where_there_is_no_token_the_whole_account_waits(
    connect: Connect, errcode: int, error_class: ErrorClass, holds: Holds | None
) -> None:
    outcome = fetch(connect, once(json_answer(errcode=errcode, errmsg="x")))
    assert (outcome.status, outcome.error_class) == (Status.FAILED, error_class)
    assert (outcome.holds, outcome.repeats) == (holds, None)


@pytest.mark.parametrize(
    ("app_id", "secret", "errcode"), [("wxapp", "wrong", 40125), ("wxother", "app-secret", 40013)]
)
def test_the_token_endpoint_refuses(
    connect: Connect, simulator: Simulator, app_id: str, secret: str, errcode: int
) -> None:
    with pytest.raises(TokenUnavailableError) as raised:
        connect(simulator.url).fetch_token(app_id, secret, force=False)
    assert raised.value.outcome.errcode == errcode
    assert raised.value.outcome.error_class is ErrorClass.CONFIG


def test_normal_mode_repeats_the_token_and_force_replaces_it(connect: Connect, simulator: Simulator) -> None:
    client = connect(simulator.url)
    first = client.fetch_token("wxapp", "app-secret", force=False)
    again = client.fetch_token("wxapp", "app-secret", force=False)
    forced = client.fetch_token("wxapp", "app-secret", force=True)
    assert again.value == first.value != forced.value
    assert 0 < again.expires_in <= first.expires_in <= 7200
