"""Calls to AWS over sockets: the same requests as boto3's, the same errors from the same answers."""

from __future__ import annotations

import json
import ssl
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.integration.conftest import ENVIRON, IMPATIENT, REGION
from tests.integration.raw_server import (
    Connection,
    RawServer,
    Request,
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
from tests.unit.test_signing import by_botocore
from wechat_notify.aws import calls
from wechat_notify.aws.calls import Caller
from wechat_notify.core.outcomes import StorageError
from wechat_notify.transport import Limits, PooledTransport, Trust

CallerAt = Callable[..., Caller]

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
REQUESTS: list[tuple[calls.Service, str, str, dict[str, Any]]] = [
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


def boto(service: str, url: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ENVIRON["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRON["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=ENVIRON["AWS_SESSION_TOKEN"],
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
        if trace.tb_frame.f_globals["__name__"] == calls.__name__:
            known += [repr(v) for n, v in trace.tb_frame.f_locals.items() if n not in {"request", "wanted"}]
        trace = trace.tb_next
    assert not [text for text in known if "CANARY" in text]
    return error.code


def get(caller: Caller) -> Any:
    return caller.call("ssm", "GetParameter", "read it", Name="/a")


def put(caller: Caller, **options: Any) -> Any:
    return caller.put_if("c", "write it", TableName="ledger", Item=ITEM, **options)


# What goes out


def assert_signed(server: RawServer, service: str, request: Request) -> None:
    """It is signed as botocore signs the same request at the same time."""
    authorization, date = request.headers["authorization"], request.headers["x-amz-date"]
    named = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(named)
    theirs = by_botocore(
        Credentials(*(ENVIRON[f"AWS_{n}"] for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"))),
        server.url + request.target,
        {n: request.headers[n] for n in named if n not in {"host", "x-amz-date", "x-amz-security-token"}},
        request.body,
        now=datetime.strptime(date, "%Y%m%dT%H%M%S%z").timestamp(),
        service=service,
        region=REGION,
    )
    assert authorization == theirs["authorization"]


@pytest.mark.parametrize(("service", "operation", "method", "request_"), REQUESTS, ids=lambda v: str(v)[:24])
def test_a_request_is_boto3s(
    caller_at: CallerAt, service: calls.Service, operation: str, method: str, request_: dict[str, Any]
) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        client = boto(service, server.url)
        getattr(client, method)(**request_)
        client.close()
        assert caller_at(server.url).call(service, operation, "do it", **request_) == {}
    theirs, mine = server.requests
    assert json.loads(mine.body) == json.loads(theirs.body)
    assert mine.target == theirs.target
    names = {"host", "content-type", "x-amz-target", "x-amzn-query-mode", "x-amz-security-token"}
    assert {n: v for n, v in mine.headers.items() if n in names} == {
        n: v for n, v in theirs.headers.items() if n in names
    }
    assert_signed(server, service, mine)


def test_an_invocation_is_boto3s(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        client = boto("lambda", server.url)
        client.invoke(FunctionName="token-refresh:live", Payload='{"a": 1}')
        client.close()
        assert caller_at(server.url).invoke("token-refresh:live", '{"a": 1}', "ask") == b"{}"
    theirs, mine = server.requests
    assert (mine.target, mine.body) == (theirs.target, theirs.body)
    assert_signed(server, "lambda", mine)


def test_a_conditional_put_is_one(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        assert put(caller_at(server.url)) is None
    sent = json.loads(server.requests[0].body)
    assert (sent["ConditionExpression"], sent["ReturnValuesOnConditionCheckFailure"]) == ("c", "ALL_OLD")


def test_an_endpoint_may_have_a_path(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        get(caller_at(server.url + "/aws/"))
    assert server.requests[0].target == "/aws/"
    assert_signed(server, "ssm", server.requests[0])


@pytest.mark.parametrize(
    ("trace", "sent"), [("Root=1-2;Parent=3;Sampled=1", True), ("Root=1\r\nHost: elsewhere", False)]
)
def test_the_trace_goes_with_a_request_unsigned(caller_at: CallerAt, trace: str, *, sent: bool) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        get(caller_at(server.url, {**ENVIRON, "_X_AMZN_TRACE_ID": trace}))
    (request,) = server.requests
    assert request.headers.get("x-amzn-trace-id") == (trace if sent else None)
    assert "x-amzn-trace-id" not in request.headers["authorization"]


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_request_is_signed_for_its_region_and_service(caller_at: CallerAt, name: str) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        get(caller_at(server.url, {**ENVIRON, "AWS_REGION": "", name: "cn-north-1"}))
    assert "/cn-north-1/ssm/aws4_request," in server.requests[0].headers["authorization"]


def test_a_services_own_endpoint_goes_before_the_general_one(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b"{}"))) as server, RawServer(always(answer(b"{}"))) as other:
        caller = caller_at(server.url, {**ENVIRON, "AWS_ENDPOINT_URL_SSM": other.url})
        get(caller)
        put(caller)
    assert (len(other.requests), len(server.requests)) == (1, 1)


def test_without_another_endpoint_a_service_is_where_aws_has_it(caller_at: CallerAt) -> None:
    asked: list[str] = []

    def connect(base_url: str, **_: object) -> PooledTransport:
        asked.append(base_url)
        return PooledTransport(server.url)

    with RawServer(always(answer(b"{}"))) as server:
        get(caller_at("", connect=connect))
    assert asked == [f"https://ssm.{REGION}.amazonaws.com"]


def test_threads_share_connections_and_none_is_made_for_nothing(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b"{}"))) as server:
        caller = caller_at(server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: put(caller), range(200)))
    assert len(server.requests) == 200
    assert server.accepted <= 8


def test_what_many_threads_need_first_is_made_once_and_with_the_services_limits(
    caller_at: CallerAt,
) -> None:
    made: list[Limits] = []

    def connect(base_url: str, trust: Trust, limits: Limits) -> PooledTransport:
        made.append(limits)
        time.sleep(0.05)
        return PooledTransport(base_url, trust, limits)

    with RawServer(always(answer(b"{}"))) as server:
        caller = caller_at(server.url, connect=connect)
        for service in ("dynamodb", "events", "sqs", "ssm"):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _, name=service: caller.call(name, "Do", "do it"), range(8)))
        caller.invoke("f", "{}", "ask")
    assert made == [
        Limits(1.0, seconds, seconds + 0.5, most * 2**20, connect_all=1.0)
        for seconds, most in ((1.0, 17), (2.0, 1), (3.0, 1), (2.0, 1), (6.0, 1))
    ]


def test_aws_is_trusted_by_the_certificates_that_are_given(
    caller_at: CallerAt, tls: ssl.SSLContext, trust: Trust
) -> None:
    with RawServer(always(answer(b"{}")), tls) as server:
        assert put(caller_at(server.url, trust=trust)) is None
        assert fails(lambda: get(caller_at(server.url))) == "CertificateError"


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
def test_an_error_has_the_code_that_botocore_reads_off_it(
    caller_at: CallerAt, written: bytes, status: bytes
) -> None:
    with RawServer(always(written.replace(b"200 OK", status, 1))) as server:
        client = boto("sqs", server.url)
        with pytest.raises(ClientError) as raised:
            client.send_message(QueueUrl=QUEUE, MessageBody="b")
        client.close()
        mine = fails(
            lambda: caller_at(server.url).call("sqs", "SendMessage", "do", QueueUrl=QUEUE, MessageBody="b")
        )
    assert mine == str(raised.value.response["Error"]["Code"])
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["TooManyRequestsException", "ResourceNotFoundException:http://CANARY/"])
def test_a_refused_invocation_has_the_code_of_its_field(caller_at: CallerAt, name: str) -> None:
    written = answer(b'{"message":"CANARY"}', f"X-Amzn-ErrorType: {name}", status="429 Too Many Requests")
    with RawServer(always(written)) as server:
        assert fails(lambda: caller_at(server.url).invoke("f", "{}", "ask")) == name.partition(":")[0]
    assert len(server.requests) == 1


@pytest.mark.parametrize("said", ["CANARY secret text", "CANARY\u00e9", "x" * 200 + "CANARY", "深CANARY"])
def test_what_is_no_code_is_not_passed_on(caller_at: CallerAt, said: str) -> None:
    with RawServer(always(refused(said, message=said))) as server:
        assert fails(lambda: get(caller_at(server.url))) == "400"


def test_a_failed_function_keeps_its_traceback_to_itself(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b'{"errorMessage":"x"}', "X-Amz-Function-Error: Unhandled"))) as server:
        assert fails(lambda: caller_at(server.url).invoke("f", "{}", "ask")) == "FunctionError"


