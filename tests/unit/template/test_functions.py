"""What the template promises of functions, their layer and the outputs."""

import json
import math
from datetime import timedelta, timezone

import pytest

from tests.unit.template.conftest import (
    FUNCTIONS,
    PARAMETERS,
    ROOT,
    SENDERS,
    SOURCE,
    VPC,
    Node,
    Stack,
    deployed,
)
from wechat_notify.core.delivery.batch import _WORKER_THREADS
from wechat_notify.core.delivery.circuit import QuotaReset
from wechat_notify.core.delivery.time_budgets import TIME_FOR_A_MESSAGE
from wechat_notify.settings import Settings


@pytest.mark.parametrize(
    ("name", "architecture", "platform"),
    [
        ("LayerArm64", "arm64", "aarch64-manylinux_2_28"),
        ("LayerX8664", "x86_64", "x86_64-manylinux_2_28"),
    ],
)
def test_one_architecture_throughout(name: str, architecture: str, platform: str) -> None:
    """The layer is built for it."""
    stack = deployed(Architecture=architecture)
    layers = stack.of_type("AWS::Lambda::LayerVersion")
    callback, everywhere = sorted(layers)
    assert (callback.startswith(f"Callback{name}"), everywhere.startswith(name)) == (True, True)
    for function in FUNCTIONS:
        assert stack[function]["Architectures"] == [architecture]
        own = [f"<{callback}>"] if function == "CallbackFunction" else []
        assert stack[function]["Layers"] == [f"<{everywhere}>", *own]
    for layer, folder in ((name, "wechat_notify"), (f"Callback{name}", "callback")):
        source = SOURCE["Resources"][layer]
        assert source["Properties"]["ContentUri"] == f"layers/{folder}"
        assert source["Properties"]["CompatibleArchitectures"] == [architecture]
        assert source["Metadata"] == {"BuildMethod": "makefile", "BuildArchitecture": architecture}
        makefile = (ROOT / f"layers/{folder}/Makefile").read_text("utf-8")
        assert f"build-{layer}: PLATFORM := {platform}\n" in makefile


@pytest.mark.parametrize("name", FUNCTIONS)
def test_handlers_keep_their_module_path(name: str) -> None:
    """A handler is the same module in the cloud as in the tests."""
    function = SOURCE["Resources"][name]
    folder = function["Properties"]["CodeUri"]
    package = folder.replace("/", ".")
    assert (ROOT / folder).is_dir()
    assert function["Properties"]["Handler"] == f"{package}.handler.lambda_handler"
    build = function["Metadata"]["BuildProperties"]
    assert build == {"ParentPackageMode": "explicit", "ParentPackages": package}


def test_environment_is_what_functions_read(stack: Stack) -> None:
    everywhere: Node = {
        "PARAMETER_PATH": "/wechat-notify/dev/accounts",
        "WECHAT_API_BASE": "https://api.weixin.qq.com",
        "WECHAT_PROXY": "",
        "RES_OPTIONS": "timeout:1 attempts:2",
        "POWERTOOLS_SERVICE_NAME": "wechat-notify-dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "TRACING": stack["CanaryFunction"]["TracingConfig"]["Mode"],
    }
    table: Node = {"LEDGER_TABLE": "<Ledger>", "LEDGER_RETENTION_DAYS": 30, "LIST_SENT_MESSAGES": "true"}
    table |= {"RECEIPTS": "false"}
    bus: Node = {"EVENT_BUS_NAME": "<EventBus>"}
    hashing: Node = {"OPENID_HASH_SECRET": "<OpenidHashKey.Id>"}
    tokens: Node = {"TOKEN_REFRESH_FUNCTION": "<TokenRefreshFunctionAliaslive>"}
    sending = table | bus | hashing | tokens | {"QUOTA_RESET": "00:00+08:00"}
    aside: Node = {"DEAD_LETTER_QUEUE_URL": "<DeadLetterQueue>"}
    broadcasts: Node = {
        "BROADCAST_BUCKET": "<BroadcastBucket>",
        "BROADCAST_QUEUE_URL": "<BroadcastQueue>",
        "BROADCAST_STEP_QUEUE_URL": "<BroadcastStepQueue>",
        "BROADCAST_RATE_LIMIT": 100,
    }
    schedules: Node = {
        "SCHEDULE_GROUP": "<ScheduleGroup>",
        "SCHEDULE_ROLE_ARN": "<ScheduleRole.Arn>",
        "SEND_QUEUE_ARN": "<SendQueue.Arn>",
        "BROADCAST_STEP_QUEUE_ARN": "<BroadcastStepQueue.Arn>",
        "EVENT_DEAD_LETTER_QUEUE_ARN": "<EventDeadLetterQueue.Arn>",
    }
    told: Node = {"CALLBACK_QUEUE_URL": "<CallbackQueue>"}
    own = {
        "SendApiFunction": sending | {"SEND_QUEUE_URL": "<SendQueue>"},
        "SendQueueFunction": sending | aside | {"SEND_QUEUE_URL": "<SendQueue>"},
        "SendBroadcastFunction": sending | aside | {"SEND_QUEUE_URL": "<BroadcastQueue>"},
        "BroadcastFunction": table | bus | broadcasts,
        "TeamApiFunction": sending
        | broadcasts
        | schedules
        | {"WECHAT_PAGES_BASE": "https://mp.weixin.qq.com"},
        "TemplateSyncFunction": table,
        "CallbackFunction": told | {"RECEIPTS": "false"},
        "CallbackEventsFunction": table | bus | hashing | told | tokens | {"PARAMETER_KMS_KEY": ""},
        "TokenRefreshFunction": bus | {"PARAMETER_KMS_KEY": ""},
        "CanaryFunction": {
            "API_URL": "https://<HttpApi>.execute-api.eu-west-1.amazonaws.com",
            "CANARY_PARAMETER": "/wechat-notify/dev/canary",
        },
    }
    assert {name: stack[name]["Environment"]["Variables"] for name in FUNCTIONS} == {
        name: everywhere | variables for name, variables in own.items()
    }


