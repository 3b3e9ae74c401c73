"""AWS as boto3 shows it: throttled calls, lost answers, and botocore's own retries, in virtual time.

The service's real adapters run on these clients. Retries follow ``aws.clients``: as many tries, with the
pauses of botocore's ``legacy`` mode for DynamoDB and of ``standard`` for the others.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.simulation.sqs import FakeSqs, QueueError

_TRIES = {"ssm": 2, "sqs": 2, "lambda": 1, "dynamodb": 6, "events": 2}
_PATIENT_TRIES = 8
_TIMEOUT = {"ssm": 2.0, "sqs": 3.0, "lambda": 6.0, "dynamodb": 1.0, "events": 2.0}
_LATENCY = {"ssm": 0.02, "sqs": 0.01, "lambda": 0.02, "dynamodb": 0.006, "events": 0.02}
_THROTTLED = {
    "ssm": "ThrottlingException",
    "sqs": "ServiceUnavailable",
    "lambda": "TooManyRequestsException",
    "dynamodb": "ProvisionedThroughputExceededException",
    "events": "ThrottlingException",
}
_NOT_RETRIED = {
    "ConditionalCheckFailedException",
    "ParameterNotFound",
    "InvalidParameterValue",
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "MissingParameter",
    "ValidationException",
}


@dataclass(frozen=True)
class Weather:
    """How often AWS refuses a request, and how often its answer is lost on the way back."""

    throttled: float = 0.0
    answer_lost: float = 0.0


def refusal(code: str, operation: str) -> ClientError:
    """The error that boto3 raises."""
    return ClientError({"Error": {"Code": code, "Message": "CANARY in AWS's own words"}}, operation)


class FakeParameters:
    """SSM's parameters, by name."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.values: dict[str, str] = {}
        self.stored_at: dict[str, float] = {}
        self.saves = 0
        self._now = now

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 - boto3's
        """One parameter."""
        assert WithDecryption
        if Name not in self.values:
            raise refusal("ParameterNotFound", "GetParameter")
        return {"Parameter": {"Name": Name, "Value": self.values[Name]}}

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        """Those of ten that there are."""
        assert WithDecryption
        found = [{"Name": name, "Value": self.values[name]} for name in Names if name in self.values]
        return {"Parameters": found, "InvalidParameters": [name for name in Names if name not in self.values]}

    def get_parameters_by_path(
        self,
        *,
        Path: str,  # noqa: N803
        Recursive: bool,  # noqa: N803
        WithDecryption: bool,  # noqa: N803
        NextToken: str = "0",  # noqa: N803
    ) -> dict[str, Any]:
        """Ten at a time, in order of name."""
        assert Recursive
        assert WithDecryption
        names = sorted(name for name in self.values if name.startswith(f"{Path}/"))
        start = int(NextToken)
        page = names[start : start + 10]
        answer: dict[str, Any] = {"Parameters": [{"Name": name, "Value": self.values[name]} for name in page]}
        return answer | ({"NextToken": str(start + 10)} if start + 10 < len(names) else {})

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool) -> dict[str, Any]:  # noqa: N803
        """Replace a parameter."""
        assert Type == "SecureString"
        assert Overwrite
        self.values[Name] = Value
        self.stored_at[Name] = self._now()
        self.saves += 1
        return {"Version": self.saves}


class SqsApi:
    """The requests to SQS that the service makes, on the queues by their URLs."""

    def __init__(self, queues: dict[str, FakeSqs], chance: Random, entry_lost: Callable[[], float]) -> None:
        self._queues = queues
        self._chance = chance
        self._entry_lost = entry_lost

    def send_message(self, *, QueueUrl: str, **message: Any) -> dict[str, Any]:  # noqa: N803
        """Put one message on a queue."""
        try:
            return {"MessageId": self._put(QueueUrl, message)}
        except QueueError as error:
            raise refusal(str(error), "SendMessage") from None

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Put up to ten messages on a queue, each of which may fail by itself."""
        if not 1 <= len(Entries) <= 10 or len({entry["Id"] for entry in Entries}) < len(Entries):
            raise refusal("InvalidParameterValue", "SendMessageBatch")
        successful, failed = [], []
        for entry in Entries:
            try:
                if self._chance.random() < self._entry_lost():
                    raise QueueError("InternalError")  # noqa: TRY301 - as a refusal is told
                successful.append({"Id": entry["Id"], "MessageId": self._put(QueueUrl, entry)})
            except QueueError as error:
                failed.append({"Id": entry["Id"], "Code": str(error), "SenderFault": False})
        return {"Successful": successful, "Failed": failed}

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> dict[str, Any]:
        """Hide a received message for longer or shorter."""
        try:
            self._queues[QueueUrl].hide(ReceiptHandle, VisibilityTimeout)
        except QueueError as error:
            raise refusal(str(error), "ChangeMessageVisibility") from None
        return {}

    def _put(self, url: str, message: dict[str, Any]) -> str:
        attributes = {
            name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
        }
        return self._queues[url].put(
            message["MessageBody"],
            group=message.get("MessageGroupId"),
            delay=message.get("DelaySeconds", 0),
            attributes=attributes,
        )


class EventsApi:
    """The event bus: what was published."""

    def __init__(
        self, chance: Random, entry_lost: Callable[[], float], seen: Callable[[str, str], None]
    ) -> None:
        self.published = 0
        self._chance = chance
        self._entry_lost = entry_lost
        self._seen = seen

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Publish up to ten events, each of which may fail by itself."""
        answers: list[dict[str, str]] = []
        for entry in Entries:
            self._seen("an event", json.dumps(entry))
            json.loads(entry["Detail"])
            if self._chance.random() < self._entry_lost():
                answers.append({"ErrorCode": "InternalFailure"})
            else:
                self.published += 1
                answers.append({"EventId": str(self.published)})
        return {"Entries": answers, "FailedEntryCount": sum("ErrorCode" in answer for answer in answers)}


