"""What the template promises of the ledger, the queues, the events, the HTTP API and logs."""

import json
import re

import pytest

from functions.callback_events import handler as callback_events
from functions.send_api import handler as send_api
from functions.team_api import handler as team_api
from tests.unit.template.conftest import FUNCTIONS, PARAMETERS, REGIONS, SENDERS, Node, Stack, deployed

MESSAGES = ("SendQueue", "BroadcastQueue")
TAKEN = (*MESSAGES, "BroadcastStepQueue")
PUT_ASIDE = ("DeadLetterQueue", "EventDeadLetterQueue", "CallbackDeadLetterQueue")
QUEUES = (*TAKEN, "CallbackQueue", *PUT_ASIDE)


def test_ledger_forgets_and_outlives_stack(stack: Stack) -> None:
    assert stack.only("AWS::DynamoDB::Table") == {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "listed", "AttributeType": "S"},
            {"AttributeName": "created_at", "AttributeType": "N"},
            {"AttributeName": "receipt_key", "AttributeType": "S"},
            {"AttributeName": "openid_hash", "AttributeType": "S"},
            {"AttributeName": "account", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "listed",
                "KeySchema": [
                    {"AttributeName": "listed", "KeyType": "HASH"},
                    {"AttributeName": "created_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["kind"]},
            },
            {
                "IndexName": "receipts",
                "KeySchema": [{"AttributeName": "receipt_key", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": "people",
                "KeySchema": [
                    {"AttributeName": "openid_hash", "KeyType": "HASH"},
                    {"AttributeName": "account", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        "DeletionProtectionEnabled": False,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
    }
    ledger = stack.resources["Ledger"]
    assert (ledger["DeletionPolicy"], ledger["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


# Queues


def test_visibility_covers_retries_and_window(stack: Stack) -> None:
    """Six timeouts, as Lambda asks for, and the longest window."""
    window = PARAMETERS["BatchWindow"]["MaxValue"]
    for function, queue in zip(SENDERS[1:], MESSAGES, strict=True):
        assert stack[queue]["VisibilityTimeout"] >= 6 * stack[function]["Timeout"] + window


def test_callbacks_are_not_taken_twice(stack: Stack) -> None:
    function, queue = stack["CallbackEventsFunction"], stack["CallbackQueue"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + 1


def test_step_comes_again_soon(stack: Stack) -> None:
    """After its function died; one that is done twice does no harm."""
    timeout = stack["BroadcastFunction"]["Timeout"]
    assert timeout < stack["BroadcastStepQueue"]["VisibilityTimeout"] <= timeout + 30


def test_files_are_kept_safe_and_expire() -> None:
    stack = deployed(BroadcastRetentionDays="3")
    bucket = stack["BroadcastBucket"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], str(rule["ExpirationInDays"])) == ("Enabled", "3")
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (statement,) = stack["BroadcastBucketPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*")
    assert statement["Resource"] == ["<BroadcastBucket.Arn>", "<BroadcastBucket.Arn>/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_failed_messages_return_one_by_one(stack: Stack) -> None:
    mappings = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    returning = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
    sending = returning | {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0}
    receipts = returning | {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 1}
    assert sorted(mappings, key=lambda mapping: str(mapping["FunctionName"])) == [
        {
            "EventSourceArn": f"<{queue}.Arn>",
            "FunctionName": f"<{function}Aliaslive>",
            "ScalingConfig": {"MaximumConcurrency": concurrency},
            **options,
        }
        for function, queue, concurrency, options in (
            ("BroadcastFunction", "BroadcastStepQueue", 10, returning | {"BatchSize": 1}),
            ("CallbackEventsFunction", "CallbackQueue", 10, receipts),
            ("SendBroadcastFunction", "BroadcastQueue", 5, sending),
            ("SendQueueFunction", "SendQueue", 10, sending),
        )
    ]


def test_queues_encrypt_keep_and_redrive(stack: Stack) -> None:
    assert stack.of_type("AWS::SQS::Queue").keys() == set(QUEUES)
    for queue in QUEUES:
        assert stack[queue]["SqsManagedSseEnabled"] is True
        days = 4 if queue == "CallbackQueue" else 14  # it holds openids
        assert stack[queue]["MessageRetentionPeriod"] == days * 24 * 3600
    for queue in TAKEN:
        assert stack[queue]["RedrivePolicy"] == {
            "deadLetterTargetArn": "<DeadLetterQueue.Arn>",
            "maxReceiveCount": 1000,  # the most: giving up is the ledger's part
        }
    assert stack["CallbackQueue"]["RedrivePolicy"] == {
        "deadLetterTargetArn": "<CallbackDeadLetterQueue.Arn>",
        "maxReceiveCount": 10,
    }
    assert len(callback_events.PAUSES) + 1 < 10  # a receipt comes again by itself, too

    def by(*queues: str) -> Node:
        arns = [f"arn:aws:sqs:eu-west-1:123456789012:{stack[queue]['QueueName']}" for queue in queues]
        return {"redrivePermission": "byQueue", "sourceQueueArns": arns}

    assert [stack[queue]["RedriveAllowPolicy"] for queue in PUT_ASIDE] == [
        by(*TAKEN),
        {"redrivePermission": "denyAll"},
        by("CallbackQueue"),
    ]


RULES = {
    "SendQueue": "<MessageRequestedRule.Arn>",
    "EventDeadLetterQueue": ["<MessageRequestedRule.Arn>", "<EventLogRule.Arn>"],
}


@pytest.mark.parametrize("queue", QUEUES)
def test_policy_of_a_queue(stack: Stack, queue: str) -> None:
    """Plain HTTP is denied, and from outside only the rules of this stack are admitted."""
    policies = stack.of_type("AWS::SQS::QueuePolicy").values()
    (policy,) = (each["PolicyDocument"] for each in policies if f"<{queue}>" in each["Queues"])
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": f"<{queue}.Arn>",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    admitted = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": f"<{queue}.Arn>",
        "Condition": {"ArnEquals": {"aws:SourceArn": RULES.get(queue)}},
    }
    statements = [{k: v for k, v in each.items() if k != "Sid"} for each in policy["Statement"]]
    assert statements == ([admitted, denied] if queue in RULES else [denied])


# Events


def test_event_targets_have_dead_letters(stack: Stack) -> None:
    """And say how often they retry."""
    targets = list(stack.event_targets())
    assert len(targets) == 4
    for target in targets:
        assert target["DeadLetterConfig"] == {"Arn": "<EventDeadLetterQueue.Arn>"}
        assert target["RetryPolicy"].keys() == {"MaximumEventAgeInSeconds", "MaximumRetryAttempts"}


@pytest.mark.parametrize(
    ("name", "pattern", "arn"),
    [
        ("MessageRequestedRule", {"detail-type": ["WeChat Message Requested"]}, "<SendQueue.Arn>"),
        (
            "EventLogRule",
            {"source": ["wechat-notify"], "detail-type": [{"anything-but": "WeChat Message Requested"}]},
            # With the ":*" at the end of GetAtt's ARN it deploys, and no event arrives.
            "arn:aws:logs:eu-west-1:123456789012:log-group:<EventLogGroup>",
        ),
    ],
)
def test_bus_hands_over_whole_events(stack: Stack, name: str, pattern: Node, arn: str) -> None:
    rule = stack.of_type("AWS::Events::Rule")[name]
    assert rule["EventBusName"] == "<EventBus>"
    assert rule["EventPattern"] == pattern
    (target,) = rule["Targets"]
    assert target["Arn"] == arn
    assert not target.keys() & {"Input", "InputPath", "InputTransformer", "SqsParameters", "RoleArn"}


@pytest.mark.parametrize(
    ("name", "rate", "function"),
    [("Refresh", "5 minutes", "TokenRefresh"), ("TemplateSync", "6 hours", "TemplateSync")],
)
def test_own_schedules_are_outside_teams(stack: Stack, name: str, rate: str, function: str) -> None:
    """Who may delete schedules in the group of the teams cannot stop these."""
    assert stack.of_type("AWS::Scheduler::Schedule").keys() == {"RefreshSchedule", "TemplateSyncSchedule"}
    schedule = stack[f"{name}Schedule"]
    assert schedule["ScheduleExpression"] == f"rate({rate})"
    assert schedule["Target"]["Arn"] == f"<{function}FunctionAliaslive>"
    assert schedule["Target"]["RoleArn"] == f"<{name}ScheduleRole.Arn>"
    assert schedule["Target"]["Input"] == "{}"
    assert "GroupName" not in schedule
    assert stack.only("AWS::Scheduler::ScheduleGroup")


# HTTP API


PUBLIC = (
    "GET /v1/callbacks/{account}",
    "POST /v1/callbacks/components/{component}",
    "POST /v1/callbacks/components/{component}/{appid}",
    "POST /v1/callbacks/{account}",
)
"""The routes that WeChat calls."""
CONFIRMATIONS = ("GET /v1/consents/confirm", "GET /v1/consents/confirm/{rest+}")
"""The routes that WeChat leads people to: the signature of its link lets them in."""


def test_routes_ask_for_iam(stack: Stack) -> None:
    """All but WeChat's, and those that its pages lead to."""
    body = stack["HttpApi"]["Body"]
    named = {
        f"{method.upper()} {path}": node
        for path, item in body["paths"].items()
        for method, node in item.items()
    }
    assert {route: _target(node) for route, node in named.items()} == {
        **dict.fromkeys(send_api.ROUTES, "SendApiFunction"),
        **dict.fromkeys(team_api.ROUTES, "TeamApiFunction"),
        **dict.fromkeys(PUBLIC, "CallbackFunction"),
    }
    open_routes = [route for route, node in named.items() if node["security"] == [{"NONE": []}]]
    assert sorted(open_routes) == sorted([*PUBLIC, *CONFIRMATIONS])
    assert all(
        node["security"] == [{"AWS_IAM": []}] for route, node in named.items() if route not in open_routes
    )
    scheme = body["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert "x-amazon-apigateway-cors" not in body
    assert "CorsConfiguration" not in stack["HttpApi"]


def _target(route: Node) -> str:
    """The function that answers a route."""
    (name,) = re.findall(r"<(\w+)Aliaslive>/invocations", json.dumps(route))
    return str(name)


def test_api_is_throttled_and_logged(stack: Stack) -> None:
    """Its access log is JSON without query strings."""
    stage = stack.only("AWS::ApiGatewayV2::Stage")
    assert stage["StageName"] == "$default"
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    settings = stage["AccessLogSettings"]
    assert settings["DestinationArn"] == "arn:aws:logs:eu-west-1:123456789012:log-group:<ApiLogGroup>"
    fields = json.loads(settings["Format"])
    assert fields["requestId"] == "$context.requestId"
    assert all(value.startswith("$context.") and "query" not in value.lower() for value in fields.values())


# Logs


def test_functions_have_their_own_logs(stack: Stack) -> None:
    """That each writes to its own only is a matter of permissions."""
    used = [stack[function]["LoggingConfig"]["LogGroup"] for function in FUNCTIONS]
    assert used == [f"<{name.replace('Function', 'LogGroup')}>" for name in FUNCTIONS]
    groups = {f"<{name}>" for name in stack.of_type("AWS::Logs::LogGroup")}
    assert groups == {*used, "<ApiLogGroup>", "<EventLogGroup>"}
    kept = deployed(LogRetentionDays="90").of_type("AWS::Logs::LogGroup").values()
    assert {properties["RetentionInDays"] for properties in kept} == {"90"}


@pytest.mark.parametrize("partition", REGIONS)
def test_event_log_is_written_by_bus(partition: str) -> None:
    """By EventBridge alone, from rules of the stack's bus; it has no role, but a policy of the group."""
    stack, region = deployed(partition=partition), REGIONS[partition]
    group = stack["EventLogGroup"]
    assert group["LogGroupName"] == "/aws/events/stack"
    arn = f"arn:{partition}:logs:{region}:123456789012:log-group:/aws/events/stack:*"
    create, write = group["ResourcePolicyDocument"]["Statement"]
    for statement in (create, write):
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]}
        assert statement["Resource"] == arn
    assert (create["Action"], write["Action"]) == ("logs:CreateLogStream", "logs:PutLogEvents")
    rules = f"arn:{partition}:events:{region}:123456789012:rule/<EventBus>/*"
    assert write["Condition"] == {"ArnLike": {"aws:SourceArn": rules}}
