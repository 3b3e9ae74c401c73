"""An SQS in this process, whose answers a test may bend, and ``wxn dlq`` on its queues."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.unit.wxn import command_line
from tests.unit.wxn.command_line import Ran, Wxn
from wxn import dead_letters, stacks
from wxn.stacks import Stack

WAIT_SECONDS = dead_letters._WAIT_SECONDS
UNREADABLE = "no JSON: 深圳"

Call = Callable[..., dict[str, Any]]
Bend = Callable[[Call, dict[str, Any]], dict[str, Any]]


def readable(number: int, account: str = "shop") -> str:
    return json.dumps({"account": account, "message": {"kind": "template", "touser": f"openid-{number}"}})


def default_id(message: Mapping[str, Any]) -> str:
    """The id under which the service sends a body that names none."""
    attribute = message.get("MessageAttributes", {}).get("message_id")
    return str(attribute["StringValue"] if attribute else message["MessageId"])


def redrive_policy(url: str) -> dict[str, str]:
    arn = f"arn:aws:sqs:eu-central-1:123456789012:{url.rsplit('/', 1)[1]}"
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})}


@dataclass
class Sqs:
    """A dead letter queue and a send queue; calls of the tool are noted, and bent where a test says so."""

    real: Any
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bent: dict[str, Bend] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dlq: str = self.real.create_queue(QueueName="dead")["QueueUrl"]
        self.target: str = self.real.create_queue(QueueName="send")["QueueUrl"]
        self.broadcasts: str = self.real.create_queue(QueueName="broadcast")["QueueUrl"]
        self.steps: str = self.real.create_queue(QueueName="steps")["QueueUrl"]

    def __getattr__(self, method: str) -> Call:
        def call(**request: Any) -> dict[str, Any]:
            self.calls.append((method, request))
            real: Call = getattr(self.real, method)
            return self.bent[method](real, request) if method in self.bent else real(**request)

        return call

    def bend_messages(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change every message that is received."""

        def bend(real: Call, request: dict[str, Any]) -> dict[str, Any]:
            received = real(**request)
            for message in received.get("Messages", []):
                change(message)
            return received

        self.bent["receive_message"] = bend

    def fails(self, method: str, nth: int, error: BaseException, *, done: bool = False) -> None:
        """The nth call fails, before it did anything or after."""
        calls = 0

        def bend(real: Call, request: dict[str, Any]) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            answered = real(**request) if done or calls != nth else {}
            if calls == nth:
                raise error
            return answered

        self.bent[method] = bend

    def omits(self, method: str, *ids: str, named: bool) -> None:
        """SQS does not do these entries; it may say so, or say nothing."""
        failed = [
            {"Id": i, "SenderFault": False, "Code": "InternalError", "Message": "\x1b[2Jno"} for i in ids
        ]

        def bend(real: Call, request: dict[str, Any]) -> dict[str, Any]:
            done = [entry for entry in request["Entries"] if entry["Id"] not in ids]
            answered = real(**request | {"Entries": done}) if done else {}
            return {"Successful": answered.get("Successful", []), "Failed": failed if named else []}

        self.bent[method] = bend

    def requests(self, method: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == method]

    def put(self, body: str, **attributes: str) -> str:
        """A dead letter; its SQS message id."""
        (message_id,) = self.put_all((body, attributes))
        return message_id

    def put_all(self, *letters: tuple[str, Mapping[str, str]]) -> list[str]:
        """Dead letters by body and attributes; their SQS message ids."""
        entries = [
            {
                "Id": str(number),
                "MessageBody": body,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            }
            for number, (body, attributes) in enumerate(letters)
        ]
        ids: list[str] = []
        for start in range(0, len(entries), 10):
            sent = self.real.send_message_batch(QueueUrl=self.dlq, Entries=entries[start : start + 10])
            ids += [each["MessageId"] for each in sent["Successful"]]
        return ids

    def fill(self, count: int) -> list[str]:
        """Dead letters that differ; their SQS message ids."""
        return self.put_all(*((f"body {number:02}", {}) for number in range(count)))

    def look(self, url: str) -> list[dict[str, Any]]:
        """What can be received at this moment; it can be received again afterwards."""
        found: list[dict[str, Any]] = []
        while messages := self.real.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            VisibilityTimeout=60,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        ).get("Messages"):
            found += messages
        for start in range(0, len(found), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(found[start : start + 10])
            ]
            self.real.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        return found

    def counts(self) -> tuple[int, int]:
        """How many dead letters there are, and how many messages to send."""
        return len(self.look(self.dlq)), len(self.look(self.target))

    def bodies(self, url: str) -> list[str]:
        return sorted(message["Body"] for message in self.look(url))

    def ids(self, url: str) -> list[tuple[str, str]]:
        """The ids and bodies that the service would see."""
        return sorted((default_id(message), message["Body"]) for message in self.look(url))


class SqsStack(Stack):
    """The stack of these queues."""

    def __init__(self, sqs: Sqs) -> None:
        super().__init__("stack", region="eu-central-1")
        self._sqs = sqs

    @property
    def outputs(self) -> Mapping[str, str]:
        return {"DeadLetterQueueUrl": self._sqs.dlq}

    @property
    def resources(self) -> Mapping[str, str]:
        return {
            "SendQueue": self._sqs.target,
            "BroadcastQueue": self._sqs.broadcasts,
            "BroadcastStepQueue": self._sqs.steps,
        }

    def client(self, service: str, **_: Any) -> Any:
        assert service == "sqs"
        return self._sqs


@pytest.fixture
def sqs(aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Sqs:
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)
    return Sqs(aws("sqs"))


@pytest.fixture
def run(sqs: Sqs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wxn:
    """Runs ``wxn dlq`` on the queues; a redrive asks nothing."""
    monkeypatch.setattr(stacks, "find", lambda *_: SqsStack(sqs))

    def run(command: str, *arguments: str) -> Ran:
        unasked = ["--yes"] if command == "redrive" else []
        return command_line.run(monkeypatch, capsys, "dlq", command, *unasked, *arguments)

    return run


def totals(sent: int, deleted: int, failed: int = 0) -> str:
    """What a redrive prints in the end."""
    return f"{sent} sent, {deleted} deleted from the dead letter queue, {failed} failed\n"


def aws_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Op")


STOPS: list[tuple[BaseException, int, str]] = [
    (KeyboardInterrupt(), 130, ""),
    (aws_error("AccessDenied"), 3, "error: AWS denies Op."),
    (
        EndpointConnectionError(endpoint_url="https://sqs"),
        4,
        'error: AWS does not answer: Could not connect to the endpoint URL: "https://sqs"',
    ),
]
"""What stops the command, with its exit code and the reason that it gives."""
