"""What keeps one caller from another, a stranger from everybody, and data from being lost or read."""

from __future__ import annotations

import json
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cfnlint.helpers import REGIONS as KNOWN_REGIONS
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from samtranslator.yaml_helper import yaml_parse

from operations.environments import environment, template_parameters
from operations.preflight import RESERVING
from operations.retention import RETAINED, main, protects_data, with_retention
from tests.unit.template.conftest import (
    FUNCTIONS,
    PARAMETERS,
    REGIONS,
    ROOT,
    SOURCE,
    TEMPLATE,
    Node,
    Stack,
    deployed,
)
from tests.unit.template.test_resources import QUEUES

KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ALL_ON = {"KmsKeyArn": KEY, "ProtectData": "true", "MonthlyBudget": "50", "AlarmEmail": "ops@example.com"}
CONFIG = ROOT / "samconfig.toml"
ENVIRONMENTS = tuple(
    name for name, value in tomllib.loads(CONFIG.read_text("utf-8")).items() if name != "version"
)


# ---- concurrency


def reserved(**given: str) -> dict[str, Any]:
    stack = deployed(**given)
    return {
        name: int(stack[name]["ReservedConcurrentExecutions"])
        for name in FUNCTIONS
        if "ReservedConcurrentExecutions" in stack[name]
    }


def test_what_callers_and_strangers_reach_is_bounded() -> None:
    """So that none of it takes the executions of the queues' functions, which share what is unreserved."""
    bounds = reserved()
    stack = deployed()
    behind_api = set(re.findall(r"<(\w+)Aliaslive>/invocations", json.dumps(stack["HttpApi"]["Body"])))
    assert bounds.keys() == {*behind_api, "TokenRefreshFunction"} == {*RESERVING, "TokenRefreshFunction"}
    assert bounds["TokenRefreshFunction"] == 1
    assert sum(bounds.values()) <= 1000 - 100  # in an account with the usual limit
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        assert int(mapping["ScalingConfig"]["MaximumConcurrency"]) >= 2


def test_stack_for_development_fits_into_a_small_account() -> None:
    """One that has been granted 200 executions, such as a new one: of these 100 stay unreserved."""
    parameters = template_parameters(environment("default", CONFIG), TEMPLATE)
    assert sum(int(parameters[parameter]) for parameter in RESERVING.values()) == 0
    assert reserved(**parameters) == {"TokenRefreshFunction": 1}


@pytest.mark.parametrize(("function", "parameter"), RESERVING.items())
def test_reservation_by_parameter(function: str, parameter: str) -> None:
    assert reserved(**{parameter: "7"})[function] == 7
    assert function not in reserved(**{parameter: "0"})


# ---- throttling


def public_routes(stack: Stack) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, methods in stack["HttpApi"]["Body"]["paths"].items()
        for method, operation in methods.items()
        if operation["security"] == [{"NONE": []}]
    }


def test_public_routes_have_throttles_of_their_own() -> None:
    """So that a flood there never uses up what callers have."""
    stack = deployed()
    stage = stack.only("AWS::ApiGatewayV2::Stage")
    assert stage["RouteSettings"].keys() == public_routes(stack)
    assert len(public_routes(stack)) >= 4
    for limits in stage["RouteSettings"].values():
        assert 0 < limits["ThrottlingRateLimit"] <= limits["ThrottlingBurstLimit"]
        assert limits["ThrottlingRateLimit"] < stage["DefaultRouteSettings"]["ThrottlingRateLimit"]


# ---- encryption


