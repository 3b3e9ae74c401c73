import json
import logging
import os
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from moto import mock_aws

from functions.token_refresh.handler import lambda_handler as token_refresh
from local.simulator.server import Simulator
from tests.fakes import FakeContext
from tests.integration.raw_server import Connection, answer
from tests.integration.secrecy import Listener, assert_clean
from wechat_notify.aws.clients import Clients, Service, checked, client_config
from wechat_notify.aws.ledger_table import LedgerTable
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.connections import Limits
from wechat_notify.wechat.session import HttpSession

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "wechat-notify-test")

PATH = "/wechat-notify/test/accounts"
RETENTION = 30 * 24 * 3600.0
REGION = "eu-central-1"
ENVIRON = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "AKIACANARY",
    "AWS_SECRET_ACCESS_KEY": "secret-CANARY",
    "AWS_SESSION_TOKEN": "token-CANARY",
}
"""As Lambda sets it."""
SHORT = Limits(connect=0.6, read=0.3, answer=0.45)
"""The same for WeChat."""


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(2)
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
def session_at() -> Iterator[Callable[..., HttpSession]]:
    """Makes sessions, and closes their connections in the end."""
    made: list[HttpSession] = []

    def make(*given: Any, **named: Any) -> HttpSession:
        made.append(HttpSession(*given, **named))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def client_at(session_at: Callable[..., HttpSession]) -> Callable[..., WeChatClient]:
    """Makes clients for a WeChat on the loopback."""
    return lambda *given, **named: WeChatClient(session_at(*given, **named))


@pytest.fixture
def slept() -> list[float]:
    """The pauses between attempts, each as long as it can be; nobody waits for them."""
    return []


@cache
def session() -> boto3.Session:
    """One for all tests, because it keeps the parsed service models, which take most of the time."""
    return boto3.Session(
        ENVIRON["AWS_ACCESS_KEY_ID"], ENVIRON["AWS_SECRET_ACCESS_KEY"], ENVIRON["AWS_SESSION_TOKEN"], REGION
    )


ClientsAt = Callable[..., Clients]


@pytest.fixture
def clients_at(slept: list[float]) -> Iterator[ClientsAt]:
    """Makes clients for an AWS on the loopback, and closes their connections in the end."""
    made: list[Clients] = []

    def make(
        url: str | None, timeout: float | None = None, *, refresher: str | None = None, **lent: Any
    ) -> Clients:
        impatient = Config(connect_timeout=timeout, read_timeout=timeout) if timeout else Config()

        def client(service: Service) -> Any:
            at = refresher or url if service == "lambda" else url
            config = client_config(service).merge(impatient)
            return checked(session().client(service, endpoint_url=at, config=config))

        # Only the pauses take time, or a busy machine would shorten the last one.
        lent = {"sleep": slept.append, "jitter": max, "clock": lambda: sum(slept), **lent}
        made.append(Clients(client, **lent))
        return made[-1]

    yield make
    for clients in made:
        clients.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(apps={"wxapp": "app-secret"}, seed=1) as running:
        yield running


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """An empty AWS in this process; an operator's clients by the service's name."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    make: Any = boto3.client
    # The session is kept because it keeps the parsed service models, which take most of the time.
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield cache(make)


@pytest.fixture
def clients(aws: Callable[[str], Any], clients_at: ClientsAt) -> Clients:  # noqa: ARG001 - it is there now
    """The service's way to that AWS."""
    return clients_at(None)


@pytest.fixture
def put(aws: Callable[[str], Any]) -> Callable[[str, str], None]:
    """Writes a parameter as an operator does, by its name below the accounts' path."""

    def write(name: str, value: str) -> None:
        aws("ssm").put_parameter(Name=f"{PATH}/{name}", Value=value, Type="SecureString", Overwrite=True)

    return write


@pytest.fixture
def ledger_table(aws: Callable[[str], Any], clients: Clients) -> LedgerTable:
    """The ledger's table, empty, with its adapter."""
    aws("dynamodb").create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "listed", "AttributeType": "S"},
            {"AttributeName": "created_at", "AttributeType": "N"},
            {"AttributeName": "receipt_key", "AttributeType": "S"},
            {"AttributeName": "openid_hash", "AttributeType": "S"},
            {"AttributeName": "account", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "listed",
                "KeySchema": [
                    {"AttributeName": "listed", "KeyType": "HASH"},
                    {"AttributeName": "created_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["kind"]},
            },
            {
                "IndexName": "receipts",
                "KeySchema": [{"AttributeName": "receipt_key", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": "people",
                "KeySchema": [
                    {"AttributeName": "openid_hash", "KeyType": "HASH"},
                    {"AttributeName": "account", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return LedgerTable(clients, "ledger", RETENTION)


class RefreshLambda:
    """The Lambda service with the one function that is invoked."""

    def __init__(self) -> None:
        self.invoked: list[dict[str, Any]] = []
        self.busy = False

    def script(self, connection: Connection) -> None:
        while request := connection.read_request():
            assert request.target == "/2015-03-31/functions/token-refresh/invocations"
            self.invoked.append(json.loads(request.body))
            connection.write(self._answer(self.invoked[-1]))

    def _answer(self, event: dict[str, Any]) -> bytes:
        if self.busy:
            return answer(b"{}", "X-Amzn-ErrorType: TooManyRequestsException", status="429 Too Many")
        try:
            return answer(json.dumps(token_refresh(event, FakeContext())).encode())
        except Exception as error:  # noqa: BLE001 - Lambda answers every error of a function so
            failed = json.dumps({"errorMessage": str(error)})
            return answer(failed.encode(), "X-Amz-Function-Error: Unhandled")


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
def heard(capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """What was logged, warned of and printed; it must hold no canary in the end."""
    listener, root = Listener(), logging.getLogger()
    level = root.level
    for library in ("boto3", "botocore", "urllib3"):  # which an earlier test may have made quiet
        logging.getLogger(library).setLevel(logging.NOTSET)
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield listener.heard
    finally:
        root.removeHandler(listener)
        root.setLevel(level)
    assert_clean(listener.heard)
    assert_clean([str(warning.message) for warning in warned])
    assert_clean(capfd.readouterr())
