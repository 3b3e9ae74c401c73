"""What the tests of connections and of TLS share."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from wechat_notify.wechat.session import HttpSession, NoAnswer


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
