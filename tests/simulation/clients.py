"""AWS as the service's adapters meet it, in virtual time: boto3's clients, and what gets lost on the way.

A client here has the methods of boto3's and raises botocore's exceptions. The service's own adapters, its
repeats and its exception boundary run over it; what botocore does below is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

from tests.fakes.aws import Refusal
from wechat_notify.aws.clients import CONNECT_TIMEOUT, READ_TIMEOUTS, Clients, Service
from wechat_notify.core.errors import StorageError

T = TypeVar("T")

_RETRIED_FOR: dict[str, frozenset[float]] = {
    "batch_execute_statement": frozenset({0.0}),
    "put_item": frozenset({2.5, 6.0}),
    "get_item": frozenset({2.5}),
    "get_item of templates": frozenset({0.0}),
    "batch_get_item": frozenset({2.5}),
    "query": frozenset({2.5}),
    "get_parameter": frozenset({1.0}),
    "get_parameters": frozenset({7.5}),
    "get_parameters_by_path": frozenset({7.5}),
    "describe_parameters": frozenset({1.0}),
    "put_parameter": frozenset({7.5}),
    "send_message": frozenset({1.5}),
    "send_message_batch": frozenset({1.5}),
    "change_message_visibility": frozenset({1.5}),
    "put_events": frozenset({1.0}),
    **dict.fromkeys(("head_object", "get_object", "put_object"), frozenset({5.0})),
    "invoke": frozenset({0.0}),
}
"""Seconds in which an operation is repeated that AWS refuses for the moment: what the service promises, once
more. Of two the longer one is for what must not be lost."""
_WAITED_FOR = {"put_item": 3.2, "put_parameter": 5.1}
"""Seconds for which something else is waited for, and an operation is repeated for so much less: an item that
is put alone for its group's turn and call, a parameter for its turn."""
_MAX_ATTEMPTS = 14
_MIN_PAUSE = 0.01
_URL = "https://aws.example/CANARY"
_STATUS = {
    "InternalException": 500,
    "InternalServerError": 500,
    "PreconditionFailed": 412,
    "ServiceException": 500,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "TooManyRequestsException": 429,
}
"""Of other errors it is 400."""
_WITHOUT_SECRETS = frozenset({"dynamodb", "events", "lambda"})
"""Services that are told none; SSM keeps the tokens, and SQS the messages as they came."""
_LATENCY: dict[Service, float] = {
    "dynamodb": 0.006,
    "events": 0.02,
    "lambda": 0.02,
    "s3": 0.03,
    "sqs": 0.01,
    "ssm": 0.02,
}
_OVERLOADED: dict[Service, tuple[str, ...]] = {
    "dynamodb": ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"),
    "events": ("ThrottlingException", "InternalException"),
    "lambda": ("ServiceException", "TooManyRequestsException"),
    "s3": ("SlowDown", "ServiceUnavailable"),
    "sqs": ("ServiceUnavailable", "RequestThrottled"),
    "ssm": ("ThrottlingException", "InternalServerError"),
}


@dataclass(frozen=True)
class Faults:
    """How often AWS refuses a request for the moment, and how often a request or its answer is lost."""

    throttled: float = 0.0
    request_lost: float = 0.0
    answer_lost: float = 0.0


@dataclass(frozen=True)
class Aws:
    """All of AWS."""

    apis: dict[str, Any]
    """What stands behind each service's endpoint, by the service's name."""
    chance: Random
    faults: Callable[[str], Faults]
    """The faults of a service at present."""
    exchange: Callable[..., Any]
    """Lets time pass for one request and its answer, and has the effect happen in between."""
    doubled: Callable[[str], None] = lambda _: None
    """Is told a request to SQS that was obeyed and not answered, so that it comes again."""
    seen: Callable[[str, str], None] = lambda *_: None
    """Is told what a service gets to see, if no secret may stand in it."""

    def client(self, service: Service) -> Client:
        """The client of one service."""
        return Client(self, service)


class ConditionalCheckFailed(ClientError):  # noqa: N818 - as botocore names it
    """Stands in for the class that botocore makes of the service's model."""


class Client:
    """Stands in for boto3's client of one service."""

    exceptions = SimpleNamespace(ConditionalCheckFailedException=ConditionalCheckFailed)

    def __init__(self, aws: Aws, service: Service) -> None:
        self._aws = aws
        self._service = service

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return partial(self._request, operation)

    def close(self) -> None:
        """Drop the idle connections."""

    def _request(self, operation: str, /, **request: Any) -> Any:
        """Send one request; raises what botocore raises."""
        aws, chance, service = self._aws, self._aws.chance, self._service
        call = _call.get()
        call.begin(operation, request)
        if service in _WITHOUT_SECRETS:
            aws.seen(f"a request to {service}", repr(request))
        subject = _subject(request)
        faults = aws.faults(service)
        draw = chance.random()
        latency = _LATENCY[service] * (0.5 + chance.random())
        serve = partial(self._serve, operation, request)
        throttled = draw < faults.throttled
        if throttled:
            refusal = _refused(operation, chance.choice(_OVERLOADED[service]))
            answer = aws.exchange(f"{operation} throttled", subject, latency, lambda: refusal)
        elif draw < faults.throttled + faults.request_lost:
            reached = chance.random() < 0.5
            seconds = READ_TIMEOUTS[service] if reached else CONNECT_TIMEOUT
            answer = _lost(ReadTimeoutError if reached else ConnectTimeoutError)
            aws.exchange(f"{operation} {type(answer).__name__}", subject, seconds, lambda: None, early=True)
        elif draw < faults.throttled + faults.request_lost + faults.answer_lost:
            if service == "sqs":
                aws.doubled(repr(request))
            in_time = chance.random() < 0.5
            seconds = latency if in_time else READ_TIMEOUTS[service]
            answer = _lost(ConnectionClosedError if in_time else ReadTimeoutError)
            aws.exchange(f"{operation} lost", subject, seconds, serve, early=True)
        else:
            answer = aws.exchange(operation, subject, latency, serve)
            if operation == "invoke" and not isinstance(answer, Exception):
                answer = self._returned(answer)
        call.end(in_vain=throttled or isinstance(answer, BotoCoreError))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _serve(self, operation: str, request: dict[str, Any]) -> object:
        """The answer, an invocation that has begun, or a refusal."""
        if operation == "invoke":
            assert request["FunctionName"] == "token-refresh"
            request = json.loads(request["Payload"])
        try:
            return getattr(self._aws.apis[self._service], operation)(**request)
        except Refusal as refusal:
            return _refused(operation, refusal.code, **refusal.said)

    def _returned(self, running: object) -> dict[str, Any] | BotoCoreError:
        found = self._aws.apis["lambda"].wait(running, READ_TIMEOUTS["lambda"])
        if found is None:
            return _lost(ReadTimeoutError)
        failed, payload = found
        answer = {"StatusCode": 200, "Payload": BytesIO(json.dumps(payload).encode())}
        return {**answer, "FunctionError": "Unhandled"} if failed else answer


