"""The answers that a session reads over real sockets: sound ones, broken ones, and those that never end."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.conftest import SHORT
from tests.integration.raw_server import Connection, RawServer, Script, always, answer, once, reset, silence
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.outcomes import CAUSES
from wechat_notify.wechat.session import HttpResponse, HttpSession, NoAnswer

SessionAt = Callable[..., HttpSession]

TOKEN = "57_CANARY"
PATH = f"/cgi-bin/message/template/send?access_token={TOKEN}"
BODY = '{"touser":"o","text":"深圳 😀"}'.encode()
CONTENT = b'{"errcode":0,"errmsg":"ok","msgid":1864323726461255683}'
OK = HttpResponse(200, CONTENT)
SOUND = answer(CONTENT)
LONG = CONTENT.ljust(1000)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
SECONDS = 1.5
"""What a failure within `SHORT` limits may take on a busy machine."""


def chunked(body: bytes, size: int, trailers: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n%b\r\n" % trailers


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


def lost(reason: str) -> NoAnswer:
    return NoAnswer(reason, may_have_arrived=True)


# What goes out


def test_a_post_is_one_request(session_at: SessionAt) -> None:
    with RawServer(always(SOUND)) as server:
        assert session_at(f"{server.url}/wechat/").post(PATH, BODY) == OK
    (request,) = server.requests
    assert (request.target, request.body) == (f"/wechat{PATH}", BODY)
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/json; charset=utf-8",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "wechat-notify",
        "content-length": str(len(BODY)),
    }


def test_head_and_body_are_written_at_once(session_at: SessionAt) -> None:
    pieces: list[bytes] = []

    def script(connection: Connection) -> None:
        pieces.append(connection.socket.recv(65536))
        connection.write(SOUND)

    with RawServer(script) as server:
        assert session_at(server.url).post(PATH, BODY) == OK
    assert pieces[0].endswith(b"\r\n\r\n" + BODY)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api..weixin.qq.com",
        f"https://{'a' * 64}.example",
        "api.weixin.qq.com",
        "ftp://127.0.0.1",
        "http://",
        "http://[",
        "http://a:b",
        "http://CANARY@127.0.0.1",
        "http://127.0.0.1?access_token=CANARY",
        "http://127.0.0.1/#CANARY",
        "",
    ],
)
def test_a_base_url_that_is_none_sends_nothing(session_at: SessionAt, base_url: str) -> None:
    assert session_at(base_url).post(PATH, BODY) == NoAnswer(
        "InvalidURL", may_have_arrived=False, passing=False
    )


def test_no_redirect_is_followed_and_no_cookie_kept(session_at: SessionAt) -> None:
    with RawServer(once(SOUND)) as other:
        fields = (f"Location: {other.url}/there", "Set-Cookie: account=first; Path=/")
        with RawServer(always(answer(CONTENT, *fields, status="307 Moved"))) as server:
            session = session_at(server.url)
            assert [session.post(PATH, BODY) for _ in range(3)] == [(307, CONTENT)] * 3
    assert (other.accepted, server.accepted) == (0, 1)
    assert all(request == server.requests[0] for request in server.requests)
    assert not session._session.cookies


# Sound answers

KEPT = {
    "plain": SOUND,
    "no reason": head(f"Content-Length: {len(CONTENT)}", status="HTTP/1.1 200") + CONTENT,
    "chunked": CHUNKED + b"\r\n" + chunked(CONTENT, 7),
    "chunks with trailers": CHUNKED + b"\r\n" + chunked(CONTENT, 7, b"X-Sum: 1\r\nX-More: 2\r\n"),
    "gzip": answer(gzip.compress(CONTENT), "Content-Encoding: gzip"),
    "deflate": answer(zlib.compress(CONTENT), "Content-Encoding: deflate"),
    "after two interim answers": head(status="HTTP/1.1 100 Continue") * 2 + SOUND,
    "kept by name": answer(CONTENT, "Connection: Keep-Alive", "Keep-Alive: timeout=60, max=100"),
    "more than its length": SOUND + SOUND,
}
NOT_KEPT = {
    "close": answer(CONTENT, "Connection: close"),
    "HTTP/1.0": SOUND.replace(b"1.1", b"1.0", 1),
    "kept for no time": answer(CONTENT, "Keep-Alive: timeout=0"),
    "until the end": head() + CONTENT,
}


@pytest.mark.parametrize("written", KEPT.values(), ids=KEPT.keys())
def test_a_sound_answer_is_read_and_its_connection_kept(session_at: SessionAt, written: bytes) -> None:
    with RawServer(always(written)) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert (server.accepted, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("written", NOT_KEPT.values(), ids=NOT_KEPT.keys())
def test_a_connection_that_has_served_is_not_used_again(session_at: SessionAt, written: bytes) -> None:
    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(written)
            if written == NOT_KEPT["until the end"]:
                return
            if connection.read_request():
                raise AssertionError("a second request on this connection")

    with RawServer(script) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3
    assert server.accepted == 3


@pytest.mark.parametrize("status", [200, 202, 302, 400, 413, 429, 500, 599])
def test_any_status_is_an_answer(session_at: SessionAt, status: int) -> None:
    with RawServer(always(answer(b"<html>", status=f"{status} Whatever"))) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(2)] == [(status, b"<html>")] * 2
    assert server.accepted == 1


def test_an_answer_before_the_body_is_read_is_the_answer(session_at: SessionAt) -> None:
    def script(connection: Connection) -> None:
        connection.socket.recv(100)
        connection.write(answer(b"too large", status="413 Content Too Large"))

    with RawServer(script) as server:
        told = session_at(server.url).post(PATH, b"x" * 20_000_000)
    assert told in {(413, b"too large"), lost("ConnectionLost")}  # the reset may overtake it


# Answers that are none, and others that are not well-formed and are taken as they are


def kept_open(written: bytes) -> Script:
    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(written)
            connection.wait(5)

    return script


def endless(written: bytes, more: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.write(written)
        while not connection.wait(0):
            connection.write(more * 1000)

    return script


def _reset_in_the_answer(connection: Connection) -> None:
    connection.read_request()
    connection.write(answer(LONG)[:-500])
    connection.wait(0.05)
    connection.reset()


LENGTH = f"Content-Length: {len(CONTENT)}"
INTERIM = head(status="HTTP/1.1 100 Continue")
ZEROS = b"0" * 50_000_000

LOST: dict[str, tuple[str, Script]] = {
    "closed without an answer": ("ConnectionClosed", once(b"")),
    "reset": ("ConnectionLost", reset),
    "reset in the answer": ("ConnectionLost", _reset_in_the_answer),
    "no answer": ("ReadTimeout", silence),
    "stops in the head": ("AnswerTimeout", kept_open(SOUND[:20])),
    "stops in the content": ("AnswerTimeout", kept_open(SOUND[:-1])),
    "stops in the chunks": ("AnswerTimeout", kept_open(CHUNKED + b"\r\n" + chunked(LONG, 7)[:-9])),
    "never ends": ("AnswerTimeout", kept_open(head() + CONTENT)),
    "truncated": ("AnswerTruncated", once(SOUND[:-1])),
    "truncated chunks": ("AnswerTruncated", once(CHUNKED + b"\r\n" + chunked(LONG, 7)[:-20])),
    "no chunks": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n{}\r\n")),
    "a negative chunk": ("AnswerUnreadable", kept_open(CHUNKED + b"\r\n-5\r\nabcde\r\n0\r\n\r\n")),
    "a chunk longer than it says": (
        "AnswerUnreadable",
        kept_open(CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n"),
    ),
    "two lengths": ("AnswerUnreadable", kept_open(head("Content-Length: 5, 6") + CONTENT)),
    "too large by its end": ("AnswerTooLarge", endless(head(), b"0123456789abcdef")),
    "too large in chunks": ("AnswerTooLarge", endless(CHUNKED + b"\r\n", b"1\r\na\r\n")),
    "too large by its length": ("AnswerTooLarge", always(answer(b"0" * 66_000))),
    "a gzip bomb": ("AnswerTooLarge", always(answer(gzip.compress(ZEROS, 9), "Content-Encoding: gzip"))),
    "a row of interim answers": ("AnswerTooLarge", endless(b"", INTERIM)),
    "too many headers": ("AnswerUnreadable", kept_open(head(*["X-More: x"] * 9000))),
    "another protocol": (
        "AnswerUnreadable",
        kept_open(head("Upgrade: h2c", status="HTTP/1.1 101 Switching Protocols")),
    ),
    "an interim answer that is taken for the last": (
        "AnswerUnreadable",
        kept_open(head("Link: <a>", status="HTTP/1.1 103 Early Hints") + SOUND),
    ),
    "no HTTP": ("AnswerUnreadable", kept_open(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    "HTTP/2": ("AnswerUnreadable", kept_open(SOUND.replace(b"1.1", b"2.0", 1))),
    "a status of two digits": ("AnswerUnreadable", kept_open(head(LENGTH, status="HTTP/1.1 20 OK"))),
    "a line before it": ("AnswerUnreadable", kept_open(b"\r\n" + SOUND)),
}
TAKEN: dict[str, tuple[bytes, bytes]] = {
    "a truncated head": (b"", SOUND[:20]),
    "an endless trailer": (LONG, CHUNKED + b"\r\n" + chunked(LONG, 7, b"X: %b\r\n" % b"x" * 90)),
    "no last line of the chunks": (LONG, CHUNKED + b"\r\n" + chunked(LONG, 7)[:-2]),
    "a chunk in Python's hex": (b"a", CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n"),
    "chunks and a length": (b"", CHUNKED + LENGTH.encode() + b"\r\n\r\n0\r\n\r\n"),
    "two lines of length": (CONTENT, head(LENGTH, LENGTH) + CONTENT),
    "a signed length": (b'{"err', head("Content-Length: +5") + CONTENT),
    "a truncated gzip": (LONG, answer(gzip.compress(LONG)[:-1], "Content-Encoding: gzip")),
    "another coding": (CONTENT, answer(CONTENT, "Content-Encoding: br")),
    "a folded header": (CONTENT, head("X-Folded: a", " b", LENGTH) + CONTENT),
    "a header without a name": (CONTENT, head(": 5", LENGTH) + CONTENT),
    "bare line feeds": (CONTENT, SOUND.replace(b"\r\n", b"\n")),
}


@pytest.mark.parametrize(("reason", "script"), LOST.values(), ids=LOST.keys())
def test_a_lost_answer_may_have_arrived_and_costs_its_connection(
    session_at: SessionAt, reason: str, script: Script
) -> None:
    scripts = [script]

    def first_then_sound(connection: Connection) -> None:
        scripts.pop()(connection) if scripts else always(SOUND)(connection)

    with RawServer(first_then_sound) as server:
        session = session_at(server.url, limits=SHORT)
        started = time.perf_counter()
        assert session.post(PATH, BODY) == lost(reason)
        assert time.perf_counter() - started < SECONDS
        assert len(server.requests) == 1
        assert session.post(PATH, BODY) == OK
    assert server.accepted == 2


@pytest.mark.parametrize("content", [CONTENT, gzip.compress(LONG)[:-8] + bytes(8)], ids=["none", "wrong sum"])
def test_a_gzip_that_is_none_may_have_arrived(session_at: SessionAt, content: bytes) -> None:
    with RawServer(always(answer(content, "Content-Encoding: gzip"))) as server:
        assert session_at(server.url).post(PATH, BODY) == lost("AnswerUnreadable")


@pytest.mark.parametrize(("content", "written"), TAKEN.values(), ids=TAKEN.keys())
def test_what_is_not_well_formed_counts_by_its_content(
    session_at: SessionAt, content: bytes, written: bytes
) -> None:
    """Only WeChat's JSON with an errcode says anything, and that is looked for by the client."""
    with RawServer(once(written)) as server:
        assert session_at(server.url).post(PATH, BODY) == (200, content)


