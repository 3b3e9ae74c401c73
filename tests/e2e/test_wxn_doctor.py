"""``wxn doctor`` against the stack: troubles planted side by side, and told in one run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.client import call_api
from local.examples import addressed, examples
from tests.e2e.conftest import CommandLine, Deployed, Service
from wxn.stacks import STATE_FILE

OF_TEMPLATE_MESSAGES = "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"
SCHEDULE = "/v1/accounts/doctor-busy/schedules/old"
EXAMPLES = {message["kind"]: message for message in examples()}
SECRET = "s" * 32
APPS: dict[str, dict[str, Any]] = {
    "well": {},
    "secret": {"secret": "another"},
    "frozen": {"secret_frozen": True},
    "address": {"ip_whitelist": ["10.0.0.0/8"]},
    "tokenless": {},
    "busy": {"without": ["/cgi-bin/message/template/send"]},
}
"""The apps at WeChat of the accounts ``doctor-<name>``."""
UNUSABLE = {"json": ("credentials", "app_secret=hunter2"), "gone": ("access-token", "{}")}
"""Accounts with nothing but this parameter."""
TOLD = {
    ("doctor-secret", "wrong-secret"),
    ("doctor-frozen", "frozen-secret"),
    ("doctor-address", "ip-not-whitelisted"),
    ("doctor-json", "malformed-credentials"),
    ("doctor-gone", "credentials-missing"),
    ("doctor-tokenless", "token-not-stored"),
    ("doctor-busy", "wrong-account-kind"),
    ("doctor-busy", "api-not-permitted"),
    ("doctor-busy", "unknown-template"),
    ("doctor-busy", "template-of-other-family"),
    ("doctor-busy", "quota-used-up"),
    ("doctor-busy", "hold-open"),
    ("doctor-busy", "schedule-disabled"),
    (None, "refresher-disabled"),
    (None, "template-sync-disabled"),
    (None, "queue-mapping-disabled"),
    (None, "dead-letters"),
}


@contextmanager
def disabled(deployed: Deployed) -> Iterator[None]:
    """The stack's schedules do not fire, and nobody takes steps of broadcasts off their queue."""
    scheduler, functions = deployed.client("scheduler"), deployed.client("lambda")
    physical = deployed.deployment.physical_ids

    def switch(*, on: bool) -> None:
        for name in (physical["RefreshSchedule"], physical["TemplateSyncSchedule"]):
            given = scheduler.get_schedule(Name=name)
            kept = {key: given[key] for key in ("ScheduleExpression", "FlexibleTimeWindow", "Target")}
            scheduler.update_schedule(Name=name, State="ENABLED" if on else "DISABLED", **kept)
        functions.update_event_source_mapping(UUID=physical["BroadcastFunctionStep"], Enabled=on)

    switch(on=False)
    yield
    switch(on=True)


def plant(service: Service, deployed: Deployed) -> None:
    """Give each account its trouble."""
    ssm, path = service.client("ssm"), deployed.deployment.outputs["ParameterPath"]
    credentials = {"type": "app", "app_secret": SECRET}
    parameters = {
        name: ("credentials", json.dumps(credentials | {"app_id": f"wxdoctor-{name}"})) for name in APPS
    }
    for name, (part, value) in (parameters | UNUSABLE).items():
        ssm.put_parameter(Name=f"{path}/doctor-{name}/{part}", Value=value, Type="SecureString")
    for name, fields in APPS.items():
        service.tell("apps", **{"app_id": f"wxdoctor-{name}", "secret": SECRET, **fields})
    send_all_that_fails(service)
    sync = deployed.deployment.outputs["TemplateSyncFunctionName"]
    service.client("lambda").invoke(FunctionName=sync, Payload=b'{"account": "doctor-busy"}')
    schedule = {"rate": "7 days", "enabled": False, "message": EXAMPLES["template"]}
    json_type = {"Content-Type": "application/json"}
    assert (
        call_api(service.state, "PUT", SCHEDULE, json.dumps(schedule).encode(), json_type).status_code == 201
    )
    service.client("sqs").send_message(QueueUrl=service.state.dead_letter_queue_url, MessageBody="unreadable")


