"""boto3 as ``bootstrap`` has it made: what the environment decides, and which certificates are enough."""

import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import boto3
import certifi
import pytest
from botocore import httpsession

from tests.integration.aws.test_clients import fails, get, put
from tests.integration.conftest import ENVIRON
from tests.integration.raw_server import RawServer, always, json_answer
from wechat_notify.aws import clients as clients_module
from wechat_notify.aws.clients import Clients

PARAMETER = json_answer(Parameter={"Value": "CANARY"})


# What the environment decides


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Lambda's, and nothing of this machine's."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    names = "AWS_PROFILE AWS_ENDPOINT_URL AWS_CA_BUNDLE REQUESTS_CA_BUNDLE NO_PROXY no_proxy"
    for name in names.split():
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def made() -> Iterator[Clients]:
    """As ``bootstrap`` makes them."""
    clients = Clients()
    yield clients
    clients.close()


def test_service_endpoint_precedes_the_general_one(environment: pytest.MonkeyPatch, made: Clients) -> None:
    with RawServer(always(PARAMETER)) as server, RawServer(always(PARAMETER)) as other:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        environment.setenv("AWS_ENDPOINT_URL_SSM", other.url)
        assert get(made)["Parameter"] == {"Value": "CANARY"}
        put(made)
    assert (len(other.requests), len(server.requests)) == (1, 1)
    (request,) = server.requests
    assert "/eu-central-1/dynamodb/aws4_request," in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == ENVIRON["AWS_SESSION_TOKEN"]
    assert request.headers["user-agent"].startswith("wechat-notify")


def test_a_proxy_is_used(environment: pytest.MonkeyPatch, made: Clients) -> None:
    with RawServer(always(PARAMETER)) as proxy:
        environment.setenv("AWS_ENDPOINT_URL", "http://aws.test")
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("http_proxy", proxy.url)
        get(made)
    assert proxy.requests[0].target == "http://aws.test/"


def test_the_trace_goes_with_a_request(environment: pytest.MonkeyPatch, made: Clients) -> None:
    """Lambda finds loops by it."""
    with RawServer(always(PARAMETER)) as server:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        environment.setenv("AWS_LAMBDA_FUNCTION_NAME", "send-queue")
        environment.setenv("_X_AMZN_TRACE_ID", "Root=1-2;Parent=3;Sampled=1;Lineage=1:2")
        get(made)
    assert server.requests[0].headers["x-amzn-trace-id"].startswith("Root=1-2")


@pytest.mark.parametrize(
    ("name", "code"), [("AWS_DEFAULT_REGION", "NoRegionError"), ("AWS_ACCESS_KEY_ID", "NoCredentialsError")]
)
def test_missing_variable_is_named(
    environment: pytest.MonkeyPatch, made: Clients, name: str, code: str
) -> None:
    environment.delenv(name)
    assert fails(lambda: get(made)) == code


def test_invalid_endpoint_is_not_quoted(environment: pytest.MonkeyPatch, made: Clients) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "CANARY nowhere")
    assert fails(lambda: get(made)) == "ValueError"


def test_clients_are_made_once(environment: pytest.MonkeyPatch, made: Clients) -> None:
    environment.setattr(boto3.Session, "client", lambda *_, **__: MagicMock())
    with ThreadPoolExecutor(8) as pool:
        assert len({id(client) for client in pool.map(lambda _: made.sqs, range(50))}) == 1


# Certificates


@pytest.fixture
def server(environment: pytest.MonkeyPatch, tls: ssl.SSLContext) -> Iterator[RawServer]:
    """AWS, with the certificate for 127.0.0.1."""
    with RawServer(always(PARAMETER), tls) as running:
        environment.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def roots(environment: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path | None, Path | None], list[str]]:
    """Has Amazon's roots and botocore's bundle be others; tells which file was loaded for a connection."""
    others = tmp_path / "others.pem"  # which vouch for nobody here
    others.write_text("-----BEGIN".join(Path(certifi.where()).read_text("utf-8").split("-----BEGIN")[:3]))
    loaded: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(context: ssl.SSLContext, cafile: Any = None, *rest: Any) -> None:
        loaded.append(cafile)
        load(context, cafile, *rest)

    def given(amazons: Path | None, bundle: Path | None) -> list[str]:
        environment.setattr(clients_module, "_AMAZON_ROOTS", amazons or others)
        environment.setattr(httpsession, "where", lambda: str(bundle or others))
        environment.setattr(ssl.SSLContext, "load_verify_locations", noted)
        return loaded

    return given


Roots = Callable[[Path | None, Path | None], list[str]]


def test_amazons_roots_are_enough(made: Clients, server: RawServer, roots: Roots, certificate: Path) -> None:
    loaded = roots(certificate, None)
    get(made)
    assert server.accepted == 1
    assert loaded == [str(certificate)]


def test_bundle_is_used_for_other_roots(
    made: Clients, server: RawServer, roots: Roots, certificate: Path
) -> None:
    loaded = roots(None, certificate)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: get(made), range(8)))
    get(made)
    put(made)
    assert loaded[-1] == str(certificate)
    assert len(server.requests) == 10


def test_untrusted_certificate_is_refused(made: Clients, server: RawServer, roots: Roots) -> None:
    roots(None, None)
    assert fails(lambda: get(made, 6.0)) == "SSLError"
    assert server.accepted == 2
    assert not server.requests


def test_wrong_host_certificate_is_refused(
    environment: pytest.MonkeyPatch, made: Clients, server: RawServer, roots: Roots, certificate: Path
) -> None:
    roots(certificate, certificate)
    environment.setenv("AWS_ENDPOINT_URL", server.url.replace("127.0.0.1", "localhost"))
    assert fails(lambda: get(made)) == "SSLError"
    assert not server.requests


def test_configured_bundle_is_the_only_one(
    environment: pytest.MonkeyPatch, server: RawServer, roots: Roots, certificate: Path
) -> None:
    loaded = roots(None, None)
    environment.setenv("AWS_CA_BUNDLE", str(certificate))
    clients = Clients()
    get(clients)
    clients.close()
    assert loaded == [str(certificate)]
    roots(certificate, certificate)
    environment.setenv("AWS_CA_BUNDLE", certifi.where())
    assert fails(lambda: get(Clients())) == "SSLError"
    assert set(loaded) == {str(certificate), certifi.where()}
    assert len(server.requests) == 1


def test_amazon_roots_match_certifi() -> None:
    marker = "-----BEGIN CERTIFICATE-----"
    roots = clients_module._AMAZON_ROOTS.read_text("ascii")
    known = {text.partition("-----END")[0] for text in Path(certifi.where()).read_text().split(marker)}
    found = [text.partition("-----END")[0] for text in roots.split(marker)[1:]]
    assert len(found) == 5
    assert set(found) <= known
