"""What stands behind AWS's endpoints, but for the tables (``dynamodb``) and the queues (``sqs``).

A service is an object with a method for each of its operations, which is given the request's fields by
their names and returns the answer's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.simulation.sqs import FakeSqs, QueueError

MAX_STALE = 5.0
"""Seconds by which a read of a parameter may be behind."""


class Refusal(Exception):  # noqa: N818 - it is AWS's answer
    """A service refuses a request; its first argument is AWS's error code."""

    def __init__(self, code: str, **said: Any) -> None:
        super().__init__(code)
        self.code = code
        self.said = said


class FakeParameters:
    """SSM's parameters, by name.

    ``lag`` is for how many seconds a read is behind the writes.
    """

    def __init__(self, now: Callable[[], float], lag: Callable[[], float] = lambda: 0.0) -> None:
        self.values: dict[str, str] = {}
        self._versions: dict[str, list[tuple[float, str]]] = {}
        """What was stored before, and until when."""
        self._lag = lag
        self.stored_at: dict[str, float] = {}
        self.saves = 0
        self._now = now

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 - AWS's names, here and below
        """One parameter."""
        assert WithDecryption
        if Name not in self.values:
            raise Refusal("ParameterNotFound")
        return {"Parameter": {"Name": Name, "Value": self._shown(Name)}}

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        """Those of ten that there are."""
        assert WithDecryption
        found = [{"Name": name, "Value": self._shown(name)} for name in Names if name in self.values]
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
        answer: dict[str, Any] = {"Parameters": [{"Name": name, "Value": self._shown(name)} for name in page]}
        return answer | ({"NextToken": str(start + 10)} if start + 10 < len(names) else {})

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool) -> dict[str, Any]:  # noqa: N803
        """Replace a parameter."""
        assert Type == "SecureString"
        assert Overwrite
        if Name in self.values:
            self._versions.setdefault(Name, []).append((self._now(), self.values[Name]))
        self.values[Name] = Value
        self.stored_at[Name] = self._now()
        self.saves += 1
        return {"Version": self.saves}

    def _shown(self, name: str) -> str:
        now = self._now()
        behind = self._lag() if now < self.stored_at.get(name, 0.0) + MAX_STALE else 0.0
        for until, value in self._versions.get(name, ())[-4:]:
            if now - behind < until:
                return value
        return self.values[name]


class SqsApi:
    """The requests to SQS that the service makes, on the queues by their URLs."""

    def __init__(
        self,
        queues: dict[str, FakeSqs],
        chance: Random,
        entry_lost: Callable[[], float],
        lineage: Callable[[], int] = lambda: 0,
        put: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._lineage = lineage
        self._queues = queues
        self._is_told = put
        self._chance = chance
        self._entry_lost = entry_lost

    def send_message(self, *, QueueUrl: str, **message: Any) -> dict[str, Any]:  # noqa: N803
        """Put one message on a queue."""
        try:
            return {"MessageId": self._put(QueueUrl, message)}
        except QueueError as error:
            raise Refusal(str(error)) from None

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Put up to ten messages on a queue, each of which may fail by itself."""
        if not 1 <= len(Entries) <= 10 or len({entry["Id"] for entry in Entries}) < len(Entries):
            raise Refusal("InvalidParameterValue")
        successful, failed = [], []
        for entry in Entries:
            try:
                if self._chance.random() < self._entry_lost():
                    raise QueueError("InternalError")  # noqa: TRY301 - as a refusal is told
                successful.append({"Id": entry["Id"], "MessageId": self._put(QueueUrl, entry)})
            except QueueError as error:
                # Only those that are said to be successful are.
                if self._chance.random() < 0.5:
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
            raise Refusal(str(error)) from None
        return {}

    def _put(self, url: str, message: dict[str, Any]) -> str:
        attributes = {
            name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()
        }
        self._is_told(message["MessageBody"])
        return self._queues[url].put(
            message["MessageBody"],
            group=message.get("MessageGroupId"),
            delay=message.get("DelaySeconds", 0),
            attributes=attributes,
            chain=self._lineage(),
        )


class EventsApi:
    """The event bus: the entries that were published."""

    def __init__(self, chance: Random, entry_lost: Callable[[], float]) -> None:
        self.published: list[dict[str, Any]] = []
        self._chance = chance
        self._entry_lost = entry_lost

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Publish up to ten events, each of which may fail by itself."""
        assert 1 <= len(Entries) <= 10
        answers: list[dict[str, str]] = []
        for entry in Entries:
            assert isinstance(json.loads(entry["Detail"]), dict)
            if self._chance.random() < self._entry_lost():
                answers.append({"ErrorCode": "InternalFailure"})
            else:
                self.published.append(entry)
                answers.append({"EventId": str(len(self.published))})
        return {"Entries": answers, "FailedEntryCount": sum("ErrorCode" in answer for answer in answers)}


class LambdaApi:
    """Synchronous invocations of the token refresher.

    ``begin`` starts one, and has None where too many run. ``wait`` has what it came to, which is whether it
    failed and what it returned, and None where that took longer than so many seconds.
    """

    def __init__(
        self,
        begin: Callable[[dict[str, Any]], object | None],
        wait: Callable[[Any, float], tuple[bool, Any] | None],
    ) -> None:
        self.wait = wait
        self._begin = begin

    def invoke(self, **event: Any) -> object:
        """Start an invocation."""
        running = self._begin(event)
        if running is None:
            raise Refusal("TooManyRequestsException")
        return running
