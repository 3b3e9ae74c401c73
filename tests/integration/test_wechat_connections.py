"""Connections over real sockets: made, trusted, kept, replaced, and given up in time."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.integration.conftest import SHORT
from tests.integration.raw_server import Connection, RawServer, Script, always, answer
from tests.integration.test_wechat_http import BODY, CONTENT, OK, PATH, SECONDS, SOUND, SessionAt, lost
from wechat_notify.core.delivery.batch import _WORKER_THREADS
from wechat_notify.wechat import connections
from wechat_notify.wechat import session as wechat_session
from wechat_notify.wechat.session import HttpSession, NoAnswer


def unsent(reason: str) -> NoAnswer:
    return NoAnswer(reason, may_have_arrived=False)


def idle_sockets(session: HttpSession) -> list[socket.socket]:
    adapter: Any = session._session.get_adapter("https://")
    return [kept.sock for kept in adapter._pool.pool.queue if kept]


# Kept connections


def test_there_is_a_kept_connection_for_each_worker_thread() -> None:
    assert wechat_session.MAX_CONNECTIONS == _WORKER_THREADS


@pytest.mark.parametrize("how", ["half", "whole", "reset", "unasked"])
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.usefixtures("trusting")
def test_a_connection_that_ended_while_idle_is_replaced_before_anything_is_written(
    session_at: SessionAt, tls: ssl.SSLContext, how: str, *, secure: bool
) -> None:
    ended = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        if not connection.read_request():
            return
        connection.write(SOUND)
        connection.wait(0.05)  # until the answer was read, or a reset takes it along
        if how == "half":
            connection.socket.shutdown(socket.SHUT_WR)
        elif how == "whole":
            connection.socket.close()
        elif how == "reset":
            connection.reset()
        else:
            connection.write(SOUND.replace(b"1864323726461255683", b"1"))
        ended.release()
        connection.wait(0.3)

    with RawServer(script, tls if secure else None) as server:
        session = session_at(server.url)
        for number in range(1, 4):
            assert session.post(PATH, BODY) == OK
            assert ended.acquire(timeout=5)
            assert select.select(idle_sockets(session), [], [], 5)[0]  # the goodbye has come
            assert len(server.requests) == number
    assert server.accepted == 3


def test_a_server_that_closes_just_when_we_write_gets_nothing_twice(session_at: SessionAt) -> None:
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


def test_connections_idle_for_too_long_are_not_used_again(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the wall clock: the monotonic one may stand still while Lambda freezes the process."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with RawServer(always(SOUND)) as server:
        session = session_at(server.url)
        session.post(PATH, BODY)
        now += connections.MAX_IDLE - 0.1
        session.post(PATH, BODY)
        assert server.accepted == 1
        now += connections.MAX_IDLE + 0.1
        assert session.post(PATH, BODY) == OK
        assert server.accepted == 2
        now -= 3600  # the clock was put right: how long it was idle is not known
        session.post(PATH, BODY)
    assert server.accepted == 3


def test_the_time_that_a_server_keeps_connections_is_heeded(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with RawServer(always(answer(CONTENT, "Keep-Alive: max=5, timeout=5"))) as server:
        session = session_at(server.url)
        session.post(PATH, BODY)
        now += 3.9
        session.post(PATH, BODY)
        assert server.accepted == 1
        now += 4.1
        session.post(PATH, BODY)
    assert server.accepted == 2


def test_a_forked_process_leaves_the_connections_to_its_parent(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND)) as server:
        session = session_at(server.url)
        session.post(PATH, BODY)
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        assert session.post(PATH, BODY) == OK
    assert server.accepted == 2


def test_more_threads_than_kept_connections_each_get_their_own_answer(session_at: SessionAt) -> None:
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


def test_an_interrupted_call_does_not_leave_its_connection_to_the_next(
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


# Names and addresses


def resolving(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Make every name lead to these."""

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, *kind, place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def nobody() -> tuple[str, int]:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return ("127.0.0.1", int(listener.getsockname()[1]))


def test_the_addresses_of_a_name_are_tried_in_turn(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch, nobody: tuple[str, int], full_backlog: str
) -> None:
    silent = ("127.0.0.1", int(full_backlog.rpartition(":")[2]))
    with RawServer(always(SOUND)) as server:
        resolving(monkeypatch, ("::1", nobody[1]), nobody, silent, ("127.0.0.1", server.port))
        assert session_at("http://wechat.invalid", limits=SHORT._replace(connect=1.0)).post(PATH, BODY) == OK
    assert server.requests[0].headers["host"] == "wechat.invalid"


