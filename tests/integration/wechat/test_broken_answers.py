"""Answers that are broken, too large, too slow or endless."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.conftest import SHORT
from tests.integration.raw_server import Connection, RawServer, Script, always, answer, once, reset, silence
from tests.integration.wechat.samples import (
    BODY,
    CHUNKED,
    CONTENT,
    KEPT,
    NOT_KEPT,
    OK,
    PATH,
    SOUND,
    SessionAt,
    chunked,
    head,
    lost,
    post_in_time,
)
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.outcomes import CAUSES
from wechat_notify.wechat.session import HttpResponse

LONG = CONTENT.ljust(1000)


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
GZIP = "Content-Encoding: gzip"
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
    "a gzip bomb": ("AnswerTooLarge", always(answer(gzip.compress(ZEROS, 9), GZIP))),
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
    "a truncated gzip": (LONG, answer(gzip.compress(LONG)[:-1], GZIP)),
    "another coding": (CONTENT, answer(CONTENT, "Content-Encoding: br")),
    "a folded header": (CONTENT, head("X-Folded: a", " b", LENGTH) + CONTENT),
    "a header without a name": (CONTENT, head(": 5", LENGTH) + CONTENT),
    "bare line feeds": (CONTENT, SOUND.replace(b"\r\n", b"\n")),
}


@pytest.mark.parametrize(("reason", "script"), LOST.values(), ids=LOST.keys())
def test_lost_answer_ends_its_connection(session_at: SessionAt, reason: str, script: Script) -> None:
    scripts = [script]

    def first_then_sound(connection: Connection) -> None:
        scripts.pop()(connection) if scripts else always(SOUND)(connection)

    with RawServer(first_then_sound) as server:
        session = session_at(server.url, limits=SHORT)
        assert post_in_time(session) == lost(reason)
        assert len(server.requests) == 1
        assert session.post(PATH, BODY) == OK
    assert server.accepted == 2


@pytest.mark.parametrize("content", [CONTENT, gzip.compress(LONG)[:-8] + bytes(8)], ids=["none", "wrong sum"])
def test_invalid_gzip_is_lost(session_at: SessionAt, content: bytes) -> None:
    """It was read to its end, so that its connection is as good as any."""
    with RawServer(always(answer(content, GZIP))) as server:
        assert session_at(server.url).post(PATH, BODY) == lost("AnswerUnreadable")


@pytest.mark.parametrize(("content", "written"), TAKEN.values(), ids=TAKEN.keys())
def test_malformed_answer_counts_by_its_content(
    session_at: SessionAt, content: bytes, written: bytes
) -> None:
    """Only WeChat's JSON with an errcode says anything, and that is looked for by the client."""
    with RawServer(once(written)) as server:
        assert session_at(server.url).post(PATH, BODY) == (200, content)


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
def test_dripping_answer_ends_at_the_deadline(session_at: SessionAt, script: Script) -> None:
    with RawServer(script) as server:
        session = session_at(server.url, limits=SHORT)
        assert post_in_time(session, at_least=SHORT.answer) == lost("AnswerTimeout")


def test_interim_answers_end_at_the_deadline(session_at: SessionAt) -> None:
    with RawServer(endless(b"", INTERIM)) as server:
        session = session_at(server.url, limits=SHORT._replace(max_bytes=10**12))
        assert post_in_time(session) == lost("AnswerTimeout")


@pytest.mark.parametrize("every", [5.0, 0.02])
def test_slow_reader_is_a_write_timeout(session_at: SessionAt, every: float) -> None:
    def script(connection: Connection) -> None:
        while not connection.wait(every):
            connection.socket.recv(100_000)

    with RawServer(script) as server:
        session = session_at(server.url, limits=SHORT)
        assert post_in_time(session, b"x" * 20_000_000) == lost("WriteTimeout")


def test_late_answer_is_not_read_later(session_at: SessionAt) -> None:
    def script(connection: Connection) -> None:
        while request := connection.read_request():
            if request.body == b"slow":
                connection.wait(0.5)
            connection.write(answer(request.body))

    with RawServer(script) as server:
        session = session_at(server.url, limits=Limits(read=0.3))
        assert session.post(PATH, b"slow") == lost("ReadTimeout")
        assert session.post(PATH, b"quick") == (200, b"quick")


SAMPLES = [*KEPT.values(), *NOT_KEPT.values()]
LINES = sorted({line + b"\r\n" for written in SAMPLES for line in written.split(b"\r\n")})
PARTS = st.sampled_from([*LINES, b"Content-Length: ", b"Keep-Alive: timeout=", b"\0"]) | st.binary(
    max_size=12
)


def edited(written: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, gone, new in edits:
        written = written[:at] + new + written[at + gone :]
    return written


WHATEVER = st.lists(PARTS, max_size=10).map(b"".join) | st.builds(
    edited,
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), PARTS | st.just(b"")), max_size=3),
)


def test_any_bytes_are_answered_or_lost(session_at: SessionAt) -> None:
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