# The deadline


def dripping(at_once: bytes, then: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.write(at_once)
        connection.drip(then, every=0.05)

    return script


DRIPS = {
    "interim answers": dripping(b"", INTERIM * 10),
    "a head": dripping(b"", SOUND),
    "content": dripping(head("Content-Length: 1000"), LONG),
    "chunks": dripping(CHUNKED + b"\r\n", chunked(LONG, 10)),
    "until the end": dripping(head("Connection: close"), LONG),
}


@pytest.mark.parametrize("script", DRIPS.values(), ids=DRIPS.keys())
def test_what_drips_ends_at_the_deadline(session_at: SessionAt, script: Script) -> None:
    with RawServer(script) as server:
        session = session_at(server.url, limits=SHORT)
        started = time.perf_counter()
        assert session.post(PATH, BODY) == lost("AnswerTimeout")
        assert SHORT.answer - 0.05 < time.perf_counter() - started < SECONDS


def test_a_row_of_interim_answers_ends_at_the_deadline_whatever_may_be_read(session_at: SessionAt) -> None:
    with RawServer(endless(b"", INTERIM)) as server:
        session = session_at(server.url, limits=SHORT._replace(max_bytes=10**12))
        started = time.perf_counter()
        assert session.post(PATH, BODY) == lost("AnswerTimeout")
        assert time.perf_counter() - started < SECONDS


@pytest.mark.parametrize("every", [5.0, 0.02])
def test_a_body_that_is_read_slowly_or_not_is_given_up(session_at: SessionAt, every: float) -> None:
    def script(connection: Connection) -> None:
        while not connection.wait(every):
            connection.socket.recv(100_000)

    with RawServer(script) as server:
        started = time.perf_counter()
        assert session_at(server.url, limits=SHORT).post(PATH, b"x" * 20_000_000) == lost("WriteTimeout")
        assert time.perf_counter() - started < SECONDS


def test_a_late_answer_is_not_read_as_that_to_the_next_message(session_at: SessionAt) -> None:
    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.body == b"slow":
                connection.wait(0.5)
            connection.write(answer(request.body))

    with RawServer(script) as server:
        session = session_at(server.url, limits=Limits(read=0.3))
        assert session.post(PATH, b"slow") == lost("ReadTimeout")
        assert session.post(PATH, b"quick") == (200, b"quick")


# Whatever the server says

PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: keep-alive\r\n",
        b"Keep-Alive: timeout=",
        b"\r\n",
        b"\n",
        b"\0",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        gzip.compress(b"hello"),
        SOUND,
    ]
) | st.binary(max_size=12)


