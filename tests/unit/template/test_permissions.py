"""What each role of the template may do, and who may assume it."""

import json
import re

import pytest

from tests.unit.template.conftest import FUNCTIONS, SENDERS, Stack, deployed

ACCOUNTS = "arn:aws:ssm:eu-west-1:123456789012:parameter/wechat-notify/dev/accounts"


def test_actions_of_each_role() -> None:
    stack = deployed()
    log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    publish = {"events:PutEvents"}
    ledger = {"dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:BatchGetItem"}
    write_groups = {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}
    send = {"ssm:GetParameter", "lambda:InvokeFunction", "sqs:SendMessage"} | ledger | publish
    take = {"ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility"}
    read = {"ssm:GetParametersByPath", "ssm:GetParameters"}
    assert {
        role: {action for statement in stack.statements(role) for action in statement["Action"]}
        for role in stack.roles
    } == {
        "SendApiRole": send | log,
        "SendQueueRole": send | write_groups | {f"sqs:{action}" for action in take} | log,
        "TemplateSyncRole": {"ssm:DescribeParameters", "ssm:GetParameter"}
        | {"dynamodb:PutItem", "dynamodb:GetItem"}
        | write_groups
        | log,
        "TokenRefreshRole": read | {"ssm:PutParameter"} | publish | log,
        "ScheduleRole": {"sqs:SendMessage"},
        "RefreshScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
        "TemplateSyncScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
    }


def test_no_patterns_and_no_everything(stack: Stack) -> None:
    own = re.compile(rf"<\w+\.Arn>|{ACCOUNTS}(/.+)?")
    for statement in (each for role in stack.roles for each in stack.statements(role)):
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource"} & statement.keys()
        assert not [action for action in statement["Action"] if "*" in action]
        if all(action.startswith(("xray:", "ec2:")) for action in statement["Action"]):
            continue  # X-Ray and the network interfaces of a function know no resources for these
        if statement["Action"] == ["ssm:DescribeParameters"]:
            continue  # names of parameters, without values; it knows no resources either
        assert all(own.fullmatch(resource) for resource in statement["Resource"])


def test_functions_have_their_own_roles(stack: Stack) -> None:
    """And none of them a managed basic policy."""
    assert len({stack.role_of(function) for function in FUNCTIONS}) == len(FUNCTIONS)
    assert "BasicExecutionRole" not in json.dumps(stack.resources)


ROLES = ("SendApiRole", "SendQueueRole", "TemplateSyncRole", "TokenRefreshRole")
OF_SENDERS = dict.fromkeys(ROLES[:3], "<Ledger.Arn>")
INVOKERS = {
    **dict.fromkeys((*ROLES[:2], "RefreshScheduleRole"), "<TokenRefreshFunction.Arn>"),
    "TemplateSyncScheduleRole": "<TemplateSyncFunction.Arn>",
}
LOGS = {role: f"<{role.removesuffix('Role')}LogGroup.Arn>" for role in ROLES}


@pytest.mark.parametrize(
    ("actions", "reached"),
    [
        ("ssm:[!GD]*", {"TokenRefreshRole": f"{ACCOUNTS}/*/access-token"}),
        ("dynamodb:*", OF_SENDERS),
        ("lambda:InvokeFunction", INVOKERS),
        ("events:PutEvents", dict.fromkeys((*ROLES[:2], ROLES[3]), "<EventBus.Arn>")),
        ("logs:PutLogEvents", LOGS),
    ],
)
def test_one_resource_and_no_other(stack: Stack, actions: str, reached: dict[str, str]) -> None:
    assert stack.resources_for(actions) == {role: [resource] for role, resource in reached.items()}


@pytest.mark.parametrize("sender", [*SENDERS, "TemplateSyncFunction"])
def test_senders_read_no_credentials(stack: Stack, sender: str) -> None:
    assert stack.allows(sender, "ssm:GetParameter", f"{ACCOUNTS}/shop/access-token")
    for action in ("", "s", "History", "sByPath"):
        for name in (f"{ACCOUNTS}/shop/credentials", ACCOUNTS):
            assert not stack.allows(sender, f"ssm:GetParameter{action}", name)


@pytest.mark.parametrize(
    ("queue", "roles"),
    [
        ("SendQueue", {"SendApiRole", "SendQueueRole", "ScheduleRole"}),
        ("DeadLetterQueue", {"SendQueueRole"}),
        ("EventDeadLetterQueue", {"RefreshScheduleRole", "TemplateSyncScheduleRole"}),
    ],
)
def test_queues_are_reached_by_their_roles(stack: Stack, queue: str, roles: set[str]) -> None:
    assert {role for role in stack.roles if f"<{queue}.Arn>" in json.dumps(stack.statements(role))} == roles
    assert not stack.allows("SendApiFunction", "sqs:ReceiveMessage", "<SendQueue.Arn>")


def test_templates_have_keys_of_their_own(stack: Stack) -> None:
    (statement,) = stack.statements("TemplateSyncRole", "dynamodb:*")
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["templates#*"]}}


def test_functions_publish_in_own_name(stack: Stack) -> None:
    for function in FUNCTIONS:
        if function == "TemplateSyncFunction":
            continue  # it publishes nothing
        (statement,) = stack.statements(stack.role_of(function), "events:PutEvents")
        assert statement["Condition"] == {"StringEquals": {"events:source": "wechat-notify"}}


@pytest.mark.parametrize(
    ("role", "group"),
    [
        ("ScheduleRole", "<ScheduleGroup.Arn>"),
        ("RefreshScheduleRole", "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/default"),
        ("TemplateSyncScheduleRole", "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/default"),
    ],
)
def test_scheduler_roles_serve_one_group(stack: Stack, role: str, group: str) -> None:
    (statement,) = stack[role]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": group},
    }
