"""What each role of the template may do, and who may assume it."""

import json

import pytest

from tests.unit.template.conftest import FUNCTIONS, SENDERS, Stack, deployed

ACCOUNTS = "arn:aws:ssm:eu-west-1:123456789012:parameter/wechat-notify/dev/accounts"
CANARY = "arn:aws:ssm:eu-west-1:123456789012:parameter/wechat-notify/dev/canary"
API = "arn:aws:execute-api:eu-west-1:123456789012:<HttpApi>/$default"


def test_actions_of_each_role() -> None:
    stack = deployed()
    log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    publish = {"events:PutEvents"}
    ledger = {"dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:BatchGetItem"}
    write_groups = {"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}
    token = {"ssm:GetParameter", "lambda:InvokeFunction"}
    key = {"secretsmanager:GetSecretValue"}
    send = {"sqs:SendMessage"} | token | ledger | publish | log | key
    calls = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility")
    take = {f"sqs:{call}" for call in calls}
    files = {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}
    schedules = {f"scheduler:{verb}Schedule" for verb in ("Create", "Update", "Get", "Delete")}
    assert {
        role: {action for statement in stack.statements(role) for action in statement["Action"]}
        for role in stack.roles
    } == {
        "SendApiRole": send,
        "SendQueueRole": send | write_groups | take,
        "SendBroadcastRole": send | write_groups | take,
        "BroadcastRole": {"ssm:DescribeParameters", "sqs:SendMessage", "s3:AbortMultipartUpload"}
        | take
        | ledger
        | files
        | publish
        | log,
        "TeamApiRole": send
        | files
        | schedules
        | {"dynamodb:Query", "scheduler:ListSchedules", "iam:PassRole"},
        "TemplateSyncRole": {
            "ssm:DescribeParameters",
            "ssm:GetParameter",
            "dynamodb:PutItem",
            "dynamodb:GetItem",
            *write_groups,
            *log,
        },
        "CallbackRole": {"ssm:DescribeParameters", "ssm:GetParameter", "sqs:SendMessage"} | log,
        "CallbackEventsRole": {
            "dynamodb:Query",
            "dynamodb:DeleteItem",
            "sqs:SendMessage",
            "ssm:PutParameter",
            *write_groups,
        }
        | key
        | token
        | take
        | ledger
        | publish
        | log,
        "TokenRefreshRole": {f"ssm:GetParameter{which}" for which in ("", "s", "sByPath")}
        | {"ssm:PutParameter", "ssm:DeleteParameters"}
        | publish
        | log,
        "CanaryRole": {"ssm:GetParameter", "execute-api:Invoke"} | log,
        "ScheduleRole": {"sqs:SendMessage"},
        "DeploymentRole": {
            "lambda:GetAlias",
            "lambda:UpdateAlias",
            "lambda:GetProvisionedConcurrencyConfig",
            "cloudwatch:DescribeAlarms",
        },
        "RefreshScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
        "TemplateSyncScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
    }


def test_functions_have_their_own_roles(stack: Stack) -> None:
    """And none of them a managed basic policy."""
    assert len({stack.role_of(function) for function in FUNCTIONS}) == len(FUNCTIONS)
    assert "BasicExecutionRole" not in json.dumps(stack.resources)


ROLES = tuple(name.replace("Function", "Role") for name in FUNCTIONS)
SENDING = ROLES[:3]
SCHEDULED = {
    "RefreshScheduleRole": "<TokenRefreshFunctionAliaslive>",
    "TemplateSyncScheduleRole": "<TemplateSyncFunctionAliaslive>",
}
LOGS = {role: f"<{role.removesuffix('Role')}LogGroup.Arn>" for role in ROLES}


@pytest.mark.parametrize(
    ("actions", "reached"),
    [
        (
            "dynamodb:[!QD]*",
            dict.fromkeys(set(ROLES) - {"TokenRefreshRole", "CallbackRole", "CanaryRole"}, "<Ledger.Arn>"),
        ),
        ("dynamodb:Delete*", {"CallbackEventsRole": "<Ledger.Arn>"}),
        ("s3:[GPA]*", dict.fromkeys(("BroadcastRole", "TeamApiRole"), "<BroadcastBucket.Arn>/*")),
        (
            "secretsmanager:*",
            dict.fromkeys((*SENDING, "TeamApiRole", "CallbackEventsRole"), "<OpenidHashKey.Id>"),
        ),
        ("iam:PassRole", {"TeamApiRole": "<ScheduleRole.Arn>"}),
        (
            "events:PutEvents",
            dict.fromkeys(set(ROLES) - {"TemplateSyncRole", "CallbackRole", "CanaryRole"}, "<EventBus.Arn>"),
        ),
        ("logs:PutLogEvents", LOGS),
    ],
)
def test_one_resource_and_no_other(stack: Stack, actions: str, reached: dict[str, str]) -> None:
    assert stack.resources_for(actions) == {role: [resource] for role, resource in reached.items()}


def test_aliases_that_roles_invoke(stack: Stack) -> None:
    """Functions may invoke token_refresh itself too: an older version, which has the same role, does."""
    asking = (*SENDING, "TeamApiRole", "CallbackEventsRole")
    assert stack.resources_for("lambda:InvokeFunction") == {
        **{role: [alias] for role, alias in SCHEDULED.items()},
        **{role: ["<TokenRefreshFunctionAliaslive>", "<TokenRefreshFunction.Arn>"] for role in asking},
    }


def test_consents_alone_are_deleted(stack: Stack) -> None:
    (statement,) = (
        each for each in stack.statements("CallbackEventsRole") if "dynamodb:DeleteItem" in each["Action"]
    )
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["consents#*"]}}


