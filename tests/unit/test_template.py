"""What the template promises, read from what SAM makes of it. No AWS call, no socket."""

import fnmatch
import json
import math
import re
import struct
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import timedelta, timezone
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

import check_wheels
from wechat_notify.core.delivery.batch import _WORKER_THREADS
from wechat_notify.core.delivery.circuit import QuotaReset
from wechat_notify.core.delivery.time_budgets import TIME_FOR_A_MESSAGE
from wechat_notify.settings import MalformedSettingError, Settings

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "template.yaml").read_text("utf-8")
FUNCTIONS = ("SendApiFunction", "SendQueueFunction", "TokenRefreshFunction")
SENDERS = ("SendApiFunction", "SendQueueFunction")
QUEUES = ("SendQueue", "DeadLetterQueue", "EventDeadLetterQueue")
ACCOUNTS = "parameter/wechat-notify/dev/accounts"
PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "stack",
}
ABSENT = object()

Node = dict[str, Any]


class Stack:
    """The resources as CloudFormation would create them; a reference to a resource reads ``<Name.Arn>``."""

    def __init__(self, **given: str) -> None:
        source = yaml_parse(TEMPLATE)
        for resource in source["Resources"].values():
            for key in {"CodeUri", "ContentUri"} & resource["Properties"].keys():
                # SAM transforms packaged templates only.
                resource["Properties"][key] = f"s3://bucket/{resource['Properties'][key]}"
        defaults = {name: parameter["Default"] for name, parameter in source["Parameters"].items()}
        self.parameters = {**defaults, **given}
        self.conditions: Node = source["Conditions"]
        # Without a session SAM looks for a region in the AWS configuration of whoever runs the tests.
        session = SimpleNamespace(region_name=PSEUDO_PARAMETERS["AWS::Region"])
        transformed = Translator({}, Parser(), boto_session=session).translate(source, self.parameters)
        self.resources: dict[str, Node] = {
            name: self.resolved(resource)
            for name, resource in transformed["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        self.outputs: Node = {name: self.resolved(output) for name, output in transformed["Outputs"].items()}

    def properties(self, name: str) -> Node:
        properties: Node = self.resources[name]["Properties"]
        return properties

    def of_type(self, kind: str) -> dict[str, Node]:
        return {name: node["Properties"] for name, node in self.resources.items() if node["Type"] == kind}

    def statements(self, role: str) -> list[Node]:
        """Everything a role may do: its own statements and those of the stack's managed policies."""
        properties = self.properties(role)
        managed = [arn for arn in properties.get("ManagedPolicyArns", []) if arn.startswith("<")]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [self.properties(name.strip("<>"))["PolicyDocument"] for name in managed]
        return [statement for document in documents for statement in document["Statement"]]

    def role_of(self, function: str) -> str:
        role: str = self.properties(function)["Role"]
        return role.removeprefix("<").removesuffix(".Arn>")

    def allows(self, function: str, action: str, resource: str) -> bool:
        return any(
            action in as_list(statement["Action"])
            and any(fnmatch.fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]))
            for statement in self.statements(self.role_of(function))
        )

    def holds(self, condition: str) -> bool:
        return bool(self.resolved(self.conditions[condition]))

    def resolved(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for item in node if (value := self.resolved(item)) is not ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self.intrinsic(name, argument)
        return {key: value for key, item in node.items() if (value := self.resolved(item)) is not ABSENT}

    def intrinsic(self, name: str, argument: Any) -> Any:  # noqa: PLR0911 - one return for each function
        match name:
            case "Ref" if argument == "AWS::NoValue":
                return ABSENT
            case "Ref":
                return self.parameters.get(argument, PSEUDO_PARAMETERS.get(argument, f"<{argument}>"))
            case "Fn::GetAtt":
                return f"<{'.'.join(argument)}>"
            case "Fn::Sub":
                text, names = (argument, {}) if isinstance(argument, str) else argument
                known = {**PSEUDO_PARAMETERS, **self.parameters, **self.resolved(names)}
                return re.sub(
                    r"\$\{([\w:.]+)\}", lambda found: str(known.get(found[1], f"<{found[1]}>")), text
                )
            case "Fn::If":
                condition, then, otherwise = argument
                return self.resolved(then if self.holds(condition) else otherwise)
            case "Fn::Equals":
                left, right = self.resolved(argument)
                return left == right
            case "Fn::Not":
                return not self.resolved(argument)[0]
            case "Fn::Join":
                separator, parts = argument
                value = self.resolved(parts)
                return value if isinstance(value, str) else separator.join(value)
        raise NotImplementedError(name)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def deployed(**given: str) -> Stack:
    return Stack(**given)


VARIANTS: dict[str, dict[str, str]] = {
    "arm64": {},
    "x86_64": {"Architecture": "x86_64"},
    "traced": {"Tracing": "Active"},
    "x86_64-traced": {"Architecture": "x86_64", "Tracing": "Active"},
    "vpc": {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"},
}


@pytest.fixture(params=list(VARIANTS.values()), ids=list(VARIANTS))
def stack(request: pytest.FixtureRequest) -> Stack:
    return deployed(**request.param)


def roles(stack: Stack) -> list[str]:
    return list(stack.of_type("AWS::IAM::Role"))


# -------------------------------------------------------------------------------- functions and layer


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_functions_and_their_only_layer_are_of_the_chosen_architecture(architecture: str) -> None:
    stack = deployed(Architecture=architecture)
    ((layer, properties),) = stack.of_type("AWS::Lambda::LayerVersion").items()
    assert properties["CompatibleArchitectures"] == [architecture]
    for function in FUNCTIONS:
        assert stack.properties(function)["Architectures"] == [architecture]
        assert stack.properties(function)["Layers"] == [f"<{layer}>"]


def test_each_layer_is_built_for_the_architecture_that_it_declares() -> None:
    makefile = (ROOT / "layers/wechat_notify/Makefile").read_text("utf-8")
    resources = yaml_parse(TEMPLATE)["Resources"]
    layers = {
        name: node for name, node in resources.items() if node["Type"] == "AWS::Serverless::LayerVersion"
    }
    platforms = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
    built = {}
    for name, layer in layers.items():
        assert layer["Metadata"]["BuildMethod"] == "makefile"
        architecture = layer["Metadata"]["BuildArchitecture"]
        assert layer["Properties"]["CompatibleArchitectures"] == [architecture]
        assert f"build-{name}: PLATFORM := {platforms[architecture]}\n" in makefile
        built[architecture] = name
    assert built.keys() == platforms.keys()


def test_a_handler_is_the_same_module_in_the_cloud_as_in_the_tests() -> None:
    resources = yaml_parse(TEMPLATE)["Resources"]
    for name in FUNCTIONS:
        folder = resources[name]["Properties"]["CodeUri"]
        package = folder.replace("/", ".")
        assert (ROOT / folder).is_dir()
        assert resources[name]["Properties"]["Handler"] == f"{package}.handler.lambda_handler"
        assert resources[name]["Metadata"] == {
            "BuildProperties": {"ParentPackageMode": "explicit", "ParentPackages": package}
        }


def test_token_refresh_alone_is_held_to_one_execution_at_a_time(stack: Stack) -> None:
    reserved = {name: stack.properties(name).get("ReservedConcurrentExecutions") for name in FUNCTIONS}
    assert reserved == {"SendApiFunction": None, "SendQueueFunction": None, "TokenRefreshFunction": 1}


def test_the_environment_holds_exactly_what_the_functions_read(stack: Stack) -> None:
    everywhere = {
        "PARAMETER_PATH": "/wechat-notify/dev/accounts",
        "WECHAT_API_BASE": "https://api.weixin.qq.com",
        "WECHAT_PROXY": "",
        "RES_OPTIONS": "timeout:1 attempts:2",
        "POWERTOOLS_SERVICE_NAME": "wechat-notify-dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }
    sending = {
        "OPENID_HASH_KEY": "{{resolve:secretsmanager:<OpenidHashKey>:SecretString}}",
        "TOKEN_REFRESH_FUNCTION": "<TokenRefreshFunction>",
        "SEND_QUEUE_URL": "<SendQueue>",
        "LEDGER_TABLE": "<Ledger>",
        "LEDGER_RETENTION_DAYS": 30,
        "EVENT_BUS_NAME": "<EventBus>",
        "QUOTA_RESET": "00:00+08:00",
    }
    assert {name: stack.properties(name)["Environment"]["Variables"] for name in FUNCTIONS} == {
        "SendApiFunction": {**everywhere, **sending},
        "SendQueueFunction": {**everywhere, **sending, "DEAD_LETTER_QUEUE_URL": "<DeadLetterQueue>"},
        "TokenRefreshFunction": {**everywhere, "EVENT_BUS_NAME": "<EventBus>"},
    }


def test_settings_read_what_the_environment_of_the_senders_holds() -> None:
    variables = deployed(LedgerRetentionDays="400", QuotaReset="06:30-03:30")
    for function in SENDERS:
        environment = variables.properties(function)["Environment"]["Variables"]
        settings = Settings({name: str(value) for name, value in environment.items()})
        assert settings.ledger_retention_days == 400
        assert settings.quota_reset == QuotaReset(timezone(-timedelta(hours=3, minutes=30)), 6.5 * 3600)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("00:00+08:00", True),
        ("23:59-14:59", True),
        ("24:00+08:00", False),
        ("00:60+08:00", False),
        ("00:00+15:00", False),
        ("00:00", False),
        ("00:00Z", False),
        ("midnight", False),
    ],
)
def test_the_template_takes_the_quota_resets_that_the_functions_take(value: str, *, allowed: bool) -> None:
    pattern = yaml_parse(TEMPLATE)["Parameters"]["QuotaReset"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) is allowed
    if allowed:
        assert isinstance(Settings({"QUOTA_RESET": value}).quota_reset, QuotaReset)
    else:
        with pytest.raises(MalformedSettingError):
            Settings({"QUOTA_RESET": value}).quota_reset  # noqa: B018 - reading it is the test


def test_send_api_answers_before_the_http_api_gives_up(stack: Stack) -> None:
    assert stack.properties("SendApiFunction")["Timeout"] < 30


def test_a_waiting_refresh_is_dropped_once_the_next_one_is_due(stack: Stack) -> None:
    ((_, invocation),) = stack.of_type("AWS::Lambda::EventInvokeConfig").items()
    assert invocation["FunctionName"] == "<TokenRefreshFunction>"
    assert invocation["MaximumEventAgeInSeconds"] <= 300


def test_only_token_refresh_enters_a_vpc_and_only_where_asked() -> None:
    for given, inside in (({}, None), (VARIANTS["vpc"], "subnet-1,subnet-2")):
        stack = deployed(**given)
        config = {name: stack.properties(name).get("VpcConfig") for name in FUNCTIONS}
        assert config["SendApiFunction"] is config["SendQueueFunction"] is None
        assert (config["TokenRefreshFunction"] or {}).get("SubnetIds") == inside
        granted = json.dumps(stack.properties("TokenRefreshRole").get("ManagedPolicyArns"))
        assert ("NetworkPolicy" in granted) is (inside is not None)
        assert ("ec2:" in json.dumps(stack.resources)) is (inside is not None)
        for action in ("ec2:CreateNetworkInterface", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface"):
            assert stack.allows("TokenRefreshFunction", action, "*") is (inside is not None)
        for role in set(roles(stack)) - {"TokenRefreshRole"}:
            assert "NetworkPolicy" not in json.dumps(stack.properties(role))


@pytest.mark.parametrize(("mode", "allowed"), [("Active", True), ("PassThrough", False)])
def test_traces_are_written_only_where_tracing_is_on(mode: str, *, allowed: bool) -> None:
    stack = deployed(Tracing=mode)
    for function in FUNCTIONS:
        assert stack.properties(function)["TracingConfig"] == {"Mode": mode}
        assert stack.allows(function, "xray:PutTraceSegments", "*") is allowed
    assert ("xray:" in json.dumps(stack.resources)) is allowed


# -------------------------------------------------------------------------------- permissions


def test_each_role_may_do_exactly_this() -> None:
    stack = deployed()
    log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    publish = {"events:PutEvents"}
    ledger = {"dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:BatchGetItem"}
    send = {"ssm:GetParameter", "lambda:InvokeFunction", "sqs:SendMessage"} | ledger | publish
    take = {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
        "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate",
    }
    read = {"ssm:GetParametersByPath", "ssm:GetParameters"}
    assert {
        role: {action for statement in stack.statements(role) for action in as_list(statement["Action"])}
        for role in roles(stack)
    } == {
        "SendApiRole": send | log,
        "SendQueueRole": send | take | log,
        "TokenRefreshRole": read | {"ssm:PutParameter"} | publish | log,
        "ScheduleRole": {"sqs:SendMessage"},
        "RefreshScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
    }


def test_no_allowed_action_is_a_pattern_and_no_resource_is_everything(stack: Stack) -> None:
    for role in roles(stack):
        for statement in stack.statements(role):
            assert statement["Effect"] == "Allow"
            assert "NotAction" not in statement
            assert "NotResource" not in statement
            actions = as_list(statement["Action"])
            assert not [action for action in actions if "*" in action]
            if all(action.startswith(("xray:", "ec2:")) for action in actions):
                continue  # X-Ray and the network interfaces of a function know no resources for these
            for resource in as_list(statement["Resource"]):
                own = re.fullmatch(r"<\w+\.Arn>", resource)
                assert own or re.fullmatch(rf"arn:aws:ssm:eu-west-1:123456789012:{ACCOUNTS}(/.+)?", resource)


def test_each_function_has_a_role_of_its_own_and_no_managed_basic_policy(stack: Stack) -> None:
    assert len({stack.role_of(function) for function in FUNCTIONS}) == len(FUNCTIONS)
    assert "BasicExecutionRole" not in json.dumps(stack.resources)


def test_only_token_refresh_writes_parameters_and_only_tokens(stack: Stack) -> None:
    writers = {}
    for role in roles(stack):
        for statement in stack.statements(role):
            if any(re.match(r"ssm:(?!Get)", action) for action in as_list(statement["Action"])):
                writers[role] = (statement["Action"], statement["Resource"])
    assert writers == {
        "TokenRefreshRole": (
            "ssm:PutParameter",
            f"arn:aws:ssm:eu-west-1:123456789012:{ACCOUNTS}/*/access-token",
        )
    }


@pytest.mark.parametrize("sender", SENDERS)
def test_senders_read_tokens_and_no_credentials(stack: Stack, sender: str) -> None:
    prefix = f"arn:aws:ssm:eu-west-1:123456789012:{ACCOUNTS}"
    assert stack.allows(sender, "ssm:GetParameter", f"{prefix}/shop/access-token")
    for action in (
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:GetParametersByPath",
        "ssm:GetParameterHistory",
    ):
        assert not stack.allows(sender, action, f"{prefix}/shop/credentials")
        assert not stack.allows(sender, action, prefix)


def test_a_sender_asks_token_refresh_and_no_other_function(stack: Stack) -> None:
    for function in SENDERS:
        invoked = [
            statement["Resource"]
            for statement in stack.statements(stack.role_of(function))
            if "lambda:InvokeFunction" in as_list(statement["Action"])
        ]
        assert invoked == ["<TokenRefreshFunction.Arn>"]


def test_each_queue_is_reached_by_its_own_functions_only(stack: Stack) -> None:
    senders = {
        queue: {role for role in roles(stack) if f"<{queue}.Arn>" in json.dumps(stack.statements(role))}
        for queue in QUEUES
    }
    assert senders == {
        "SendQueue": {"SendApiRole", "SendQueueRole", "ScheduleRole"},
        "DeadLetterQueue": {"SendQueueRole"},
        "EventDeadLetterQueue": {"RefreshScheduleRole"},
    }
    assert not stack.allows("SendApiFunction", "sqs:ReceiveMessage", "<SendQueue.Arn>")


def test_only_senders_reach_the_ledger_and_only_this_one(stack: Stack) -> None:
    reached = {
        role: [
            statement["Resource"]
            for statement in stack.statements(role)
            if any(action.startswith("dynamodb:") for action in as_list(statement["Action"]))
        ]
        for role in roles(stack)
    }
    assert {role: resources for role, resources in reached.items() if resources} == {
        "SendApiRole": ["<Ledger.Arn>"],
        "SendQueueRole": ["<Ledger.Arn>"],
    }


def test_functions_publish_on_this_bus_in_their_own_name_only(stack: Stack) -> None:
    for function in FUNCTIONS:
        (statement,) = (
            statement
            for statement in stack.statements(stack.role_of(function))
            if "events:PutEvents" in as_list(statement["Action"])
        )
        assert statement["Resource"] == "<EventBus.Arn>"
        assert statement["Condition"] == {"StringEquals": {"events:source": "wechat-notify"}}


def test_scheduler_assumes_its_roles_for_one_group_of_this_account_only(stack: Stack) -> None:
    groups = {
        "ScheduleRole": "<ScheduleGroup.Arn>",
        "RefreshScheduleRole": "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/default",
    }
    for role, group in groups.items():
        (statement,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "ArnEquals": {"aws:SourceArn": group},
        }


# -------------------------------------------------------------------------------- ledger


def test_the_ledger_is_a_table_on_demand_that_forgets_by_itself(stack: Stack) -> None:
    ((_, table),) = stack.of_type("AWS::DynamoDB::Table").items()
    assert table == {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    }


def test_the_ledger_outlives_its_stack_and_its_replacement(stack: Stack) -> None:
    ledger = stack.resources["Ledger"]
    assert (ledger["DeletionPolicy"], ledger["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


# -------------------------------------------------------------------------------- queues


def test_visibility_is_six_timeouts_and_the_longest_window(stack: Stack) -> None:
    timeout = stack.properties("SendQueueFunction")["Timeout"]
    longest_window = yaml_parse(TEMPLATE)["Parameters"]["BatchWindow"]["MaxValue"]
    assert stack.properties("SendQueue")["VisibilityTimeout"] >= 6 * timeout + longest_window


def test_failed_messages_come_back_one_by_one(stack: Stack) -> None:
    ((_, mapping),) = stack.of_type("AWS::Lambda::EventSourceMapping").items()
    assert mapping == {
        "EventSourceArn": "<SendQueue.Arn>",
        "FunctionName": "<SendQueueFunction>",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "ScalingConfig": {"MaximumConcurrency": 10},
    }


def test_a_batch_fits_into_the_function_and_the_usual_one_needs_no_window(stack: Stack) -> None:
    parameters = yaml_parse(TEMPLATE)["Parameters"]
    assert parameters["BatchSize"]["Default"] <= 10
    # At two seconds a message, which is slow for WeChat, all of the largest batch are begun in time.
    rounds = math.ceil(parameters["BatchSize"]["MaxValue"] / _WORKER_THREADS)
    timeout = stack.properties("SendQueueFunction")["Timeout"]
    assert 2 * (rounds - 1) <= timeout - TIME_FOR_A_MESSAGE
    assert parameters["MaximumConcurrency"]["MinValue"] >= 2


def test_queues_are_encrypted(stack: Stack) -> None:
    assert stack.of_type("AWS::SQS::Queue").keys() == set(QUEUES)
    for queue in QUEUES:
        assert stack.properties(queue)["SqsManagedSseEnabled"] is True


def test_messages_and_dead_letters_are_kept_as_long_as_sqs_keeps_any(stack: Stack) -> None:
    fourteen_days = 14 * 24 * 3600
    assert stack.properties("SendQueue")["MessageRetentionPeriod"] == fourteen_days
    assert stack.properties("DeadLetterQueue")["MessageRetentionPeriod"] == fourteen_days
    assert stack.properties("EventDeadLetterQueue")["MessageRetentionPeriod"] == fourteen_days


def test_the_send_queue_redrives_to_a_queue_that_accepts_it_and_no_other(stack: Stack) -> None:
    send_queue = stack.properties("SendQueue")
    assert send_queue["RedrivePolicy"] == {
        "deadLetterTargetArn": "<DeadLetterQueue.Arn>",
        "maxReceiveCount": 1000,  # the most: giving up is the ledger's part
    }
    assert stack.properties("DeadLetterQueue")["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [f"arn:aws:sqs:eu-west-1:123456789012:{send_queue['QueueName']}"],
    }
    assert stack.properties("EventDeadLetterQueue")["RedriveAllowPolicy"] == {"redrivePermission": "denyAll"}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_denies_plain_http_and_admits_from_outside_only_the_rule_of_this_stack(
    stack: Stack, queue: str
) -> None:
    (policy,) = [
        properties["PolicyDocument"]
        for properties in stack.of_type("AWS::SQS::QueuePolicy").values()
        if f"<{queue}>" in properties["Queues"]
    ]
    denied = [statement for statement in policy["Statement"] if statement["Effect"] == "Deny"]
    admitted = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert [
        (statement["Principal"], statement["Action"], statement["Condition"]) for statement in denied
    ] == [("*", "sqs:*", {"Bool": {"aws:SecureTransport": "false"}})]
    assert {statement["Resource"] for statement in policy["Statement"]} == {f"<{queue}.Arn>"}
    assert len(admitted) == (0 if queue == "DeadLetterQueue" else 1)
    for statement in admitted:
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Action"] == "sqs:SendMessage"
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "<MessageRequestedRule.Arn>"}}


# -------------------------------------------------------------------------------- events


def event_targets(stack: Stack) -> Iterator[Node]:
    for rule in stack.of_type("AWS::Events::Rule").values():
        yield from rule["Targets"]
    for schedule in stack.of_type("AWS::Scheduler::Schedule").values():
        yield schedule["Target"]


def test_every_event_target_has_a_dead_letter_queue_and_says_how_often_it_retries(stack: Stack) -> None:
    targets = list(event_targets(stack))
    assert len(targets) == 2
    for target in targets:
        assert target["DeadLetterConfig"] == {"Arn": "<EventDeadLetterQueue.Arn>"}
        assert target["RetryPolicy"].keys() == {"MaximumEventAgeInSeconds", "MaximumRetryAttempts"}


def test_the_bus_rule_hands_over_the_whole_event(stack: Stack) -> None:
    ((_, rule),) = stack.of_type("AWS::Events::Rule").items()
    assert rule["EventBusName"] == "<EventBus>"
    assert rule["EventPattern"] == {"detail-type": ["WeChat Message Requested"]}
    (target,) = rule["Targets"]
    assert target["Arn"] == "<SendQueue.Arn>"
    assert not target.keys() & {"Input", "InputPath", "InputTransformer", "SqsParameters"}


def test_tokens_are_refreshed_every_five_minutes_outside_the_group_of_the_teams(stack: Stack) -> None:
    ((_, schedule),) = stack.of_type("AWS::Scheduler::Schedule").items()
    assert schedule["ScheduleExpression"] == "rate(5 minutes)"
    assert schedule["Target"]["Arn"] == "<TokenRefreshFunction.Arn>"
    assert schedule["Target"]["RoleArn"] == "<RefreshScheduleRole.Arn>"
    assert schedule["Target"]["Input"] == "{}"
    assert "GroupName" not in schedule
    assert len(stack.of_type("AWS::Scheduler::ScheduleGroup")) == 1


# -------------------------------------------------------------------------------- HTTP API


def test_every_route_asks_for_iam(stack: Stack) -> None:
    body = stack.properties("HttpApi")["Body"]
    routes = {(method, path): node for path, item in body["paths"].items() for method, node in item.items()}
    assert routes.keys() == {
        ("post", "/v1/accounts/{account}/messages"),
        ("get", "/v1/accounts/{account}/messages/{id}"),
        ("delete", "/v1/accounts/{account}/messages/{id}"),
    }
    for route in routes.values():
        assert route["security"] == [{"AWS_IAM": []}]
    scheme = body["components"]["securitySchemes"]["AWS_IAM"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert "x-amazon-apigateway-cors" not in body
    assert "CorsConfiguration" not in stack.properties("HttpApi")


def test_the_api_is_throttled_and_its_access_log_is_json_without_query_strings(stack: Stack) -> None:
    ((_, stage),) = stack.of_type("AWS::ApiGatewayV2::Stage").items()
    assert stage["StageName"] == "$default"
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    settings = stage["AccessLogSettings"]
    assert settings["DestinationArn"] == "arn:aws:logs:eu-west-1:123456789012:log-group:<ApiLogGroup>"
    fields = json.loads(settings["Format"])
    assert fields["requestId"] == "$context.requestId"
    assert not [
        value for value in fields.values() if "query" in value.lower() or not value.startswith("$context.")
    ]


# -------------------------------------------------------------------------------- logs and alarms


def test_each_function_writes_to_its_own_log_group_and_only_there(stack: Stack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")
    used = []
    for function in FUNCTIONS:
        group = stack.properties(function)["LoggingConfig"]["LogGroup"].strip("<>")
        used.append(group)
        assert group in groups
        written = [
            statement["Resource"]
            for statement in stack.statements(stack.role_of(function))
            if "logs:PutLogEvents" in as_list(statement["Action"])
        ]
        assert written == [f"<{group}.Arn>"]
    assert {*used, "ApiLogGroup"} == groups.keys()
    assert len(set(used)) == len(FUNCTIONS)


def test_logs_are_kept_as_long_as_asked() -> None:
    groups = deployed(LogRetentionDays="90").of_type("AWS::Logs::LogGroup")
    assert {properties["RetentionInDays"] for properties in groups.values()} == {"90"}


def test_alarms_watch_what_exists(stack: Stack) -> None:
    dimensions = {
        name: [(dimension["Name"], dimension["Value"]) for dimension in properties["Dimensions"]]
        for name, properties in stack.of_type("AWS::CloudWatch::Alarm").items()
    }
    service = stack.properties("TokenRefreshFunction")["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    assert dimensions == {
        "DeadLetterAlarm": [("QueueName", "<DeadLetterQueue.QueueName>")],
        "EventDeadLetterAlarm": [("QueueName", "<EventDeadLetterQueue.QueueName>")],
        "OldestMessageAlarm": [("QueueName", "<SendQueue.QueueName>")],
        "TokenRefreshAlarm": [("service", service)],
        "TokenRefreshErrorAlarm": [("FunctionName", "<TokenRefreshFunction>")],
        "TokenRefreshMissingAlarm": [("FunctionName", "<TokenRefreshFunction>")],
        "UnknownErrcodeAlarm": [("service", service)],
        "UnforeseenAlarm": [("service", service)],
        "AnswersNotRecordedAlarm": [("service", service)],
        "ApiErrorAlarm": [("ApiId", "<HttpApi>")],
    }


def test_one_message_is_enough_for_the_alarms_on_what_must_not_happen(stack: Stack) -> None:
    for name, metric in (
        ("UnforeseenAlarm", "MessagesUnforeseen"),
        ("AnswersNotRecordedAlarm", "AnswersNotRecorded"),
        ("UnknownErrcodeAlarm", "UnknownErrcode"),
    ):
        alarm = stack.properties(name)
        assert (alarm["Namespace"], alarm["MetricName"]) == ("WeChatNotify", metric)
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 0, 1)
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


def test_a_message_that_a_circuit_holds_does_not_count_as_lagging(stack: Stack) -> None:
    assert stack.properties("OldestMessageAlarm")["Threshold"] > 900  # SQS's longest delay


def test_alarms_are_sent_only_where_there_is_a_topic() -> None:
    for topic, actions in (("", None), ("arn:topic", ["arn:topic"])):
        for alarm in deployed(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm").values():
            assert alarm.get("AlarmActions") == actions


# -------------------------------------------------------------------------------- the files themselves


def test_the_template_serves_every_partition() -> None:
    lines = [line.partition("#")[0] for line in TEMPLATE.splitlines()]
    assert not [line for line in lines if re.search(r"arn:aws|\bcn-|us-east", line)]
    # Service principals are spelt alike in every partition.
    principal = re.compile(r"Principal: \{Service: \w+\.amazonaws\.com\}")
    assert not [line for line in lines if "amazonaws" in line and not principal.search(line)]


def test_the_template_needs_no_yaml_that_cloudformation_lacks() -> None:
    # Aliases and merges: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    assert not re.search(r"^[^#]*(?:: |- )[&*]\w", TEMPLATE, re.MULTILINE)


def test_outputs() -> None:
    outputs = {name: output["Value"] for name, output in deployed().outputs.items()}
    assert outputs == {
        "ApiUrl": "https://<HttpApi>.execute-api.eu-west-1.amazonaws.com",
        "SendQueueUrl": "<SendQueue>",
        "SendQueueArn": "<SendQueue.Arn>",
        "DeadLetterQueueUrl": "<DeadLetterQueue>",
        "TokenRefreshFunctionName": "<TokenRefreshFunction>",
        "LedgerTableName": "<Ledger>",
        "EventBusName": "<EventBus>",
        "ScheduleGroupName": "<ScheduleGroup>",
        "ScheduleRoleArn": "<ScheduleRole.Arn>",
        "ParameterPath": "/wechat-notify/dev/accounts",
    }


def test_samconfig_environments_are_complete_and_apart() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    assert config.pop("version") == 0.1
    assert config.keys() == {"default", "staging", "prod"}
    known = yaml_parse(TEMPLATE)["Parameters"].keys()
    stacks, stages = set(), set()
    for environment in config.values():
        deploy = environment["deploy"]["parameters"]
        # They take nothing over from [default].
        assert deploy.keys() == config["default"]["deploy"]["parameters"].keys()
        assert deploy["resolve_s3"] is True
        assert deploy["capabilities"] == "CAPABILITY_IAM"
        overrides = dict(override.split("=", 1) for override in deploy["parameter_overrides"])
        assert overrides.keys() <= known
        assert "Stage" in overrides
        stages.add(overrides["Stage"])
        stacks.add(environment["global"]["parameters"]["stack_name"])
    assert len(stacks) == len(stages) == len(config)
    assert config["prod"]["deploy"]["parameters"]["confirm_changeset"] is True


# -------------------------------------------------------------------------------- the layer's wheels


@pytest.fixture
def layer() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "wechat_notify").mkdir()
        (root / "wechat_notify" / "__init__.py").touch()
        (root / "compiled-1.dist-info").mkdir()
        tags = "Tag: cp313-cp313-manylinux_2_17_aarch64\nTag: cp313-cp313-manylinux2014_aarch64\n"
        (root / "compiled-1.dist-info" / "WHEEL").write_text(f"Wheel-Version: 1.0\n{tags}", "utf-8")
        (root / "compiled.so").write_bytes(b"\x7fELF".ljust(18, b"\0") + struct.pack("<H", 183))
        (root / "pure-1.dist-info").mkdir()
        (root / "pure-1.dist-info" / "WHEEL").write_text("Tag: py3-none-any\n", "utf-8")
        yield root


def test_a_layer_of_wheels_for_its_platform_is_accepted(layer: Path) -> None:
    assert check_wheels.problems(layer, "aarch64-manylinux_2_28") == []


def test_wheels_of_another_architecture_are_refused_by_tag_and_by_content(layer: Path) -> None:
    tag, content = check_wheels.problems(layer, "x86_64-manylinux_2_28")
    assert tag.startswith("compiled-1.dist-info is built for cp313-cp313-manylinux_2_17_aarch64")
    assert content == "compiled.so is for ELF machine 183"


@pytest.mark.parametrize(
    "tag", ["musllinux_1_2_aarch64", "manylinux_2_39_aarch64", "macosx_11_0_arm64", "linux_aarch64"]
)
def test_wheels_that_amazon_linux_cannot_load_are_refused(layer: Path, tag: str) -> None:
    (layer / "compiled-1.dist-info" / "WHEEL").write_text(f"Tag: cp313-cp313-{tag}\n", "utf-8")
    assert check_wheels.problems(layer, "aarch64-manylinux_2_28")


def test_boto3_is_left_to_the_runtime(layer: Path) -> None:
    (layer / "botocore").mkdir()
    assert check_wheels.problems(layer, "aarch64-manylinux_2_28") == ["botocore comes with the runtime"]


def test_an_empty_layer_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert len(check_wheels.problems(Path(folder), "aarch64-manylinux_2_28")) == 3


# ---------------------------------------------------------------- what is refused before anything is made


@pytest.mark.parametrize(("partition", "setting"), [("aws", "Allow"), ("aws-cn", None), ("aws-us-gov", None)])
def test_held_messages_may_return_to_send_queue(partition: str, setting: str | None) -> None:
    """Lambda would take their rounds for a runaway loop, and drop them after four hours.

    The China regions and GovCloud have no loop detection, so there is nothing to be allowed.
    """
    stack = Stack(**{"AWS::Partition": partition})
    assert stack.properties("SendQueueFunction").get("RecursiveLoop") == setting
    assert "RecursiveLoop" not in stack.properties("SendApiFunction")
    assert "RecursiveLoop" not in stack.properties("TokenRefreshFunction")


def rule(node: Any, given: dict[str, Any]) -> Any:  # noqa: PLR0911 - one for each function
    """What CloudFormation makes of a rule's assertion.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
    """
    if isinstance(node, list):
        return [rule(item, given) for item in node]
    if not isinstance(node, dict):
        return node
    ((name, argument),) = node.items()
    if name == "Ref":
        return given[argument]
    values = rule(argument, given)
    match name:
        case "Fn::And":
            return all(values)
        case "Fn::Or":
            return any(values)
        case "Fn::Not":
            return not values[0]
        case "Fn::Equals":
            return values[0] == values[1]
        case "Fn::Contains":
            return values[1] in values[0]
        case "Fn::EachMemberIn":
            return set(values[0]) <= set(values[1])
    raise NotImplementedError(name)


def refused(**given: str) -> list[str]:
    """The descriptions of the assertions that these parameters break."""
    source = yaml_parse(TEMPLATE)
    lists = {name for name, each in source["Parameters"].items() if each["Type"] == "CommaDelimitedList"}
    values = {name: str(each["Default"]) for name, each in source["Parameters"].items()} | given
    parsed = {name: value.split(",") if name in lists else value for name, value in values.items()}
    return [
        assertion["AssertDescription"]
        for each in source["Rules"].values()
        for assertion in each["Assertions"]
        if not rule(assertion["Assert"], parsed)
    ]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"BatchSize": "1"},
        {"BatchSize": "10"},
        {"BatchSize": "11", "BatchWindow": "1"},
        {"BatchSize": "100", "BatchWindow": "30"},
        {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"},
    ],
)
def test_parameters_that_go_together_are_taken(given: dict[str, str]) -> None:
    assert refused(**given) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"BatchSize": "11"}, "BatchWindow"),
        ({"BatchSize": "100", "BatchWindow": "0"}, "BatchWindow"),
        ({"SubnetIds": "subnet-1"}, "SecurityGroupIds"),
        ({"SecurityGroupIds": "sg-1,sg-2"}, "SubnetIds"),
    ],
)
def test_parameters_that_do_not_are_refused_at_once(given: dict[str, str], told: str) -> None:
    (description,) = refused(**given)
    assert told in description