def test_the_item_that_stands_there_is_handed_back(caller_at: CallerAt) -> None:
    code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
    fields: list[dict[str, Any]] = [{"Item": ITEM}, {"Item": None}, {}]
    for there in fields:
        with RawServer(always(refused(code, message="no", **there))) as server:
            assert put(caller_at(server.url)) == (there.get("Item") or {})
            assert len(server.requests) == 1


@pytest.mark.parametrize("content", [b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_unreadable(caller_at: CallerAt, content: bytes) -> None:
    with RawServer(always(answer(content))) as server:
        assert fails(lambda: get(caller_at(server.url))) == "UnreadableAnswer"
        assert fails(lambda: put(caller_at(server.url))) == "UnreadableAnswer"
    # Whether it was done is not known, and what it asked for may be asked for again.
    with RawServer(in_turn(answer(content), answer(b'{"Parameter": {}}'))) as server:
        assert get(caller_at(server.url)) == {"Parameter": {}}


def test_what_is_null_is_not_there(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b'{"Successful": null, "Failed": []}'))) as server:
        assert caller_at(server.url).call("sqs", "SendMessageBatch", "send") == {"Failed": []}


def test_nothing_is_an_answer_too(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b""))) as server:
        assert get(caller_at(server.url)) == {}


def test_a_large_answer_is_read(caller_at: CallerAt) -> None:
    with RawServer(always(json_answer(Responses={"ledger": ["x" * 1_000_000]}))) as server:
        found = caller_at(server.url).call("dynamodb", "BatchGetItem", "read", RequestItems={})
    assert len(found["Responses"]["ledger"][0]) == 1_000_000