def test_key_encrypts_all_that_is_stored() -> None:
    stack = deployed(KmsKeyArn=KEY)
    assert stack["Ledger"]["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }
    for queue in QUEUES:
        assert (stack[queue]["KmsMasterKeyId"], "SqsManagedSseEnabled" in stack[queue]) == (KEY, False)
    (rule,) = stack["BroadcastBucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert rule["BucketKeyEnabled"] is True
    assert stack["OpenidHashKey"]["KmsKeyId"] == KEY
    assert {group["KmsKeyId"] for group in stack.of_type("AWS::Logs::LogGroup").values()} == {KEY}
    writers = {
        name for name in FUNCTIONS if stack[name]["Environment"]["Variables"].get("PARAMETER_KMS_KEY") == KEY
    }
    assert {stack.role_of(name) for name in writers} == stack.resources_for("ssm:PutParameter").keys()


def test_without_a_key_none_is_named() -> None:
    stack = deployed()
    assert "kms:" not in json.dumps(stack.resources)
    assert not re.findall(r'"K(?:ms|MS)\w+Id"', json.dumps(stack.resources))


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_roles_use_the_key_through_services_alone(partition: str) -> None:
    stack = Stack(partition=partition, KmsKeyArn=KEY)
    for role in set(stack.roles) - {"DeploymentRole", "DeploymentCheckRole"}:  # these meet no data
        (statement,) = stack.statements(role, "kms:*")
        assert statement["Resource"] == [KEY]
        assert not {"kms:*", "kms:CreateGrant", "kms:ScheduleKeyDeletion"} & set(statement["Action"])
        services = statement["Condition"]["StringLike"]["kms:ViaService"]
        region = REGIONS[partition]
        assert services == [
            f"{service}.{region}.*" for service in ("dynamodb", "s3", "secretsmanager", "sqs", "ssm")
        ]


# ---- plain HTTP

_POLICIES = {
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", "PolicyDocument", "sqs:*"),
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", "PolicyDocument", "s3:*"),
    "AWS::SecretsManager::Secret": (
        "AWS::SecretsManager::ResourcePolicy",
        "SecretId",
        "ResourcePolicy",
        "secretsmanager:*",
    ),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "PolicyDocument", "sns:Publish"),
}


def test_plain_http_is_denied_wherever_a_policy_can() -> None:
    stack = deployed(**ALL_ON)
    checked = 0
    for kind, (policy_type, target, document, action) in _POLICIES.items():
        for name in stack.of_type(kind):
            policies = [each for each in stack.of_type(policy_type).values() if f"<{name}>" in each[target]]
            denials = [
                statement
                for policy in policies
                for statement in policy[document]["Statement"]
                if statement["Effect"] == "Deny"
                and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                and (statement["Principal"], statement["Action"]) == ("*", action)
            ]
            assert len(denials) == 1, name
            checked += 1
    assert checked >= len(QUEUES) + 2


# ---- deletion


@pytest.mark.parametrize(
    ("stage", "given", "protected"),
    [
        ("prod", "auto", True),
        ("staging", "auto", False),
        ("staging", "true", True),
        ("prod", "false", False),
    ],
)
def test_ledger_is_protected(stage: str, given: str, *, protected: bool) -> None:
    ledger = deployed(Stage=stage, ProtectData=given, AlarmTopicArn="arn:topic")["Ledger"]
    assert ledger["DeletionProtectionEnabled"] is protected
    assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": protected}
    assert protects_data({"Stage": stage, "ProtectData": given}) is protected


@pytest.mark.parametrize("name", ["Ledger", "BroadcastBucket", "OpenidHashKey"])
def test_what_cannot_be_made_again_outlives_every_stack(name: str) -> None:
    resource = deployed().resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_stack_for_development_goes_without_a_trace() -> None:
    """Named queues and logs that stayed would keep the next stack of that name from being created."""
    stack = deployed(**ALL_ON)
    kept = {name for name, node in stack.resources.items() if "Retain" in node.get("DeletionPolicy", "")}
    kept -= stack.of_type("AWS::Lambda::Version").keys()  # which go with their functions
    assert kept == {"Ledger", "BroadcastBucket", "OpenidHashKey"}  # and addresses, where it has some


def test_queues_and_logs_outlive_a_protected_stack() -> None:
    stack = Stack(with_retention)
    kept = {
        name for name, node in stack.resources.items() if node.get("DeletionPolicy", "Delete") != "Delete"
    }
    stored = [
        name
        for kind in (*RETAINED, "AWS::DynamoDB::Table", "AWS::S3::Bucket")
        for name in stack.of_type(kind)
    ]
    assert kept >= {*stored, "OpenidHashKey"}
    assert all(stack.resources[name]["UpdateReplacePolicy"] == "Retain" for name in stored)


def test_what_a_parameter_takes_away_can_come_back() -> None:
    """To deploy a remedy ``GradualDeployment`` is switched off for once; its log group has a name."""
    kept = {
        name: node.get("DeletionPolicy", "Delete")
        for name, node in with_retention(deepcopy(SOURCE))["Resources"].items()
        if "Condition" in node and node["Type"] in RETAINED
    }
    assert kept
    assert set(kept.values()) == {"Delete"}


@pytest.mark.parametrize(("name", "changed"), [("prod", True), ("staging", False), ("default", False)])
def test_built_template_of_an_environment(tmp_path: Path, name: str, *, changed: bool) -> None:
    built = tmp_path / "template.yaml"
    built.write_text(TEMPLATE, "utf-8")
    main(["--env", name, str(built)])
    found = yaml_parse(built.read_text("utf-8"))
    assert found == (with_retention(yaml_parse(TEMPLATE)) if changed else yaml_parse(TEMPLATE))


def test_retention_is_part_of_a_deployment() -> None:
    recipe = (ROOT / "build.mk").read_text("utf-8").partition("\ndeploy:")[2]
    steps = [recipe.index(step) for step in ("build\n", "operations.retention", "$(SAM) deploy")]
    assert steps == sorted(steps)


# ---- parameters of an environment


def test_parameters_as_the_template_has_them() -> None:
    given = template_parameters({"parameter_overrides": ["Stage=prod", "LogLevel=DEBUG"]}, TEMPLATE)
    defaults = {name: str(node["Default"]) for name, node in PARAMETERS.items()}
    assert given == defaults | {"Stage": "prod", "LogLevel": "DEBUG"}
    as_text = {"parameter_overrides": 'Stage=prod QuotaReset="00:00+08:00"'}
    assert template_parameters(as_text, TEMPLATE) == defaults | {"Stage": "prod"}


# ---- tags


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_stack_is_tagged_with_its_stage(name: str) -> None:
    """CloudFormation hands a stack's tags down; a budget finds the costs by this one."""
    settings = environment(name, CONFIG)
    stage = template_parameters(settings, TEMPLATE)["Stage"]
    assert settings["tags"] == f"wechat-notify={stage}"


def test_all_that_costs_can_have_the_stacks_tags() -> None:
    """The others are policies, permissions and settings of what has them."""
    without = set()
    for kind in {node["Type"] for node in deployed(**ALL_ON).resources.values()}:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        tagging = schema.get("tagging", {"taggable": schema.get("taggable", False)})
        if not (tagging.get("taggable") or "Tags" in schema["properties"]):
            without.add(kind)
    assert without <= {
        "AWS::IAM::ManagedPolicy",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::LayerVersion",  # billed with the functions' storage
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::Logs::QueryDefinition",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::Scheduler::Schedule",  # their group has them
        "AWS::SecretsManager::ResourcePolicy",
    }


# ---- costs


def test_budget_watches_this_stage() -> None:
    assert not deployed().of_type("AWS::Budgets::Budget")
    budget = deployed(MonthlyBudget="50", AlarmEmail="ops@example.com", Stage="prod").only(
        "AWS::Budgets::Budget"
    )
    told = budget["Budget"]
    assert (str(told["BudgetLimit"]["Amount"]), told["BudgetLimit"]["Unit"]) == ("50", "USD")
    assert told["CostFilters"] == {"TagKeyValue": ["user:wechat-notify$prod"]}
    for notification in budget["NotificationsWithSubscribers"]:
        assert notification["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": "ops@example.com"}]
        assert notification["Notification"]["Threshold"] == 100
    kinds = [each["Notification"]["NotificationType"] for each in budget["NotificationsWithSubscribers"]]
    assert kinds == ["FORECASTED", "ACTUAL"]


