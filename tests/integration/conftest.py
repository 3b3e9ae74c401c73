from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto import mock_aws

from local.simulator.server import Simulator
from wechat_notify.aws import clients
from wechat_notify.aws.ledger import LedgerTable
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.wechat import transport as transport_module
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.transport import PooledTransport

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")

PATH = "/wechat-notify/test/accounts"
RETENTION = 30 * 24 * 3600.0


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(2)
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts for a test that waits for one; where an answer comes, a busy machine may need longer."""
    monkeypatch.setattr(transport_module, "_CONNECT_TIMEOUT", 0.3)
    monkeypatch.setattr(transport_module, "_READ_TIMEOUT", 0.3)
    monkeypatch.setattr(transport_module, "_ANSWER_TIMEOUT", 0.45)


@pytest.fixture
def connect() -> Iterator[Callable[..., WeChatClient]]:
    """Makes clients for an address on the loopback, and closes their connections in the end."""
    made: list[WeChatClient] = []

    def make(base_url: str, trust: Path | None = None) -> WeChatClient:
        transport = PooledTransport(base_url, trust=str(trust)) if trust else None
        made.append(WeChatClient(base_url, transport))
        return made[-1]

    yield make
    for client in made:
        client._transport.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(apps={"wxapp": "app-secret"}, seed=1) as running:
        yield running


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """An empty AWS in this process; its clients by the service's name."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    clients._client.cache_clear()
    # The session is kept because it keeps the parsed service models, which take most of the time.
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield clients.client
    clients._client.cache_clear()


@pytest.fixture
def put(aws: Callable[..., Any]) -> Callable[[str, str], None]:
    """Writes a parameter as an operator does, by its name below the accounts' path."""

    def write(name: str, value: str) -> None:
        aws("ssm").put_parameter(Name=f"{PATH}/{name}", Value=value, Type="SecureString", Overwrite=True)

    return write


@pytest.fixture
def ledger_table(aws: Callable[..., Any]) -> LedgerTable:
    """The ledger's table, empty, with its adapter."""
    aws("dynamodb").create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return LedgerTable("ledger", RETENTION)


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """An address that completes no more connections: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        waiting = [socket.socket() for _ in range(8)]
        for caller in waiting:
            caller.settimeout(0)
            caller.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for caller in waiting:
            caller.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def over_the_wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Lets the clients of a service (by its id in the environment) call an address on the loopback."""
    clients._client.cache_clear()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    made: list[Any] = []
    make = boto3.client

    def remember(*given: Any, **named: Any) -> Any:
        made.append(make(*given, **named))
        return made[-1]

    monkeypatch.setattr(boto3, "client", remember)
    yield lambda service, url: monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", url)
    for client in made:
        client.close()
    clients._client.cache_clear()


@pytest.fixture
def lambda_at(
    monkeypatch: pytest.MonkeyPatch, over_the_wire: Callable[[str, str], None]
) -> Callable[[str], RefreshFunction]:
    """The refresher's function, as the Lambda service at an address would run it."""
    monkeypatch.setattr(clients, "_CONNECT_TIMEOUT", 0.5)
    monkeypatch.setitem(clients._READ_TIMEOUT, "lambda", 0.4)

    def at(url: str) -> RefreshFunction:
        over_the_wire("LAMBDA", url)
        return RefreshFunction("token-refresh")

    return at


@pytest.fixture
def table_at(over_the_wire: Callable[[str, str], None]) -> Callable[[str], LedgerTable]:
    """The ledger's table, as DynamoDB at an address would keep it."""

    def at(url: str) -> LedgerTable:
        over_the_wire("DYNAMODB", url)
        return LedgerTable("ledger", RETENTION)

    return at
