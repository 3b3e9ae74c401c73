"""The templates of events/examples on the stack's bus, with a receiver of the test's own."""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.cloudformation.deployment import Deployment
from local.cloudformation.intrinsic_functions import resolve
from local.examples import addressed, examples
from local.processes import ROOT
from tests import event_contract
from tests.e2e.conftest import Service, eventually


class Post(NamedTuple):
    """A request that the receiver got."""

    query: dict[str, list[str]]
    headers: dict[str, str]
    body: dict[str, Any]


class Receiver:
    """An HTTP server that accepts everything, and what it got."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                posts.append(Post(parse_qs(urlsplit(self.path).query), headers, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        yield
        self._server.shutdown()
        thread.join()
        self._server.server_close()


@contextmanager
def deployed_example(service: Service, file: str, **parameters: Any) -> Iterator[None]:
    """The rule of an example with all that it needs, made by calls of the services.

    The emulator's CloudFormation knows neither API destinations nor their connections. Roles and dead letter
    queues are of no use to it.
    """
    source = yaml_parse((ROOT / "events/examples" / file).read_text("utf-8"))
    name = f"example-{uuid.uuid4().hex[:8]}"
    events, secrets = service.client("events"), service.client("secretsmanager")
    arns = {"Role": "arn:aws:iam::000000000000:role/example", "Undelivered": "arn:aws:sqs:us-east-1:0:none"}
    deployment = Deployment(name, "", "", source, parameters, {}, arns)

    def properties(logical_id: str) -> Any:
        found = resolve(source["Resources"][logical_id]["Properties"], deployment, lambda of, _: arns[of])
        return json.loads(re.sub(r"{{resolve:secretsmanager:(.+?):SecretString}}", secret, json.dumps(found)))

    def secret(reference: re.Match[str]) -> str:
        return str(secrets.get_secret_value(SecretId=reference[1])["SecretString"])

    with ExitStack() as made:
        if "ApiKey" in source["Resources"]:
            length = properties("ApiKey")["GenerateSecretString"]["PasswordLength"]
            arns["ApiKey"] = secrets.create_secret(Name=name, SecretString="k" * length)["ARN"]
            made.callback(secrets.delete_secret, SecretId=name, ForceDeleteWithoutRecovery=True)
        connection = events.create_connection(Name=name, **properties("Connection"))
        made.callback(events.delete_connection, Name=name)
        arns["Connection"] = connection["ConnectionArn"]
        destination = events.create_api_destination(Name=name, **properties("Destination"))
        made.callback(events.delete_api_destination, Name=name)
        arns["Destination"] = destination["ApiDestinationArn"]
        rule = properties("Rule")
        bus = rule["EventBusName"]
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(rule["EventPattern"]))
        made.callback(events.delete_rule, Name=name, EventBusName=bus)
        (target,) = rule["Targets"]
        events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
        made.callback(events.remove_targets, Rule=name, EventBusName=bus, Ids=[target["Id"]])
        yield


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with receiver.serving():
        yield receiver


def fail(service: Service, account: str, receiver: str) -> None:
    """Let a message of an account of its own fail."""
    service.add_account(account)
    service.enqueue(service.body(addressed(examples()[0], receiver), id=account, account=account))


def test_events_reach_an_endpoint(service: Service, touser: str, receiver: Receiver) -> None:
    """Whole, with the API key, and those of the chosen accounts alone."""
    parameters = {
        "EventBusName": service.state.event_bus_name,
        "Accounts": [touser],
        "Endpoint": receiver.url,
    }
    with deployed_example(service, "api-destination.yaml", **parameters):
        fail(service, f"{touser}-other", "errcode-43101")
        service.becomes(f"{touser}-other", "failed", account=f"{touser}-other")
        fail(service, touser, "errcode-43101")
        assert eventually(lambda: receiver.posts)
    (post,) = receiver.posts
    assert post.headers["x-api-key"] == "k" * 64
    event_contract.check(post.body)
    assert (post.body["detail-type"], post.body["detail"]["account"]) == ("message.failed", touser)


def test_people_are_told_in_wecom(service: Service, touser: str, receiver: Receiver) -> None:
    secrets = service.client("secretsmanager")
    robot = secrets.create_secret(Name=touser, SecretString="robot")["ARN"]
    parameters = {
        "EventBusName": service.state.event_bus_name,
        "RobotKeySecretArn": robot,
        "Endpoint": receiver.url,
    }
    with deployed_example(service, "wecom.yaml", **parameters):
        fail(service, touser, "errcode-45009")
        assert eventually(lambda: receiver.posts)
    secrets.delete_secret(SecretId=touser, ForceDeleteWithoutRecovery=True)
    (post,) = receiver.posts
    assert post.query == {"key": ["robot"]}
    assert post.body["msgtype"] == "text"
    assert post.body["text"]["content"].startswith(f"quota.reached {touser}: ")
