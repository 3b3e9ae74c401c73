"""What was deployed is what template.yaml says: a property that the emulator dropped would be a false green.

Each kind of resource is read back through its own service and compared with the translated template.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.cloudformation.emulator_gaps import is_unknown_alarm
from local.cloudformation.intrinsic_functions import resolve
from local.cloudformation.sam import translate
from local.processes import ROOT
from local.stack import REGION
from tests.e2e.conftest import Deployed

Properties = dict[str, Any]


def test_resources_with_true_conditions_exist(deployed: Deployed) -> None:
    """And each of their kinds is read back below; the rest is metadata, or is met by the other tests."""
    deployment = deployed.deployment
    resources = deployment.template["Resources"]
    expected = {
        name
        for name, resource in resources.items()
        if "Condition" not in resource or resolve({"Condition": resource["Condition"]}, deployment)
        if not is_unknown_alarm(resource)  # tests/unit/alarms/ tries these
        if resource["Type"] != "AWS::Logs::QueryDefinition"  # the emulator refuses it
    }
    refused = {"OpenidHashKeyPolicy"}  # its type is unknown to the emulator; test_secret reads it back
    assert set(deployment.physical_ids) == expected - refused
    assert {resources[name]["Type"].removeprefix("AWS::") for name in expected} == READ_BACK | HOLDING.keys()


def test_resources_are_listed(deployed: Deployed) -> None:
    """By their physical ids: a command line needs no more to find the stack's log groups and alarms."""
    pages = deployed.client("cloudformation").get_paginator("list_stack_resources")
    listed = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=deployed.deployment.stack_name)
        for resource in page["StackResourceSummaries"]
    }
    assert listed == deployed.deployment.physical_ids


# What a service says of its resource, and the properties to compare: where none are named, all but some.
HOLDING: dict[str, tuple[Callable[[Deployed, str, Properties], Properties], str]] = {
    "ApiGatewayV2::Stage": (
        lambda its, _, given: its.client("apigatewayv2").get_stage(
            ApiId=given["ApiId"], StageName=given["StageName"]
        ),
        "AutoDeploy DefaultRouteSettings RouteSettings AccessLogSettings",
    ),
    "CloudWatch::Alarm": (
        lambda its, name, _: its.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0],
        "",
    ),
    "Events::EventBus": (lambda its, name, _: its.client("events").describe_event_bus(Name=name), "Name"),
    "Lambda::Alias": (
        lambda its, _, given: its.client("lambda").get_alias(
            FunctionName=given["FunctionName"], Name=given["Name"]
        ),
        "Name",
    ),
    "Lambda::EventInvokeConfig": (
        lambda its, _, given: its.client("lambda").get_function_event_invoke_config(
            FunctionName=given["FunctionName"], Qualifier=given["Qualifier"]
        ),
        "MaximumEventAgeInSeconds MaximumRetryAttempts",
    ),
    "Lambda::LayerVersion": (
        lambda its, arn, _: its.client("lambda").get_layer_version_by_arn(Arn=arn),
        "CompatibleRuntimes CompatibleArchitectures",
    ),
    "Scheduler::ScheduleGroup": (lambda its, name, _: its.schedule_group(name), "Name"),
}
READ_BACK = {
    "ApiGatewayV2::Api",
    "ApiGatewayV2::Integration",
    "ApiGatewayV2::Route",
    "CloudWatch::Dashboard",
    "DynamoDB::Table",
    "Events::Rule",
    "IAM::Role",
    "Lambda::EventSourceMapping",
    "Lambda::Function",
    "Lambda::Permission",
    "Lambda::Version",
    "Logs::LogGroup",
    "SQS::Queue",
    "S3::Bucket",
    "S3::BucketPolicy",
    "SQS::QueuePolicy",
    "Scheduler::Schedule",
    "SecretsManager::ResourcePolicy",
    "SecretsManager::Secret",
}
"""The other kinds, each by a test of its own."""


def assert_holds(actual: Properties, expected: Properties, names: str) -> None:
    """These properties are there as expected; the service may add to them."""
    compared = names.split() or expected.keys() - {"AlarmActions", "OKActions", "Tags"}
    assert {name: actual.get(name) for name in compared} == {name: expected[name] for name in compared}


@pytest.mark.parametrize("kind", HOLDING)
def test_properties_are_held(deployed: Deployed, kind: str) -> None:
    read, names = HOLDING[kind]
    for physical, properties in deployed(f"AWS::{kind}"):
        assert_holds(read(deployed, physical, properties), properties, names)


