import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from typer.testing import CliRunner, Result

from local.client import call_api, get_json, post_json, post_message
from local.cloudformation.intrinsic_functions import resolve
from local.examples import Message, addressed, examples
from local.settings import Settings
from local.stack import Stack
from local.state_file import State
from tests.e2e.terminal import Terminal, command_line
from wxn.app import app
from wxn.stacks import STATE_FILE

WAIT_SECONDS = 40.0
ACCEPTED = ("sent", "delivered")
"""States of a message that WeChat has accepted; where the account has receipts, they come a moment later."""


def eventually(answer: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """The first true answer, or the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (got := answer()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return got


def post_until_taken(
    state: State, message: object, account: str | None = None, key: str | None = None
) -> requests.Response:
    """Post as a caller does, who asks a busy service (503) again under the same ``Idempotency-Key``.

    The laptop's DynamoDB may take longer than the second that the service waits for it, when dozens of
    environments and the other tests want two processors at once.
    """
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    answer: requests.Response = post_message(state, message, account, headers)
    deadline = time.monotonic() + WAIT_SECONDS
    while answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < deadline:
        time.sleep(0.2)
        answer = post_message(state, message, account, headers)
    return answer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what looks back at all the others."""
    items.sort(key=lambda item: item.path.name == "test_used_permissions.py")


@dataclass(frozen=True)
class Service:
    """The stack as its clients see it, and the simulator as it sees the service."""

    stack: Stack
    _clients: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def state(self) -> State:
        return self.stack.state

    def client(self, service: str) -> Any:
        """A client for all tests: boto3 takes a tenth of a second to make one."""
        if service not in self._clients:
            keys = self.state.access_key_id, self.state.secret_access_key
            self._clients[service] = self.stack.client(service, *keys)
        return self._clients[service]

    def post(self, message: object, **options: Any) -> requests.Response:
        answer: requests.Response = post_message(self.state, message, **options)
        return answer

    def look(self, message_id: str, account: str | None = None) -> requests.Response:
        return self._about("GET", message_id, account)

    def cancel(self, message_id: str, account: str | None = None) -> requests.Response:
        return self._about("DELETE", message_id, account)

    def becomes(self, message_id: str, *statuses: str, account: str | None = None) -> dict[str, Any]:
        """What the ledger says of a message when it has one of these states, or when time is up."""

        def is_so() -> bool:
            answer = self.look(message_id, account)
            return answer.status_code == 200 and answer.json()["status"] in statuses

        assert eventually(is_so), self.look(message_id, account).text
        found: dict[str, Any] = self.look(message_id, account).json()
        return found

    def _about(self, method: str, message_id: str, account: str | None) -> requests.Response:
        path = f"/v1/accounts/{account or self.state.account}/messages/{quote(message_id, safe='')}"
        answer: requests.Response = call_api(self.state, method, path)
        return answer

    def add_account(self, name: str) -> None:
        """Another account, with an app of its own at the simulator."""
        post_json(f"{self.state.simulator_url}/_sim/apps", app_id=f"wx{name}", secret="s" * 32)
        credentials = {"type": "app", "app_id": f"wx{name}", "app_secret": "s" * 32}
        path = self.stack.deployment.outputs["ParameterPath"]
        self.client("ssm").put_parameter(
            Name=f"{path}/{name}/credentials", Value=json.dumps(credentials), Type="SecureString"
        )

    def put_parameter(self, name: str, value: dict[str, Any]) -> None:
        """Store a parameter of an account, such as ``shop/credentials``."""
        path = self.stack.deployment.outputs["ParameterPath"]
        self.client("ssm").put_parameter(
            Name=f"{path}/{name}", Value=json.dumps(value), Type="SecureString", Overwrite=True
        )

    def parameter(self, name: str) -> str | None:
        """A parameter's value; None where there is none."""
        path, ssm = self.stack.deployment.outputs["ParameterPath"], self.client("ssm")
        found = ssm.get_parameters(Names=[f"{path}/{name}"], WithDecryption=True)["Parameters"]
        return str(found[0]["Value"]) if found else None

    def add_component(self, name: str, **callback: object) -> str:
        """A third-party platform under this name, with a ticket; its appid."""
        app_id = self.stack.accounts.add_component(name, **callback)
        assert eventually(lambda: self.parameter(f"{name}/ticket"))
        return app_id

    def refresh(self, account: str) -> dict[str, Any]:
        """Have token_refresh see to an account, and return its report."""
        request = json.dumps({"account": account}).encode()
        name = self.state.token_refresh_function
        answer: dict[str, Any] = {}

        def is_done() -> bool:
            invoked = self.client("lambda").invoke(FunctionName=name, Payload=request)
            answer.update(json.load(invoked["Payload"]))
            return "failed" in answer

        assert eventually(is_done), answer
        return answer

    def tell(self, order: str, **fields: object) -> None:
        """Give the simulator an order."""
        post_json(f"{self.state.simulator_url}/_sim/{order}", **fields)

    def enqueue(self, *bodies: str) -> None:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        self.client("sqs").send_message_batch(QueueUrl=self.state.send_queue_url, Entries=entries)

    def body(self, message: Message, **envelope: object) -> str:
        return json.dumps({"account": self.state.account, "message": message, **envelope})

    def arrived(self, touser: str) -> list[dict[str, Any]]:
        """What WeChat was asked to send to this receiver, as the simulator lists it."""
        everything = get_json(f"{self.state.simulator_url}/_sim/messages?limit=10000")["messages"]
        return [m for m in everything if json.loads(m["body"]).get("touser") == touser]

    def arrives(self, touser: str) -> list[dict[str, Any]]:
        eventually(lambda: any(m["errcode"] != 40001 for m in self.arrived(touser)))
        return self.arrived(touser)

    def token_calls(self) -> int:
        stats = get_json(f"{self.state.simulator_url}/_sim/stats")
        return sum(count for app in stats["by_app"].values() for count in app["token_calls"].values())

    def taken_from(self, url: str) -> list[str]:
        """The bodies in a queue, which is empty afterwards."""
        sqs, bodies = self.client("sqs"), list[str]()
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            bodies += [message["Body"] for message in messages]
        return bodies


@contextmanager
def listening(
    service: Service, name: str, pattern: dict[str, Any]
) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A queue that hears what is published on the bus: a function that returns what is new on it."""
    sqs, events, bus = service.client("sqs"), service.client("events"), service.state.event_bus_name
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    yield lambda: [json.loads(body) for body in service.taken_from(url)]
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with Stack(Settings()) as stack:
        yield Service(stack)


class Deployed:
    """The template's resources with every reference resolved, and their physical ids."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.deployment = service.stack.deployment

    def __call__(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        found = [
            (
                self.deployment.physical_ids[name],
                resolve(resource["Properties"], self.deployment, self.get_att),
            )
            for name, resource in self.deployment.resources(kind)
        ]
        assert found, f"no {kind}"
        return found

    def get_att(self, name: str, attribute: str) -> str:
        """From the services, not from the emulator's CloudFormation."""
        physical = self.deployment.physical_ids[name]
        kind = self.deployment.template["Resources"][name]["Type"]
        if (kind, attribute) == ("AWS::SQS::Queue", "QueueName"):
            return physical.rpartition("/")[2]
        if (kind, attribute) == ("AWS::Lambda::Version", "Version"):
            return physical.rpartition(":")[2]
        if (kind, attribute) == ("AWS::SecretsManager::Secret", "Id"):
            return str(self.client("secretsmanager").describe_secret(SecretId=physical)["ARN"])
        assert attribute == "Arn", f"{name}.{attribute}"
        arn: dict[str, Callable[[], str]] = {
            "AWS::SQS::Queue": lambda: self.queue(physical)["QueueArn"],
            "AWS::Lambda::Function": lambda: self.function(physical)["FunctionArn"],
            "AWS::S3::Bucket": lambda: f"arn:aws:s3:::{physical}",
            "AWS::IAM::Role": lambda: self.client("iam").get_role(RoleName=physical)["Role"]["Arn"],
            "AWS::Logs::LogGroup": lambda: self.log_group(physical)["arn"],
            "AWS::Scheduler::ScheduleGroup": lambda: self.schedule_group(physical)["Arn"],
            "AWS::DynamoDB::Table": lambda: self.table(physical)["TableArn"],
            "AWS::Events::EventBus": lambda: self.client("events").describe_event_bus(Name=physical)["Arn"],
            "AWS::Events::Rule": lambda: self.rule(physical)["Arn"],
        }
        return str(arn[kind]())

    def client(self, service: str) -> Any:
        return self.service.client(service)

    def queue(self, url: str) -> dict[str, str]:
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    def function(self, name: str) -> Any:
        return self.client("lambda").get_function_configuration(FunctionName=name)

    def table(self, name: str) -> Any:
        return self.client("dynamodb").describe_table(TableName=name)["Table"]

    def schedule_group(self, name: str) -> Any:
        return self.client("scheduler").get_schedule_group(Name=name)

    def rule(self, name: str) -> Any:
        return self.client("events").describe_rule(Name=name, EventBusName=self.service.state.event_bus_name)

    def log_group(self, name: str) -> Any:
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        (group,) = (each for each in groups if each["logGroupName"] == name)
        return group


@pytest.fixture(scope="module")
def deployed(service: Service) -> Deployed:
    return Deployed(service)


@pytest.fixture
def touser() -> str:
    return f"openid-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=examples(), ids=lambda message: message["kind"])
def message(request: pytest.FixtureRequest, touser: str) -> Message:
    return addressed(request.param, touser)


@dataclass(frozen=True)
class CommandLine:
    """``wxn`` in a folder below which the stack's addresses are, as beside ``make up``."""

    folder: Path

    def __call__(self, *arguments: str, text: str | None = None) -> Result:
        """Run a command in this process; ``text`` is its standard input."""
        with contextlib.chdir(self.folder):
            return CliRunner().invoke(app, arguments, text, prog_name="wxn")


@pytest.fixture(scope="session")
def wxn(service: Service, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    folder = tmp_path_factory.mktemp("wxn")
    service.state.write(folder / STATE_FILE)
    return CommandLine(folder)


@pytest.fixture
def terminal(wxn: CommandLine) -> Iterator[Callable[..., Terminal]]:
    """Start ``wxn`` in a terminal of so many columns; what still runs at the end of the test is ended."""
    started: list[Terminal] = []

    def start(*arguments: str, columns: int = 80) -> Terminal:
        started.append(Terminal(command_line(*arguments), wxn.folder, columns=columns))
        return started[-1]

    yield start
    for each in started:
        each.close()
