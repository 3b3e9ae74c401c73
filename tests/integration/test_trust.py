"""The certificates that come with the layer, and those of the system where the layer is too old."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import certifi
import pytest

from hash_certificates import hash_certificates
from tests.integration.raw_server import RawServer, always, answer
from wechat_notify import transport as transport_module
from wechat_notify.transport import PooledTransport, TransportError, Trust

SOUND = answer(b"{}")
ANOTHER = Path(certifi.where())
"""Certificates that vouch for nobody here."""

Connect = Callable[[str, Trust], PooledTransport]
Layer = Callable[[Path | None, Path | None], list[str]]


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layer:
    """Gives the layer and the system certificates of their own; tells when the system's are loaded."""

    def given(layers: Path | None, systems: Path | None) -> list[str]:
        directory, nothing = tmp_path / "certificates", tmp_path / "nothing.pem"
        nothing.write_text(few(ANOTHER, 1), "utf-8")
        if layers:
            hash_certificates(layers, directory)
        loaded: list[str] = []

        def systems_file() -> str:
            loaded.append(str(systems or nothing))
            return loaded[-1]

        monkeypatch.setattr(transport_module, "_OF_THE_LAYER", directory)
        monkeypatch.setattr(transport_module, "_certificates_of_the_system", systems_file)
        return loaded

    return given


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes transports, and closes their connections in the end."""
    made: list[PooledTransport] = []

    def make(base_url: str, trust: Trust) -> PooledTransport:
        made.append(PooledTransport(base_url, trust))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def few(file: Path, count: int) -> str:
    return "-----BEGIN".join(file.read_text("utf-8").split("-----BEGIN")[: count + 1])


@pytest.fixture
def others(tmp_path: Path) -> Path:
    path = tmp_path / "others.pem"
    path.write_text(few(ANOTHER, 3), "utf-8")
    return path


def reason(transport: PooledTransport) -> str:
    with pytest.raises(TransportError) as raised:
        transport.post("/", b"{}")
    assert not raised.value.may_have_arrived
    assert raised.value.__context__ is None
    return raised.value.reason


def test_the_layers_certificates_are_enough(
    connect: Connect, layer: Layer, certificate: Path, tls: ssl.SSLContext
) -> None:
    loaded = layer(certificate, None)
    with RawServer(always(SOUND), tls) as server:
        assert connect(server.url, Trust()).post("/", b"{}").status == 200
        assert server.accepted == 1
    assert not loaded


def test_what_only_the_system_vouches_for_is_trusted_at_the_second_try(
    connect: Connect, layer: Layer, certificate: Path, tls: ssl.SSLContext, others: Path
) -> None:
    loaded = layer(others, certificate)
    trust = Trust()
    with RawServer(always(SOUND), tls) as server:
        assert connect(server.url, trust).post("/", b"{}").status == 200
        assert server.accepted == 2
        assert connect(server.url, trust).post("/", b"{}").status == 200
        assert server.accepted == 3
    assert len(loaded) == 1


def test_threads_that_are_refused_together_all_try_again(
    connect: Connect, layer: Layer, certificate: Path, tls: ssl.SSLContext, others: Path
) -> None:
    loaded = layer(others, certificate)
    with RawServer(always(SOUND), tls) as server, ThreadPoolExecutor(10) as pool:
        transport = connect(server.url, Trust())
        assert {
            answered.status for answered in pool.map(lambda _: transport.post("/", b"{}"), range(10))
        } == {200}
    assert len(loaded) == 1


def test_what_nobody_vouches_for_is_refused(
    connect: Connect, layer: Layer, tls: ssl.SSLContext, others: Path
) -> None:
    layer(others, None)
    with RawServer(always(SOUND), tls) as server:
        transport = connect(server.url, Trust())
        assert reason(transport) == "CertificateError"
        assert server.accepted == 2
        assert reason(transport) == "CertificateError"
        assert server.accepted == 3  # the system's have come already: a second try would be the same
    assert not server.requests


def test_a_certificate_for_another_name_is_refused(
    connect: Connect, layer: Layer, certificate: Path, tls: ssl.SSLContext
) -> None:
    layer(certificate, certificate)
    with RawServer(always(SOUND), tls) as server:
        assert reason(connect(server.url.replace("127.0.0.1", "localhost"), Trust())) == "CertificateError"
    assert not server.requests


def test_without_a_directory_in_the_layer_the_systems_are_loaded_at_once(
    connect: Connect, layer: Layer, certificate: Path, tls: ssl.SSLContext
) -> None:
    layer(None, certificate)
    with RawServer(always(SOUND), tls) as server:
        assert connect(server.url, Trust()).post("/", b"{}").status == 200
        assert server.accepted == 1


def test_certificates_of_ones_own_are_the_only_ones(
    connect: Connect, layer: Layer, certificate: Path, tls: ssl.SSLContext, others: Path
) -> None:
    loaded = layer(certificate, certificate)
    with RawServer(always(SOUND), tls) as server:
        assert reason(connect(server.url, Trust(str(others)))) == "CertificateError"
        assert server.accepted == 1
    assert not loaded


def test_every_certificate_stands_under_its_hash_once(tmp_path: Path) -> None:
    file = tmp_path / "few.pem"
    file.write_text(f"# a comment\n{few(ANOTHER, 5)}{few(ANOTHER, 1)}", "utf-8")  # two of the same subject
    directory = tmp_path / "certificates"
    hash_certificates(file, directory)
    assert len(list(directory.glob("????????.0"))) == 5
    assert len(list(directory.glob("????????.1"))) == 1
    checked = subprocess.run(  # noqa: S603 - a fixed command and two paths of this test
        ["openssl", "verify", "-no-CAfile", "-CApath", directory, file],  # noqa: S607 - as the layer's build finds it
        capture_output=True,
        check=False,
        text=True,
    )
    assert checked.stdout == f"{file}: OK\n", checked.stderr