def test_connecting_has_one_limit_whatever_the_number_of_addresses(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch, full_backlog: str
) -> None:
    resolving(monkeypatch, *[("127.0.0.1", int(full_backlog.rpartition(":")[2]))] * 20)
    started = time.perf_counter()
    assert session_at("http://wechat.invalid", limits=SHORT).post(PATH, BODY) == unsent("ConnectTimeout")
    assert SHORT.connect - 0.05 < time.perf_counter() - started < SECONDS


def test_the_time_for_a_lookup_is_part_of_that_for_connecting(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(SOUND)) as server:
        resolving(monkeypatch, ("127.0.0.1", server.port))
        resolve = socket.getaddrinfo

        def slow(*given: Any, **named: Any) -> Any:
            time.sleep(SHORT.connect)
            return resolve(*given, **named)

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        assert session_at("http://wechat.invalid", limits=SHORT).post(PATH, BODY) == unsent("ConnectTimeout")
    assert server.accepted == 0


def test_a_name_that_does_not_resolve_sent_nothing(
    session_at: SessionAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert session_at("http://wechat.invalid").post(PATH, BODY) == unsent("NameResolutionError")


def test_a_refused_connection_sent_nothing(session_at: SessionAt, nobody: tuple[str, int]) -> None:
    assert session_at(f"http://127.0.0.1:{nobody[1]}").post(PATH, BODY) == unsent("ConnectionRefused")


# TLS


@pytest.fixture
def trusting(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the server's certificate, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=certificate)
    monkeypatch.setattr(wechat_session, "tls_context", lambda: context)


@pytest.fixture
def own_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test have the context made anew."""
    monkeypatch.setattr(wechat_session, "tls_context", wechat_session.tls_context.__wrapped__)


@pytest.mark.usefixtures("trusting")
def test_many_posts_share_a_connection_and_threads_the_context(
    session_at: SessionAt, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []
    make = wechat_session.tls_context

    def slow() -> ssl.SSLContext:
        time.sleep(0.05)
        made.append(make())
        return made[-1]

    monkeypatch.setattr(wechat_session, "tls_context", slow)
    with RawServer(always(SOUND), tls) as server:
        session = session_at(server.url)
        with ThreadPoolExecutor(10) as pool:
            assert set(pool.map(lambda _: session.post(PATH, BODY), range(100))) == {OK}
        accepted = server.accepted
        assert {session.post(PATH, BODY) for _ in range(20)} == {OK}
    assert server.accepted == accepted <= 10
    assert len(made) == 1


def test_no_certificate_is_loaded_for_a_connection(
    session_at: SessionAt, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context(ssl.SSLContext):
        loads = 0

        def load_verify_locations(self, *given: Any, **named: Any) -> None:
            self.loads += 1
            super().load_verify_locations(*given, **named)

    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=certificate)
    monkeypatch.setattr(wechat_session, "tls_context", lambda: context)
    with RawServer(always(answer(CONTENT, "Connection: close")), tls) as server:
        session = session_at(server.url)
        assert {session.post(PATH, BODY) for _ in range(5)} == {OK}
    assert (server.accepted, context.loads) == (5, 1)


@pytest.mark.usefixtures("own_context")
def test_certificates_are_certifis() -> None:
    bundle = Path(certifi.where()).read_text("utf-8")
    assert len(wechat_session.tls_context().get_ca_certs()) == bundle.count("BEGIN CERTIFICATE") > 100


@pytest.mark.usefixtures("own_context")
def test_the_environment_names_no_proxy_and_nobody_to_trust(
    session_at: SessionAt, tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificate))
    monkeypatch.setenv("SSLKEYLOGFILE", str(certificate.parent / "keys"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with RawServer(always(SOUND)) as server, RawServer(always(SOUND)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert session_at(server.url).post(PATH, BODY) == OK
        with RawServer(always(SOUND), tls) as secure:
            assert session_at(secure.url).post(PATH, BODY) == unsent("CertificateError")
    assert proxy.accepted == 0
    assert not (certificate.parent / "keys").exists()


@pytest.mark.usefixtures("trusting")
def test_a_certificate_for_another_name_gets_nothing(
    session_at: SessionAt, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: named.append(name)
    with RawServer(always(SOUND), tls) as server:
        resolving(monkeypatch, ("127.0.0.1", server.port))
        assert session_at("https://wechat.invalid").post(PATH, BODY) == unsent("CertificateError")
    assert named == ["wechat.invalid"]
    assert not server.requests


@pytest.mark.usefixtures("trusting")
def test_tls_1_2_is_enough_and_what_is_older_is_refused(
    session_at: SessionAt, tls: ssl.SSLContext, certificate: Path
) -> None:
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(always(SOUND), tls) as server:
        assert session_at(server.url).post(PATH, BODY) == OK
    assert wechat_session.tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificate)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with RawServer(always(SOUND), old) as server:
        assert session_at(server.url).post(PATH, BODY) == unsent("HandshakeError")


def _reset_the_hello(connection: Connection) -> None:
    connection.socket.recv(1)
    connection.reset()


def _drip_the_handshake(connection: Connection) -> None:
    connection.socket.recv(10_000)
    connection.drip(b"\x16\x03\x03\x01\x00" + bytes(256), every=0.1)


def _silent(connection: Connection) -> None:
    connection.wait(5)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (_silent, "HandshakeTimeout"),
        (_drip_the_handshake, "HandshakeTimeout"),
        (_reset_the_hello, "HandshakeError"),
        (lambda _connection: None, "HandshakeError"),
        (lambda connection: connection.reset(), "HandshakeError"),
        (lambda connection: connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "HandshakeError"),
    ],
    ids=["silence", "drip", "reset of the hello", "closed", "reset", "no TLS"],
)
@pytest.mark.usefixtures("trusting")
def test_a_handshake_that_fails_sent_nothing(session_at: SessionAt, script: Script, reason: str) -> None:
    with RawServer(script) as server:
        session = session_at(server.url.replace("http:", "https:"), limits=SHORT)
        started = time.perf_counter()
        assert session.post(PATH, BODY) in {unsent(reason), unsent("ConnectionError")}
        assert time.perf_counter() - started < SECONDS


def _cut_off(connection: Connection) -> None:
    connection.read_request()
    connection.write(SOUND[:-5])
    plain = socket.socket(fileno=os.dup(connection.socket.fileno()))
    plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody encrypted
    plain.close()
    connection.wait(1)


@pytest.mark.usefixtures("trusting")
def test_an_error_of_tls_after_the_handshake_may_have_arrived(
    session_at: SessionAt, tls: ssl.SSLContext
) -> None:
    with RawServer(_cut_off, tls) as server:
        assert session_at(server.url).post(PATH, BODY) == lost("ConnectionLost")


@pytest.mark.usefixtures("trusting")
def test_what_follows_an_answer_within_its_record_is_not_read_as_the_next(
    session_at: SessionAt, tls: ssl.SSLContext
) -> None:
    more = SOUND.replace(b"1864323726461255683", b"1") * 90
    assert 8192 < len(SOUND + more) < connections.TLS_RECORD
    with RawServer(always(SOUND + more), tls) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3


# Proxies


def tunnel(accept: bytes) -> Script:
    """A proxy that knows one way only."""

    def script(connection: Connection) -> None:
        request = connection.read_request()
        if not request:
            return
        connection.write(accept)
        if b" 200 " not in accept:
            return
        host, _, port = request.target.rpartition(":")
        with socket.create_connection((host, int(port))) as far:
            near = connection.socket
            while True:
                ready, _, _ = select.select([near, far], [], [], 5)
                for one in ready or [near]:
                    data = one.recv(65536) if ready else b""
                    if not data:
                        return
                    (far if one is near else near).sendall(data)

    return script


@pytest.mark.usefixtures("trusting")
def test_a_proxy_sees_the_host_and_no_token(session_at: SessionAt, tls: ssl.SSLContext) -> None:
    established = b"HTTP/1.1 200 Connection established\r\n\r\n"
    with RawServer(always(SOUND), tls) as server, RawServer(tunnel(established)) as proxy:
        session = session_at(server.url, proxy=proxy.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3
        session.close()
    assert (proxy.accepted, server.accepted, len(server.requests)) == (1, 1, 3)
    assert [request.target for request in proxy.requests] == [f"127.0.0.1:{server.port}"]


@pytest.mark.usefixtures("trusting")
def test_a_proxy_that_refuses_or_is_not_there_sent_nothing(
    session_at: SessionAt, nobody: tuple[str, int]
) -> None:
    with RawServer(tunnel(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        session = session_at("https://wechat.invalid", proxy=proxy.url)
        assert session.post(PATH, BODY) == unsent("ProxyError")
    session = session_at("https://wechat.invalid", proxy=f"http://127.0.0.1:{nobody[1]}")
    assert session.post(PATH, BODY) == unsent("ConnectionRefused")
    with RawServer(_silent) as proxy:
        session = session_at("https://wechat.invalid", proxy=proxy.url, limits=SHORT)
        started = time.perf_counter()
        assert session.post(PATH, BODY) == unsent("ProxyError")
        assert time.perf_counter() - started < SECONDS


def test_what_urllib3_logs_is_kept_to_itself_from_the_import_on() -> None:
    code = "import logging, wechat_notify.wechat.session; print(logging.getLogger('urllib3').propagate)"
    layer = Path(wechat_session.__file__).parents[2]
    ran = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=layer
    )
    assert ran.stdout.strip() == "False"