def test_routes(deployed: Deployed) -> None:
    source = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for resource in source["Resources"].values():
        for name in {"CodeUri", "ContentUri"} & set(resource.get("Properties", {})):
            resource["Properties"][name] = "s3://bucket/key"
    resources = translate(source, deployed.deployment.parameters, REGION)["Resources"]
    (name, api), *others = [(n, r) for n, r in resources.items() if r["Type"] == "AWS::ApiGatewayV2::Api"]
    assert not others
    api_id = deployed.deployment.physical_ids[name]
    gateway = deployed.client("apigatewayv2")
    routes = {route["RouteKey"]: route for route in gateway.get_routes(ApiId=api_id)["Items"]}
    body = api["Properties"]["Body"]
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in body["paths"].items()
        for method, operation in methods.items()
    }
    assert set(routes) == set(operations)
    integrations = {i["IntegrationId"]: i for i in gateway.get_integrations(ApiId=api_id)["Items"]}
    for key, operation in operations.items():
        ((authorizer, _),) = operation["security"][0].items()
        assert routes[key]["AuthorizationType"] == authorizer
        integration = integrations[routes[key]["Target"].removeprefix("integrations/")]
        wanted = operation["x-amazon-apigateway-integration"]
        uri = resolve(wanted["uri"], deployed.deployment, deployed.get_att)
        assert integration["IntegrationUri"] == uri
        assert integration["PayloadFormatVersion"] == wanted["payloadFormatVersion"]
        assert integration["IntegrationType"] == "AWS_PROXY"


def test_event_source_mapping(deployed: Deployed) -> None:
    for physical, properties in deployed("AWS::Lambda::EventSourceMapping"):
        mapping = deployed.client("lambda").get_event_source_mapping(UUID=physical)
        assert mapping["State"] == "Enabled"
        assert mapping["EventSourceArn"] == properties["EventSourceArn"]
        assert mapping["FunctionArn"] == properties["FunctionName"]  # an alias, by its ARN
        assert mapping["FunctionResponseTypes"] == properties["FunctionResponseTypes"]
        # CloudFormation takes numbers as text from a parameter.
        assert mapping["BatchSize"] == int(properties["BatchSize"])
        window = int(properties.get("MaximumBatchingWindowInSeconds", 0))
        assert mapping["MaximumBatchingWindowInSeconds"] == window
        maximum = int(properties["ScalingConfig"]["MaximumConcurrency"])
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": maximum}


def test_aliases_serve_the_only_version(deployed: Deployed) -> None:
    for arn, properties in deployed("AWS::Lambda::Version"):
        published = deployed.client("lambda").get_function(FunctionName=arn)["Configuration"]
        assert published["FunctionName"] == properties["FunctionName"]
        assert published["Version"] == "1"
    for _, alias in deployed("AWS::Lambda::Alias"):
        serves = deployed.client("lambda").get_alias(FunctionName=alias["FunctionName"], Name="live")
        # Of the canary there is a second version, which knows the API's address here.
        assert serves["FunctionVersion"] == ("2" if "Canary" in alias["FunctionName"] else "1")


def test_functions(deployed: Deployed) -> None:
    for physical, properties in deployed("AWS::Lambda::Function"):
        function = deployed.function(physical)
        assert_holds(
            function, properties, "Handler Role Runtime Timeout MemorySize Architectures TracingConfig"
        )
        assert [layer["Arn"] for layer in function["Layers"]] == properties["Layers"]
        assert function["LoggingConfig"]["LogGroup"] == properties["LoggingConfig"]["LogGroup"]
        variables = properties["Environment"]["Variables"]
        actual = function["Environment"]["Variables"]
        assert set(actual) == set(variables)
        for name, value in variables.items():
            if "{{resolve:" not in value and name != "API_URL":  # its address here is another
                assert actual[name] == value
        concurrency = deployed.client("lambda").get_function_concurrency(FunctionName=physical)
        reserved = concurrency.get("ReservedConcurrentExecutions")
        expected = properties.get("ReservedConcurrentExecutions")
        assert reserved == (None if expected is None else int(expected))
        recursion = deployed.client("lambda").get_function_recursion_config(FunctionName=physical)
        assert recursion["RecursiveLoop"] == properties.get("RecursiveLoop", "Terminate")


def test_dashboard(deployed: Deployed) -> None:
    ((physical, _),) = deployed("AWS::CloudWatch::Dashboard")
    body = deployed.client("cloudwatch").get_dashboard(DashboardName=physical)["DashboardBody"]
    assert "${" not in body
    assert len(json.loads(body)["widgets"]) > 15


def test_secret(deployed: Deployed) -> None:
    ((physical, properties),) = deployed("AWS::SecretsManager::Secret")
    secret = deployed.client("secretsmanager").get_secret_value(SecretId=physical)["SecretString"]
    assert len(secret) == properties["GenerateSecretString"]["PasswordLength"]
    functions = [deployed.function(name) for name, _ in deployed("AWS::Lambda::Function")]
    (policy,) = [
        resource["Properties"]["ResourcePolicy"]
        for resource in deployed.deployment.template["Resources"].values()
        if resource["Type"] == "AWS::SecretsManager::ResourcePolicy"
    ]
    answer = deployed.client("secretsmanager").get_resource_policy(SecretId=physical)
    assert json.loads(answer["ResourcePolicy"]) == policy
    assert secret not in json.dumps([function["Environment"] for function in functions])