def test_nothing_is_followed_elsewhere(caller_at: CallerAt) -> None:
    with RawServer(always(answer(b"", "Location: http://127.0.0.1:1/", status="307 No"))) as server:
        assert fails(lambda: get(caller_at(server.url))) == "307"


# What is tried again

THROTTLED = refused(
    "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", message="CANARY"
)


@pytest.mark.parametrize(("patient", "attempts", "seconds"), [(False, 6, 1.55), (True, 8, 6.35)])
def test_a_throttled_table_is_ridden_out(
    caller_at: CallerAt, slept: list[float], attempts: int, seconds: float, *, patient: bool
) -> None:
    with RawServer(always(THROTTLED)) as server:
        code = fails(lambda: put(caller_at(server.url), patient=patient))
    assert code == "ProvisionedThroughputExceededException"
    assert len(server.requests) == attempts
    assert sum(slept) == pytest.approx(seconds)
    assert slept[0] == pytest.approx(0.05)
    assert server.accepted == 1


@pytest.mark.parametrize(("patient", "least"), [(False, 1.0), (True, 5.0)])
def test_an_outage_is_ridden_out_even_where_every_pause_is_short(
    caller_at: CallerAt, slept: list[float], least: float, *, patient: bool
) -> None:
    with RawServer(always(refused("InternalServerError", status="500 Internal"))) as server:
        assert fails(lambda: put(caller_at(server.url, jitter=min), patient=patient)) == "InternalServerError"
    assert sum(slept) > least