def test_parameters_that_roles_write(stack: Stack) -> None:
    written = ("access-token", "component-access-token", "refresh-token", "ticket-request", "credentials")
    assert stack.resources_for("ssm:Put*") == {
        "CallbackEventsRole": [f"{ACCOUNTS}/*/ticket"],
        "TokenRefreshRole": [f"{ACCOUNTS}/*/{name}" for name in written],
    }
    assert stack.resources_for("ssm:Delete*") == {
        "TokenRefreshRole": [f"{ACCOUNTS}/*/{name}" for name in ("access-token", "refresh-token")]
    }


def test_indexes_that_roles_read(stack: Stack) -> None:
    assert stack.resources_for("dynamodb:Query") == {
        "TeamApiRole": ["<Ledger.Arn>/index/listed"],
        "CallbackEventsRole": ["<Ledger.Arn>/index/receipts"],
    }


def test_door_reads_callback_keys_alone(stack: Stack) -> None:
    """It answers strangers."""
    assert stack.resources_for("ssm:GetParameter")["CallbackRole"] == [f"{ACCOUNTS}/*/callback"]
    for name in ("credentials", "access-token"):
        assert not stack.allows("CallbackFunction", "ssm:GetParameter", f"{ACCOUNTS}/shop/{name}")


@pytest.mark.parametrize("sender", [*SENDERS, "TeamApiFunction", "TemplateSyncFunction"])
def test_senders_read_no_credentials(stack: Stack, sender: str) -> None:
    assert stack.allows(sender, "ssm:GetParameter", f"{ACCOUNTS}/shop/access-token")
    secret = ("credentials", "component-access-token", "refresh-token", "ticket")
    for action in ("", "s", "History", "sByPath"):
        for name in (*(f"{ACCOUNTS}/shop/{each}" for each in secret), ACCOUNTS):
            assert not stack.allows(sender, f"ssm:GetParameter{action}", name)


@pytest.mark.parametrize(
    ("queue", "roles"),
    [
        ("SendQueue", {"SendApiRole", "SendQueueRole", "ScheduleRole"}),
        ("BroadcastQueue", {"SendBroadcastRole", "BroadcastRole"}),
        ("BroadcastStepQueue", {"BroadcastRole", "TeamApiRole", "ScheduleRole"}),
        ("DeadLetterQueue", {"SendQueueRole", "SendBroadcastRole"}),
        ("CallbackQueue", {"CallbackRole", "CallbackEventsRole"}),
        ("CallbackDeadLetterQueue", set()),
        ("EventDeadLetterQueue", {"RefreshScheduleRole", "TemplateSyncScheduleRole", "ScheduleRole"}),
    ],
)
def test_queues_are_reached_by_their_roles(stack: Stack, queue: str, roles: set[str]) -> None:
    assert {role for role in stack.roles if f"<{queue}.Arn>" in json.dumps(stack.statements(role))} == roles
    assert not stack.allows("SendApiFunction", "sqs:ReceiveMessage", "<SendQueue.Arn>")
    assert not stack.allows("CallbackFunction", "sqs:ReceiveMessage", "<CallbackQueue.Arn>")


def test_templates_have_keys_of_their_own(stack: Stack) -> None:
    (statement,) = stack.statements("TemplateSyncRole", "dynamodb:*")
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["templates#*"]}}


@pytest.mark.parametrize(
    "function", sorted(set(FUNCTIONS) - {"TemplateSyncFunction", "CallbackFunction", "CanaryFunction"})
)
def test_functions_publish_in_own_name(stack: Stack, function: str) -> None:
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
