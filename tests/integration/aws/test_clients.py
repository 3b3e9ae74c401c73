"""boto3 as the service uses it: what is repeated, for how long, and what is told of a failure."""

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from tests.fakes import Clock
from tests.integration.conftest import ClientsAt
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
from wechat_notify.core.delivery import batch
from wechat_notify.core.errors import StorageError

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


# What is kept, and what is read


@pytest.mark.parametrize(("idle", "connections"), [(19.0, 1), (21.0, 2), (-1.0, 2)])
def test_connection_expires_after_a_freeze(clients_at: ClientsAt, idle: float, connections: int) -> None:
    clock = Clock()
    with RawServer(always(NOTHING)) as server:
        clients = clients_at(server.url, now=clock.now)
        put(clients)
        clock.advance(idle)
        put(clients)
        put(clients)
    assert (len(server.requests), server.accepted) == (3, connections)


# What is repeated, and for how long


@pytest.mark.parametrize("retry_for", [1.0, 7.5])
@pytest.mark.parametrize("jitter", [min, max])
def test_attempts_fill_the_retry_time(
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


def test_no_retry_time_is_one_attempt(clients_at: ClientsAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever botocore is told by its environment."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    with RawServer(always(refused("ThrottlingException"))) as server:
        fails(lambda: put(clients_at(server.url)))
    assert len(server.requests) == 1


PAGES = [b"<html>CANARY", b"[]", b"\xff", b"[" * 100_000]
REPEATED = [
    *((answer(page), "UnreadableAnswer") for page in PAGES),
    *((answer(b"<html>CANARY", status=f"{status} No"), str(status)) for status in (429, 500)),
]


@pytest.mark.parametrize(("said", "code"), REPEATED)
def test_pages_and_outages_are_repeated(clients_at: ClientsAt, said: bytes, code: str) -> None:
    with RawServer(in_turn(said, said, NOTHING)) as server:
        put(clients_at(server.url), 1.0)
    assert len(server.requests) == 3
    with RawServer(always(said)) as server:
        assert fails(lambda: put(clients_at(server.url))) == code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (refused("AccessDenied"), "AccessDenied"),
        (refused("CANARY secret text", message="CANARY"), "400"),
        (refused("x" * 101), "400"),
        (refused("深CANARY"), "400"),
        (answer(b"", "Location: http://127.0.0.1:1/", status="307 No"), "307"),
    ],
)
def test_refusals_are_not_repeated(clients_at: ClientsAt, said: bytes, code: str) -> None:
    """A code that is none may be what was asked, and is not passed on."""
    with RawServer(always(said)) as server:
        assert fails(lambda: put(clients_at(server.url), 6.0)) == code
    assert len(server.requests) == 1


def test_transient_codes_match_botocore() -> None:
    known = {
        *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,  # type: ignore[attr-defined] # not in the stubs
        *TransientRetryableChecker._TRANSIENT_ERROR_CODES,  # type: ignore[attr-defined]
    }
    assert known == clients_module._TRANSIENT_CODES


def half(connection: Connection) -> None:
    if connection.read_request():
        connection.write(PARAMETER[:-5])
        connection.wait(5)


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        (silence, {"ReadTimeoutError"}),
        (half, {"ReadTimeoutError"}),
        (once(b""), {"ConnectionClosedError"}),
        (once(PARAMETER[:-5]), {"ConnectionClosedError", "ResponseStreamingError"}),
        (reset, {"ConnectionClosedError"}),
        (once(b"\x15\x03\x01 CANARY\r\n\r\n"), {"ConnectionClosedError"}),
    ],
)
def test_lost_answer_is_requested_again(
    clients_at: ClientsAt, slept: list[float], script: Script, codes: set[str]
) -> None:
    with RawServer(script) as server:
        assert fails(lambda: get(clients_at(server.url, 0.1), 0.1)) in codes
    assert len(server.requests) == len(slept) + 1 >= 3


def test_refused_connection_uses_all_attempts(clients_at: ClientsAt, slept: list[float]) -> None:
    with RawServer(silence) as server:
        pass
    assert fails(lambda: put(clients_at(server.url), 2.5)) == "EndpointConnectionError"
    assert sum(slept) == pytest.approx(2.5, abs=0.01)


def test_connect_timeout_is_raised(clients_at: ClientsAt, full_backlog: str) -> None:
    assert fails(lambda: put(clients_at(full_backlog, 0.1))) == "ConnectTimeoutError"


def test_threads_share_clients_and_connections(clients_at: ClientsAt) -> None:
    with RawServer(always(NOTHING)) as server:
        clients = clients_at(server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: put(clients), range(100)))
    assert len(server.requests) == 100
    assert server.accepted <= 8
    assert MAX_CONNECTIONS > batch._WORKER_THREADS