def test_a_patient_call_elsewhere_pauses_as_botocore_does(caller_at: CallerAt, slept: list[float]) -> None:
    with RawServer(always(refused("ThrottlingException"))) as server:
        caller = caller_at(server.url)
        assert fails(lambda: caller.call("ssm", "PutParameter", "w", patient=True)) == "ThrottlingException"
        assert slept == pytest.approx([1, 2, 4, 1])  # its time is over before its attempts are
        assert fails(lambda: get(caller)) == "ThrottlingException"
    assert len(server.requests) == 5 + 2


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_server_in_trouble_is_asked_again(caller_at: CallerAt, status: int) -> None:
    with RawServer(always(answer(b"<html>", status=f"{status} No"))) as server:
        assert fails(lambda: put(caller_at(server.url))) == str(status)
    assert len(server.requests) == 6


def test_an_answer_that_comes_late_is_one(caller_at: CallerAt) -> None:
    with RawServer(in_turn(THROTTLED, answer(b"", status="500 No"), answer(b'{"a":1}'))) as server:
        seconds = iter((0.0, 0.0, 0.5, 1.0, 1.5, 2.0))
        assert put(caller_at(server.url, now=lambda: next(seconds))) is None
    assert len({request.headers["authorization"] for request in server.requests}) == 3  # signed anew


def goodbye(connection: Connection) -> None:
    connection.read_request()


def broken_off(connection: Connection) -> None:
    if connection.read_request():
        connection.write(json_answer(text="CANARY")[:-5])


def dripping(connection: Connection) -> None:
    connection.read_request()
    connection.drip(json_answer(text="CANARY"), 0.05)


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
    caller_at: CallerAt, script: Script, code: str
) -> None:
    def connect(base_url: str, **_: object) -> PooledTransport:
        return PooledTransport(base_url, limits=IMPATIENT)

    with RawServer(script) as server:
        caller = caller_at(server.url, connect=connect)
        assert fails(lambda: get(caller)).endswith(code)
        assert len(server.requests) == 2
        again = fails(lambda: caller.invoke("f", "{}", "ask"))
        assert len(server.requests) == 3
    assert (again in calls.NO_ANSWER_YET) is code.endswith("Timeout")


def test_nobody_there_is_told_after_all_attempts(caller_at: CallerAt, slept: list[float]) -> None:
    with RawServer(goodbye) as server:
        pass
    assert fails(lambda: put(caller_at(server.url))) == "ConnectionRefused"
    assert len(slept) == 5
    assert fails(lambda: get(caller_at("ftp://CANARY"))) == "InvalidURL"
    assert len(slept) == 5


# Credentials


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("AWS_REGION", "NoRegionError"),
        ("AWS_ACCESS_KEY_ID", "NoCredentialsError"),
        ("AWS_SECRET_ACCESS_KEY", "NoCredentialsError"),
    ],
)
def test_what_the_environment_lacks_has_a_name(caller_at: CallerAt, name: str, code: str) -> None:
    assert fails(lambda: get(caller_at("http://127.0.0.1:9", {**ENVIRON, name: ""}))) == code


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_credentials_that_would_break_a_field_are_not_sent(caller_at: CallerAt, name: str) -> None:
    environ = {**ENVIRON, name: "CANARY\r\nHost: elsewhere"}
    assert fails(lambda: get(caller_at("http://127.0.0.1:9", environ))) == "InvalidCredentials"


def test_an_endpoint_that_is_none_has_a_name(caller_at: CallerAt) -> None:
    assert fails(lambda: get(caller_at("http://["))) == "InvalidURL"
    assert fails(lambda: get(caller_at("nowhere"))) == "InvalidURL"


@pytest.mark.parametrize("code", ["InvalidSignatureException", "ExpiredTokenException", "AccessDenied"])
def test_who_may_not_call_does_not_try_again(caller_at: CallerAt, code: str) -> None:
    with RawServer(always(refused(code))) as server:
        assert fails(lambda: put(caller_at(server.url))) == code
    assert len(server.requests) == 1