def send_all_that_fails(service: Service) -> None:
    """One trouble for each kind of message, because the most of them hold their kind."""

    def send(kind: str, touser: str = "openid", account: str = "busy", **fields: str) -> int:
        message = addressed(EXAMPLES[kind], touser) | fields
        return int(service.post(message, account=f"doctor-{account}").status_code)

    assert send("template", account="well") == 200
    assert send("template") == 502
    assert send("one_time_subscription", touser="errcode-48001") == 502
    # Refused by WeChat: the service does not know the account's templates yet.
    assert send("mini_program_subscription", touser="errcode-40037") == 422
    assert send("subscription", template_id=OF_TEMPLATE_MESSAGES) == 422
    service.tell("quotas", app_id="wxdoctor-busy", path="/cgi-bin/message/subscribe/bizsend", daily=1)
    assert send("subscription") == 429


def forget(service: Service, deployed: Deployed) -> None:
    """Leave nothing of it to other tests."""
    ssm, path = service.client("ssm"), deployed.deployment.outputs["ParameterPath"]
    names = [
        f"{path}/doctor-{n}/{part}" for n in (APPS | UNUSABLE) for part in ("credentials", "access-token")
    ]
    for start in range(0, len(names), 10):
        ssm.delete_parameters(Names=names[start : start + 10])
    call_api(service.state, "DELETE", SCHEDULE)
    service.taken_from(service.state.dead_letter_queue_url)


@pytest.fixture(scope="module")
def findings(service: Service, deployed: Deployed, wxn: CommandLine) -> list[dict[str, Any]]:
    with ExitStack() as planted:
        planted.enter_context(disabled(deployed))
        planted.callback(forget, service, deployed)
        plant(service, deployed)
        result = wxn("doctor", "--json")
        assert result.exit_code == 1, result.stderr
        found: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return found


def test_each_trouble_is_told(findings: list[dict[str, Any]]) -> None:
    assert {(finding.get("account"), finding["name"]) for finding in findings} >= TOLD


def test_address_is_told(findings: list[dict[str, Any]]) -> None:
    (told,) = [finding["next"] for finding in findings if finding["name"] == "ip-not-whitelisted"]
    assert told.startswith("Put 127.0.0.1 on the IP whitelist of doctor-address")


def test_healthy_account_has_none(findings: list[dict[str, Any]]) -> None:
    assert [finding for finding in findings if finding.get("account") == "doctor-well"] == []


def test_no_secret_is_told(findings: list[dict[str, Any]]) -> None:
    """Neither a secret nor what stands where a secret should."""
    told = json.dumps(findings)
    assert SECRET not in told
    assert "hunter2" not in told


def as_another(service: Service, folder: Path, **changes: str) -> CommandLine:
    """``wxn`` beside a file that names the stack or its keys otherwise."""
    service.state.write(folder / STATE_FILE)
    (folder / STATE_FILE).write_text(json.dumps(json.loads((folder / STATE_FILE).read_text()) | changes))
    return CommandLine(folder)


def test_denied_action_is_told(service: Service, tmp_path: Path) -> None:
    iam = service.client("iam")
    iam.create_user(UserName="doctor")
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["dynamodb:DescribeTable", "sqs:GetQueueAttributes"], "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="doctor", PolicyName="doctor", PolicyDocument=policy)
    keys = iam.create_access_key(UserName="doctor")["AccessKey"]
    wxn = as_another(
        service, tmp_path, access_key_id=keys["AccessKeyId"], secret_access_key=keys["SecretAccessKey"]
    )

    found = json.loads(wxn("doctor", "--account", service.state.account, "--json").stdout)["findings"]

    denied = {finding["subject"] for finding in found if finding["name"] == "missing-permission"}
    assert denied == {"dynamodb:DescribeTable", "sqs:GetQueueAttributes"}


def test_stack_that_is_not_there(service: Service, tmp_path: Path) -> None:
    result = as_another(service, tmp_path, stack_name="elsewhere")("doctor")

    assert result.exit_code == 1
    assert "critical stack-not-found\n  There is no stack elsewhere in us-east-1." in result.stdout
