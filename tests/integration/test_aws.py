"""The AWS adapters against an AWS in this process, and the refresher's invocation over the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError

import wechat_notify
from tests.integration.conftest import PATH
from tests.integration.raw_server import Connection, RawServer, always, answer, json_answer
from wechat_notify.aws import clients
from wechat_notify.aws.refresher import RefreshFunction
from wechat_notify.aws.sqs import Queue
from wechat_notify.aws.ssm import Accounts, AppCredentials, StoredTokens
from wechat_notify.core.outcomes import (
    Bilingual,
    ErrorClass,
    Outcome,
    RefresherBusyError,
    Status,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.tokens import AccessToken, Grant

Put = Callable[[str, str], None]
Aws = Callable[..., Any]
LambdaAt = Callable[[str], RefreshFunction]

TOKEN = AccessToken("57_token", 2_000_000_000.5, 1_999_990_000.0, "2033-05-18", 3, 1_999_980_000.25)


class Source:
    """A token source that remembers its credentials."""

    def __init__(self, credentials: AppCredentials) -> None:
        self.credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        raise NotImplementedError(force)


def app(app_id: str) -> str:
    return json.dumps({"type": "app", "app_id": app_id, "app_secret": f"secret of {app_id}"})


# The parameter store


def test_what_the_refresher_saves_the_sender_reads(aws: Aws) -> None:
    accounts = Accounts(PATH, Source)
    accounts.save("shop", TOKEN)
    assert StoredTokens(PATH).read("shop") == TOKEN
    stored = aws("ssm").get_parameter(Name=f"{PATH}/shop/access-token")["Parameter"]
    assert stored["Type"] == "SecureString"


@pytest.mark.usefixtures("aws")
def test_a_saved_token_replaces_the_one_before() -> None:
    accounts = Accounts(PATH, Source)
    accounts.save("shop", AccessToken("old", 5.0, 1.0))
    accounts.save("shop", TOKEN)
    assert StoredTokens(PATH).read("shop") == TOKEN


@pytest.mark.usefixtures("aws")
def test_no_stored_token_is_none() -> None:
    assert StoredTokens(PATH).read("shop") is None


@pytest.mark.parametrize("value", ["", " ", "57_token", "[]", '{"value": "t"}', '{"value": 1}', '"text"'])
def test_a_stored_token_that_cannot_be_read_counts_as_none(put: Put, value: str) -> None:
    put("shop/access-token", value or "-")
    put("shop/credentials", app("wxshop"))
    assert StoredTokens(PATH).read("shop") is None
    account = Accounts(PATH, Source).load("shop")
    assert account.token is None
    assert account.source


def test_an_account_is_its_credentials_and_its_token(put: Put) -> None:
    put("shop/credentials", ' {"type": "app", "app_id": " wxshop\\n", "app_secret": " s3cret\\n"} ')
    accounts = Accounts(PATH, Source)
    assert accounts.load("shop").token is None
    accounts.save("shop", TOKEN)
    account = accounts.load("shop")
    assert (account.name, account.token, account.problem) == ("shop", TOKEN, None)
    assert isinstance(account.source, Source)
    credentials = account.source.credentials
    assert (credentials.app_id, credentials.app_secret) == ("wxshop", "s3cret")


def test_an_account_without_credentials_is_unknown(put: Put) -> None:
    put("shop/access-token", "{}")
    for name in ("shop", "nobody"):
        with pytest.raises(UnknownAccountError):
            Accounts(PATH, Source).load(name)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The AWS operations that were called."""
    names: list[str] = []

    class Recorder:
        def __getattr__(self, method: str) -> Callable[..., Any]:
            def call(**_: object) -> dict[str, Any]:
                names.append(method)
                return {"Parameters": []}

            return call

    monkeypatch.setattr(clients, "client", lambda _service, **_: Recorder())
    return names


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "../shop", "shop ", "shop\n", "é", "a" * 65, "a_b"])
def test_a_name_that_no_account_can_have_never_reaches_aws(called: list[str], name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(PATH, Source).load(name)
    assert not called


@pytest.mark.parametrize("name", ["a", "0", "-", "a" * 64, "shop-2"])
def test_a_name_that_an_account_can_have_does(called: list[str], name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(PATH, Source).load(name)
    assert called == ["get_parameters"]


def test_only_the_refresher_is_patient_with_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[bool] = []

    def client(_service: str, *, patient: bool = False) -> Failing:
        patience.append(patient)
        return Failing(NoCredentialsError())

    monkeypatch.setattr(clients, "client", client)
    for call in STORE_CALLS.values():
        with pytest.raises(StorageError):
            call()
    assert dict(zip(STORE_CALLS, patience, strict=True)) == {
        "read": False,
        "load": True,
        "load_all": True,
        "save": True,
        "send": False,
        "hand_out_again": False,
    }


def test_all_accounts_are_listed_page_by_page(put: Put) -> None:
    for number in range(13):
        put(f"shop-{number}/credentials", app(f"wx{number}"))
    for number in range(0, 13, 2):
        put(
            f"shop-{number}/access-token",
            json.dumps({"value": f"t{number}", "expires_at": 9, "obtained_at": 1}),
        )
    listed = {account.name: account for account in Accounts(PATH, Source).load_all()}
    assert listed.keys() == {f"shop-{number}" for number in range(13)}
    for number in range(13):
        account = listed[f"shop-{number}"]
        assert isinstance(account.source, Source)
        assert account.source.credentials.app_id == f"wx{number}"
        assert (account.token.value if account.token else None) == (None if number % 2 else f"t{number}")


def test_what_else_lies_in_the_tree_is_left_alone(aws: Aws, put: Put) -> None:
    put("shop/credentials", app("wxshop"))
    put("shop/notes", "call the agency")
    put("shop/old/credentials", "deeper")
    put("only-a-token/access-token", "{}")
    put("credentials", "at the top")
    put("access-token", "at the top")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/credentials", Value=app("wxx"), Type="SecureString")
    assert [account.name for account in Accounts(PATH, Source).load_all()] == ["shop"]


def test_no_accounts_are_no_trouble(aws: Aws) -> None:
    assert list(Accounts(PATH, Source).load_all()) == []
    assert aws("ssm") is aws("ssm")


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ("wxshop", "JSON"),
        ("[]", "JSON"),
        ('{"type": "authorizer", "app_id": "a", "app_secret": "s"}', "type"),
        ('{"app_id": "a", "app_secret": "s"}', "type"),
        ('{"type": "app", "app_id": "", "app_secret": "s"}', "app_id"),
        ('{"type": "app", "app_id": "a", "app_secret": " "}', "app_secret"),
        ('{"type": "app", "app_id": 5}', "app_id, app_secret"),
        ('{"type": "app", "app_id": "a", "app_secret": "s", "token": "t"}', "an unknown field"),
    ],
)
def test_credentials_that_are_none_are_a_problem_of_their_account_alone(
    put: Put, credentials: str, named: str
) -> None:
    put("broken/credentials", credentials)
    put("shop/credentials", app("wxshop"))
    accounts = Accounts(PATH, Source)
    by_name = {account.name: account for account in accounts.load_all()}
    assert by_name["shop"].source
    assert by_name["broken"] == accounts.load("broken")
    assert by_name["broken"].source is None
    assert by_name["broken"].problem == f'must be {{"type": "app", "app_id", "app_secret"}}; wrong: {named}'


