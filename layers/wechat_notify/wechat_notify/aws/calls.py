"""Calls to AWS without its SDK: JSON over pooled connections, signed with Signature Version 4.

A call of boto3's takes half a millisecond of CPU and more, one of these 0.03 to 0.04, and boto3's import with
its first clients 120 ms and 29 MB (decision 27). Here stands what the functions need, and no more:
Lambda's environment has region and credentials, which last as long as the process. Error codes are AWS's, as
botocore reads them off the same answers; where there is no answer, they are the transport's reasons. Nothing
else of an answer gets into an error.

Every call may be repeated after its answer was lost. Reads change nothing, and ``PutParameter`` says the same
again. ``PutItem`` carries a condition on the version it replaces, so that a second one meets the first.
``SendMessage`` and ``SendMessageBatch`` make a second copy, which the ledger knows by its id, or a second
dead letter. ``ChangeMessageVisibility`` says the same again. Events are delivered at least once anyway. An
invocation is attempted once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from pydantic_core import to_json

from wechat_notify.core.outcomes import StorageError
from wechat_notify.transport import Answer, Limits, PooledTransport, TransportError, Trust

Service = Literal["dynamodb", "events", "lambda", "sqs", "ssm"]


class _Api(NamedTuple):
    """How a service is spoken to.

    ``pause`` is the longest before the second attempt, doubled each time; at least so much of it as
    ``pause_least`` says. No attempt begins more than ``total`` seconds after the first one, or
    ``patient_total``: with a silent server the timeouts add up. What a sender's calls take at worst is
    reckoned with in ``core.delivery``.
    """

    endpoint: str
    target: str
    content_type: str
    read_timeout: float
    attempts: int
    pause: float = 1.0
    pause_least: float = 0.0
    total: float = 1.5
    patient_total: float = 8.0
    answer_bytes_most: int = 2**20


_JSON_0, _JSON_1 = "application/x-amz-json-1.0", "application/x-amz-json-1.1"
_APIS: dict[Service, _Api] = {
    "dynamodb": _Api(
        # An outage of a second is ridden out, or of five by the patient. BatchGetItem answers up to 16 MB.
        "DYNAMODB",
        "DynamoDB_20120810.",
        _JSON_0,
        1.0,
        6,
        0.05,
        pause_least=0.8,
        total=3.0,
        patient_total=6.5,
        answer_bytes_most=17 * 2**20,
    ),
    "events": _Api("EVENTBRIDGE", "AWSEvents.", _JSON_1, 2.0, 2),
    "lambda": _Api("LAMBDA", "", "application/json", 6.0, 1),
    "sqs": _Api("SQS", "AmazonSQS.", _JSON_0, 3.0, 2),
    "ssm": _Api("SSM", "AmazonSSM.", _JSON_1, 2.0, 2),
}
_PATIENT_ATTEMPTS = 8
_PAUSE_MOST = 20.0
_PAUSE_LEAST = 0.01
"""Less time than this is none for another attempt."""
_CONNECT_TIMEOUT = 1.0
_REST_TIMEOUT = 0.5
"""Seconds beyond the read timeout in which an answer that has begun must end."""

_OK = 200
_PASSING_STATUS = frozenset({429, 500, 502, 503, 504, 509})
_PASSING = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""botocore's retries/standard.py and data/_retry.json."""
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_IN_A_FIELD = re.compile(r"[!-~]+")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


class _Reply(NamedTuple):
    """AWS's answer, and the object that it is where one was asked for."""

    answer: Answer
    object: dict[str, Any]


class _Refusal(NamedTuple):
    """Why a call has come to nothing, and AWS's answer if there was one."""

    code: str
    passing: bool = False
    answer: Answer | None = None


class _UnableError(Exception):
    """Nothing can be sent; its text is a code."""


class Credentials:
    """Who signs; nothing of it is shown."""

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = token

    def key(self, day: str, region: str, service: str) -> bytes:
        """The key of one day, region and service."""
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def sign(
    credentials: Credentials,
    service: str,
    region: str,
    *,
    path: str,
    fields: Mapping[str, str],
    body: bytes,
    now: float,
) -> bytes:
    """The fields of a signed POST as they go out, all but ``host``, which must be among those given.

    The given ones are named in lower case, and the path is quoted once more than it is when it goes out.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    start = _start(credentials, service, region, path, tuple(fields.items()), int(now))
    canonical = start.canonical.copy()
    canonical.update(hashlib.sha256(body).hexdigest().encode())
    signature = start.signature.copy()
    signature.update(canonical.hexdigest().encode())
    return f"{start.sent}{signature.hexdigest()}\r\n".encode()


class _Start(NamedTuple):
    """What comes before the body's share in a signed POST."""

    sent: str
    canonical: Any
    signature: Any