class LambdaApi:
    """Synchronous invocations of the token refresher.

    ``invoke`` begins one and returns whether that was possible; ``wait`` gives its answer, or None where
    it took longer than so many seconds.
    """

    def __init__(
        self, invoke: Callable[[dict[str, Any]], object | None], wait: Callable[[object, float], Any]
    ) -> None:
        self._invoke = invoke
        self._wait = wait

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Invoke the function and wait for its answer."""
        assert FunctionName == "token-refresh"
        running = self._invoke(json.loads(Payload))
        if running is None:
            raise refusal("TooManyRequestsException", "Invoke")
        answer = self._wait(running, _TIMEOUT["lambda"])
        if answer is None:
            raise ReadTimeoutError(endpoint_url="https://lambda.cn-north-1.amazonaws.com.cn")
        failed, payload = answer
        found = {"Payload": io.BytesIO(json.dumps(payload).encode())}
        return found | {"FunctionError": "Unhandled"} if failed else found


class Boto:
    """One boto3 client: every call takes time, and is repeated as botocore repeats it."""

    def __init__(
        self,
        service: str,
        api: Any,
        *,
        patient: bool,
        chance: Random,
        weather: Callable[[str], Weather],
        exchange: Callable[..., Any],
        sleep: Callable[[float], None],
        given_up: Callable[[str, str], None],
        lost: Callable[[dict[str, Any]], None],
    ) -> None:
        self._service = service
        self._api = api
        self._tries = _PATIENT_TRIES if patient else _TRIES[service]
        self._chance = chance
        self._weather = weather
        self._exchange = exchange
        self._sleep = sleep
        self._given_up = given_up
        self._lost = lost

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            return self._call(method, request)

        return call

    def _call(self, method: str, request: dict[str, Any]) -> Any:
        if self._service == "lambda":  # it waits by itself
            self._exchange("invoke", "", _LATENCY["lambda"], lambda: None)
            return self._api.invoke(**request)
        function = getattr(self._api, method)
        error: Exception | None = None
        for number in range(self._tries):
            if error is not None:
                self._sleep(self._pause(number - 1))
            try:
                return self._try(method, function, request)
            except ClientError as refused:
                if refused.response["Error"]["Code"] in _NOT_RETRIED:
                    raise
                error = refused
            except ReadTimeoutError as lost:
                error = lost
        assert error is not None
        self._given_up(method, _subject(request))
        raise error

    def _try(self, method: str, function: Callable[..., Any], request: dict[str, Any]) -> Any:
        weather = self._weather(self._service)
        draw = self._chance.random()
        subject = _subject(request)
        latency = _LATENCY[self._service] * (0.5 + self._chance.random())
        if draw < weather.throttled:
            self._exchange(f"{method} throttled", subject, latency, lambda: None)
            raise refusal(_THROTTLED[self._service], method)
        if draw < weather.throttled + weather.answer_lost:
            if self._service == "sqs":
                self._lost(request)
            self._exchange(
                f"{method} lost",
                subject,
                _TIMEOUT[self._service],
                lambda: _quietly(function, request),
                early=True,
            )
            raise ReadTimeoutError(endpoint_url="https://CANARY.amazonaws.com.cn")
        return self._exchange(method, subject, latency, lambda: function(**request))

    def _pause(self, number: int) -> float:
        if self._service == "dynamodb":
            return float(self._chance.random() * 0.05 * 2**number)
        return float(min(20.0, self._chance.random() * 2**number))


def _quietly(function: Callable[..., Any], request: dict[str, Any]) -> None:
    with suppress(ClientError):  # nobody hears of it
        function(**request)


def _subject(request: dict[str, Any]) -> str:
    item = request.get("Item") or request.get("Key")
    if item:
        return f"{item['pk']['S']} v{item.get('version', {}).get('N', '')}"
    return str(request.get("ReceiptHandle") or request.get("Name") or "")