def test_an_account_under_an_impossible_name_is_listed_with_its_problem(put: Put) -> None:
    put("My_Shop/credentials", app("wxshop"))
    (account,) = Accounts(PATH, Source).load_all()
    assert account.source is None
    assert "a-z, 0-9 and -" in str(account.problem)


# Failures


class Failing:
    """An AWS client of which every call fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _method: str) -> Callable[..., None]:
        def fail(**_: object) -> None:
            raise self._error

        return fail


STORE_CALLS: dict[str, Callable[[], object]] = {
    "read": lambda: StoredTokens(PATH).read("shop"),
    "load": lambda: Accounts(PATH, Source).load("shop"),
    "load_all": lambda: list(Accounts(PATH, Source).load_all()),
    "save": lambda: Accounts(PATH, Source).save("shop", TOKEN),
    "send": lambda: Queue("url").send("body"),
    "hand_out_again": lambda: Queue("url").hand_out_again("handle", 5),
}


@pytest.mark.parametrize("call", STORE_CALLS.values(), ids=STORE_CALLS.keys())
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "Op"),
            "ThrottlingException",
        ),
        (ClientError({}, "Op"), "ClientError"),
        (EndpointConnectionError(endpoint_url="https://ssm"), "EndpointConnectionError"),
        (ConnectTimeoutError(endpoint_url="https://ssm"), "ConnectTimeoutError"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_failure_is_a_storage_error_with_awss_code(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], error: Exception, code: str
) -> None:
    monkeypatch.setattr(clients, "client", lambda _service, **_: Failing(error))
    with pytest.raises(StorageError) as raised:
        call()
    assert raised.value.code == code
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


# Queues


def receive(aws: Aws, url: str) -> list[dict[str, Any]]:
    answer = aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


@pytest.fixture
def queue_url(aws: Aws) -> str:
    url: str = aws("sqs").create_queue(QueueName="send", Attributes={"VisibilityTimeout": "3600"})["QueueUrl"]
    return url


def test_a_message_is_put_on_the_queue_with_its_attributes(aws: Aws, queue_url: str) -> None:
    Queue(queue_url).send('{"a": "\\u6df1"}', reason="not JSON: 行", message_id="1-2", nothing="")
    (received,) = receive(aws, queue_url)
    assert received["Body"] == '{"a": "\\u6df1"}'
    assert received["MessageAttributes"] == {
        "reason": {"DataType": "String", "StringValue": "not JSON: 行"},
        "message_id": {"DataType": "String", "StringValue": "1-2"},
    }


def test_a_message_without_attributes_is_put_on_the_queue(aws: Aws, queue_url: str) -> None:
    Queue(queue_url).send("body")
    (received,) = receive(aws, queue_url)
    assert "MessageAttributes" not in received


def test_a_received_message_can_be_handed_out_again(aws: Aws, queue_url: str) -> None:
    queue = Queue(queue_url)
    queue.send("body")
    (received,) = receive(aws, queue_url)
    assert receive(aws, queue_url) == []
    queue.hand_out_again(received["ReceiptHandle"], 0.4)
    assert [again["Body"] for again in receive(aws, queue_url)] == ["body"]
    queue.hand_out_again(received["ReceiptHandle"], 11.5 * 3600)


@pytest.mark.usefixtures("aws")
def test_a_queue_that_is_none_is_a_storage_error() -> None:
    queue = Queue("https://sqs.eu-central-1.amazonaws.com/123456789012/none")
    with pytest.raises(StorageError, match="NonExistentQueue"):
        queue.send("body")
    with pytest.raises(StorageError):
        queue.hand_out_again("handle", 5)


# The refresher's function


def test_the_refresher_is_asked_with_the_digest_and_its_token_is_used(lambda_at: LambdaAt) -> None:
    token = {"value": "57_new", "expires_at": 2e9, "obtained_at": 1.5, "forced_day": "", "forced_count": 2}
    with RawServer(always(json_answer(result="token", token=token))) as server:
        answered = lambda_at(server.url).ask("shop", "digest")
        lambda_at(server.url).ask("shop", None)
    assert answered == AccessToken("57_new", 2e9, 1.5, "", 2)
    first, second = server.requests
    assert first.target == "/2015-03-31/functions/token-refresh/invocations"
    assert first.headers.get("x-amz-invocation-type", "RequestResponse") == "RequestResponse"
    assert json.loads(first.body) == {"account": "shop", "rejected": "digest"}
    assert json.loads(second.body) == {"account": "shop", "rejected": None}
    assert server.accepted == 1


def test_the_refresher_knows_no_such_account(lambda_at: LambdaAt) -> None:
    with (
        RawServer(always(json_answer(result="unknown_account"))) as server,
        pytest.raises(UnknownAccountError),
    ):
        lambda_at(server.url).ask("shop", None)


def test_why_there_is_no_token_comes_back_word_for_word(lambda_at: LambdaAt) -> None:
    failure = {
        "status": "failed",
        "error_class": "config",
        "hint": {"en": "Approve the IP.", "zh": "请确认 IP。"},
        "retryable": False,
        "errcode": 40164,
        "errmsg": "invalid ip rid: 1-2",
        "rid": "1-2",
        "msgid": None,
        "field": None,
        "retry_after": 30.5,
        "unattempted": False,
    }
    written = json_answer(result="failed", failure=failure)
    with RawServer(always(written)) as server, pytest.raises(TokenUnavailableError) as raised:
        lambda_at(server.url).ask("shop", None)
    assert raised.value.outcome == Outcome(
        Status.FAILED,
        ErrorClass.CONFIG,
        Bilingual("Approve the IP.", "请确认 IP。"),
        errcode=40164,
        errmsg="invalid ip rid: 1-2",
        rid="1-2",
        retry_after=30.5,
    )


def refused(name: str, status: str) -> bytes:
    return answer(b'{"message":"no"}', f"X-Amzn-ErrorType: {name}", status=status)


def test_a_throttled_refresher_is_busy_and_not_asked_again_here(lambda_at: LambdaAt) -> None:
    written = refused("TooManyRequestsException", "429 Too Many Requests")
    with RawServer(always(written)) as server, pytest.raises(RefresherBusyError):
        lambda_at(server.url).ask("shop", None)
    assert len(server.requests) == 1


def test_a_refresher_that_takes_too_long_is_busy(lambda_at: LambdaAt) -> None:
    def silence(connection: Connection) -> None:
        connection.read_request()
        connection.wait(5)

    started = time.perf_counter()
    with RawServer(silence) as server, pytest.raises(RefresherBusyError):
        lambda_at(server.url).ask("shop", None)
    assert time.perf_counter() - started < 2
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (refused("ResourceNotFoundException", "404 Not Found"), "ResourceNotFoundException"),
        (refused("AccessDeniedException", "403 Forbidden"), "AccessDeniedException"),
        (refused("ServiceException", "500 Internal Server Error"), "ServiceException"),
        (answer(b'{"errorType":"KeyError"}', "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (answer(b"Task timed out", "X-Amz-Function-Error: Unhandled"), "FunctionError"),
        (answer(b""), "UnreadableAnswer"),
        (answer(b"null"), "UnreadableAnswer"),
        (answer(b"[]"), "UnreadableAnswer"),
        (answer(b"{}"), "UnreadableAnswer"),
        (answer(b'"token"'), "UnreadableAnswer"),
        (json_answer(result="token", token={"value": "t"}), "UnreadableAnswer"),
        (json_answer(result="token", token=None), "UnreadableAnswer"),
        (json_answer(result="failed", failure={"status": "failed"}), "UnreadableAnswer"),
        (json_answer(result="failed", failure={"status": "odd"}), "UnreadableAnswer"),
    ],
)
def test_a_refresher_that_fails_is_a_storage_error(lambda_at: LambdaAt, written: bytes, code: str) -> None:
    with RawServer(always(written)) as server, pytest.raises(StorageError) as raised:
        lambda_at(server.url).ask("shop", None)
    assert raised.value.code == code
    assert len(server.requests) == 1


def test_a_refresher_that_cannot_be_reached_is_a_storage_error(lambda_at: LambdaAt) -> None:
    with RawServer(always(b"")) as server:
        url = server.url
    with pytest.raises(StorageError, match="EndpointConnectionError"):
        lambda_at(url).ask("shop", None)


def test_an_answer_that_breaks_off_is_a_storage_error(lambda_at: LambdaAt) -> None:
    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(json_answer(result="unknown_account")[:-5])

    with RawServer(script) as server, pytest.raises(StorageError):
        lambda_at(server.url).ask("shop", None)


# Clients


def test_clients_are_made_once_and_with_timeouts(lambda_at: LambdaAt) -> None:
    lambda_at("http://127.0.0.1:9")
    made = clients.client("lambda")
    assert made is clients.client("lambda")
    assert (made.meta.config.connect_timeout, made.meta.config.read_timeout) == (0.5, 0.4)
    assert made.meta.config.retries["total_max_attempts"] == 1


def test_a_patient_client_tries_longer(aws: Aws) -> None:
    attempts = [
        made.meta.config.retries["total_max_attempts"] for made in (aws("ssm"), aws("ssm", patient=True))
    ]
    assert attempts == [2, 8]


@pytest.mark.usefixtures("aws")
def test_threads_that_come_first_together_make_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(service: str, **_: object) -> object:
        made.append(service)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(boto3, "client", make)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(clients.client, ["sqs"] * 8))) == 1
    assert made == ["sqs"]


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Runs a line of Python in a process of its own that knows no AWS."""
    layer = Path(wechat_notify.__file__).parents[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(layer), str(layer.parents[1])])

    def run(line: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", line],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    "module",
    [
        "wechat_notify.bootstrap",
        "functions.send_api.handler",
        "functions.send_queue.handler",
        "functions.token_refresh.handler",
    ],
)
def test_importing_a_handler_imports_no_aws_library(fresh: Callable[[str], str], module: str) -> None:
    line = (
        f"import sys, {module}; print({{'boto3', 'botocore.client', 'botocore.session'}} & set(sys.modules))"
    )
    assert fresh(line) == "set()"


def test_importing_an_adapter_makes_no_client(fresh: Callable[[str], str]) -> None:
    line = (
        "import sys; from wechat_notify.aws import clients, refresher, sqs, ssm;"
        "refresher.RefreshFunction('f'), sqs.Queue('u'), ssm.StoredTokens('/p');"
        "print('boto3' in sys.modules, clients._client.cache_info().currsize)"
    )
    assert fresh(line) == "False 0"
