"""The transport against sockets: sound answers, odd ones, broken ones, and every way to lose a connection."""

from __future__ import annotations

import gc
import gzip
import io
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import weakref
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hash_certificates import hash_certificates
from tests.integration.conftest import IMPATIENT
from tests.integration.raw_server import (
    Connection,
    RawServer,
    Script,
    always,
    answer,
    once,
    reset,
    silence,
)
from wechat_notify import transport as transport_module
from wechat_notify.transport import (
    Limits,
    PooledTransport,
    Response,
    Transport,
    TransportError,
    Trust,
    _Connection,
    _FaultError,
)

Connect = Callable[..., PooledTransport]

TOKEN = "57_CANARY"
PATH = f"/cgi-bin/message/template/send?access_token={TOKEN}"
BODY = '{"touser":"o","text":"深圳 😀"}'.encode()
CONTENT = b'{"errcode":0,"errmsg":"ok","msgid":1864323726461255683}'
OK = Response(200, CONTENT)
SOUND = answer(CONTENT)
LONG = CONTENT.ljust(1000)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
SECONDS = 2.0
"""What a failure within `IMPATIENT` limits may take on a busy machine."""


def chunked(body: bytes, size: int, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    return framed + b"0%b\r\n%b\r\n" % (extension, trailers)


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


def fails(transport: PooledTransport, body: bytes = BODY) -> TransportError:
    """The error of a post, which knows nothing of what was said and where."""
    with pytest.raises(TransportError) as raised:
        transport.post(PATH, body)
    assert_clean(raised.value)
    return raised.value


def assert_clean(error: TransportError) -> None:
    known = [str(error), repr(error), repr(error.args), repr(vars(error))]
    known += traceback.format_exception(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_globals["__name__"] == transport_module.__name__:
            known.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert not [text for text in known if "CANARY" in text or "127.0.0.1" in text]


@pytest.mark.parametrize("call", ["post", "post_with"])
def test_what_a_failed_call_was_about_is_forgotten_with_its_error(
    connect: Connect, nobody: tuple[str, int], call: str
) -> None:
    transport = connect(f"http://127.0.0.1:{nobody[1]}")

    def fail() -> weakref.ref[set[bytes]]:
        about = {BODY}
        try:
            getattr(transport, call)(*((b"",) if call == "post_with" else ()), PATH, next(iter(about)))
        except TransportError:
            return weakref.ref(about)
        raise AssertionError

    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


def lost(error: TransportError) -> str:
    assert error.may_have_arrived
    assert error.passing
    return error.reason


def unsent(error: TransportError) -> str:
    assert not error.may_have_arrived
    return error.reason


# What goes out


def test_a_post_is_one_request_and_names_its_host(connect: Connect) -> None:
    with RawServer(always(SOUND)) as server:
        transport: Transport = connect(server.url + "/")
        assert transport.post(PATH, BODY) == OK
    (request,) = server.requests
    assert (request.target, request.body) == (PATH, BODY)
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/json; charset=utf-8",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "wechat-notify",
        "content-length": str(len(BODY)),
    }


def test_a_post_may_have_fields_of_its_own_and_hears_those_of_the_answer(connect: Connect) -> None:
    with RawServer(always(answer(CONTENT, "X-Said: \t first ", "x-said: second"))) as server:
        answered = connect(server.url).post_with(b"x-a: 1\r\nx-b: 2\r\n", PATH, BODY)
    assert answered[:2] == OK
    assert [answered.field(name) for name in ("X-SAID", "said", "x-more")] == ["first", "", ""]
    assert (server.requests[0].target, server.requests[0].body) == (PATH, BODY)
    assert server.requests[0].headers == {
        "host": connect(server.url).host,
        "x-a": "1",
        "x-b": "2",
        "accept-encoding": "identity",
        "user-agent": "wechat-notify",
        "content-length": str(len(BODY)),
    }


def test_nor_does_the_error_of_such_a_post_know_anything(connect: Connect) -> None:
    with RawServer(once(b"")) as server, pytest.raises(TransportError) as raised:
        connect(server.url).post_with(f"authorization: {TOKEN}\r\n".encode(), PATH, BODY)
    assert lost(raised.value) == "ConnectionClosed"
    assert_clean(raised.value)


def test_a_base_url_may_have_a_path(connect: Connect) -> None:
    with RawServer(always(SOUND)) as server:
        assert connect(f"{server.url}/wechat/").post(PATH, BODY) == OK
    assert server.requests[0].target == f"/wechat{PATH}"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api..weixin.qq.com",
        "https://微信.example",
        f"https://{'a' * 64}.example",
        "api.weixin.qq.com",
        "ftp://127.0.0.1",
        "http://",
        "http://[",
        "http://a:b",
        "http://127.0.0.1:0",
        "http://CANARY@127.0.0.1",
        "http://127.0.0.1?access_token=CANARY",
        "http://127.0.0.1/a b",
        "http://a\r\nb",
        "",
    ],
)
def test_an_address_that_is_none_sends_nothing_and_does_not_pass(connect: Connect, base_url: str) -> None:
    error = fails(connect(base_url))
    assert (unsent(error), error.passing) == ("InvalidURL", False)


@pytest.mark.parametrize("path", ["", "here", "/a b", "/a\r\nX-More: b", "/微信"])
def test_a_path_that_could_be_more_than_a_path_is_refused(connect: Connect, path: str) -> None:
    with RawServer(always(SOUND)) as server:
        with pytest.raises(TransportError) as raised:
            connect(server.url).post(path, BODY)
        assert (unsent(raised.value), raised.value.passing) == ("InvalidURL", False)
    assert server.accepted == 0


