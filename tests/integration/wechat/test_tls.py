"""TLS, certificates and proxies."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hash_certificates import hash_certificates
from tests.integration.conftest import SHORT
from tests.integration.raw_server import Connection, RawServer, Script, always, answer, once
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
from wechat_notify.wechat import connections
from wechat_notify.wechat import session as wechat_session

ENDINGS: dict[str, Script] = {
    "half": lambda connection: connection.socket.shutdown(socket.SHUT_WR),
    "whole": lambda connection: connection.socket.close(),
    "reset": lambda connection: connection.reset(),
    "unasked": lambda connection: connection.write(SOUND.replace(b"1864323726461255683", b"1")),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.usefixtures("trusting")
def test_ended_idle_connection_is_replaced(
    session_at: SessionAt, tls: ssl.SSLContext, end: Script, *, secure: bool
) -> None:
    ended = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(SOUND)
            connection.wait(0.05)  # until the answer was read, or a reset takes it along
            end(connection)
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
def test_threads_share_connections_and_tls_context(
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


def test_connections_load_no_certificates(
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
def test_certificates_of_layer_or_certifi(
    session_at: SessionAt,
    tls: ssl.SSLContext,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert wechat_session.tls_context().get_ca_certs()
    directory = tmp_path / "certificates"
    hash_certificates(certificate, directory)
    monkeypatch.setattr(wechat_session, "_CERTIFICATES", directory)
    with RawServer(always(SOUND), tls) as server:
        assert session_at(server.url).post(PATH, BODY) == OK


@pytest.mark.usefixtures("own_context")
def test_environment_is_ignored(
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
def test_certificate_for_another_name_is_refused(
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
def test_tls_before_1_2_is_refused(session_at: SessionAt, tls: ssl.SSLContext, certificate: Path) -> None:
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


FAILED_HANDSHAKES: dict[str, tuple[str, Script]] = {
    "silence": ("HandshakeTimeout", _silent),
    "drip": ("HandshakeTimeout", _drip_the_handshake),
    "reset of the hello": ("HandshakeError", _reset_the_hello),
    "closed": ("HandshakeError", lambda _connection: None),
    "reset": ("HandshakeError", lambda connection: connection.reset()),
    "no TLS": ("HandshakeError", lambda connection: connection.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
}


@pytest.mark.parametrize(("reason", "script"), FAILED_HANDSHAKES.values(), ids=FAILED_HANDSHAKES.keys())
@pytest.mark.usefixtures("trusting")
def test_a_handshake_that_fails_sent_nothing(session_at: SessionAt, reason: str, script: Script) -> None:
    with RawServer(script) as server:
        session = session_at(server.url.replace("http:", "https:"), limits=SHORT)
        assert post_in_time(session) in {unsent(reason), unsent("ConnectionError")}


def _cut_off(connection: Connection) -> None:
    connection.read_request()
    connection.write(SOUND[:-5])
    plain = socket.socket(fileno=os.dup(connection.socket.fileno()))
    plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody encrypted
    plain.close()
    connection.wait(1)


@pytest.mark.usefixtures("trusting")
def test_tls_error_after_handshake_is_lost(session_at: SessionAt, tls: ssl.SSLContext) -> None:
    with RawServer(_cut_off, tls) as server:
        assert session_at(server.url).post(PATH, BODY) == lost("ConnectionLost")


@pytest.mark.usefixtures("trusting")
def test_rest_of_tls_record_is_dropped(session_at: SessionAt, tls: ssl.SSLContext) -> None:
    more = SOUND.replace(b"1864323726461255683", b"1") * 90
    assert 8192 < len(SOUND + more) < connections.TLS_RECORD
    with RawServer(always(SOUND + more), tls) as server:
        session = session_at(server.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3


def _tunnel(connection: Connection) -> None:
    """A proxy that knows one way only."""
    request = connection.read_request()
    if not request:
        return
    connection.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    host, _, port = request.target.rpartition(":")
    with socket.create_connection((host, int(port))) as far:
        near = connection.socket
        while ready := select.select([near, far], [], [], 5)[0]:
            for one in ready:
                data = one.recv(65536)
                if not data:
                    return
                (far if one is near else near).sendall(data)


@pytest.mark.usefixtures("trusting")
def test_proxy_sees_no_token(session_at: SessionAt, tls: ssl.SSLContext) -> None:
    with RawServer(always(SOUND), tls) as server, RawServer(_tunnel) as proxy:
        session = session_at(server.url, proxy=proxy.url)
        assert [session.post(PATH, BODY) for _ in range(3)] == [OK] * 3
        session.close()
    assert (proxy.accepted, server.accepted, len(server.requests)) == (1, 1, 3)
    assert [request.target for request in proxy.requests] == [f"127.0.0.1:{server.port}"]


@pytest.mark.usefixtures("trusting")
def test_failed_proxy_sent_nothing(session_at: SessionAt, nobody: tuple[str, int]) -> None:
    with RawServer(once(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as proxy:
        session = session_at("https://wechat.invalid", proxy=proxy.url)
        assert session.post(PATH, BODY) == unsent("ProxyError")
    session = session_at("https://wechat.invalid", proxy=f"http://127.0.0.1:{nobody[1]}")
    assert session.post(PATH, BODY) == unsent("ConnectionRefused")
    with RawServer(_silent) as proxy:
        session = session_at("https://wechat.invalid", proxy=proxy.url, limits=SHORT)
        assert post_in_time(session) == unsent("ProxyError")
