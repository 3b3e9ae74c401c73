"""One rejected token, one refresh; and who may do what with tokens and queues."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.demo import addressed, examples
from tests.e2e.conftest import Service, eventually

SENDERS = 200


def test_a_revoked_token_costs_one_refresh_however_many_senders_meet_it(
    service: Service, touser: str
) -> None:
    messages = [addressed(examples()[0], f"{touser}-{number}") for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        # Every execution environment holds the token before it is revoked.
        assert {answer.status_code for answer in pool.map(service.post, messages)} == {200}
        before = service.token_calls()
        service.revoke_tokens()
        again = [addressed(message, f"{message['touser']}-again") for message in messages]
        assert {answer.status_code for answer in pool.map(service.post, again)} == {200}
    assert service.token_calls() == before + 1
    assert all(sum(m["accepted"] for m in service.arrived(message["touser"])) == 1 for message in again)


def test_a_message_from_the_queue_survives_a_revoked_token(service: Service, touser: str) -> None:
    # A first one, so that the sender holds the token before it is revoked.
    service.enqueue(service.body(addressed(examples()[0], f"{touser}-first")))
    service.arrives(f"{touser}-first")
    before = service.token_calls()
    service.revoke_tokens()
    message = addressed(examples()[0], touser)
    service.enqueue(service.body(message))
    assert eventually(lambda: any(m["accepted"] for m in service.arrived(touser)))
    assert [m["errcode"] for m in service.arrived(touser)] == [0, 40001]
    assert service.token_calls() == before + 1


PROBE = """
import boto3
from botocore.exceptions import ClientError

def lambda_handler(event, context):
    try:
        getattr(boto3.client(event["service"]), event["method"])(**event["arguments"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
"""

CREDENTIALS = "/wechat-notify/local/accounts/demo/credentials"
TOKEN = "/wechat-notify/local/accounts/demo/access-token"
# The writable one of an account that nobody sends for.
OTHER_TOKEN = "/wechat-notify/local/accounts/probe/access-token"


def read(name: str) -> tuple[str, str, dict[str, Any]]:
    return "ssm", "get_parameter", {"Name": name, "WithDecryption": True}


def read_several(*names: str) -> tuple[str, str, dict[str, Any]]:
    return "ssm", "get_parameters", {"Names": list(names), "WithDecryption": True}


def write(name: str) -> tuple[str, str, dict[str, Any]]:
    return "ssm", "put_parameter", {"Name": name, "Value": "x", "Type": "SecureString", "Overwrite": True}


def send(queue: str) -> tuple[str, str, dict[str, Any]]:
    # For an account that does not exist: harmless where it is let through.
    body = {"account": "nobody", "message": examples()[0]}
    return "sqs", "send_message", {"QueueUrl": queue, "MessageBody": json.dumps(body)}


SEND_QUEUE, DEAD_LETTERS, REFRESHER = "SendQueue", "DeadLetterQueue", "TokenRefreshFunction"
REFRESH = ("lambda", "invoke", {"FunctionName": REFRESHER})
PUBLISH = ("events", "put_events", {"Entries": [{"Source": "x", "DetailType": "x", "Detail": "{}"}]})

ALLOWED = [
    ("SendApiRole", read(TOKEN)),
    ("SendApiRole", send(SEND_QUEUE)),
    ("SendQueueRole", read(TOKEN)),
    ("SendQueueRole", send(DEAD_LETTERS)),
    ("TokenRefreshRole", read_several(CREDENTIALS, TOKEN)),
    ("TokenRefreshRole", write(OTHER_TOKEN)),
    ("ScheduleRole", send(SEND_QUEUE)),
]
DENIED = [
    ("SendApiRole", read(CREDENTIALS)),
    ("SendApiRole", read_several(TOKEN, CREDENTIALS)),
    ("SendApiRole", write(OTHER_TOKEN)),
    ("SendApiRole", send(DEAD_LETTERS)),
    ("SendQueueRole", read(CREDENTIALS)),
    ("SendQueueRole", read_several(TOKEN, CREDENTIALS)),
    ("SendQueueRole", write(OTHER_TOKEN)),
    ("SendQueueRole", send(SEND_QUEUE)),
    ("TokenRefreshRole", write(CREDENTIALS)),
    ("TokenRefreshRole", send(SEND_QUEUE)),
    ("ScheduleRole", send(DEAD_LETTERS)),
    ("ScheduleRole", read(TOKEN)),
    ("ScheduleRole", REFRESH),
    ("ScheduleRole", PUBLISH),
]


@pytest.fixture(scope="module")
def probes(service: Service) -> dict[str, str]:
    """A function for each role that makes any call, so that the policies are met where they apply."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("probe.py", PROBE)
    for name, _ in service.stack.deployment.resources("AWS::IAM::Role"):
        role = service.client("iam").get_role(RoleName=service.stack.deployment.physical_ids[name])["Role"]
        service.client("lambda").create_function(
            FunctionName=f"probe-{name}",
            Role=role["Arn"],
            Runtime="python3.13",
            Handler="probe.lambda_handler",
            Timeout=30,
            Code={"ZipFile": archive.getvalue()},
        )
    return dict(service.stack.deployment.physical_ids)


def probe(
    service: Service, physical: dict[str, str], role: str, call: tuple[str, str, dict[str, Any]]
) -> str:
    api, method, arguments = call
    named = {k: physical.get(v, v) if isinstance(v, str) else v for k, v in arguments.items()}
    event = {"service": api, "method": method, "arguments": named}
    answer = service.client("lambda").invoke(FunctionName=f"probe-{role}", Payload=json.dumps(event))
    code: str = json.loads(answer["Payload"].read())
    return code


def named(case: object) -> str:
    return case if isinstance(case, str) else "-".join(map(str, [*case[:2], *case[2].values()][:3]))  # type: ignore[index]


@pytest.mark.parametrize(("role", "call"), ALLOWED, ids=named)
def test_role_may(
    service: Service, probes: dict[str, str], role: str, call: tuple[str, str, dict[str, Any]]
) -> None:
    assert probe(service, probes, role, call) == "allowed"
    service.dead_letters()


@pytest.mark.parametrize(("role", "call"), DENIED, ids=named)
def test_role_may_not(
    service: Service, probes: dict[str, str], role: str, call: tuple[str, str, dict[str, Any]]
) -> None:
    assert probe(service, probes, role, call) in {"AccessDenied", "AccessDeniedException"}
