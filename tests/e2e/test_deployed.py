"""What was deployed is what template.yaml says: a property that the emulator dropped would be a false green.

Each kind of resource is read back through its own service and compared with the translated template.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from local.deployment import resolve, translate
from local.processes import ROOT
from local.stack import REGION
from tests.e2e.conftest import Service

# Read back below. The rest is metadata of those, or is met by the other tests.
READ_BACK = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SecretsManager::Secret",
}


class Deployed:
    """The template's resources with every reference resolved, and their physical ids."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.deployment = service.stack.deployment

    def __call__(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        found = [
            (
                self.deployment.physical_ids[name],
                resolve(resource["Properties"], self.deployment, self.get_att),
            )
            for name, resource in self.deployment.resources(kind)
        ]
        assert found, f"no {kind}"
        return found

    def get_att(self, name: str, attribute: str) -> str:  # noqa: PLR0911 - one for each kind
        """From the services, not from the emulator's CloudFormation."""
        physical = self.deployment.physical_ids[name]
        match self.deployment.template["Resources"][name]["Type"], attribute:
            case "AWS::SQS::Queue", "Arn":
                return self.queue(physical)["QueueArn"]
            case "AWS::SQS::Queue", "QueueName":
                return physical.rpartition("/")[2]
            case "AWS::Lambda::Function", "Arn":
                return str(self.function(physical)["FunctionArn"])
            case "AWS::IAM::Role", "Arn":
                return str(self.client("iam").get_role(RoleName=physical)["Role"]["Arn"])
            case "AWS::Logs::LogGroup", "Arn":
                return str(self.log_group(physical)["arn"])
            case "AWS::Scheduler::ScheduleGroup", "Arn":
                return str(self.client("scheduler").get_schedule_group(Name=physical)["Arn"])
            case "AWS::DynamoDB::Table", "Arn":
                return str(self.client("dynamodb").describe_table(TableName=physical)["Table"]["TableArn"])
            case "AWS::Events::EventBus", "Arn":
                return str(self.client("events").describe_event_bus(Name=physical)["Arn"])
            case "AWS::Events::Rule", "Arn":
                bus = self.service.state.event_bus_name
                return str(self.client("events").describe_rule(Name=physical, EventBusName=bus)["Arn"])
        raise AssertionError(f"{name}.{attribute}")

    def client(self, service: str) -> Any:
        return self.service.client(service)

    def queue(self, url: str) -> dict[str, str]:
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes

    def function(self, name: str) -> Any:
        return self.client("lambda").get_function_configuration(FunctionName=name)

    def log_group(self, name: str) -> Any:
        (group,) = self.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return group


@pytest.fixture(scope="module")
def deployed(service: Service) -> Deployed:
    return Deployed(service)


def assert_holds(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Everything that is expected is there; the service may add to it."""
    assert {name: actual.get(name) for name in expected} == dict(expected)


def test_every_kind_of_resource_is_read_back(deployed: Deployed) -> None:
    resources = deployed.deployment.template["Resources"]
    kinds = {resources[name]["Type"] for name in deployed.deployment.physical_ids if name in resources}
    assert kinds == READ_BACK


def test_every_resource_without_a_false_condition_is_there(deployed: Deployed) -> None:
    expected = {
        name
        for name, resource in deployed.deployment.template["Resources"].items()
        if "Condition" not in resource or resolve({"Condition": resource["Condition"]}, deployed.deployment)
    }
    assert set(deployed.deployment.physical_ids) == expected


def test_routes(deployed: Deployed) -> None:
    from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415

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
        assert operation["security"] == [{"AWS_IAM": []}]
        assert routes[key]["AuthorizationType"] == "AWS_IAM"
        integration = integrations[routes[key]["Target"].removeprefix("integrations/")]
        wanted = operation["x-amazon-apigateway-integration"]
        uri = resolve(wanted["uri"], deployed.deployment, deployed.get_att)
        assert integration["IntegrationUri"] == uri
        assert integration["PayloadFormatVersion"] == wanted["payloadFormatVersion"]
        assert integration["IntegrationType"] == "AWS_PROXY"


def test_stage(deployed: Deployed) -> None:
    for _, properties in deployed("AWS::ApiGatewayV2::Stage"):
        gateway = deployed.client("apigatewayv2")
        stage = gateway.get_stage(ApiId=properties["ApiId"], StageName=properties["StageName"])
        assert_holds(
            stage, {k: properties[k] for k in ("AutoDeploy", "DefaultRouteSettings", "AccessLogSettings")}
        )


def test_event_source_mapping(deployed: Deployed) -> None:
    for physical, properties in deployed("AWS::Lambda::EventSourceMapping"):
        mapping = deployed.client("lambda").get_event_source_mapping(UUID=physical)
        assert mapping["State"] == "Enabled"
        assert mapping["EventSourceArn"] == properties["EventSourceArn"]
        assert mapping["FunctionArn"] == deployed.function(properties["FunctionName"])["FunctionArn"]
        assert mapping["FunctionResponseTypes"] == properties["FunctionResponseTypes"]
        # CloudFormation takes numbers as text from a parameter.
        assert mapping["BatchSize"] == int(properties["BatchSize"])
        assert mapping["MaximumBatchingWindowInSeconds"] == int(properties["MaximumBatchingWindowInSeconds"])
        maximum = int(properties["ScalingConfig"]["MaximumConcurrency"])
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": maximum}


def test_functions(deployed: Deployed) -> None:
    for physical, properties in deployed("AWS::Lambda::Function"):
        function = deployed.function(physical)
        names = ("Handler", "Role", "Runtime", "Timeout", "MemorySize", "Architectures", "TracingConfig")
        assert_holds(function, {name: properties[name] for name in names})
        assert [layer["Arn"] for layer in function["Layers"]] == properties["Layers"]
        assert function["LoggingConfig"]["LogGroup"] == properties["LoggingConfig"]["LogGroup"]
        variables = properties["Environment"]["Variables"]
        actual = function["Environment"]["Variables"]
        assert set(actual) == set(variables)
        for name, value in variables.items():
            if "{{resolve:" not in value:
                assert actual[name] == value
        concurrency = deployed.client("lambda").get_function_concurrency(FunctionName=physical)
        reserved = concurrency.get("ReservedConcurrentExecutions")
        assert reserved == properties.get("ReservedConcurrentExecutions")
        recursion = deployed.client("lambda").get_function_recursion_config(FunctionName=physical)
        assert recursion["RecursiveLoop"] == properties.get("RecursiveLoop", "Terminate")


def test_secret(deployed: Deployed) -> None:
    ((physical, properties),) = deployed("AWS::SecretsManager::Secret")
    secret = deployed.client("secretsmanager").get_secret_value(SecretId=physical)["SecretString"]
    assert len(secret) == properties["GenerateSecretString"]["PasswordLength"]
    hashing = [
        function["Environment"]["Variables"]["OPENID_HASH_KEY"]
        for function in (deployed.function(name) for name, _ in deployed("AWS::Lambda::Function"))
        if "OPENID_HASH_KEY" in function["Environment"]["Variables"]
    ]
    assert hashing
    assert set(hashing) == {secret}


def test_asynchronous_invocations(deployed: Deployed) -> None:
    for _, properties in deployed("AWS::Lambda::EventInvokeConfig"):
        config = deployed.client("lambda").get_function_event_invoke_config(
            FunctionName=properties["FunctionName"], Qualifier=properties["Qualifier"]
        )
        assert_holds(config, {k: properties[k] for k in ("MaximumEventAgeInSeconds", "MaximumRetryAttempts")})


def test_permissions(deployed: Deployed) -> None:
    for _, properties in deployed("AWS::Lambda::Permission"):
        answer = deployed.client("lambda").get_policy(FunctionName=properties["FunctionName"])
        conditions = [s["Condition"] for s in json.loads(answer["Policy"])["Statement"]]
        assert {"ArnLike": {"AWS:SourceArn": properties["SourceArn"]}} in conditions


def test_layer(deployed: Deployed) -> None:
    for physical, properties in deployed("AWS::Lambda::LayerVersion"):
        layer = deployed.client("lambda").get_layer_version_by_arn(Arn=physical)
        assert layer["Content"]["CodeSize"] > 0
        assert_holds(layer, {k: properties[k] for k in ("CompatibleRuntimes", "CompatibleArchitectures")})


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
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert_holds(table, {k: properties[k] for k in ("KeySchema", "AttributeDefinitions")})
    assert table["BillingModeSummary"]["BillingMode"] == properties["BillingMode"]
    assert not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification"} & set(table)
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"AttributeName": "ttl", "TimeToLiveStatus": "ENABLED"}
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"


def test_schedules(deployed: Deployed) -> None:
    for name, properties in deployed("AWS::Scheduler::Schedule"):
        group = properties.get("GroupName", "default")
        schedule = deployed.client("scheduler").get_schedule(Name=name, GroupName=group)
        assert schedule["State"] == properties.get("State", "ENABLED")
        names = ("ScheduleExpression", "FlexibleTimeWindow", "Target")
        assert_holds(schedule, {name: properties[name] for name in names})
        assert schedule["Target"]["DeadLetterConfig"]["Arn"]
        assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] >= 1


def test_schedule_group_and_event_bus(deployed: Deployed) -> None:
    for name, properties in deployed("AWS::Scheduler::ScheduleGroup"):
        assert deployed.client("scheduler").get_schedule_group(Name=name)["Name"] == properties["Name"]
    for name, properties in deployed("AWS::Events::EventBus"):
        assert deployed.client("events").describe_event_bus(Name=name)["Name"] == properties["Name"]


def test_rules(deployed: Deployed) -> None:
    events = deployed.client("events")
    for name, properties in deployed("AWS::Events::Rule"):
        bus = properties["EventBusName"]
        rule = events.describe_rule(Name=name, EventBusName=bus)
        assert rule["State"] == properties.get("State", "ENABLED")
        assert json.loads(rule["EventPattern"]) == properties["EventPattern"]
        targets = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        assert targets == properties["Targets"]
        assert all(target["DeadLetterConfig"]["Arn"] for target in targets)


def test_log_groups(deployed: Deployed) -> None:
    for name, properties in deployed("AWS::Logs::LogGroup"):
        assert deployed.log_group(name)["retentionInDays"] == int(properties["RetentionInDays"])


def test_alarms(deployed: Deployed) -> None:
    for name, properties in deployed("AWS::CloudWatch::Alarm"):
        (alarm,) = deployed.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        assert_holds(alarm, {k: v for k, v in properties.items() if k not in {"AlarmActions", "Tags"}})


# Who may do what: asked from inside of functions, where the policies apply.

PROBE = """
import boto3
from botocore.exceptions import ClientError

def lambda_handler(calls, context):
    codes = {}
    for name, (service, method, request) in calls.items():
        try:
            getattr(boto3.client(service), method)(**request)
            codes[name] = "allowed"
        except ClientError as error:
            codes[name] = error.response["Error"]["Code"]
    return codes
"""
ACCOUNTS = "/wechat-notify/local/accounts"
TOKEN, CREDENTIALS = f"{ACCOUNTS}/demo/access-token", f"{ACCOUNTS}/demo/credentials"
LEDGER = {"put", "get", "get many"}
MAY = {
    "SendApiRole": {"read token", "ask refresher", "enqueue", "park", "publish", *LEDGER},
    "SendQueueRole": {"read token", "ask refresher", "enqueue", "park", "put aside", "publish", *LEDGER},
    "TokenRefreshRole": {"read account", "list accounts", "write token", "publish"},
    "ScheduleRole": {"enqueue", "park"},
    "RefreshScheduleRole": {"ask refresher", "put event aside"},
}
Calls = dict[str, tuple[str, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def calls(deployed: Deployed) -> Calls:
    """What a function might do, by a name for each; none of it is felt by the service."""
    physical = deployed.deployment.physical_ids
    table, bus = physical["Ledger"], deployed.service.state.event_bus_name
    deployed.client("dynamodb").create_table(
        TableName="another",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    deployed.client("events").create_event_bus(Name="another")

    # For an account that nobody sends for, and so late that nobody takes it off its queue.
    written = {"Value": "x", "Type": "SecureString", "Overwrite": True}
    late = {"MessageBody": "probe", "DelaySeconds": 900, "MessageGroupId": "probe"}
    key = {"pk": {"S": "probe"}}
    keys = {"Keys": [key]}

    def send(queue: str) -> tuple[str, str, dict[str, Any]]:
        return "sqs", "send_message", {"QueueUrl": physical[queue], **late}

    def publish(*events: tuple[str, str]) -> tuple[str, str, dict[str, Any]]:
        entries = [
            {"Source": source, "DetailType": "probe", "Detail": "{}", "EventBusName": name}
            for source, name in events
        ]
        return "events", "put_events", {"Entries": entries}

    own = ("wechat-notify", bus)
    return {
        "read token": ("ssm", "get_parameter", {"Name": TOKEN}),
        "read credentials": ("ssm", "get_parameter", {"Name": CREDENTIALS}),
        "read account": ("ssm", "get_parameters", {"Names": [TOKEN, CREDENTIALS]}),
        "list accounts": ("ssm", "get_parameters_by_path", {"Path": ACCOUNTS, "Recursive": True}),
        "write token": ("ssm", "put_parameter", {"Name": f"{ACCOUNTS}/probe/access-token", **written}),
        "write credentials": ("ssm", "put_parameter", {"Name": f"{ACCOUNTS}/probe/credentials", **written}),
        "ask refresher": (
            "lambda",
            "invoke",
            {"FunctionName": physical["TokenRefreshFunction"], "InvocationType": "DryRun"},
        ),
        "ask another function": (
            "lambda",
            "invoke",
            {"FunctionName": physical["SendApiFunction"], "InvocationType": "DryRun"},
        ),
        "enqueue": send("SendQueue"),
        "park": (
            "sqs",
            "send_message_batch",
            {"QueueUrl": physical["SendQueue"], "Entries": [{"Id": "0", **late}]},
        ),
        "put aside": send("DeadLetterQueue"),
        "put event aside": send("EventDeadLetterQueue"),
        "put": ("dynamodb", "put_item", {"TableName": table, "Item": key}),
        "put into another": ("dynamodb", "put_item", {"TableName": "another", "Item": key}),
        "get": ("dynamodb", "get_item", {"TableName": table, "Key": key}),
        "get many": ("dynamodb", "batch_get_item", {"RequestItems": {table: keys}}),
        "get from another": ("dynamodb", "batch_get_item", {"RequestItems": {table: keys, "another": keys}}),
        "delete": ("dynamodb", "delete_item", {"TableName": table, "Key": key}),
        "scan": ("dynamodb", "scan", {"TableName": table}),
        "publish": publish(own, own),
        "publish as another": publish(own, ("another", bus)),
        "publish elsewhere": publish(own, ("wechat-notify", "another")),
    }


def test_every_role_is_probed(deployed: Deployed) -> None:
    assert {name for name, _ in deployed.deployment.resources("AWS::IAM::Role")} == MAY.keys()


@pytest.mark.parametrize("role", MAY)
def test_a_role_may_do_its_part_and_no_more(deployed: Deployed, calls: Calls, role: str) -> None:
    client, name = deployed.client("lambda"), f"probe-{role}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("probe.py", PROBE)
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="probe.lambda_handler",
        Role=deployed.get_att(role, "Arn"),
        Code={"ZipFile": archive.getvalue()},
        Timeout=30,
    )
    answer = client.invoke(FunctionName=name, Payload=json.dumps(calls))
    client.delete_function(FunctionName=name)
    codes = json.loads(answer["Payload"].read())
    assert {call for call, code in codes.items() if code == "allowed"} == MAY[role]
    assert set(codes.values()) <= {"allowed", "AccessDenied", "AccessDeniedException"}
