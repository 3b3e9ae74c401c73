"""The other end of ``aws.calls``: AWS as the service's ``Caller`` meets it, in virtual time.

Bytes come and bytes go. The service's own code signs, repeats and decodes; here are AWS's rules for a
request, its errors, and what gets lost on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, NamedTuple, TypeVar

from tests.simulation.aws import Refusal
from wechat_notify.aws.calls import Caller, Service
from wechat_notify.core.outcomes import StorageError
from wechat_notify.transport import Answer, Limits, TransportError, Trust

T = TypeVar("T")

ENVIRON = {
    "AWS_REGION": "cn-north-1",
    "AWS_ACCESS_KEY_ID": "AKIASIMULATION",
    "AWS_SECRET_ACCESS_KEY": "CANARY/secret+key",
    "AWS_SESSION_TOKEN": "CANARY/session+token==",
}
_ATTEMPTS = {"dynamodb": 6, "events": 2, "lambda": 1, "sqs": 2, "ssm": 2}
_PATIENT_ATTEMPTS = 8
"""How often a call is made that AWS refuses for the moment: what the service promises, once more."""
_TOTAL = {"dynamodb": (3.0, 6.5)}
_TOTAL_ELSE = (1.5, 8.0)
"""Seconds after the first attempt, and where it is patient, in which another one may begin."""
_PAUSE_LEAST = 0.01
_SESSION_TOKEN = ENVIRON["AWS_SESSION_TOKEN"].encode()
_HOST = re.compile(r"https://(([a-z]+)\.cn-north-1\.amazonaws\.com\.cn)")
_INVOCATIONS = "/2015-03-31/functions/token-refresh/invocations"
_FIELD = re.compile(rb"([a-z0-9-]+): ([^\r\n]*)\r\n")
_SIGNATURE = re.compile(
    rb"AWS4-HMAC-SHA256 Credential=AKIASIMULATION/[0-9]{8}/cn-north-1/([a-z]+)/aws4_request, "
    rb"SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}"
)
_WORD = re.compile("(?<=.)(?=[A-Z])")
_STATUS = {
    "InternalException": 500,
    "InternalServerError": 500,
    "ServiceException": 500,
    "ServiceUnavailable": 503,
    "TooManyRequestsException": 429,
}
"""Of other errors it is 400."""
_WITHOUT_SECRETS = frozenset({"dynamodb", "events", "lambda"})
"""Services that are told none; SSM keeps the tokens, and SQS the messages as they came."""
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class _Rules(NamedTuple):
    """How a service is spoken to, how long it takes, and what it says when it has too much to do."""

    target: bytes
    content_type: bytes
    latency: float
    overloaded: tuple[str, ...]


_JSON_0, _JSON_1 = b"application/x-amz-json-1.0", b"application/x-amz-json-1.1"
_RULES = {
    "dynamodb": _Rules(
        b"DynamoDB_20120810.",
        _JSON_0,
        0.006,
        ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"),
    ),
    "events": _Rules(b"AWSEvents.", _JSON_1, 0.02, ("ThrottlingException", "InternalException")),
    "lambda": _Rules(b"", b"application/json", 0.02, ("ServiceException", "TooManyRequestsException")),
    "sqs": _Rules(b"AmazonSQS.", _JSON_0, 0.01, ("ServiceUnavailable", "RequestThrottled")),
    "ssm": _Rules(b"AmazonSSM.", _JSON_1, 0.02, ("ThrottlingException", "InternalServerError")),
}


@dataclass(frozen=True)
class Weather:
    """How often AWS refuses a request for the moment, and how often a request or its answer is lost."""

    throttled: float = 0.0
    request_lost: float = 0.0
    answer_lost: float = 0.0


class Aws:
    """The way to all of AWS.

    Parameters
    ----------
    apis : dict
        What stands behind each service's endpoint, by the service's name.
    chance : Random
        What decides between the possible.
    weather : Callable
        How it is for a service just now.
    exchange : Callable
        Lets time pass for one request and its answer, and has the effect happen in between.
    doubled : Callable
        Is told a request to SQS that was obeyed and not answered, so that it comes again.
    seen : Callable
        Is told what a service gets to see, if no secret may stand in it.
    """

    def __init__(
        self,
        apis: dict[str, Any],
        *,
        chance: Random,
        weather: Callable[[str], Weather],
        exchange: Callable[..., Any],
        doubled: Callable[[str], None],
        seen: Callable[[str, str], None],
    ) -> None:
        self.apis = apis
        self.chance = chance
        self.weather = weather
        self.exchange = exchange
        self.doubled = doubled
        self.seen = seen

    def connect(self, url: str, *, trust: Trust, limits: Limits) -> Transport:
        """A way to one address."""
        assert isinstance(trust, Trust)
        address = _HOST.fullmatch(url)
        assert address, url
        return Transport(self, address[2], address[1], limits)


class Transport:
    """Stands in for the pooled connections to one service."""

    def __init__(self, aws: Aws, service: str, host: str, limits: Limits) -> None:
        self.host = host
        self._aws = aws
        self._service = service
        self._name = service.encode()
        self._api = aws.apis[service]
        self._limits = limits
        self._rules = _RULES[service]

    def close(self) -> None:
        """Drop the idle connections."""

    def post_with(self, fields: bytes, path: str, body: bytes) -> Answer:
        """Send one request; raises ``TransportError`` where no answer comes."""
        operation = self._operation(fields, path)
        aws, chance, limits = self._aws, self._aws.chance, self._limits
        text = body.decode()
        if self._service in _WITHOUT_SECRETS:
            aws.seen(f"a request to {self._service}", text)
        request: dict[str, Any] = _decode(text)
        subject = _subject(request)
        weather = aws.weather(self._service)
        draw = chance.random()
        latency = self._rules.latency * (0.5 + chance.random())

        def serve() -> Any:
            return self._serve(operation, request)

        if draw < weather.throttled:
            _note_attempt(passing=True)
            refusal = self._refused(chance.choice(self._rules.overloaded))
            answer = aws.exchange(f"{operation} throttled", subject, latency, lambda: refusal)
        elif draw < weather.throttled + weather.request_lost:
            reached = chance.random() < 0.5
            reason, seconds = (
                ("ReadTimeout", limits.read_timeout)
                if reached
                else ("ConnectTimeout", limits.connect_timeout)
            )
            aws.exchange(f"{operation} {reason}", subject, seconds, lambda: None, early=True)
            raise _unanswered(reason, may_have_arrived=reached)
        elif draw < weather.throttled + weather.request_lost + weather.answer_lost:
            if self._service == "sqs":
                aws.doubled(text)
            in_time = chance.random() < 0.5
            reason, seconds = (
                ("ConnectionClosed", latency) if in_time else ("ReadTimeout", limits.read_timeout)
            )
            aws.exchange(f"{operation} lost", subject, seconds, serve, early=True)
            raise _unanswered(reason)
        else:
            answer = aws.exchange(operation, subject, latency, serve)
            if not isinstance(answer, Answer):
                answer = self._returned(answer)
            _note_attempt(passing=False)
        assert isinstance(answer, Answer)
        return answer

    def _operation(self, fields: bytes, path: str) -> str:
        """What a request asks for, if it keeps AWS's rules."""
        named: dict[bytes, bytes] = dict(_FIELD.findall(fields))
        signature = _SIGNATURE.fullmatch(named.pop(b"authorization"))
        assert signature
        assert signature[1] == self._name
        assert signature[2] == _signed(*named)
        assert named[b"x-amz-security-token"] == _SESSION_TOKEN
        assert named[b"content-type"] == self._rules.content_type
        # Without it SQS has other names for its errors.
        assert (b"x-amzn-query-mode" in named) == (self._service == "sqs")
        if self._service == "lambda":
            assert path == _INVOCATIONS
            return "invoke"
        assert path == "/"
        prefix, target = self._rules.target, named[b"x-amz-target"]
        assert target.startswith(prefix)
        return _method(target[len(prefix) :])

    def _serve(self, operation: str, request: dict[str, Any]) -> object:
        """The answer, or an invocation that has begun."""
        try:
            said = getattr(self._api, operation)(**request)
        except Refusal as refusal:
            return self._refused(refusal.code, refusal.said)
        if operation == "invoke":
            return said
        return Answer(200, _encode(said).encode() if said else b"{}", _head(200))

    def _returned(self, running: object) -> Answer:
        found = self._api.wait(running, self._limits.read_timeout)
        if found is None:
            raise _unanswered("ReadTimeout")
        failed, payload = found
        head = _head(200, "X-Amz-Function-Error: Unhandled") if failed else _head(200)
        return Answer(200, _encode(payload).encode(), head)

    def _refused(self, code: str, said: dict[str, Any] | None = None) -> Answer:
        """An error in the service's own way; some have more to say than their name."""
        status = _STATUS.get(code, 400)
        body = {"__type": code, "message": "CANARY in AWS's own words", **(said or {})}
        head = _head(status)
        match self._service:
            case "dynamodb":
                body["__type"] = f"com.amazonaws.dynamodb.v20120810#{code}"
            case "lambda":
                del body["__type"]
                head = _head(status, f"x-amzn-ErrorType: {code}:http://internal.amazon.com/coral/")
            case "sqs":
                body["__type"] = f"com.amazonaws.sqs#{code}Exception"
                head = _head(status, f"x-amzn-query-error: {code};Sender")
        return Answer(status, _encode(body).encode(), head)