def _refused(operation: str, code: str, **said: Any) -> ClientError:
    """AWS's refusal; some have more to say than their name."""
    kind = ConditionalCheckFailed if code == "ConditionalCheckFailedException" else ClientError
    answer: Any = {
        "Error": {"Code": code, "Message": "CANARY in AWS's own words"},
        "ResponseMetadata": {"HTTPStatusCode": _STATUS.get(code, 400)},
        **said,
    }
    return kind(answer, operation)


def _lost(kind: type[BotoCoreError]) -> BotoCoreError:
    """No answer, told with all that botocore tells and more behind it, so that a leak is noticed."""
    error = kind(endpoint_url=_URL, error="CANARY")
    error.__cause__ = OSError("CANARY on the way to AWS")
    return error


def _subject(request: dict[str, Any]) -> str:
    if "Bucket" in request:
        return str(request["Key"])
    item = request.get("Item") or request.get("Key")
    if item:
        return f"{item['pk']['S']} v{item.get('version', {}).get('N', '')}"
    return str(request.get("ReceiptHandle") or request.get("Name") or "")


# ---------------------------------------------------------------- what a call must come to


@dataclass
class _Call:
    """The attempts of the call that is running, and of each whether the next one might fare better."""

    clock: Callable[[], float]
    operation: str = ""
    request: dict[str, Any] = field(default_factory=dict)
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    in_vain: list[bool] = field(default_factory=list)

    def begin(self, operation: str, request: dict[str, Any]) -> None:
        self.operation, self.request = operation, request
        self.began.append(self.clock())

    def end(self, *, in_vain: bool) -> None:
        self.ended.append(self.clock())
        self.in_vain.append(in_vain)


_call: ContextVar[_Call] = ContextVar("call")


class WatchedClients(Clients):
    """The service's own; every call is held against AWS's side of it.

    Parameters
    ----------
    aws : Aws
        Where the calls go.
    unexpected_calls : Callable
        Is told of a call that was not made as often as it must be, or succeeded without an answer.
    given_up : Callable
        Is told an item of which nobody can say whether it was stored.
    """

    def __init__(
        self,
        aws: Aws,
        *,
        unexpected_calls: Callable[[str], None],
        given_up: Callable[[dict[str, Any]], None],
        **lent: Any,
    ) -> None:
        super().__init__(aws.client, **lent)
        self._unexpected_calls = unexpected_calls
        self._given_up = given_up

    def call(self, action: str, request: Callable[[], T], *, retry_for: float = 0.0) -> T:
        call = _Call(self._clock)
        began = self._clock()
        outer = _call.set(call)
        try:
            answer = super().call(action, request, retry_for=retry_for)
        except StorageError:
            self._judge(call, began, retry_for, answered=False)
            if call.operation == "put_item":
                self._given_up(call.request["Item"])
            raise
        finally:
            _call.reset(outer)
        self._judge(call, began, retry_for, answered=True)
        return answer

    def _judge(self, call: _Call, first_began: float, retry_for: float, *, answered: bool) -> None:
        operation, floats = call.operation, 1e-6
        *before, in_vain = call.in_vain
        said = f"{operation} {len(call.began)} times"
        spent = _WAITED_FOR.get(operation, 0.0)
        of_templates = _subject(call.request).startswith("templates#")
        kind = f"{operation} of templates" if of_templates else operation
        promised = _RETRIED_FOR.get(kind, {retry_for})
        pauses = [began - ended for began, ended in zip(call.began[1:], call.ended, strict=False)]
        unexpected = {
            f"{operation} for {retry_for} seconds": not any(
                0 <= most - retry_for <= spent for most in promised
            ),
            f"{operation} without an answer": in_vain and answered,
            f"{said} only": (
                in_vain and not answered and self._clock() - first_began < retry_for - _MIN_PAUSE - floats
            ),
            said: (
                not all(before)
                or call.began[-1] - first_began > retry_for + floats
                or len(before) >= _MAX_ATTEMPTS
            ),
            f"{said} without a pause": min(pauses, default=1.0) < _MIN_PAUSE - floats,
        }
        for what in (what for what, is_so in unexpected.items() if is_so):
            self._unexpected_calls(what)