def test_the_environment_names_no_proxy_and_nobody_to_trust(
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tls: ssl.SSLContext,
    certificate: Path,
    trust: Trust,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("SSLKEYLOGFILE", str(certificate.parent / "keys"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with RawServer(always(SOUND)) as server, RawServer(always(SOUND)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert connect(server.url).post(PATH, BODY) == OK
        with RawServer(always(SOUND), tls) as secure:
            assert unsent(fails(connect(secure.url))) == "CertificateError"
            connect(secure.url, trust).post(PATH, BODY)
    assert proxy.accepted == 0
    assert not (certificate.parent / "keys").exists()


# Answers that can be read, and whether their connection is kept

KEPT = {
    "plain": SOUND,
    "no reason": head(f"Content-Length: {len(CONTENT)}", status="HTTP/1.1 200") + CONTENT,
    "an empty reason": head(f"Content-Length: {len(CONTENT)}", status="HTTP/1.1 200 ") + CONTENT,
    "any case, any space": head(f"cONTENT-lENGTH:{len(CONTENT)} \t", "X-Odd:", "X-Latin: é") + CONTENT,
    "chunked": CHUNKED + b"\r\n" + chunked(CONTENT, 7),
    "chunks with extensions": CHUNKED + b"\r\n" + chunked(CONTENT, 7, b' ;a=b;c="d"'),
    "chunks with trailers": CHUNKED + b"\r\n" + chunked(CONTENT, 7, trailers=b"X-Sum: 1\r\nX-More: 2\r\n"),
    "Chunked in capitals": head("TRANSFER-ENCODING: Chunked") + chunked(CONTENT, 70),
    "gzip": answer(gzip.compress(CONTENT), "Content-Encoding: gzip"),
    "x-gzip": answer(gzip.compress(CONTENT), "Content-Encoding: X-GZip"),
    "deflate": answer(zlib.compress(CONTENT), "Content-Encoding: deflate"),
    "deflate without its wrapping": answer(raw_deflate(CONTENT), "Content-Encoding: deflate"),
    "identity": answer(CONTENT, "Content-Encoding: identity"),
    "gzip in chunks": CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunked(gzip.compress(CONTENT), 5),
    "after an interim answer": head("Link: <a>", status="HTTP/1.1 103 Early Hints") + SOUND,
    "after two": head(status="HTTP/1.1 100 Continue") + head(status="HTTP/1.1 102 Processing") + SOUND,
    "kept by name": answer(CONTENT, "Connection: Keep-Alive", "Keep-Alive: timeout=60, max=100"),
    "with an odd Keep-Alive": answer(CONTENT, "Keep-Alive: soon"),
    "HTTP/1.0, kept": SOUND.replace(b"1.1 200 OK", b"1.0 200 OK\r\nConnection: a, Keep-Alive", 1),
}

NOT_KEPT = {
    "close": answer(CONTENT, "Connection: close"),
    "Close in a list": answer(CONTENT, "Connection: upgrade, Close"),
    "close in a second line": answer(CONTENT, "Connection: keep-alive", "Connection: close"),
    "HTTP/1.0": SOUND.replace(b"1.1", b"1.0", 1),
    "HTTP/1.0 in chunks": CHUNKED.replace(b"1.1 200 OK", b"1.0 200 OK\r\nConnection: keep-alive", 1)
    + b"\r\n"
    + chunked(CONTENT, 7),
    "kept for no time": answer(CONTENT, "Keep-Alive: timeout=0"),
    "more than its length": SOUND + b"x",
    "two answers": SOUND + SOUND,
    "more after its chunks": CHUNKED + b"\r\n" + chunked(CONTENT, 7) + SOUND,
    "until the end": head() + CONTENT,
    "until the end, in gzip": head("Content-Encoding: gzip") + gzip.compress(CONTENT),
}


def in_pieces(written: bytes, piece: int) -> Script:
    def script(connection: Connection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.read_request():
            for start in range(0, len(written), piece):
                connection.write(written[start : start + piece])
                connection.wait(0)

    return script


@pytest.mark.parametrize("written", KEPT.values(), ids=KEPT.keys())
@pytest.mark.parametrize("piece", [1, 100_000])
def test_a_sound_answer_is_read_and_its_connection_kept(connect: Connect, written: bytes, piece: int) -> None:
    with RawServer(in_pieces(written, piece)) as server:
        transport = connect(server.url)
        assert [transport.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert server.accepted == 1


@pytest.mark.parametrize("name", NOT_KEPT)
def test_a_connection_that_has_served_is_not_used_again(connect: Connect, name: str) -> None:
    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(NOT_KEPT[name])
            if name.startswith("until the end"):
                connection.socket.shutdown(socket.SHUT_WR)
            if connection.read_request():
                raise AssertionError("a second request on this connection")

    with RawServer(script) as server:
        transport = connect(server.url)
        assert [transport.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert server.accepted == 3


@pytest.mark.parametrize("status", [200, 202, 302, 400, 413, 429, 500, 599])
def test_any_status_is_an_answer_and_no_redirect_is_followed(connect: Connect, status: int) -> None:
    with RawServer(once(SOUND)) as other:
        written = answer(b"<html>", f"Location: {other.url}/there", status=f"{status} Whatever")
        with RawServer(always(written)) as server:
            transport = connect(server.url)
            assert [transport.post(PATH, BODY) for _ in range(2)] == [(status, b"<html>")] * 2
    assert (other.accepted, server.accepted, len(server.requests)) == (0, 1, 2)


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_content_whatever_they_say(connect: Connect, status: int) -> None:
    with RawServer(always(head("Content-Length: 5", status=f"HTTP/1.1 {status} No Content"))) as server:
        transport = connect(server.url)
        assert [transport.post(PATH, BODY) for _ in range(2)] == [(status, b"")] * 2
    assert server.accepted == 2


def test_as_much_as_is_allowed_is_read(connect: Connect) -> None:
    content = b"x" * Limits().answer_bytes_most
    for written in (answer(content), answer(gzip.compress(content), "Content-Encoding: gzip")):
        with RawServer(always(written)) as server:
            assert connect(server.url).post(PATH, BODY) == (200, content)
    with RawServer(once(head() + content)) as server:
        assert connect(server.url).post(PATH, BODY) == (200, content)
    with RawServer(always(CHUNKED + b"\r\n" + chunked(content, 1))) as server:
        assert connect(server.url).post(PATH, BODY) == (200, content)


def test_an_answer_that_is_complete_counts_even_if_it_is_late(connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.wait(0.15)
        connection.write(SOUND)

    with RawServer(script) as server:
        assert connect(server.url, limits=Limits(answer_timeout=0.05)).post(PATH, BODY) == OK


# Answers that cannot


def _reset_in_the_answer(connection: Connection) -> None:
    connection.read_request()
    connection.write(answer(LONG)[:-500])
    connection.wait(0.05)
    connection.reset()


def _half_closed(connection: Connection) -> None:
    connection.read_request()
    connection.write(SOUND[:-5])
    connection.socket.shutdown(socket.SHUT_WR)
    connection.wait(5)


def _endless(written: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.write(written)
        while not connection.wait(0):
            connection.write(b"\r\n0123456789abcdef" * 10_000)

    return script


def _interim_answers(connection: Connection) -> None:
    connection.read_request()
    while not connection.wait(0):
        connection.write(head(status="HTTP/1.1 100 Continue") * 100)


def kept_open(written: bytes) -> Script:
    """What is read must not wait for the end of the connection to be refused."""

    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(written)
            connection.wait(5)

    return script


ZEROS = b"0" * 50_000_000
LENGTH = f"Content-Length: {len(CONTENT)}"

LOST: dict[str, tuple[str, Script]] = {
    "closed without an answer": ("ConnectionClosed", once(b"")),
    "reset": ("ConnectionLost", reset),
    "reset in the answer": ("ConnectionLost", _reset_in_the_answer),
    "half closed in the answer": ("AnswerTruncated", _half_closed),
    "no answer": ("ReadTimeout", silence),
    "stops in the head": ("ReadTimeout", kept_open(SOUND[:20])),
    "stops in the content": ("ReadTimeout", kept_open(SOUND[:-1])),
    "stops in the chunks": ("ReadTimeout", kept_open(CHUNKED + b"\r\n" + chunked(LONG, 7)[:-9])),
    "never ends": ("ReadTimeout", kept_open(head() + CONTENT)),
    "truncated": ("AnswerTruncated", once(SOUND[:-1])),
    "truncated head": ("AnswerTruncated", once(SOUND[:20])),
    "truncated after the head": ("AnswerTruncated", once(SOUND[: -len(CONTENT)])),
    "truncated after an interim answer": (
        "AnswerTruncated",
        once(head(status="HTTP/1.1 100 Continue")),
    ),
    "truncated chunks": ("AnswerTruncated", once(CHUNKED + b"\r\n" + chunked(LONG, 7)[:-20])),
    "chunks without an end": ("AnswerTruncated", once(CHUNKED + b"\r\n" + chunked(LONG, 7)[:-5])),
    "chunks without the last line": ("AnswerTruncated", once(CHUNKED + b"\r\n" + chunked(LONG, 7)[:-2])),
    "truncated trailers": (
        "AnswerTruncated",
        once(CHUNKED + b"\r\n" + chunked(LONG, 7, trailers=b"X-Sum: 1\r\n")[:-4]),
    ),
    "no chunks": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n{}\r\n")),
    "a negative chunk": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n-5\r\nabcde\r\n0\r\n\r\n")),
    "a chunk in Python's hex": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n")),
    "a huge chunk": ("AnswerTooLarge", kept_open(CHUNKED + b"\r\nfffffff\r\n")),
    "a chunk beyond numbers": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n")),
    "a chunk longer than it says": (
        "AnswerUnreadable",
        kept_open(CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n"),
    ),
    "an endless chunk size": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n1" + b";a" * 5000)),
    "odd trailers": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n" + chunked(LONG, 7, b"", b"x\r\n"))),
    "endless trailers": (
        "AnswerUnreadable",
        kept_open(CHUNKED + b"\r\n" + chunked(LONG, 7, trailers=b"X: %b\r\n" % b"x" * 9000)),
    ),
    "chunks and a length": ("AnswerUnreadable", kept_open(CHUNKED + LENGTH.encode() + b"\r\n\r\n0\r\n\r\n")),
    "chunked twice": (
        "AnswerUnreadable",
        kept_open(CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(CONTENT, 7)),
    ),
    "another transfer coding": (
        "AnswerUnreadable",
        kept_open(head("Transfer-Encoding: gzip, chunked") + chunked(gzip.compress(CONTENT), 7)),
    ),
    "a negative length": ("AnswerUnreadable", kept_open(head("Content-Length: -1") + CONTENT)),
    "a signed length": ("AnswerUnreadable", kept_open(head("Content-Length: +5") + CONTENT)),
    "an empty length": ("AnswerUnreadable", kept_open(head("Content-Length:") + CONTENT)),
    "a length in Python's digits": ("AnswerUnreadable", kept_open(head("Content-Length: 5_5") + CONTENT)),
    "a length in other digits": ("AnswerUnreadable", kept_open(head("Content-Length: ²") + CONTENT)),
    "a huge length": ("AnswerTooLarge", kept_open(head("Content-Length: 999999999999"))),
    "a length beyond numbers": ("AnswerUnreadable", kept_open(head("Content-Length: " + "9" * 5000))),
    "two lengths": ("AnswerUnreadable", kept_open(head("Content-Length: 5, 6") + CONTENT)),
    "two lines of length": ("AnswerUnreadable", kept_open(head(LENGTH, LENGTH) + CONTENT)),
    "too large until the end": ("AnswerTooLarge", _endless(head())),
    "too large in chunks": ("AnswerTooLarge", kept_open(CHUNKED + b"\r\n" + chunked(b"0" * 70_000, 999))),
    "too much around its chunks": (
        "AnswerTooLarge",
        kept_open(CHUNKED + b"\r\n" + chunked(b"0" * 1000, 1, b";" + b"x" * 4000)),
    ),
    "a head that is too large": ("AnswerTooLarge", _endless(b"HTTP/1.1 200 OK\r\nX: y")),
    "too many headers": ("AnswerTooLarge", kept_open(head(*["X-More: x"] * 9000))),
    "a few headers too many": ("AnswerTooLarge", kept_open(head(*["X-More: x"] * 1700))),
    "endless interim answers": ("AnswerTooLarge", _interim_answers),
    "another protocol": (
        "AnswerUnreadable",
        kept_open(head("Upgrade: h2c", status="HTTP/1.1 101 Switching Protocols")),
    ),
    "a truncated gzip": (
        "AnswerUnreadable",
        kept_open(answer(gzip.compress(LONG)[:-20], "Content-Encoding: gzip")),
    ),
    "a gzip without its last byte": (
        "AnswerUnreadable",
        kept_open(answer(gzip.compress(LONG)[:-1], "Content-Encoding: gzip")),
    ),
    "a gzip with a wrong sum": (
        "AnswerUnreadable",
        kept_open(answer(gzip.compress(LONG)[:-8] + bytes(8), "Content-Encoding: gzip")),
    ),
    "a gzip and more": (
        "AnswerUnreadable",
        kept_open(answer(gzip.compress(LONG) + b"more", "Content-Encoding: gzip")),
    ),
    "no gzip": ("AnswerUnreadable", kept_open(answer(CONTENT, "Content-Encoding: gzip"))),
    "no deflate": ("AnswerUnreadable", kept_open(answer(b"\xff" + CONTENT, "Content-Encoding: deflate"))),
    "gzip bomb": (
        "AnswerTooLarge",
        kept_open(answer(gzip.compress(ZEROS, 9), "Content-Encoding: gzip")),
    ),
    "gzip in a gzip": (
        "AnswerUnreadable",
        kept_open(answer(gzip.compress(gzip.compress(ZEROS, 1)), "Content-Encoding: gzip, gzip")),
    ),
    "another coding": ("AnswerUnreadable", kept_open(answer(CONTENT, "Content-Encoding: br"))),
    "no HTTP": ("AnswerUnreadable", kept_open(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    "HTTP/2": ("AnswerUnreadable", kept_open(SOUND.replace(b"1.1", b"2.0", 1))),
    "HTTP/0.9": ("AnswerTruncated", once(CONTENT)),
    "a status of two digits": ("AnswerUnreadable", kept_open(head(LENGTH, status="HTTP/1.1 20 OK"))),
    "a status of four": ("AnswerUnreadable", kept_open(head(LENGTH, status="HTTP/1.1 2000 OK"))),
    "status 000": ("AnswerUnreadable", kept_open(head(LENGTH, status="HTTP/1.1 000 OK"))),
    "status 600": ("AnswerUnreadable", kept_open(head(LENGTH, status="HTTP/1.1 600 OK"))),
    "a line before it": ("AnswerUnreadable", kept_open(b"\r\n" + SOUND)),
    "a folded header": ("AnswerUnreadable", kept_open(head("X-Folded: a", " b", LENGTH) + CONTENT)),
    "a folded length": ("AnswerUnreadable", kept_open(head("Content-Length:", " 5") + CONTENT)),
    "a header without a colon": ("AnswerUnreadable", kept_open(head("X-Odd", LENGTH) + CONTENT)),
    "a space before the colon": ("AnswerUnreadable", kept_open(head("Content-Length : 5") + CONTENT)),
    "a header without a name": ("AnswerUnreadable", kept_open(head(": 5", LENGTH) + CONTENT)),
    "a NUL": ("AnswerUnreadable", kept_open(head("X-Odd: \0", LENGTH) + CONTENT)),
    "bare line feeds": ("AnswerUnreadable", kept_open(SOUND.replace(b"\r\n", b"\n"))),
    "one bare line feed": ("AnswerUnreadable", kept_open(SOUND.replace(b"\r\n", b"\n", 1))),
    "a bare carriage return": ("AnswerUnreadable", kept_open(head("X: a\rContent-Length: 5", LENGTH))),
}


@pytest.mark.parametrize(("reason", "script"), LOST.values(), ids=LOST.keys())
def test_a_lost_answer_may_have_arrived_and_costs_its_connection(
    connect: Connect, reason: str, script: Script
) -> None:
    scripts = [script]

    def first_then_sound(connection: Connection) -> None:
        scripts.pop()(connection) if scripts else always(SOUND)(connection)

    with RawServer(first_then_sound) as server:
        transport = connect(server.url, limits=IMPATIENT)
        started = time.perf_counter()
        assert lost(fails(transport)) == reason
        assert time.perf_counter() - started < SECONDS
        assert len(server.requests) == 1
        transport._limits = Limits()  # for the next connection
        assert transport.post(PATH, BODY) == OK
    assert server.accepted == 2


@pytest.mark.parametrize(
    "written",
    [SOUND, answer(LONG), CHUNKED + b"\r\n" + chunked(LONG, 10), head() + LONG],
    ids=["from the head on", "content", "chunked", "until the end"],
)
def test_a_slow_drip_is_bounded_by_the_time_for_the_whole_answer(connect: Connect, written: bytes) -> None:
    at = 0 if written is SOUND else written.index(b"\r\n\r\n") + 4

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.write(written[:at])
        connection.drip(written[at:], every=0.1)

    with RawServer(script) as server:
        started = time.perf_counter()
        assert lost(fails(connect(server.url, limits=IMPATIENT))) in {"AnswerTimeout", "ReadTimeout"}
        assert time.perf_counter() - started < SECONDS


def test_the_late_answer_to_one_message_is_not_read_as_that_to_the_next(connect: Connect) -> None:
    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.body == b"slow":
                connection.wait(0.4)
            connection.write(answer(request.body))

    with RawServer(script) as server:
        transport = connect(server.url, limits=Limits(read_timeout=0.2))
        assert lost(fails(transport, b"slow")) == "ReadTimeout"
        transport._limits = Limits()  # for the next connection
        assert transport.post(PATH, b"quick") == (200, b"quick")


# Bodies that are not read to their end

LARGE = b"x" * 20_000_000


def _refuse_early(connection: Connection) -> None:
    connection.socket.recv(100)
    connection.write(answer(b"too large", status="413 Content Too Large"))


def _refuse_early_and_stay(connection: Connection) -> None:
    _refuse_early(connection)
    connection.wait(5)


def _refuse_early_and_say_goodbye(connection: Connection) -> None:
    _refuse_early(connection)
    connection.socket.shutdown(socket.SHUT_WR)
    while connection.socket.recv(1_000_000):
        pass


@pytest.mark.parametrize("script", [_refuse_early, _refuse_early_and_stay, _refuse_early_and_say_goodbye])
def test_an_answer_before_the_body_is_written_is_the_answer(connect: Connect, script: Script) -> None:
    with RawServer(script) as server:
        transport = connect(server.url, limits=Limits(read_timeout=0.5))
        assert transport.post(PATH, LARGE) == (413, b"too large")
        assert not [idle for idle in transport._idle if idle.is_alive()]


def kept_unread(connection: Connection) -> None:
    connection.wait(5)


def test_a_body_that_nobody_reads_is_given_up(connect: Connect) -> None:
    with RawServer(kept_unread) as server:
        started = time.perf_counter()
        assert lost(fails(connect(server.url, limits=IMPATIENT), LARGE)) == "WriteTimeout"
        assert time.perf_counter() - started < SECONDS


def test_a_body_that_is_read_too_slowly_is_given_up(connect: Connect) -> None:
    def script(connection: Connection) -> None:
        while not connection.wait(0.02):
            connection.socket.recv(500_000)

    with RawServer(script) as server:
        started = time.perf_counter()
        assert lost(fails(connect(server.url, limits=IMPATIENT), LARGE)) == "WriteTimeout"
        assert time.perf_counter() - started < SECONDS


def test_a_reset_in_the_body_may_have_arrived(connect: Connect) -> None:
    def script(connection: Connection) -> None:
        connection.socket.recv(100)
        connection.reset()

    with RawServer(script) as server:
        assert lost(fails(connect(server.url), LARGE)) == "ConnectionLost"


# Connections


def test_many_posts_go_over_one_connection(connect: Connect) -> None:
    with RawServer(always(answer(CONTENT, "Set-Cookie: account=first; Path=/"))) as server:
        transport = connect(server.url)
        assert {transport.post(PATH, BODY) for _ in range(50)} == {OK}
        assert transport._idle[0]._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert (server.accepted, len(server.requests)) == (1, 50)
    assert all(request == server.requests[0] for request in server.requests)  # no cookie goes back


@pytest.mark.parametrize("how", ["half", "whole", "reset", "unasked"])
@pytest.mark.parametrize("secure", [False, True])
def test_a_connection_that_ended_while_idle_is_replaced_before_anything_is_written(
    connect: Connect, tls: ssl.SSLContext, trust: Trust, how: str, *, secure: bool
) -> None:
    ended = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        if not connection.read_request():
            return
        connection.write(SOUND)
        if how == "half":
            connection.socket.shutdown(socket.SHUT_WR)
        elif how == "whole":
            connection.socket.close()
        elif how == "reset":
            connection.wait(0.05)  # until the answer was read, or it goes as well
            connection.reset()
        else:
            connection.write(SOUND.replace(b"1864323726461255683", b"1"))
        ended.release()
        connection.wait(0.3)

    with RawServer(script, tls if secure else None) as server:
        transport = connect(server.url, trust)
        for number in range(1, 4):
            assert transport.post(PATH, BODY) == OK
            assert ended.acquire(timeout=5)
            for idle in transport._idle:  # the goodbye has come
                assert select.select([idle._socket], [], [], 5)[0]
            assert len(server.requests) == number
    assert server.accepted == 3


def test_a_server_that_closes_just_when_we_write_gets_nothing_twice(connect: Connect) -> None:
    def script(connection: Connection) -> None:
        for _ in range(3):
            if not connection.read_request():
                return
            connection.write(SOUND)

    outcomes: Counter[str] = Counter()
    with RawServer(script) as server:
        transport = connect(server.url)
        for number in range(300):
            try:
                transport.post(PATH, b"%d" % number)
            except TransportError as error:
                assert_clean(error)
                outcomes[lost(error)] += 1
            else:
                outcomes["answered"] += 1
    seen = Counter(request.body for request in server.requests)
    assert set(seen.values()) == {1}
    assert set(outcomes) <= {"answered", "ConnectionClosed", "ConnectionLost"}
    assert outcomes["answered"] == len(seen)


def test_connections_idle_for_too_long_are_not_used_again(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with RawServer(always(SOUND)) as server:
        transport = connect(server.url)
        transport.post(PATH, BODY)
        now += transport_module._IDLE_MOST - 0.1
        transport.post(PATH, BODY)
        assert server.accepted == 1
        now += transport_module._IDLE_MOST + 0.1
        assert transport.post(PATH, BODY) == OK
        assert server.accepted == 2
        now -= 3600  # the clock was put right: how long it was idle is not known
        transport.post(PATH, BODY)
    assert server.accepted == 3


def test_the_time_that_a_server_keeps_connections_is_heeded(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with RawServer(always(answer(CONTENT, "Keep-Alive: max=5, timeout=5"))) as server:
        transport = connect(server.url)
        transport.post(PATH, BODY)
        now += 3.9
        transport.post(PATH, BODY)
        assert server.accepted == 1
        now += 4.1
        transport.post(PATH, BODY)
    assert server.accepted == 2


def test_a_forked_process_leaves_the_connections_to_its_parent(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND)) as server:
        transport = connect(server.url)
        transport.post(PATH, BODY)
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        assert transport.post(PATH, BODY) == OK
    assert server.accepted == 2


def test_many_threads_share_the_pool_and_each_gets_its_own_answer(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "_IDLE_CONNECTIONS", 3)

    def script(connection: Connection) -> None:
        for _ in range(20):
            request = connection.read_request()
            if request is None:
                return
            last = int(request.body) % 20 == 0
            connection.write(answer(request.body, "Connection: close" if last else "X-More: x"))
            if last:
                return

    with RawServer(script) as server:
        transport = connect(server.url)

        def post(number: int) -> bool:
            if number % 97 == 0:
                transport.close()
            try:
                response = transport.post(PATH, b"%d" % number)
            except TransportError as error:
                # The server hung up after its twentieth just when this was written.
                return lost(error) not in {"ConnectionClosed", "ConnectionLost"}
            assert response == (200, b"%d" % number)
            return True

        with ThreadPoolExecutor(64) as pool:
            answered = list(pool.map(post, range(2000)))
        assert len(transport._idle) <= 3
    assert answered.count(True) > 1900
    assert set(Counter(request.body for request in server.requests).values()) == {1}


def test_as_many_connections_are_open_as_there_are_callers(connect: Connect) -> None:
    together = threading.Barrier(40)

    def script(connection: Connection) -> None:
        if connection.read_request():
            together.wait(5)
            connection.write(SOUND)

    with RawServer(script) as server:
        transport = connect(server.url)
        with ThreadPoolExecutor(together.parties) as pool:
            outcomes = set(pool.map(lambda _: transport.post(PATH, BODY), range(together.parties)))
    assert outcomes == {OK}


def test_an_interrupted_call_does_not_leave_its_connection_to_the_next(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND)) as server:
        transport = connect(server.url)
        transport.post(PATH, BODY)
        with monkeypatch.context() as patched:

            def interrupt(*_: object) -> None:
                raise KeyboardInterrupt

            patched.setattr(_Connection, "_receive", interrupt)
            with pytest.raises(KeyboardInterrupt):
                transport.post(PATH, BODY)
        assert not transport._idle
        assert transport.post(PATH, BODY) == OK
    assert server.accepted == 2


def test_an_error_that_nobody_foresaw_is_the_same_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: _Connection, request: bytes) -> Response:
        raise RuntimeError(request)

    monkeypatch.setattr(_Connection, "exchange", fail)
    with RawServer(always(SOUND)) as server:
        assert lost(fails(connect(server.url))) == "RuntimeError"


# Names and addresses


def resolving(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> list[object]:
    """Make every name lead to these; returns what was asked for."""
    asked: list[object] = []

    def resolve(host: object, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [
            (
                socket.AF_INET6 if ":" in place[0] else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                place,
            )
            for place in places
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.fixture
def nobody() -> tuple[str, int]:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return ("127.0.0.1", int(listener.getsockname()[1]))


def test_the_addresses_of_a_name_are_tried_in_turn(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, nobody: tuple[str, int]
) -> None:
    with RawServer(always(SOUND)) as server:
        resolving(monkeypatch, ("::1", nobody[1]), nobody, ("127.0.0.1", server.port))
        assert connect("http://wechat.invalid").post(PATH, BODY) == OK
    assert server.requests[0].headers["host"] == "wechat.invalid"


def test_an_address_whose_handshake_fails_is_followed_by_the_next(
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tls: ssl.SSLContext,
    trust: Trust,
    full_backlog: str,
) -> None:
    silent = ("127.0.0.1", int(full_backlog.rpartition(":")[2]))
    with RawServer(kept_open(b"")) as odd, RawServer(always(SOUND), tls) as server:
        transport = connect("https://127.0.0.1", trust, Limits(connect_timeout=0.3))
        resolving(monkeypatch, silent, ("127.0.0.1", odd.port), ("127.0.0.1", server.port))
        assert transport.post(PATH, BODY) == OK
    assert odd.accepted == 1
    assert not odd.requests


def test_a_name_is_looked_up_anew_for_each_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND)) as first, RawServer(always(SOUND)) as second:
        transport = connect("http://wechat.invalid")
        asked = resolving(monkeypatch, ("127.0.0.1", first.port))
        assert [transport.post(PATH, BODY) for _ in range(2)] == [OK, OK]
        assert asked == [b"wechat.invalid"]
        transport.close()
        resolving(monkeypatch, ("127.0.0.1", second.port))
        assert transport.post(PATH, BODY) == OK
    assert (first.accepted, second.accepted) == (1, 1)


def test_no_address_is_tried_after_the_time_for_all(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, nobody: tuple[str, int]
) -> None:
    with RawServer(always(SOUND)) as server:
        resolving(monkeypatch, nobody, ("127.0.0.1", server.port))
        transport = connect("http://wechat.invalid", limits=Limits(connect_all=-1.0))
        assert unsent(fails(transport)) == "ConnectionRefused"
    assert server.accepted == 0


def test_a_name_that_does_not_resolve_sent_nothing(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known: CANARY")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    error = fails(connect("http://wechat.invalid"))
    assert (unsent(error), error.passing) == ("NameResolutionError", True)


def test_a_refused_connection_sent_nothing(connect: Connect, nobody: tuple[str, int]) -> None:
    assert unsent(fails(connect(f"http://127.0.0.1:{nobody[1]}"))) == "ConnectionRefused"


def test_a_connect_timeout_sent_nothing(connect: Connect, full_backlog: str) -> None:
    started = time.perf_counter()
    assert unsent(fails(connect(full_backlog, limits=IMPATIENT))) == "ConnectTimeout"
    assert time.perf_counter() - started < SECONDS


# TLS


def test_one_context_serves_all_who_share_it_and_many_posts_share_one_connection(
    connect: Connect, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    make = transport_module._tls_context

    def remember(path: str | None) -> ssl.SSLContext:
        made.append(path)
        time.sleep(0.05)
        return make(path)

    monkeypatch.setattr(transport_module, "_tls_context", remember)
    trust = Trust(str(certificate))
    with RawServer(always(SOUND), tls) as server:
        transport = connect(server.url, trust)
        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(lambda _: transport.post(PATH, BODY), range(100))) == {OK}
        accepted = server.accepted
        assert [transport.post(PATH, BODY) for _ in range(20)] == [OK] * 20
        assert server.accepted == accepted <= 10
        assert connect(server.url, trust).post(PATH, BODY) == OK
    assert made == [str(certificate)]


def test_certificates_can_be_trusted_by_a_directory_of_hashes(
    connect: Connect, tls: ssl.SSLContext, certificate: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "certificates"
    hash_certificates(certificate, directory)
    with RawServer(always(SOUND), tls) as server:
        assert connect(server.url, Trust(str(directory))).post(PATH, BODY) == OK


def test_without_certificates_of_the_systems_those_of_certifi_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert transport_module._tls_context(None).get_ca_certs()
    nowhere = ssl.DefaultVerifyPaths(None, None, "", "/nowhere/cert.pem", "", "/nowhere")  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert transport_module._tls_context(None).get_ca_certs()


def test_a_certificate_that_nobody_vouches_for_gets_nothing(connect: Connect, tls: ssl.SSLContext) -> None:
    with RawServer(always(SOUND), tls) as server:
        assert unsent(fails(connect(server.url))) == "CertificateError"
    assert server.accepted == 1
    assert not server.requests


def test_a_certificate_for_another_name_gets_nothing(
    connect: Connect, tls: ssl.SSLContext, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND), tls) as server:
        resolving(monkeypatch, ("127.0.0.1", server.port))
        assert unsent(fails(connect("https://wechat.invalid", trust))) == "CertificateError"
    assert not server.requests


def test_the_host_is_named_in_the_handshake(
    connect: Connect, tls: ssl.SSLContext, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: named.append(name)
    with RawServer(always(SOUND), tls) as server:
        resolving(monkeypatch, ("127.0.0.1", server.port))
        fails(connect("https://wechat.invalid", trust))
    assert named == ["wechat.invalid"]


def test_older_tls_is_refused(connect: Connect, tls: ssl.SSLContext, trust: Trust) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with RawServer(always(SOUND), tls) as server:
        assert unsent(fails(connect(server.url, trust))) == "HandshakeError"


def test_tls_1_2_is_enough(connect: Connect, tls: ssl.SSLContext, trust: Trust) -> None:
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(always(SOUND), tls) as server:
        transport = connect(server.url, trust)
        assert [transport.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert server.accepted == 1


def _reset_the_hello(connection: Connection) -> None:
    connection.socket.recv(1)
    connection.reset()


def _drip_the_handshake(connection: Connection) -> None:
    connection.socket.recv(10_000)
    connection.drip(b"\x16\x03\x03\x01\x00" + bytes(256), every=0.1)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (kept_unread, "HandshakeTimeout"),
        (_drip_the_handshake, "HandshakeTimeout"),
        (_reset_the_hello, "HandshakeError"),
        (lambda _connection: None, "HandshakeError"),
        (lambda connection: connection.reset(), "HandshakeError"),
        (lambda connection: connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "HandshakeError"),
    ],
    ids=["silence", "drip", "reset of the hello", "closed", "reset", "no TLS"],
)
def test_a_handshake_that_fails_sent_nothing(connect: Connect, script: Script, reason: str) -> None:
    with RawServer(script) as server:
        transport = connect(server.url.replace("http:", "https:"), limits=IMPATIENT)
        started = time.perf_counter()
        assert unsent(fails(transport)) in {reason, "ConnectionError"}
        assert time.perf_counter() - started < SECONDS


@pytest.mark.parametrize(("reason", "script"), list(LOST.values())[:12], ids=list(LOST)[:12])
def test_an_answer_is_lost_over_tls_as_well(
    connect: Connect, tls: ssl.SSLContext, trust: Trust, reason: str, script: Script
) -> None:
    limits = IMPATIENT._replace(connect_timeout=2.0)
    with RawServer(script, tls) as server:
        error = lost(fails(connect(server.url, trust, limits)))
    # TLS tells less of how a connection ended, and a reset may overtake what came before it.
    assert error in {reason, "AnswerTruncated", "ConnectionLost", "ConnectionClosed"}


# Whatever the server says

PARTS = st.one_of(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n",
            b"HTTP/1.1 ",
            b"Content-Length: 5\r\n",
            b"Content-Length: 0\r\n",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: ",
            b"Content-Encoding: gzip\r\n",
            b"Content-Encoding: deflate\r\n",
            b"Connection: close\r\n",
            b"Connection: keep-alive\r\n",
            b"Keep-Alive: timeout=",
            b"X: y\r\n",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\0",
            b"hello",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b";a=b",
            gzip.compress(b"hello"),
            zlib.compress(b"hello"),
            SOUND,
        ]
    ),
    st.binary(max_size=12),
    st.integers(-2, 99_999).map(lambda number: b"%d" % number),
)


def edited(written: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, gone, new in edits:
        written = written[:at] + new + written[at + gone :]
    return written


NOISE = st.lists(PARTS, max_size=12).map(b"".join) | st.binary(max_size=300)
ALMOST_SOUND = st.builds(
    edited,
    st.sampled_from([*KEPT.values(), *NOT_KEPT.values()]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), PARTS | st.just(b"")), max_size=3),
)
WHATEVER = NOISE | ALMOST_SOUND | ALMOST_SOUND
ENDS = st.sampled_from(["closed", "silent", "reset"])


class ScriptedSocket:
    """Stands for a connected socket that receives these pieces and then ends so."""

    def __init__(self, pieces: list[bytes], end: str) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.end = end
        self.received = b""
        self.calls = 0

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, most: int) -> bytes:
        self.calls += 1
        if not self.pieces:
            if self.end == "closed":
                return b""
            raise TimeoutError(TOKEN) if self.end == "silent" else ConnectionResetError(TOKEN)
        piece, self.pieces[0] = self.pieces[0][:most], self.pieces[0][most:]
        self.pieces = [piece for piece in self.pieces if piece]
        self.received += piece
        return piece

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def gettimeout(self) -> float:
        return 5.0

    def fileno(self) -> int:
        return 0


def exchange(scripted: ScriptedSocket, limits: Limits | None = None) -> tuple[_Connection, Response | str]:
    connection = _Connection(cast("socket.socket", scripted), limits or Limits())
    try:
        return connection, connection.exchange(b"request")
    except _FaultError as fault:
        return connection, str(fault)


def pieces_of(data: st.DataObject, written: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=20)))
    return [written[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(written)], strict=True)]


REASONS = {
    "ConnectionClosed",
    "ConnectionLost",
    "ReadTimeout",
    "AnswerTruncated",
    "AnswerUnreadable",
    "AnswerTooLarge",
}


class _Readable:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def by_the_standard_library(received: bytes) -> tuple[int, bytes]:
    while True:
        response = HTTPResponse(cast("socket.socket", _Readable(received)), method="POST")
        response.begin()
        if response.status in {204, 304}:  # of which it reads chunks, if they say so
            return response.status, b""
        if response.status >= 200:
            return response.status, response.read()
        received = received.partition(b"\r\n\r\n")[2]  # of the interim answers it knows 100 only


def test_nothing_more_is_read_after_the_time_for_the_answer() -> None:
    scripted = ScriptedSocket([SOUND[:9], SOUND[9:]], "closed")
    assert exchange(scripted, Limits(answer_timeout=0.0))[1] == "AnswerTimeout"
    assert scripted.calls == 1


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(written=WHATEVER, end=ENDS, data=st.data())
def test_whatever_comes_is_an_answer_or_the_one_error(written: bytes, end: str, data: st.DataObject) -> None:
    scripted = ScriptedSocket(pieces_of(data, written), end)
    pieces = len(scripted.pieces)
    connection, outcome = exchange(scripted)
    assert scripted.calls <= pieces + 1 + len(written) // transport_module._PIECE
    if isinstance(outcome, str):
        assert outcome in REASONS
        assert not connection.reusable
        return
    assert 200 <= outcome.status <= 599
    assert len(outcome.content) <= Limits().answer_bytes_most
    # A second witness, more lenient than this one: whatever is accepted here means the same there.
    try:
        status, content = by_the_standard_library(scripted.received)
    except HTTPException as error:
        pytest.fail(f"refused by http.client: {error!r}")
    assert status == outcome.status
    if b"content-encoding" not in written.lower() and status not in {204, 304}:
        assert content == outcome.content
    if connection.reusable:
        # Nothing of what was received is left over: any byte less is not an answer.
        again, shorter = exchange(ScriptedSocket([scripted.received[:-1]], "silent"))
        assert isinstance(shorter, str)
        assert not again.reusable


HEADERS = st.lists(
    st.sampled_from(
        ["X-More: a", "x-empty:", "Set-Cookie: a=b; path=/", "Date: Sun, 01 Jan 2026 00:00:00 GMT", "X: é"]
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    content=st.binary(max_size=400) | st.binary(max_size=20).map(lambda some: some * 3000),
    coding=st.sampled_from(["", "gzip", "deflate", "raw"]),
    size=st.integers(0, 90),
    extension=st.sampled_from([b"", b";a", b' ; a="b"']),
    status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
    more=HEADERS,
    after=st.sampled_from([b"", b"x", SOUND]),
    interim=st.integers(0, 2),
    data=st.data(),
)
def test_every_sound_answer_is_read_exactly(  # noqa: PLR0917 - hypothesis names them all
    content: bytes,
    coding: str,
    size: int,
    extension: bytes,
    status: int,
    more: list[str],
    after: bytes,
    interim: int,
    data: st.DataObject,
) -> None:
    wire, lines = content, list(more)
    if coding:
        compress: dict[str, Callable[[bytes], bytes]]
        compress = {"gzip": gzip.compress, "deflate": zlib.compress, "raw": raw_deflate}
        wire = compress[coding](content)
        lines.append(f"Content-Encoding: {coding if coding != 'raw' else 'deflate'}")
    if size:
        lines.insert(data.draw(st.integers(0, len(lines))), "Transfer-Encoding: chunked")
        wire = chunked(wire, size, extension, b"X-Sum: 1\r\n" if size % 2 else b"")
    else:
        lines.insert(data.draw(st.integers(0, len(lines))), f"Content-Length: {len(wire)}")
    written = head(status="HTTP/1.1 103 Early Hints") * interim
    written += head(*lines, status=f"HTTP/1.1 {status} Whatever") + wire
    pieces = pieces_of(data, written)
    connection, outcome = exchange(ScriptedSocket([*pieces[:-1], pieces[-1] + after], "silent"))
    assert outcome == (status, content)
    assert connection.reusable is not (bool(after) and bool(pieces[-1] or len(pieces) == 1))


def test_over_sockets_too_whatever_comes_hangs_nothing_leaks_nothing_and_poisons_nothing(
    connect: Connect,
) -> None:
    said: list[tuple[list[bytes], str]] = []
    unanswered: list[str] = []

    def script(connection: Connection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := connection.read_request():
            if request.body == b"sound":
                connection.write(answer(b"own"))
                continue
            pieces, end = said.pop()
            for piece in pieces:
                connection.write(piece)
            if end == "reset":
                return connection.reset()
            if end == "closed":
                return None
        return None

    with RawServer(script) as server:
        transport = connect(server.url)

        @settings(max_examples=120, deadline=None, derandomize=True)
        @given(
            written=WHATEVER,
            end=st.sampled_from(["closed", "closed", "reset"]),
            data=st.data(),
        )
        def fuzz(written: bytes, end: str, data: st.DataObject) -> None:
            said.append((pieces_of(data, written), end))
            started = time.perf_counter()
            try:
                transport.post(PATH, b"fuzz")
            except TransportError as error:
                assert_clean(error)
                lost(error)
            assert time.perf_counter() - started < SECONDS
            try:
                assert transport.post(PATH, b"sound") == (200, b"own")
            except TransportError as error:
                # The server hung up on a sound answer just when this was written.
                unanswered.append(lost(error))

        fuzz()
    assert set(unanswered) <= {"ConnectionClosed", "ConnectionLost"}


# Imports


def test_without_tls_nothing_heavy_is_imported() -> None:
    """A cold start pays for every import; `ssl` comes with the first handshake."""
    code = (
        "import sys; from wechat_notify.transport import PooledTransport; "
        "PooledTransport('https://api.weixin.qq.com'); "
        "heavy = {'ssl', 'email', 'http', 'requests', 'certifi', 'stringprep'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    layer = Path(transport_module.__file__).parents[1]
    ran = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        cwd=layer,
    )
    assert ran.stdout.strip() == "[]"