def edited(written: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, gone, new in edits:
        written = written[:at] + new + written[at + gone :]
    return written


WHATEVER = st.lists(PARTS, max_size=10).map(b"".join) | st.builds(
    edited,
    st.sampled_from([*KEPT.values(), *NOT_KEPT.values()]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), PARTS | st.just(b"")), max_size=3),
)


def test_whatever_comes_is_an_answer_or_a_lost_one_and_harms_no_other(session_at: SessionAt) -> None:
    said: list[tuple[bytes, str]] = []

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.body == b"sound":
                connection.write(answer(b"own"))
                continue
            written, end = said.pop()
            connection.write(written)
            if end == "reset":
                return connection.reset()
            return None
        return None

    with RawServer(script) as server:
        session = session_at(server.url)

        @settings(max_examples=150, deadline=None, derandomize=True)
        @given(written=WHATEVER, end=st.sampled_from(["closed", "closed", "reset"]))
        def fuzz(written: bytes, end: str) -> None:
            said.append((written, end))
            told = session.post(PATH, b"fuzz")
            assert isinstance(told, HttpResponse) or (told.may_have_arrived and told.reason in CAUSES)
            # The server hung up on a sound answer just when this was written.
            assert session.post(PATH, b"sound") in {
                (200, b"own"),
                lost("ConnectionClosed"),
                lost("ConnectionLost"),
            }

        fuzz()