def test_permissions(deployed: Deployed) -> None:
    for _, properties in deployed("AWS::Lambda::Permission"):
        answer = deployed.client("lambda").get_policy(FunctionName=properties["FunctionName"])
        conditions = [s["Condition"] for s in json.loads(answer["Policy"])["Statement"]]
        assert {"ArnLike": {"AWS:SourceArn": properties["SourceArn"]}} in conditions


def test_queues(deployed: Deployed) -> None:
    for url, properties in deployed("AWS::SQS::Queue"):
        attributes = deployed.queue(url)
        for name, value in properties.items():
            if name == "QueueName":
                assert url.endswith(f"/{value}")
            elif isinstance(value, dict):
                assert json.loads(attributes[name]) == value
            else:
                assert attributes[name] == str(value).lower()


def test_queue_policies(deployed: Deployed) -> None:
    for _, properties in deployed("AWS::SQS::QueuePolicy"):
        for url in properties["Queues"]:
            assert json.loads(deployed.queue(url)["Policy"]) == properties["PolicyDocument"]


def test_roles(deployed: Deployed) -> None:
    iam = deployed.client("iam")
    for name, properties in deployed("AWS::IAM::Role"):
        role = iam.get_role(RoleName=name)["Role"]
        assert role["AssumeRolePolicyDocument"] == properties["AssumeRolePolicyDocument"]
        policies = {policy["PolicyName"]: policy["PolicyDocument"] for policy in properties["Policies"]}
        assert set(iam.list_role_policies(RoleName=name)["PolicyNames"]) == set(policies)
        for policy, document in policies.items():
            assert iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"] == document
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert [a["PolicyArn"] for a in attached] == properties.get("ManagedPolicyArns", [])


def test_table(deployed: Deployed) -> None:
    ((name, properties),) = deployed("AWS::DynamoDB::Table")
    dynamodb = deployed.client("dynamodb")
    table = deployed.table(name)
    assert_holds(table, properties, "KeySchema AttributeDefinitions")
    assert table["BillingModeSummary"]["BillingMode"] == properties["BillingMode"]
    assert not {"LocalSecondaryIndexes", "StreamSpecification"} & set(table)
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert len(indexes) == len(properties["GlobalSecondaryIndexes"])
    for wanted in properties["GlobalSecondaryIndexes"]:
        assert_holds(indexes[wanted["IndexName"]], wanted, "KeySchema Projection")
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"AttributeName": "ttl", "TimeToLiveStatus": "ENABLED"}
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"


def test_bucket(deployed: Deployed) -> None:
    """Without the lifecycle of its objects, which the emulator's CloudFormation leaves out."""
    ((name, properties),) = deployed("AWS::S3::Bucket")
    s3 = deployed.client("s3")
    public = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert public == properties["PublicAccessBlockConfiguration"]
    (encryption,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    (wanted,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    by_default = wanted["ServerSideEncryptionByDefault"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == by_default
    ((_, policy),) = deployed("AWS::S3::BucketPolicy")
    assert json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]) == policy["PolicyDocument"]


def test_schedules(deployed: Deployed) -> None:
    for name, properties in deployed("AWS::Scheduler::Schedule"):
        group = properties.get("GroupName", "default")
        schedule = deployed.client("scheduler").get_schedule(Name=name, GroupName=group)
        assert schedule["State"] == properties.get("State", "ENABLED")
        assert_holds(schedule, properties, "ScheduleExpression FlexibleTimeWindow Target")
        assert schedule["Target"]["DeadLetterConfig"]["Arn"]
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] >= 1


def test_rules(deployed: Deployed) -> None:
    events = deployed.client("events")
    for name, properties in deployed("AWS::Events::Rule"):
        bus = properties["EventBusName"]
        rule = deployed.rule(name)
        assert rule["State"] == properties.get("State", "ENABLED")
        assert json.loads(rule["EventPattern"]) == properties["EventPattern"]
        targets = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        assert targets == properties["Targets"]
        assert all(target["DeadLetterConfig"]["Arn"] for target in targets)


def test_log_groups(deployed: Deployed) -> None:
    for name, properties in deployed("AWS::Logs::LogGroup"):
        group = deployed.log_group(name)
        assert group["retentionInDays"] == int(properties["RetentionInDays"])
        answer = deployed.client("logs").describe_resource_policies(resourceArn=group["arn"])
        policies = [json.loads(policy["policyDocument"]) for policy in answer["resourcePolicies"]]
        assert policies == ([properties["ResourcePolicyDocument"]] if name.startswith("/aws/events/") else [])