@pytest.mark.parametrize("function", SENDERS)
def test_settings_read_the_environment(function: str) -> None:
    stack = deployed(LedgerRetentionDays="400", QuotaReset="06:30-03:30")
    variables = stack[function]["Environment"]["Variables"]
    settings = Settings({name: str(value) for name, value in variables.items()})
    assert settings.ledger_retention_days == 400
    assert settings.quota_reset == QuotaReset(timezone(-timedelta(hours=3, minutes=30)), 6.5 * 3600)


def test_nobody_waits_for_too_long(stack: Stack) -> None:
    """An HTTP API gives up after 30 s; refreshes that others have overtaken are dropped."""
    assert stack["SendApiFunction"]["Timeout"] < 30
    assert stack["CallbackFunction"]["Timeout"] <= 10  # WeChat gives up after 5 s
    invocations = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    ages = {each["FunctionName"]: each["MaximumEventAgeInSeconds"] for each in invocations}
    assert ages == {
        "<TokenRefreshFunction>": 300,
        "<TemplateSyncFunction>": 3600,
        "<CanaryFunction>": 60,
    }
    assert {each["Qualifier"] for each in invocations} == {"live"}
    assert {each["MaximumRetryAttempts"] for each in invocations} == {0}


@pytest.mark.parametrize(("given", "inside"), [({}, None), (VPC, "subnet-1,subnet-2")], ids=["no", "yes"])
def test_only_token_refresh_enters_vpc(given: dict[str, str], inside: str | None) -> None:
    stack = deployed(**given)
    config = {name: stack[name].get("VpcConfig") for name in FUNCTIONS}
    assert [name for name, each in config.items() if each] == (["TokenRefreshFunction"] if inside else [])
    assert (config["TokenRefreshFunction"] or {}).get("SubnetIds") == inside
    assert ("ec2:" in json.dumps(stack.resources)) is (inside is not None)
    for action in ("ec2:CreateNetworkInterface", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface"):
        assert stack.allows("TokenRefreshFunction", action, "*") is (inside is not None)
    assert stack.resources_for("ec2:*").keys() == ({"TokenRefreshRole"} if inside else set())


@pytest.mark.parametrize(("mode", "allowed"), [("Active", True), ("PassThrough", False)])
def test_traces_only_where_tracing_is_on(mode: str, *, allowed: bool) -> None:
    stack = deployed(Tracing=mode)
    for function in FUNCTIONS:
        assert stack[function]["TracingConfig"] == {"Mode": mode}
        assert stack.allows(function, "xray:PutTraceSegments", "*") is allowed
    assert ("xray:" in json.dumps(stack.resources)) is allowed


@pytest.mark.parametrize(("partition", "setting"), [("aws", "Allow"), ("aws-cn", None), ("aws-us-gov", None)])
def test_held_messages_may_return(partition: str, setting: str | None) -> None:
    """Who may send to its own queue. Lambda would take that for a runaway loop, and drop it after hours.

    The China regions and GovCloud have no loop detection, so there is nothing to be allowed.
    """
    stack = deployed(partition=partition)
    loops = {name for name in FUNCTIONS if stack[name].get("RecursiveLoop") == "Allow"}
    returning = set()
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        function = mapping["FunctionName"].strip("<>").removesuffix("Aliaslive")
        if stack.allows(function, "sqs:SendMessage", mapping["EventSourceArn"]):
            returning.add(function)
    assert returning
    assert loops == (returning if setting else set())


def test_batches_fit_into_the_function(stack: Stack) -> None:
    """At two seconds a message, which is slow for WeChat, all of the largest batch are begun in time."""
    assert PARAMETERS["BatchSize"]["Default"] <= 10  # more need a window
    rounds = math.ceil(PARAMETERS["BatchSize"]["MaxValue"] / _WORKER_THREADS)
    assert 2 * (rounds - 1) <= stack["SendQueueFunction"]["Timeout"] - TIME_FOR_A_MESSAGE
    assert PARAMETERS["MaximumConcurrency"]["MinValue"] >= 2


def test_outputs() -> None:
    assert {name: output["Value"] for name, output in deployed().outputs.items()} == {
        "ApiUrl": "https://<HttpApi>.execute-api.eu-west-1.amazonaws.com",
        "CallbackUrl": "https://<HttpApi>.execute-api.eu-west-1.amazonaws.com/v1/callbacks/",
        "SendQueueUrl": "<SendQueue>",
        "SendQueueArn": "<SendQueue.Arn>",
        "DeadLetterQueueUrl": "<DeadLetterQueue>",
        "TokenRefreshFunctionName": "<TokenRefreshFunction>:live",
        "TemplateSyncFunctionName": "<TemplateSyncFunction>:live",
        "CanaryFunctionName": "<CanaryFunction>:live",
        "CanaryParameterName": "/wechat-notify/dev/canary",
        "BroadcastBucketName": "<BroadcastBucket>",
        "LedgerTableName": "<Ledger>",
        "EventBusName": "<EventBus>",
        "EventLogGroupName": "<EventLogGroup>",
        "ScheduleGroupName": "<ScheduleGroup>",
        "ScheduleRoleArn": "<ScheduleRole.Arn>",
        "ParameterPath": "/wechat-notify/dev/accounts",
    }