@pytest.mark.parametrize(
    ("base", "valid"),
    [
        ("https://api.weixin.qq.com", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("https://api.weixin.qq.com/", False),
        ("api.weixin.qq.com", False),
        ("https://a b", False),
    ],
)
def test_the_address_of_wechat_has_no_path(base: str, *, valid: bool) -> None:
    pattern = yaml_parse(TEMPLATE)["Parameters"]["WeChatApiBase"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, base)) is valid


@pytest.mark.parametrize(
    ("proxy", "valid"),
    [
        ("", True),
        ("http://10.0.0.5:3128", True),
        ("http://name:password@proxy.example:3128", False),
        ("10.0.0.5:3128", False),
    ],
)
def test_a_proxy_is_an_address_without_a_password(proxy: str, *, valid: bool) -> None:
    pattern = yaml_parse(TEMPLATE)["Parameters"]["WeChatProxy"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, proxy)) is valid
    if valid:
        assert Settings({"WECHAT_PROXY": proxy}).wechat_proxy == (proxy or None)
    else:
        with pytest.raises(MalformedSettingError):
            _ = Settings({"WECHAT_PROXY": proxy}).wechat_proxy


@pytest.mark.parametrize(
    ("arn", "valid"),
    [
        ("", True),
        ("arn:aws:sns:eu-west-1:123456789012:alarms", True),
        ("arn:aws-cn:sns:cn-north-1:123456789012:wechat_alarms", True),
        ("alarms", False),
        ("arn:aws:sqs:eu-west-1:123456789012:alarms", False),
        ("arn:aws:sns:eu-west-1:123456789012:alarms:0a1b2c3d-subscription", False),
    ],
)
def test_alarms_go_to_a_topic_only(arn: str, *, valid: bool) -> None:
    pattern = yaml_parse(TEMPLATE)["Parameters"]["AlarmTopicArn"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, arn)) is valid


def test_a_deployment_is_looked_at_before_it_is_built() -> None:
    recipe = (ROOT / "build.mk").read_text("utf-8").partition("\ndeploy:")[2]
    steps = [recipe.index(step) for step in ("operations/preflight.py", "build\n", "$(SAM) deploy")]
    assert steps == sorted(steps)