@cache
def _head(status: int, *fields: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} AWS", "x-amzn-RequestId: c6af9ac6", *fields, "", "")).encode()


@cache
def _signed(*sent: bytes) -> bytes:
    """The names of all that must be signed."""
    return b";".join(sorted((b"host", *sent)))


@cache
def _method(operation: bytes) -> str:
    return _WORD.sub("_", operation.decode()).lower()


def _subject(request: dict[str, Any]) -> str:
    item = request.get("Item") or request.get("Key")
    if item:
        return f"{item['pk']['S']} v{item.get('version', {}).get('N', '')}"
    return str(request.get("ReceiptHandle") or request.get("Name") or "")


def _unanswered(reason: str, *, may_have_arrived: bool = True) -> TransportError:
    """The transport's error, with more behind it than the real one has, so that a leak is noticed."""
    _note_attempt(passing=True)
    error = TransportError(reason, may_have_arrived=may_have_arrived)
    error.__cause__ = OSError("CANARY on the way to AWS")
    return error


# ---------------------------------------------------------------- what a call must come to

_attempts: ContextVar[list[bool]] = ContextVar("attempts")
"""Of the call that is running: of each attempt, whether the next one might fare better."""


def _note_attempt(*, passing: bool) -> None:
    _attempts.get().append(passing)


