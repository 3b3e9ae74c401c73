"""The calls that the template's policies are for.

Most are in ``calls.json``: what the functions asked for in the end-to-end tests, where the emulator enforces
the policies and keeps a record. ``RENEW_CALLS=1 pytest tests/e2e`` writes it. What AWS itself does for a
function, and what happens only when something fails, is said here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.permissions.policies import OPERATOR, Call
from tests.unit.template.conftest import REGIONS, Stack

CALLS: Final = Path(__file__).with_name("calls.json")
REGION: Final = REGIONS["aws"]
ACCOUNT: Final = "123456789012"
_STAGE: Final = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/wechat-notify/dev"
_PARAMETERS: Final = f"{_STAGE}/accounts"
_CANARY: Final = f"{_STAGE}/canary"
_API: Final = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:<HttpApi>/$default"
_SCHEDULES: Final = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/<ScheduleGroup>"

Recorded = dict[str, dict[str, list[str]]]
"""By role and action the resources: ``<Ledger.Arn>``, ``parameter:shop/ticket``, ``schedule:name``, ``*``."""

CONTEXTS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("*", "events:PutEvents"): {"events:source": "wechat-notify"},
    ("TemplateSyncRole", "dynamodb:*"): {"dynamodb:LeadingKeys": ["templates#shop"]},
    ("codedeploy.amazonaws.com", "sts:AssumeRole"): {"aws:SourceAccount": ACCOUNT},
    ("CallbackEventsRole", "dynamodb:DeleteItem"): {
        "dynamodb:LeadingKeys": ["consents#shop#9f2c41d07a3be85c"]
    },
    ("*", "iam:PassRole"): {"iam:PassedToService": "scheduler.amazonaws.com"},
    ("TokenRefreshRole", "ec2:*"): {"lambda:SourceFunctionArn": ""},  # Lambda's own calls have none
}
"""What is known of a principal's calls beside their resource. The emulator enforces the first two."""

FOREIGN: Final[dict[str, Any]] = {
    "events:source": "somebody-else",
    "dynamodb:LeadingKeys": ["message#shop#1"],
    "iam:PassedToService": "lambda.amazonaws.com",
    "lambda:SourceFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:stack-TokenRefreshFunction-1",
    "aws:SourceAccount": "999999999999",
    "aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/another/rule",
    "aws:SecureTransport": "false",
}
"""A value for each of these keys with which the same call must be denied."""


class MadeElsewhere(NamedTuple):
    """Calls that the end-to-end tests do not see."""

    principal: str
    actions: tuple[str, ...]
    resource: str
    why: str
    """A page of AWS, or the test in which the function makes the call."""


