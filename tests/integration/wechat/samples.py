"""A request and answers that the tests of WeChat's connections share."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.raw_server import answer
from wechat_notify.wechat.session import HttpResponse, HttpSession, NoAnswer

SessionAt = Callable[..., HttpSession]

PATH = "/cgi-bin/message/template/send?access_token=57_CANARY"
BODY = '{"touser":"o","text":"深圳 😀"}'.encode()
CONTENT = b'{"errcode":0,"errmsg":"ok","msgid":1864323726461255683}'
OK = HttpResponse(200, CONTENT)
SOUND = answer(CONTENT)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def chunked(body: bytes, size: int, trailers: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n%b\r\n" % trailers


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


def lost(reason: str) -> NoAnswer:
    return NoAnswer(reason, may_have_arrived=True)


def unsent(reason: str) -> NoAnswer:
    return NoAnswer(reason, may_have_arrived=False)


def idle_sockets(session: HttpSession) -> list[socket.socket]:
    adapter: Any = session._session.get_adapter("https://")
    return [kept.sock for kept in adapter._pool.pool.queue if kept]


def resolving(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Make every name lead to these."""

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, *kind, place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


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

SECONDS = 1.5
"""What a failure within `SHORT` limits may take on a busy machine."""


def post_in_time(session: HttpSession, body: bytes = BODY, at_least: float = 0.0) -> HttpResponse | NoAnswer:
    """What a call comes to, which has to end within the limits."""
    started = time.perf_counter()
    told = session.post(PATH, body)
    assert at_least - 0.05 < time.perf_counter() - started < SECONDS
    return told