@lru_cache(maxsize=32)
def _start(  # noqa: PLR0917 - lru_cache finds what is given by place in a third of the time
    credentials: Credentials,
    service: str,
    region: str,
    path: str,
    fields: tuple[tuple[str, str], ...],
    now: int,
) -> _Start:
    """Made once a second for each kind of call: it is two thirds of the work."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    signed = {**dict(fields), "x-amz-date": stamp}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    ordered = sorted(signed.items())
    names = ";".join([name for name, _ in ordered])
    lines = "".join([f"{name}:{value}\n" for name, value in ordered])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    sent = "".join([f"{name}: {value}\r\n" for name, value in ordered if name != "host"])
    return _Start(
        f"{sent}authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature=",
        hashlib.sha256(f"POST\n{path}\n\n{lines}\n{names}\n".encode()),
        hmac.new(
            credentials.key(stamp[:8], region, service),
            f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n".encode(),
            "sha256",
        ),
    )


def _credentials(environ: Mapping[str, str]) -> Credentials:
    access_key, secret_key = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    token = environ.get("AWS_SESSION_TOKEN")
    if not (access_key and secret_key):
        raise _UnableError("NoCredentialsError")
    if not all(_IN_A_FIELD.fullmatch(each) for each in (access_key, secret_key, token) if each):
        raise _UnableError("InvalidCredentials")
    return Credentials(access_key, secret_key, token or None)


class _Endpoint(NamedTuple):
    """A service where this process finds it, and who calls it."""

    service: Service
    region: str
    credentials: Credentials
    transport: PooledTransport
    prefix: str
    fields: Mapping[str, str]


class _Request(NamedTuple):
    operation: str
    body: bytes
    path: str = "/"


class Caller:
    """Calls to AWS from one process; safe to use from any number of threads.

    Parameters
    ----------
    environ : Mapping
        Where region, credentials and other endpoints than AWS's own are named, as AWS's SDKs read them.
    trust : Trust, optional
        The CA certificates, where others load the same.
    connect : Callable
        For tests: another way to an address.
    now, sleep, jitter : Callable
        Seconds since the epoch; a pause; a number between two others.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        trust: Trust | None = None,
        *,
        connect: Callable[..., Any] = PooledTransport,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._environ = environ
        self._trust = trust or Trust()
        self._connect = connect
        self._now = now
        self._sleep = sleep
        self._jitter = jitter
        self._lock = threading.Lock()
        self._endpoints: dict[Service, _Endpoint] = {}

    def call(
        self, service: Service, operation: str, action: str, *, patient: bool = False, **request: Any
    ) -> Any:
        """AWS's answer to one request; raises ``StorageError`` with the action and AWS's error code."""
        said = self._ask(service, _Request(operation, _encoded(request)), patient=patient)
        if isinstance(said, _Reply):
            return said.object
        code = said.code
        del said  # AWS's error may quote what was read or written
        raise StorageError(action, code)

    def put_if(
        self, condition: str, action: str, *, patient: bool = False, **request: Any
    ) -> dict[str, Any] | None:
        """Put an item into a table where a condition holds; None where it did.

        Otherwise the item that stands there, as DynamoDB answers it; empty where it answers none.

        Raises
        ------
        StorageError
            The item may have been stored or not.
        """
        wanted = {
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **request,
        }
        said = self._ask("dynamodb", _Request("PutItem", _encoded(wanted)), patient=patient)
        if not isinstance(said, _Refusal):
            return None
        if said.answer and said.code == "ConditionalCheckFailedException":
            there: dict[str, Any] = (_decoded(said.answer.content) or {}).get("Item") or {}
            return there
        code = said.code
        del said  # as above
        raise StorageError(action, code)

    def invoke(self, function_name: str, payload: str, action: str) -> bytes:
        """What a function returns; raises ``StorageError``, of the code ``FunctionError`` where it failed.

        No answer in time has a code of ``NO_ANSWER_YET``: the function may still be running.
        """
        path = f"/2015-03-31/functions/{quote(function_name, safe='')}/invocations"
        said = self._ask("lambda", _Request("", payload.encode(), path))
        if isinstance(said, _Refusal):
            code = said.code
        elif said.answer.field("x-amz-function-error"):
            code = "FunctionError"
        else:
            return said.answer.content
        del said  # as above; a failed function answers its error's text and traceback
        raise StorageError(action, code)

    def close(self) -> None:
        """Close the connections that are idle; later calls open new ones."""
        for endpoint in self._endpoints.values():
            endpoint.transport.close()

    def _ask(self, service: Service, request: _Request, *, patient: bool = False) -> _Reply | _Refusal:
        """An answer that is no error, or a refusal after all attempts."""
        try:
            endpoint = self._endpoints.get(service) or self._endpoint(service)
        except _UnableError as error:
            return _Refusal(str(error))
        api = _APIS[service]
        attempts, total = (_PATIENT_ATTEMPTS, api.patient_total) if patient else (api.attempts, api.total)
        number, began = 1, self._now()
        while True:
            said = self._attempt(endpoint, request)
            if not isinstance(said, _Refusal) or not said.passing or number == attempts:
                return said
            most = min(_PAUSE_MOST, api.pause * 2 ** (number - 1))
            pause = self._jitter(api.pause_least * most, most)
            left = began + total - self._now()
            if left < _PAUSE_LEAST:
                return said
            # Shortened rather than given up: an outage that ends a moment before the total is ridden out.
            self._sleep(min(pause, left))
            number += 1

    def _attempt(self, endpoint: _Endpoint, request: _Request) -> _Reply | _Refusal:
        path, named = endpoint.prefix + request.path, endpoint.fields
        if request.operation:
            named = {**named, "x-amz-target": _APIS[endpoint.service].target + request.operation}
        fields = sign(
            endpoint.credentials,
            endpoint.service,
            endpoint.region,
            path=path if path == "/" else quote(path, safe="/~"),
            fields=named,
            body=request.body,
            now=self._now(),
        )
        trace = self._environ.get("_X_AMZN_TRACE_ID")  # a new one for each invocation
        if trace and _IN_A_FIELD.fullmatch(trace):
            fields += f"x-amzn-trace-id: {trace}\r\n".encode()
        try:
            answer = endpoint.transport.post_with(fields, path, request.body)
        except TransportError as error:
            return _Refusal(error.reason, error.passing)
        if answer.status != _OK:
            code = _code(answer)
            return _Refusal(code, code in _PASSING or answer.status in _PASSING_STATUS, answer)
        found = _decoded(answer.content) if request.operation else {}
        return _Refusal("UnreadableAnswer", passing=True) if found is None else _Reply(answer, found)

    def _endpoint(self, service: Service) -> _Endpoint:
        """The service's endpoint, made on first use; raises ``_UnableError``."""
        api = _APIS[service]
        with self._lock:
            if service in self._endpoints:
                return self._endpoints[service]
            region = self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or ""
            if not _REGION.fullmatch(region):
                raise _UnableError("NoRegionError")
            url = (
                self._environ.get(f"AWS_ENDPOINT_URL_{api.endpoint}")
                or self._environ.get("AWS_ENDPOINT_URL")
                or endpoint_url(service, region)
            )
            limits = Limits(
                _CONNECT_TIMEOUT,
                api.read_timeout,
                api.read_timeout + _REST_TIMEOUT,
                api.answer_bytes_most,
                connect_all=_CONNECT_TIMEOUT,  # where an address is silent, another one is the next attempt's
            )
            try:
                parts = urlsplit(url)
            except ValueError:
                raise _UnableError("InvalidURL") from None
            transport = self._connect(f"{parts.scheme}://{parts.netloc}", trust=self._trust, limits=limits)
            fields = {"content-type": api.content_type, "host": transport.host}
            if service == "sqs":
                fields["x-amzn-query-mode"] = "true"  # or it would say its error codes otherwise
            made = _Endpoint(
                service, region, _credentials(self._environ), transport, parts.path.rstrip("/"), fields
            )
            self._endpoints[service] = made
            return made


_SUFFIXES = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}
NO_ANSWER_YET = frozenset({"ReadTimeout", "AnswerTimeout"})


def endpoint_url(service: Service, region: str) -> str:
    """Where AWS has a service."""
    return f"https://{service}.{region}.{_SUFFIXES.get(region.partition('-')[0], 'amazonaws.com')}"


def _encoded(request: Mapping[str, Any]) -> bytes:
    return to_json(request)  # 2 us for an item; json.dumps takes 6


def _decoded(content: bytes) -> dict[str, Any] | None:
    """The object that it is, without what is null; None where it is none."""
    if not content:
        return {}
    try:
        found = json.loads(content.decode())  # of bytes it would look for the encoding first
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {name: value for name, value in found.items() if value is not None}


def _code(answer: Answer) -> str:
    """AWS's name for what went wrong, the status where there is none."""
    body = _decoded(answer.content) or {}
    for said in (
        answer.field("x-amzn-query-error").partition(";")[0],
        answer.field("x-amzn-errortype"),
        body.get("__type"),
        body.get("code") or body.get("Code"),
    ):
        code = str(said or "").partition(":")[0].rpartition("#")[2]
        if _CODE.fullmatch(code):
            return code
    return str(answer.status)
