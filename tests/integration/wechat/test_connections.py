"""Connections that are kept, replaced and made, by addresses and names."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.conftest import SHORT
from tests.integration.raw_server import Connection, RawServer, always, answer
from tests.integration.wechat.samples import (
    BODY,
    CONTENT,
    OK,
    PATH,
    SOUND,
    SessionAt,
    idle_sockets,
    lost,
    post_in_time,
    resolving,
    unsent,
)
from wechat_notify.core.delivery.batch import _WORKER_THREADS
from wechat_notify.wechat import connections
from wechat_notify.wechat import session as wechat_session


def test_each_worker_thread_has_a_connection() -> None:
    assert wechat_session.MAX_CONNECTIONS == _WORKER_THREADS


def test_closing_server_gets_nothing_twice(session_at: SessionAt) -> None:
    def script(connection: Connection) -> None:
        for _ in range(3):
            if not connection.read_request():
                return
            connection.write(SOUND)

    with RawServer(script) as server:
        session = session_at(server.url)
        told = Counter(session.post(PATH, b"%d" % number) for number in range(300))
    assert set(Counter(request.body for request in server.requests).values()) == {1}
    assert set(told) <= {OK, lost("ConnectionClosed"), lost("ConnectionLost")}
    assert told[OK] == len(server.requests)


@pytest.mark.parametrize(
    ("written", "max_idle"),
    [(SOUND, connections.MAX_IDLE), (answer(CONTENT, "Keep-Alive: max=5, timeout=5"), 4)],
)
def test_idle_connections_expire(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch, written: bytes, max_idle: float
) -> None:
    """By the wall clock: the monotonic one may stand still while Lambda freezes the process."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with RawServer(always(written)) as server:
        session = session_at(server.url)
        session.post(PATH, BODY)
        now += max_idle - 0.1
        session.post(PATH, BODY)
        assert server.accepted == 1
        now += max_idle + 0.1
        assert session.post(PATH, BODY) == OK
        assert server.accepted == 2
        now -= 3600  # the clock was put right: how long it was idle is not known
        session.post(PATH, BODY)
    assert server.accepted == 3


def test_forked_process_opens_its_own_connections(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND)) as server:
        session = session_at(server.url)
        session.post(PATH, BODY)
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        assert session.post(PATH, BODY) == OK
    assert server.accepted == 2


def test_many_threads_get_their_own_answers(session_at: SessionAt) -> None:
    together = threading.Barrier(40)

    def script(connection: Connection) -> None:
        waited = False
        while request := connection.read_request():
            if not waited:
                waited = True
                together.wait(5)
            connection.write(answer(request.body))

    with RawServer(script) as server:
        session = session_at(server.url)
        with ThreadPoolExecutor(together.parties) as pool:
            numbers = [b"%d" % number for number in range(together.parties)]
            assert list(pool.map(lambda number: session.post(PATH, number), numbers)) == [
                (200, number) for number in numbers
            ]
        assert len(idle_sockets(session)) == wechat_session.MAX_CONNECTIONS


def test_interrupted_call_drops_its_connection(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with RawServer(always(SOUND)) as server:
        session = session_at(server.url)
        session.post(PATH, BODY)
        with monkeypatch.context() as patched:
            patched.setattr(connections.Connection, "getresponse", interrupt)
            with pytest.raises(KeyboardInterrupt):
                session.post(PATH, BODY)
        assert session.post(PATH, BODY) == OK
    assert server.accepted == 2


def test_a_closed_session_opens_new_connections(session_at: SessionAt) -> None:
    with RawServer(always(SOUND)) as server:
        session = session_at(server.url)
        for _ in range(2):
            assert session.post(PATH, BODY) == OK
            session.close()
    assert server.accepted == 2


def test_addresses_are_tried_in_turn(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch, nobody: tuple[str, int], full_backlog: str
) -> None:
    silent = ("127.0.0.1", int(full_backlog.rpartition(":")[2]))
    with RawServer(always(SOUND)) as server:
        resolving(monkeypatch, ("::1", nobody[1]), nobody, silent, ("127.0.0.1", server.port))
        assert session_at("http://wechat.invalid", limits=SHORT._replace(connect=1.0)).post(PATH, BODY) == OK
    assert server.requests[0].headers["host"] == "wechat.invalid"


def test_all_addresses_share_one_time_limit(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch, full_backlog: str
) -> None:
    resolving(monkeypatch, *[("127.0.0.1", int(full_backlog.rpartition(":")[2]))] * 20)
    session = session_at("http://wechat.invalid", limits=SHORT)
    assert post_in_time(session, at_least=SHORT.connect) == unsent("ConnectTimeout")


def test_name_lookup_counts_as_connecting(session_at: SessionAt, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(always(SOUND)) as server:
        resolving(monkeypatch, ("127.0.0.1", server.port))
        resolve = socket.getaddrinfo

        def slow(*given: Any, **named: Any) -> Any:
            time.sleep(SHORT.connect)
            return resolve(*given, **named)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        assert session_at("http://wechat.invalid", limits=SHORT).post(PATH, BODY) == unsent("ConnectTimeout")
    assert server.accepted == 0


def test_unresolved_name_sent_nothing(session_at: SessionAt, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert session_at("http://wechat.invalid").post(PATH, BODY) == unsent("NameResolutionError")


def test_refused_connection_sent_nothing(session_at: SessionAt, nobody: tuple[str, int]) -> None:
    assert session_at(f"http://127.0.0.1:{nobody[1]}").post(PATH, BODY) == unsent("ConnectionRefused")