_ATTACHING: Final = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets")
_DETACHING: Final = ("DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
_S3: Final = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"
_SCHEDULER: Final = "https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html"
_CODE_DEPLOY: Final = (
    "https://docs.aws.amazon.com/codedeploy/latest/userguide/getting-started-create-service-role.html"
)
_CHECK: Final = "tests/unit/functions/deployment_check/test_handler.py::test_handlers_pass"
SHIFTED: Final = (
    *("SendApiFunction", "SendQueueFunction", "SendBroadcastFunction"),
    *("TeamApiFunction", "CallbackFunction", "CallbackEventsFunction"),
)
"""Functions whose aliases are moved gradually."""
MADE_ELSEWHERE: Final = (
    MadeElsewhere(
        "TokenRefreshRole",
        tuple(f"ec2:{name}" for name in (*_ATTACHING, *_DETACHING)),
        "*",
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html",
    ),
    MadeElsewhere(
        "TeamApiRole",
        ("iam:PassRole",),
        "<ScheduleRole.Arn>",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
    ),
    # Without the right to list, a file that is not there is 403.
    MadeElsewhere("TeamApiRole", ("s3:ListBucket",), "<BroadcastBucket.Arn>", _S3),
    MadeElsewhere("BroadcastRole", ("s3:ListBucket",), "<BroadcastBucket.Arn>", _S3),
    MadeElsewhere(
        "BroadcastRole",
        ("s3:AbortMultipartUpload",),
        "<BroadcastBucket.Arn>/file",
        "tests/integration/aws/test_objects.py::test_composed_of_a_missing_part",
    ),
    MadeElsewhere(
        "BroadcastRole",
        ("sqs:ChangeMessageVisibility",),
        "<BroadcastStepQueue.Arn>",
        "tests/unit/functions/broadcast/test_handler.py::test_failures_are_further_and_further_apart",
    ),
    MadeElsewhere(
        "CanaryRole",
        ("execute-api:Invoke",),
        f"{_API}/GET/v1/accounts/shop/messages/canary-20260301T070500Z",
        "tests/unit/functions/canary/test_handler.py::test_receipt_is_awaited",
    ),
    MadeElsewhere("codedeploy.amazonaws.com", ("sts:AssumeRole",), "<DeploymentRole.Arn>", _CODE_DEPLOY),
    MadeElsewhere("DeploymentRole", ("cloudwatch:DescribeAlarms",), "*", _CODE_DEPLOY),
    MadeElsewhere(
        "DeploymentRole", ("lambda:InvokeFunction",), "<DeploymentCheckFunction.Arn>", _CODE_DEPLOY
    ),
    *(
        MadeElsewhere(
            "DeploymentRole",
            ("lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"),
            f"<{function}.Arn>:live",
            _CODE_DEPLOY,
        )
        for function in SHIFTED
    ),
    *(
        MadeElsewhere("DeploymentCheckRole", ("lambda:InvokeFunction",), f"<{function}.Arn>:7", _CHECK)
        for function in SHIFTED
    ),
    MadeElsewhere(
        "DeploymentCheckRole",
        (
            "codedeploy:ListDeploymentTargets",
            "codedeploy:BatchGetDeploymentTargets",
            "codedeploy:PutLifecycleEventHookExecutionStatus",
        ),
        f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentgroup:stack-application/group",
        _CHECK,
    ),
    # By versions of the release before aliases, which have the same roles as the new ones.
    *(
        MadeElsewhere(
            role,
            ("lambda:InvokeFunction",),
            "<TokenRefreshFunction.Arn>",
            "tests/unit/template/test_permissions.py::test_aliases_that_roles_invoke",
        )
        for role in ("SendApiRole", "SendQueueRole", "SendBroadcastRole", "TeamApiRole", "CallbackEventsRole")
    ),
    MadeElsewhere(
        "CallbackEventsRole",
        ("dynamodb:PartiQLInsert",),
        "<Ledger.Arn>",
        "tests/integration/aws/test_ledger_table.py::test_a_group_is_one_call",
    ),
    MadeElsewhere(
        "CallbackEventsRole",
        ("secretsmanager:GetSecretValue",),
        "<OpenidHashKey.Id>",
        "tests/unit/functions/callback_events/test_handler.py"
        "::test_receipt_of_a_lost_answer_is_found_after_a_rotation",
    ),
    MadeElsewhere("ScheduleRole", ("sqs:SendMessage",), "<SendQueue.Arn>", _SCHEDULER),
    MadeElsewhere("ScheduleRole", ("sqs:SendMessage",), "<BroadcastStepQueue.Arn>", _SCHEDULER),
    MadeElsewhere("ScheduleRole", ("sqs:SendMessage",), "<EventDeadLetterQueue.Arn>", _SCHEDULER),
)


def recorded() -> Recorded:
    found: Recorded = json.loads(CALLS.read_text("utf-8"))
    return found


def write(calls: Recorded) -> None:
    """Replace the file; one line for each action."""
    roles = [
        f"  {json.dumps(role)}: {{\n"
        + ",\n".join(f"    {json.dumps(a)}: {json.dumps(sorted(actions[a]))}" for a in sorted(actions))
        + "\n  }"
        for role, actions in sorted(calls.items())
    ]
    CALLS.write_text("{\n" + ",\n".join(roles) + "\n}\n", "utf-8")


def calls(stack: Stack) -> list[Call]:
    """All calls that the stack's policies must allow."""
    found = recorded_calls()
    found += [
        Call(made.principal, action, made.resource, context(made.principal, action))
        for made in MADE_ELSEWHERE
        for action in made.actions
        if not action.startswith("ec2:") or "VpcConfig" in stack["TokenRefreshFunction"]
    ]
    found += [
        *_of_functions(stack),
        *_of_schedules(stack),
        *_of_rules(stack),
        *_of_alarms(stack),
        *_over_tls(stack),
    ]
    return list(dict.fromkeys(found))


def recorded_calls() -> list[Call]:
    """Those of ``calls.json``."""
    return [
        Call(role, action, resource(word), context(role, action))
        for role, actions in recorded().items()
        for action, words in actions.items()
        for word in words
    ]


def foreign(among: Iterable[Call]) -> Iterator[Call]:
    """The same calls in somebody else's name, all of which must be denied."""
    for call in among:
        for key in call.context:
            yield Call(call.principal, call.action, call.resource, {**call.context, key: FOREIGN[key]})


def resource(word: str) -> str:
    """The ARN, as the rendered template has it, for a word of ``calls.json``."""
    kind, _, name = word.partition(":")
    if kind == "parameter":
        return f"{_PARAMETERS}/{name}".rstrip("/")
    if kind == "canary":
        return _CANARY
    if kind == "api":
        return f"{_API}/{name}"
    return f"{_SCHEDULES}/{name}" if kind == "schedule" else word


_WORDS: Final = {
    r"arn:aws:ssm:.*:parameter/wechat-notify/[^/]+/canary": "canary:",
    r"arn:aws:ssm:.*:parameter/wechat-notify/[^/]+/accounts": "parameter:",
    r"arn:aws:ssm:.*:parameter/wechat-notify/[^/]+/accounts/[^/]+/([^/]+)": r"parameter:shop/\1",
    r"arn:aws:secretsmanager:.*": "<OpenidHashKey.Id>",  # the only one
    r"arn:aws:scheduler:.*:schedule/[^/]+/.+": "schedule:name",
    r"arn:aws:execute-api:[^/]*/\$default/(\w+)/v1/accounts/[^/]+/(\w+)": r"api:\1/v1/accounts/shop/\2",
}


def word(arn: str, known: dict[str, str]) -> str:
    """The word for an ARN that the emulator was asked about; ``known`` are names by the stack's ARNs."""
    for own, name in known.items():
        if re.match(rf"{re.escape(own)}([/:]|$)", arn):
            return _word_of_part(name, arn.removeprefix(own))
    for pattern, told in _WORDS.items():
        if re.fullmatch(pattern, arn):
            return re.sub(pattern, told, arn)
    return arn


def _word_of_part(resource_name: str, part: str) -> str:
    """The word for a resource, its alias, one of its indexes or any file in it."""
    if part == ":live":
        return f"<{resource_name}Aliaslive>"
    return f"<{resource_name}.Arn>{part if not part or part.startswith('/index/') else '/file'}"


def context(principal: str, action: str) -> dict[str, Any]:
    """What is known of a principal's call beside its resource."""
    for (principals, actions), known in CONTEXTS.items():
        if principals in ("*", principal) and re.fullmatch(actions.replace("*", ".*"), action):
            return known
    return {}


def _of_functions(stack: Stack) -> Iterator[Call]:
    """Lambda takes on the role, writes the log and the traces, and takes messages from the queues.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    functions = stack.of_type("AWS::Lambda::Function")
    for function, properties in functions.items():
        role = stack.role_of(function)
        yield Call("lambda.amazonaws.com", "sts:AssumeRole", f"<{role}.Arn>")
        group = properties["LoggingConfig"]["LogGroup"].strip("<>")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            yield Call(role, action, f"<{group}.Arn>")
        if properties["TracingConfig"] == {"Mode": "Active"}:
            for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords"):
                yield Call(role, action, "*")
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            role = stack.role_of(mapping["FunctionName"].strip("<>").removesuffix("Aliaslive"))
            yield Call(role, action, mapping["EventSourceArn"])


def _of_schedules(stack: Stack) -> Iterator[Call]:
    """Scheduler takes on the role, calls the target, and puts aside what it could not deliver.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    default = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default"
    groups = {"ScheduleRole": "<ScheduleGroup.Arn>"}
    for schedule in stack.of_type("AWS::Scheduler::Schedule").values():
        target = schedule["Target"]
        role = target["RoleArn"].removeprefix("<").removesuffix(".Arn>")
        groups[role] = default
        yield Call(role, "lambda:InvokeFunction", target["Arn"])
        yield Call(role, "sqs:SendMessage", target["DeadLetterConfig"]["Arn"])
    for role, group in groups.items():
        named = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": group}
        yield Call("scheduler.amazonaws.com", "sts:AssumeRole", f"<{role}.Arn>", named)


def _of_rules(stack: Stack) -> Iterator[Call]:
    """EventBridge delivers by the policies of its targets, and of the queue for what it could not deliver.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    for name, rule in stack.of_type("AWS::Events::Rule").items():
        named = {"aws:SourceArn": f"<{name}.Arn>"}
        for target in rule["Targets"]:
            yield Call("events.amazonaws.com", "sqs:SendMessage", target["DeadLetterConfig"]["Arn"], named)
            if ":log-group:" not in target["Arn"]:
                yield Call("events.amazonaws.com", "sqs:SendMessage", target["Arn"], named)
                continue
            # Both names write: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
            stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/stack:log-stream:1"
            by_rule = {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/<EventBus>/rule"}
            for service in ("events.amazonaws.com", "delivery.logs.amazonaws.com"):
                yield Call(service, "logs:CreateLogStream", stream)
                yield Call(service, "logs:PutLogEvents", stream, by_rule)


def _of_alarms(stack: Stack) -> Iterator[Call]:
    """CloudWatch publishes by the policies of the topic and of its key, which IAM leaves to the account.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:stack-QueueStalledAlarm-1"
    named = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": alarm}
    for topic, properties in stack.of_type("AWS::SNS::Topic").items():
        key = properties["KmsMasterKeyId"].replace(">", ".Arn>")
        yield Call("cloudwatch.amazonaws.com", "sns:Publish", f"<{topic}>", named)
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            yield Call("cloudwatch.amazonaws.com", action, key, named)
        yield Call(f"arn:aws:iam::{ACCOUNT}:root", "kms:PutKeyPolicy", key)


def _over_tls(stack: Stack) -> Iterator[Call]:
    """Whoever may do everything may do nothing in plain text."""
    over = {"aws:SecureTransport": "true"}
    for queue in stack.of_type("AWS::SQS::Queue"):
        yield Call(OPERATOR, "sqs:ReceiveMessage", f"<{queue}.Arn>", over)
    for secret in stack.of_type("AWS::SecretsManager::Secret"):
        yield Call(OPERATOR, "secretsmanager:GetSecretValue", f"<{secret}.Id>", over)
    for topic in stack.of_type("AWS::SNS::Topic"):
        yield Call(OPERATOR, "sns:Publish", f"<{topic}>", over)
    for bucket in stack.of_type("AWS::S3::Bucket"):
        yield Call(OPERATOR, "s3:ListBucket", f"<{bucket}.Arn>", over)
        yield Call(OPERATOR, "s3:GetObject", f"<{bucket}.Arn>/file", over)