def test_budget_goes_to_the_alarm_topic() -> None:
    budget = deployed(MonthlyBudget="50", AlarmTopicArn="arn:topic").only("AWS::Budgets::Budget")
    for notification in budget["NotificationsWithSubscribers"]:
        assert notification["Subscribers"] == [{"SubscriptionType": "SNS", "Address": "arn:topic"}]


@pytest.mark.parametrize(("partition", "unit"), [("aws-cn", "CNY"), ("aws-us-gov", None)])
def test_budget_by_partition(partition: str, unit: str | None) -> None:
    budgets: dict[str, Node] = Stack(
        partition=partition, MonthlyBudget="50", AlarmEmail="ops@example.com"
    ).of_type("AWS::Budgets::Budget")
    assert [each["Budget"]["BudgetLimit"]["Unit"] for each in budgets.values()] == ([unit] if unit else [])


def test_budget_is_for_the_regions_that_know_the_type() -> None:
    """A template with it in another region is refused as a whole."""
    asked: set[str] = set(re.findall(r"'([a-z]+-[a-z]+-\d)'", str(SOURCE["Conditions"]["HasBudget"])))
    knowing = {
        region
        for region in KNOWN_REGIONS
        if "AWS::Budgets::Budget" in PROVIDER_SCHEMA_MANAGER.get_resource_types(region)
    }
    assert asked == {
        region for region in knowing if not region.startswith(("us-iso", "eu-iso", "eusc", "us-gov"))
    }
