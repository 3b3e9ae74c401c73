"""The refresher's function over HTTP."""

import pytest

from tests.integration.aws.samples import asked
from tests.integration.conftest import ClientsAt
from tests.integration.raw_server import (
    Connection,
    RawServer,
    Script,
    always,
    answer,
    in_turn,
    json_answer,
    silence,
)
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.core.errors import (
    AccountTakenError,
    NotAPlatformError,
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.tokens.token import AccessToken


def test_refresher_is_invoked_with_the_digest(clients_at: ClientsAt) -> None:
    token = {"value": "57_new", "expires_at": 2e9, "obtained_at": 1.5, "forced_day": "", "forced_count": 2}
    with RawServer(always(json_answer(result="token", token=token))) as server:
        refresher = RefreshFunction(clients_at(server.url), "token-refresh")
        answered = refresher.ask("shop", "digest")
        refresher.ask("shop", None)
    assert answered == AccessToken("57_new", 2e9, 1.5, "", 2)
    assert server.requests[0].target == "/2015-03-31/functions/token-refresh/invocations"
    assert "x-amz-invocation-type" not in server.requests[0].headers  # by default it is RequestResponse
    assert asked(server) == [
        {"account": "shop", "rejected": "digest"},
        {"account": "shop", "rejected": None},
    ]
    assert server.accepted == 1


def test_permissions_come_with_the_token(clients_at: ClientsAt) -> None:
    token = {"value": "57_new", "expires_at": 2e9, "obtained_at": 1.5, "permissions": [7, 89], "newer": 1}
    with RawServer(always(json_answer(result="token", token=token))) as server:
        answered = RefreshFunction(clients_at(server.url), "token-refresh").ask("shop", None)
    assert answered == AccessToken("57_new", 2e9, 1.5, permissions=(7, 89))


def test_request_for_a_platform(clients_at: ClientsAt) -> None:
    with RawServer(always(json_answer(result="authorized"))) as server:
        refresher = RefreshFunction(clients_at(server.url), "token-refresh")
        assert refresher.ask_platform("platform", "revoke", account="shop", at=1) == {"result": "authorized"}
    assert asked(server) == [{"component": "platform", "request": "revoke", "account": "shop", "at": 1}]


FAILED = {"status": "failed", "error_class": "platform", "hint": {"en": "Wait.", "zh": "等待"}}


@pytest.mark.parametrize(
    ("written", "error"),
    [
        (json_answer(result="unknown_account"), UnknownAccountError),
        (json_answer(result="not_a_platform"), NotAPlatformError),
        (json_answer(result="account_taken"), AccountTakenError),
        (json_answer(result="failed", failure=FAILED), TokenUnavailableError),
        (json_answer(result="bad_request", detail="wrong"), StorageError),
        (json_answer(result="failed"), StorageError),
        (answer(b"[]"), StorageError),
        (answer(b"Task timed out", "X-Amz-Function-Error: Unhandled"), StorageError),
        (answer(b"{}", "X-Amzn-ErrorType: TooManyRequestsException", status="429 Too"), RefresherBusyError),
    ],
)
def test_answers_about_a_platform(clients_at: ClientsAt, written: bytes, error: type[Exception]) -> None:
    with RawServer(in_turn(written)) as server, pytest.raises(error):
        RefreshFunction(clients_at(server.url), "token-refresh").ask_platform("platform", "pre_auth_code")


def lambda_refuses(name: str, status: str) -> bytes:
    return answer(b'{"message":"no"}', f"X-Amzn-ErrorType: {name}", status=status)


def stops_half_way(connection: Connection) -> None:
    connection.read_request()
    connection.write(json_answer(result="unknown_account")[:-5])
    connection.wait(5)


@pytest.mark.parametrize("script", [silence, stops_half_way])
def test_slow_refresher_is_busy(clients_at: ClientsAt, script: Script) -> None:
    with RawServer(script) as server, pytest.raises(RefresherBusyError):
        RefreshFunction(clients_at(server.url, 0.3), "token-refresh").ask("shop", None)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (lambda_refuses("ResourceNotFoundException", "404 Not Found"), "ResourceNotFoundException"),
        (lambda_refuses("ServiceException", "500 Internal Server Error"), "ServiceException"),
        (answer(b"Task timed out", "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (b"", "ConnectionClosedError"),
        (answer(b""), "UnreadableAnswer"),
        (answer(b"[]"), "UnreadableAnswer"),
        (answer(b"{}"), "UnreadableAnswer"),
        (json_answer(result="token", token={"value": "t"}), "UnreadableAnswer"),
        (json_answer(result="token", token=None), "UnreadableAnswer"),
        (json_answer(result="failed", failure={"status": "odd"}), "UnreadableAnswer"),
    ],
)
def test_failed_refresher_is_a_storage_error(clients_at: ClientsAt, written: bytes, code: str) -> None:
    with RawServer(in_turn(written)) as server, pytest.raises(StorageError) as raised:
        RefreshFunction(clients_at(server.url), "token-refresh").ask("shop", None)
    assert raised.value.code == code