class _Promise(NamedTuple):
    """How often a call is made, and within how many seconds its attempts begin."""

    attempts: int
    total: float


def _promise(service: Service, *, patient: bool) -> _Promise:
    attempts = _PATIENT_ATTEMPTS if patient else _ATTEMPTS[service]
    return _Promise(attempts, _TOTAL.get(service, _TOTAL_ELSE)[patient])


class WatchedCaller(Caller):
    """The service's own; every call is held against AWS's side of it.

    Parameters
    ----------
    aws : Aws
        Where the calls go.
    misdone : Callable
        Is told of a call that was not made as often as it must be, or succeeded without an answer.
    given_up : Callable
        Is told an item of which nobody can say whether it was stored.
    """

    def __init__(
        self,
        aws: Aws,
        *,
        misdone: Callable[[str], None],
        given_up: Callable[[dict[str, Any]], None],
        **lent: Any,
    ) -> None:
        super().__init__(ENVIRON, connect=aws.connect, **lent)
        self._misdone = misdone
        self._given_up = given_up

    def call(
        self, service: Service, operation: str, action: str, *, patient: bool = False, **request: Any
    ) -> Any:
        call = super().call
        return self._watch(
            operation,
            _promise(service, patient=patient),
            lambda: call(service, operation, action, patient=patient, **request),
        )

    def put_if(
        self, condition: str, action: str, *, patient: bool = False, **request: Any
    ) -> dict[str, Any] | None:
        put_if = super().put_if
        try:
            return self._watch(
                "PutItem",
                _promise("dynamodb", patient=patient),
                lambda: put_if(condition, action, patient=patient, **request),
            )
        except StorageError:
            self._given_up(request["Item"])
            raise

    def invoke(self, function_name: str, payload: str, action: str) -> bytes:
        invoke = super().invoke
        promise = _promise("lambda", patient=False)
        return self._watch("Invoke", promise, lambda: invoke(function_name, payload, action))

    def _watch(self, operation: str, promise: _Promise, call: Callable[[], T]) -> T:
        attempts: list[bool] = []
        began = self._now()
        outer = _attempts.set(attempts)
        try:
            answer = call()
        except StorageError:
            self._judge(operation, attempts, promise, self._now() - began, answered=False)
            raise
        finally:
            _attempts.reset(outer)
        self._judge(operation, attempts, promise, self._now() - began, answered=True)
        return answer

    def _judge(
        self, operation: str, attempts: list[bool], promise: _Promise, elapsed: float, *, answered: bool
    ) -> None:
        *before, in_vain = attempts
        has_time = elapsed < promise.total - _PAUSE_LEAST - 1e-6  # floats
        too_few = in_vain and len(attempts) < promise.attempts and has_time
        if not all(before) or len(attempts) > promise.attempts or too_few:
            self._misdone(f"{operation} {len(attempts)} times")
        if in_vain and answered:
            self._misdone(f"{operation} without an answer")
