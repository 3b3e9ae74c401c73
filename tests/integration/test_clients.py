"""boto3 as the service uses it: its repeats, what is told of a failure, and what the environment decides."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import certifi
import pytest
from botocore import httpsession
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from tests.integration.conftest import ENVIRON, ClientsAt
from tests.integration.raw_server import (
    Connection,
    RawServer,
    Script,
    always,
    answer,
    in_turn,
    json_answer,
    once,
    refused,
    reset,
    silence,
)
from wechat_notify.aws import clients as clients_module
from wechat_notify.aws.clients import MAX_CONNECTIONS, Clients
from wechat_notify.core import batches
from wechat_notify.core.outcomes import StorageError

ITEM: Any = {"pk": {"S": "message#shop#1"}, "text": {"S": "深圳 😀 CANARY"}}
NOTHING = answer(b"{}")
PARAMETER = json_answer(Parameter={"Value": "CANARY"})


def put(clients: Clients, retry_for: float = 0.0) -> Any:
    return clients.call(
        "write it", lambda: clients.dynamodb.put_item(TableName="ledger", Item=ITEM), retry_for=retry_for
    )


def get(clients: Clients, retry_for: float = 0.0) -> Any:
    return clients.call("read it", lambda: clients.ssm.get_parameter(Name="/a"), retry_for=retry_for)


def fails(call: Callable[[], object]) -> str:
    """The code of the error, in which nothing stands of what was said or of the credentials."""
    with pytest.raises(StorageError) as raised:
        call()
    error = raised.value
    assert error.__cause__ is None
    assert error.__context__ is None
    known = [str(error), repr(error), repr(vars(error)), *traceback.format_exception_only(error)]
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_globals["__name__"] == clients_module.__name__:
            known += [repr(value) for value in trace.tb_frame.f_locals.values()]
        trace = trace.tb_next
    assert not [text for text in known if "CANARY" in text]
    return error.code


# What is repeated, and for how long


@pytest.mark.parametrize("retry_for", [1.0, 2.5, 6.0, 7.5])
@pytest.mark.parametrize("jitter", [min, max])
def test_attempts_fill_the_time_whatever_the_pauses(
    clients_at: ClientsAt, slept: list[float], retry_for: float, jitter: Callable[..., float]
) -> None:
    with RawServer(always(refused("ThrottlingException"))) as server:
        assert fails(lambda: put(clients_at(server.url, jitter=jitter), retry_for)) == "ThrottlingException"
    assert retry_for - 0.01 <= sum(slept) <= retry_for + 1e-6
    assert len(server.requests) == len(slept) + 1 <= 14
    *doubling, _last = slept
    assert all(first < second or second == jitter(1.0, 2.0) for first, second in pairwise(doubling))
    assert server.accepted == 1
    assert len({request.headers["amz-sdk-invocation-id"] for request in server.requests}) == len(slept) + 1


def test_one_attempt_is_made_where_there_is_no_time(
    clients_at: ClientsAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever botocore is told by its environment."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    with RawServer(always(refused("ThrottlingException"))) as server:
        fails(lambda: put(clients_at(server.url)))
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(clients_at: ClientsAt, status: int) -> None:
    trouble = answer(b"<html>CANARY", status=f"{status} No")
    with RawServer(in_turn(trouble, trouble, NOTHING)) as server:
        put(clients_at(server.url), 1.0)
    assert len(server.requests) == 3
    with RawServer(always(trouble)) as server:
        assert fails(lambda: put(clients_at(server.url))) == str(status)


@pytest.mark.parametrize("code", ["InvalidSignatureException", "ExpiredTokenException", "AccessDenied"])
def test_who_may_not_call_does_not_try_again(clients_at: ClientsAt, code: str) -> None:
    with RawServer(always(refused(code))) as server:
        assert fails(lambda: put(clients_at(server.url), 6.0)) == code
    assert len(server.requests) == 1


def test_the_codes_that_pass_are_botocores() -> None:
    known = {
        *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,  # type: ignore[attr-defined] # not in the stubs
        *TransientRetryableChecker._TRANSIENT_ERROR_CODES,  # type: ignore[attr-defined]
    }
    assert known == clients_module._TRANSIENT_CODES


def goodbye(connection: Connection) -> None:
    connection.read_request()


def broken_off(connection: Connection) -> None:
    if connection.read_request():
        connection.write(json_answer(text="CANARY")[:-5])


def half(connection: Connection) -> None:
    if connection.read_request():
        connection.write(json_answer(text="CANARY")[:-5])
        connection.wait(5)


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        (silence, {"ReadTimeoutError"}),
        (half, {"ReadTimeoutError"}),
        (goodbye, {"ConnectionClosedError"}),
        (broken_off, {"ConnectionClosedError", "ResponseStreamingError"}),
        (reset, {"ConnectionClosedError"}),
        (once(b"\x15\x03\x01 CANARY\r\n\r\n"), {"ConnectionClosedError"}),
    ],
)
def test_a_lost_answer_is_asked_for_again(
    clients_at: ClientsAt, slept: list[float], script: Script, codes: set[str]
) -> None:
    with RawServer(script) as server:
        assert fails(lambda: get(clients_at(server.url, 0.1), 0.1)) in codes
    assert len(server.requests) == len(slept) + 1 >= 3


@pytest.mark.parametrize("content", [b"[]", b"\xff", b"[" * 100_000, b'"CANARY"'])
def test_an_answer_that_is_no_object_is_a_failure(clients_at: ClientsAt, content: bytes) -> None:
    with RawServer(always(answer(content))) as server:
        assert fails(lambda: get(clients_at(server.url), 1.0))
    assert len(server.requests) == 1


@pytest.mark.parametrize("said", ["CANARY secret text", "CANARY\u00e9", "x" * 200 + "CANARY", "深CANARY"])
def test_what_is_no_code_is_not_passed_on(clients_at: ClientsAt, said: str) -> None:
    with RawServer(always(refused(said, message=said))) as server:
        assert fails(lambda: get(clients_at(server.url))) == "400"


def test_nothing_is_followed_elsewhere(clients_at: ClientsAt) -> None:
    with RawServer(always(answer(b"", "Location: http://127.0.0.1:1/", status="307 No"))) as server:
        assert fails(lambda: get(clients_at(server.url))) == "307"


def test_nobody_there_is_told_after_all_attempts(clients_at: ClientsAt, slept: list[float]) -> None:
    with RawServer(goodbye) as server:
        pass
    assert fails(lambda: put(clients_at(server.url), 2.5)) == "EndpointConnectionError"
    assert sum(slept) == pytest.approx(2.5, abs=0.01)


def test_who_does_not_accept_is_not_waited_for(clients_at: ClientsAt, full_backlog: str) -> None:
    assert fails(lambda: put(clients_at(full_backlog, 0.1))) == "ConnectTimeoutError"


def test_threads_share_clients_and_connections(clients_at: ClientsAt) -> None:
    with RawServer(always(NOTHING)) as server:
        clients = clients_at(server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: put(clients), range(100)))
    assert len(server.requests) == 100
    assert server.accepted <= 8
    assert MAX_CONNECTIONS > batches._WORKER_THREADS


# What the environment decides


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Lambda's, and nothing of this machine's."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return monkeypatch


@pytest.fixture
def made() -> Iterator[Clients]:
    """As ``bootstrap`` makes them."""
    clients = Clients()
    yield clients
    clients.close()


def test_a_services_own_endpoint_goes_before_the_general_one(
    environment: pytest.MonkeyPatch, made: Clients
) -> None:
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


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "https://dynamodb.eu-central-1.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ({"AWS_DEFAULT_REGION": "eusc-de-east-1"}, "https://dynamodb.eusc-de-east-1.amazonaws.eu"),
        ({"AWS_DEFAULT_REGION": "eu-new-7"}, "https://dynamodb.eu-new-7.amazonaws.com"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-east-1"},
            "https://dynamodb-fips.us-east-1.amazonaws.com",
        ),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://dynamodb.eu-central-1.api.aws"),
    ],
)
def test_a_service_is_where_botocore_has_it(
    environment: pytest.MonkeyPatch, made: Clients, variables: dict[str, str], url: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert made.dynamodb.meta.endpoint_url == url


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
    ("name", "code"),
    [
        ("AWS_DEFAULT_REGION", "NoRegionError"),
        ("AWS_ACCESS_KEY_ID", "NoCredentialsError"),
        ("AWS_SECRET_ACCESS_KEY", "PartialCredentialsError"),
    ],
)
def test_what_the_environment_lacks_has_a_name(
    environment: pytest.MonkeyPatch, made: Clients, name: str, code: str
) -> None:
    environment.delenv(name)
    assert fails(lambda: get(made)) == code


def test_an_endpoint_that_is_none_is_told_without_it(environment: pytest.MonkeyPatch, made: Clients) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "CANARY nowhere")
    assert fails(lambda: get(made)) == "ValueError"


def test_clients_are_made_once_by_whichever_thread(environment: pytest.MonkeyPatch, made: Clients) -> None:
    environment.setattr(boto3.Session, "client", lambda *_, **__: SimpleNamespace(close=lambda: None))
    with ThreadPoolExecutor(8) as pool:
        assert len({id(client) for client in pool.map(lambda _: made.sqs, range(50))}) == 1


# Certificates


def few(count: int) -> str:
    """Some that vouch for nobody here."""
    return "-----BEGIN".join(Path(certifi.where()).read_text("utf-8").split("-----BEGIN")[: count + 1])


@pytest.fixture
def roots(environment: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path | None, Path | None], list[str]]:
    """Has Amazon's roots and botocore's bundle be others; tells which file was loaded for a connection."""
    others = tmp_path / "others.pem"
    others.write_text(few(2), "utf-8")
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


def test_amazons_roots_are_enough(
    environment: pytest.MonkeyPatch, made: Clients, roots: Roots, certificate: Path, tls: ssl.SSLContext
) -> None:
    loaded = roots(certificate, None)
    with RawServer(always(PARAMETER), tls) as server:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        get(made)
        assert server.accepted == 1
    assert loaded == [str(certificate)]


def test_who_is_vouched_for_by_others_is_tried_with_botocores_bundle(
    environment: pytest.MonkeyPatch, made: Clients, roots: Roots, certificate: Path, tls: ssl.SSLContext
) -> None:
    loaded = roots(None, certificate)
    with RawServer(always(PARAMETER), tls) as server:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: get(made), range(8)))
        get(made)
        put(made)
    assert loaded[-1] == str(certificate)
    assert len(server.requests) == 10


def test_who_is_vouched_for_by_nobody_is_refused(
    environment: pytest.MonkeyPatch, made: Clients, roots: Roots, tls: ssl.SSLContext
) -> None:
    roots(None, None)
    with RawServer(always(PARAMETER), tls) as server:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
        assert fails(lambda: get(made, 6.0)) == "SSLError"
        assert server.accepted == 2
    assert not server.requests


def test_a_certificate_for_another_name_is_refused(
    environment: pytest.MonkeyPatch, made: Clients, roots: Roots, certificate: Path, tls: ssl.SSLContext
) -> None:
    roots(certificate, certificate)
    with RawServer(always(PARAMETER), tls) as server:
        environment.setenv("AWS_ENDPOINT_URL", server.url.replace("127.0.0.1", "localhost"))
        assert fails(lambda: get(made)) == "SSLError"
    assert not server.requests


def test_a_bundle_of_ones_own_is_the_only_one(
    environment: pytest.MonkeyPatch, roots: Roots, certificate: Path, tls: ssl.SSLContext
) -> None:
    loaded = roots(None, None)
    with RawServer(always(PARAMETER), tls) as server:
        environment.setenv("AWS_ENDPOINT_URL", server.url)
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


def test_amazons_roots_are_those_of_every_bundle() -> None:
    marker = "-----BEGIN CERTIFICATE-----"
    roots = clients_module._AMAZON_ROOTS.read_text("ascii")
    known = {text.partition("-----END")[0] for text in Path(certifi.where()).read_text().split(marker)}
    found = [text.partition("-----END")[0] for text in roots.split(marker)[1:]]
    assert len(found) == 5
    assert set(found) <= known
