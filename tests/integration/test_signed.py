"""Signed calls against sockets: the same requests as boto3's, the same errors from the same answers."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.integration.raw_server import Connection, RawServer, always, answer, json_answer, once
from wechat_notify.aws import signed
from wechat_notify.aws.clients import error_code
from wechat_notify.aws.signed import Caller
from wechat_notify.core.outcomes import StorageError

ENVIRON = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIACANARY",
    "AWS_SECRET_ACCESS_KEY": "secret-CANARY",
    "AWS_SESSION_TOKEN": "token-CANARY",
}
ITEM = {"pk": {"S": "message#shop#1"}, "text": {"S": "深圳 😀 CANARY"}}
PUT: dict[str, Any] = {
    "TableName": "ledger",
    "Item": ITEM,
    "ConditionExpression": "attribute_not_exists(pk)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    "ExpressionAttributeValues": {":previous": {"N": "1"}},
}
QUEUE = "https://sqs.eu-central-1.amazonaws.com/111122223333/send"
MESSAGE = {
    "MessageBody": '{"a": "深"}',
    "MessageAttributes": {"reason": {"DataType": "String", "StringValue": "行 CANARY"}},
    "MessageGroupId": "shop",
}
EVENT = {"EventBusName": "bus", "Source": "wechat-notify", "DetailType": "message.failed", "Detail": "{}"}
REQUESTS: list[tuple[signed.Service, str, str, dict[str, Any]]] = [
    ("dynamodb", "PutItem", "put_item", PUT),
    (
        "dynamodb",
        "GetItem",
        "get_item",
        {"TableName": "ledger", "Key": {"pk": {"S": "1"}}, "ConsistentRead": True},
    ),
    (
        "dynamodb",
        "BatchGetItem",
        "batch_get_item",
        {"RequestItems": {"ledger": {"Keys": [{"pk": {"S": "1"}}], "ConsistentRead": True}}},
    ),
    ("ssm", "GetParameter", "get_parameter", {"Name": "/a/b", "WithDecryption": True}),
    (
        "ssm",
        "PutParameter",
        "put_parameter",
        {"Name": "/a", "Value": "CANARY", "Type": "SecureString", "Overwrite": True},
    ),
    ("sqs", "SendMessage", "send_message", {"QueueUrl": QUEUE, **MESSAGE}),
    (
        "sqs",
        "SendMessageBatch",
        "send_message_batch",
        {"QueueUrl": QUEUE, "Entries": [{"Id": "0", "DelaySeconds": 60, **MESSAGE}]},
    ),
    (
        "sqs",
        "ChangeMessageVisibility",
        "change_message_visibility",
        {"QueueUrl": QUEUE, "ReceiptHandle": "h", "VisibilityTimeout": 5},
    ),
    ("events", "PutEvents", "put_events", {"Entries": [EVENT]}),
]

Make = Callable[..., Caller]


class Pauses(list[float]):
    """Seconds slept, and the longest that each could have been."""

    def jitter(self, least: float, most: float) -> float:
        assert least == 0.0
        return most


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def make(pauses: Pauses) -> Iterator[Make]:
    """Makes callers for an address on the loopback, and closes their connections in the end."""
    made: list[Caller] = []

    def at(url: str, environ: dict[str, str] = ENVIRON, **options: Any) -> Caller:
        found = environ if "AWS_ENDPOINT_URL" in environ else {**environ, "AWS_ENDPOINT_URL": url}
        made.append(Caller(found, sleep=pauses.append, jitter=pauses.jitter, **options))
        return made[-1]

    yield at
    for caller in made:
        caller.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for service, api in signed._APIS.items():
        monkeypatch.setitem(signed._APIS, service, api._replace(read_timeout=0.2))


def boto(service: str, url: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="AKIACANARY",
        aws_secret_access_key="secret-CANARY",
        aws_session_token="token-CANARY",
        config=Config(retries={"total_max_attempts": 1}),
    )


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
        if trace.tb_frame.f_globals["__name__"] == signed.__name__:
            known += [repr(v) for n, v in trace.tb_frame.f_locals.items() if n not in {"request", "wanted"}]
        trace = trace.tb_next
    assert not [text for text in known if "CANARY" in text]
    return error.code


def get(caller: Caller) -> Any:
    return caller.call("ssm", "GetParameter", "read it", Name="/a")


def put(caller: Caller, **options: Any) -> Any:
    return caller.put_if("c", "write it", TableName="ledger", Item=ITEM, **options)


# What goes out


@pytest.mark.parametrize(("service", "operation", "method", "request_"), REQUESTS, ids=lambda v: str(v)[:24])
def test_a_request_is_boto3s(
    make: Make, service: signed.Service, operation: str, method: str, request_: dict[str, Any]
) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        client = boto(service, server.url)
        getattr(client, method)(**request_)
        client.close()
        assert make(server.url).call(service, operation, "do it", **request_) == {}
    theirs, mine = server.requests
    assert json.loads(mine.body) == json.loads(theirs.body)
    assert mine.target == theirs.target
    names = {"host", "content-type", "x-amz-target", "x-amzn-query-mode", "x-amz-security-token"}
    assert {n: v for n, v in mine.headers.items() if n in names} == {
        n: v for n, v in theirs.headers.items() if n in names
    }
    assert mine.headers["authorization"].split("Signature")[0].startswith("AWS4-HMAC-SHA256 Credential=AKIA")


def test_a_conditional_put_is_one_and_an_invocation_has_its_path(make: Make) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        assert put(make(server.url)) is None
        assert make(server.url).invoke("token-refresh", '{"a": 1}', "ask") == b"{}"
    first, second = server.requests
    assert json.loads(first.body)["ConditionExpression"] == "c"
    assert json.loads(first.body)["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    assert second.target == "/2015-03-31/functions/token-refresh/invocations"
    assert second.body == b'{"a": 1}'


def test_a_path_in_the_endpoint_and_a_trace_go_out_too(make: Make) -> None:
    environ = {**ENVIRON, "_X_AMZN_TRACE_ID": "Root=1-2;Parent=3;Sampled=1"}
    with RawServer(always(answer(b"{}"))) as server:
        get(make(server.url + "/aws/", environ))
    assert server.requests[0].target == "/aws/"
    assert server.requests[0].headers["x-amzn-trace-id"] == "Root=1-2;Parent=3;Sampled=1"
    assert "x-amzn-trace-id" not in server.requests[0].headers["authorization"]


def test_a_services_own_endpoint_goes_before_the_general_one(make: Make) -> None:
    with RawServer(always(answer(b"{}"))) as server, RawServer(always(answer(b"{}"))) as other:
        caller = make(server.url, {**ENVIRON, "AWS_ENDPOINT_URL_SSM": other.url})
        get(caller)
        put(caller)
    assert (len(other.requests), len(server.requests)) == (1, 1)


def test_threads_share_connections_and_none_is_made_for_nothing(make: Make) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        caller = make(server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: put(caller), range(200)))
    assert len(server.requests) == 200
    assert server.accepted <= 8


def test_aws_is_trusted_by_the_bundle_that_the_environment_names(
    make: Make, tls: Any, certificate: Path
) -> None:
    with RawServer(always(answer(b"{}")), tls) as server:
        assert put(make(server.url, {**ENVIRON, "AWS_CA_BUNDLE": str(certificate)})) is None
        assert fails(lambda: get(make(server.url))) == "CertificateError"


# What comes back

ANSWERS = [
    answer(b'{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"CANARY"}'),
    answer(b'{"__type":"ParameterNotFound"}'),
    answer(b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"CANARY"}'),
    answer(
        b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}',
        "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender",
    ),
    answer(
        b'{"__type":"com.amazon.coral.service#InvalidParameterValueException"}',
        "x-amzn-query-error: InvalidParameterValue;Sender",
    ),
    answer(b'{"__type":"AccessDeniedException:http://internal.amazon.com/coral/"}'),
    answer(b""),
    answer(b"<html>CANARY"),
]


@pytest.mark.parametrize("written", ANSWERS)
@pytest.mark.parametrize("status", [b"400 Bad Request", b"403 Forbidden", b"404 Not Found"])
def test_an_error_has_the_code_that_botocore_reads_off_it(make: Make, written: bytes, status: bytes) -> None:
    with RawServer(always(written.replace(b"200 OK", status, 1))) as server:
        client = boto("sqs", server.url)
        with pytest.raises(ClientError) as raised:
            client.send_message(QueueUrl=QUEUE, MessageBody="b")
        client.close()
        mine = fails(
            lambda: make(server.url).call("sqs", "SendMessage", "do", QueueUrl=QUEUE, MessageBody="b")
        )
    assert mine == error_code(raised.value)
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["TooManyRequestsException", "ResourceNotFoundException:http://CANARY/"])
def test_a_refused_invocation_has_the_code_of_its_field(make: Make, name: str) -> None:
    written = answer(b'{"message":"CANARY"}', f"X-Amzn-ErrorType: {name}", status="429 Too Many Requests")
    with RawServer(always(written)) as server:
        assert fails(lambda: make(server.url).invoke("f", "{}", "ask")) == name.partition(":")[0]
    assert len(server.requests) == 1


@pytest.mark.parametrize("said", ["CANARY secret text", "CANARY\u00e9", "x" * 200 + "CANARY", "深CANARY"])
def test_what_is_no_code_is_not_passed_on(make: Make, said: str) -> None:
    written = answer(json.dumps({"__type": said, "message": said}).encode(), status="400 Bad Request")
    with RawServer(always(written)) as server:
        assert fails(lambda: get(make(server.url))) == "400"


def test_a_failed_function_keeps_its_traceback_to_itself(make: Make) -> None:
    with RawServer(always(answer(b'{"errorMessage":"x"}', "X-Amz-Function-Error: Unhandled"))) as server:
        assert fails(lambda: make(server.url).invoke("f", "{}", "ask")) == "FunctionError"


def test_the_item_that_stands_there_is_handed_back(make: Make) -> None:
    body = {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no"}
    for there in ({"Item": ITEM}, {"Item": None}, {}):
        written = answer(json.dumps(body | there).encode(), status="400 Bad Request")
        with RawServer(always(written)) as server:
            assert put(make(server.url)) == (there.get("Item") or {})
            assert len(server.requests) == 1


@pytest.mark.parametrize("content", [b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_unreadable(make: Make, content: bytes) -> None:
    with RawServer(always(answer(content))) as server:
        assert fails(lambda: get(make(server.url))) == "UnreadableAnswer"
        assert fails(lambda: put(make(server.url))) == "UnreadableAnswer"


def test_a_large_answer_is_read(make: Make) -> None:
    with RawServer(always(json_answer(Responses={"ledger": ["x" * 1_000_000]}))) as server:
        found = make(server.url).call("dynamodb", "BatchGetItem", "read", RequestItems={})
    assert len(found["Responses"]["ledger"][0]) == 1_000_000


def test_nothing_is_followed_elsewhere(make: Make) -> None:
    with RawServer(always(answer(b"", "Location: http://127.0.0.1:1/", status="307 No"))) as server:
        assert fails(lambda: get(make(server.url))) == "307"


# What is tried again

THROTTLED = answer(
    b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}',
    status="400 Bad Request",
)


@pytest.mark.parametrize(("patient", "attempts", "seconds"), [(False, 6, 1.55), (True, 8, 6.35)])
def test_a_throttled_table_is_ridden_out(
    make: Make, pauses: Pauses, attempts: int, seconds: float, *, patient: bool
) -> None:
    with RawServer(always(THROTTLED)) as server:
        code = fails(lambda: put(make(server.url), patient=patient))
    assert code == "ProvisionedThroughputExceededException"
    assert len(server.requests) == attempts
    assert sum(pauses) == pytest.approx(seconds)
    assert pauses[0] == pytest.approx(0.05)
    assert server.accepted == 1


def test_a_patient_call_elsewhere_pauses_as_botocore_does(make: Make, pauses: Pauses) -> None:
    written = answer(b'{"__type":"ThrottlingException"}', status="400 Bad Request")
    with RawServer(always(written)) as server:
        caller = make(server.url)
        assert fails(lambda: caller.call("ssm", "PutParameter", "w", patient=True)) == "ThrottlingException"
        assert pauses == [1, 2, 4, 8, 16, 20, 20]
        assert fails(lambda: get(caller)) == "ThrottlingException"
    assert len(server.requests) == 8 + 2


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_server_in_trouble_is_asked_again(make: Make, status: int) -> None:
    with RawServer(always(answer(b"<html>", status=f"{status} No"))) as server:
        assert fails(lambda: put(make(server.url))) == str(status)
    assert len(server.requests) == 6


def test_an_answer_that_comes_late_is_one(make: Make) -> None:
    written = [THROTTLED, answer(b"", status="500 No"), answer(b'{"a":1}')]

    def script(connection: Connection) -> None:
        while connection.read_request():
            connection.write(written.pop(0))

    with RawServer(script) as server:
        assert put(make(server.url)) is None
    assert len({request.headers["authorization"] for request in server.requests}) <= 2  # signed anew
    assert len(server.requests) == 3


def silence(connection: Connection) -> None:
    connection.read_request()
    connection.wait(5)


def goodbye(connection: Connection) -> None:
    connection.read_request()


def broken_off(connection: Connection) -> None:
    if connection.read_request():
        connection.write(json_answer(text="CANARY")[:-5])


def reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def dripping(connection: Connection) -> None:
    connection.read_request()
    connection.drip(json_answer(text="CANARY"), 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        (silence, "ReadTimeout"),
        (dripping, "Timeout"),
        (goodbye, "ConnectionClosed"),
        (broken_off, "AnswerTruncated"),
        (reset, "ConnectionLost"),
        (once(b"\x15\x03\x01 CANARY\r\n\r\n"), "AnswerUnreadable"),
    ],
)
def test_a_lost_answer_is_asked_for_again_but_an_invocation_is_not(
    make: Make, script: Callable[[Connection], None], code: str
) -> None:
    with RawServer(script) as server:
        caller = make(server.url)
        assert fails(lambda: get(caller)).endswith(code)
        assert len(server.requests) == 2
        again = fails(lambda: caller.invoke("f", "{}", "ask"))
        assert len(server.requests) == 3
    assert (again in signed.NO_ANSWER_YET) is code.endswith("Timeout")


def test_nobody_there_is_told_after_all_attempts(make: Make, pauses: Pauses) -> None:
    with RawServer(goodbye) as server:
        pass
    assert fails(lambda: put(make(server.url))) == "ConnectionRefused"
    assert len(pauses) == 5
    assert fails(lambda: get(make("ftp://CANARY"))) == "InvalidURL"
    assert len(pauses) == 5


# Credentials and the clock


def refused(code: str, *fields: str) -> bytes:
    return answer(json.dumps({"__type": code}).encode(), *fields, status="400 Bad Request")


def test_expired_credentials_are_looked_for_again_and_others_are_used(make: Make) -> None:
    environ = dict(ENVIRON)

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            old = "token-CANARY" in request.headers["x-amz-security-token"]
            connection.write(refused("ExpiredTokenException") if old else answer(b"{}"))

    with RawServer(script) as server:
        environ["AWS_ENDPOINT_URL"] = server.url
        caller = make(server.url, environ)
        assert fails(lambda: get(caller)) == "ExpiredTokenException"
        assert len(server.requests) == 1
        environ["AWS_SESSION_TOKEN"] = "another"
        assert get(caller) == {}
        assert get(caller) == {}
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("without", "code"),
    [({"AWS_REGION"}, "NoRegionError"), ({"AWS_ACCESS_KEY_ID"}, "NoCredentialsError")],
)
def test_what_the_environment_lacks_has_a_name(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without: set[str], code: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    environ = {name: value for name, value in ENVIRON.items() if name not in without}
    assert fails(lambda: get(make("http://127.0.0.1:9", environ))) == code


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_credentials_that_would_break_a_field_are_not_sent(make: Make, name: str) -> None:
    environ = {**ENVIRON, name: "CANARY\r\nHost: elsewhere"}
    assert fails(lambda: get(make("http://127.0.0.1:9", environ))) == "InvalidCredentials"


def test_where_the_environment_has_none_botocore_finds_them(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And keeps them fresh: they are asked for before each call."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    found = tmp_path / "credentials"
    found.write_text("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(found))
    with RawServer(always(answer(b"{}"))) as server:
        caller = make(server.url, {"AWS_REGION": "eu-central-1"})
        get(caller)
        caller._keyring._chain.secret_key = "another"
        get(caller)
    assert all("Credential=AKIAFILE/" in each.headers["authorization"] for each in server.requests)
    assert all("x-amz-security-token" not in each.headers for each in server.requests)
    assert caller._keyring.credentials().secret_key == "another"


@pytest.mark.parametrize("wrong", [-86_400.0, -400.0, 400.0, 86_400.0])
@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestTimeTooSkewed"])
def test_a_wrong_clock_is_set_by_the_answers_date_once(make: Make, wrong: float, code: str) -> None:
    def script(connection: Connection) -> None:
        while request := connection.read_request():
            signed_at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%S%z")
            sound = abs(signed_at.timestamp() - time.time()) < 300
            date = f"Date: {formatdate(usegmt=True)}"
            connection.write(answer(b"{}") if sound else refused(code, date))

    with RawServer(script) as server:
        caller = make(server.url, now=lambda: time.time() + wrong)
        assert get(caller) == {}
        assert get(caller) == {}
    assert len(server.requests) == 3


@pytest.mark.parametrize("date", ["", "Date: soon", "Date: Sat, 99 Nov 2026 10:00:00 GMT", "now"])
def test_a_signature_that_is_wrong_for_another_reason_is_not_tried_again(make: Make, date: str) -> None:
    fields = [f"Date: {formatdate(usegmt=True)}"] if date == "now" else [date] if date else []
    with RawServer(always(refused("InvalidSignatureException", *fields))) as server:
        assert fails(lambda: put(make(server.url))) == "InvalidSignatureException"
    assert len(server.requests) == 1
