"""Who may do what: asked from inside of functions, where the policies apply."""

import io
import json
import zipfile
from typing import Any

import pytest

from tests.e2e.conftest import Deployed

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
LEDGER = {"put", "get", "get many", "put template", "get template"}
UPDATES = {"update", "update template"}
GROUPS = {"insert", "insert template", *UPDATES}
FILES = {"read file", "write file", "list files"}
MAY = {
    "SendApiRole": {"read token", "ask refresher", "enqueue", "park", "publish", *LEDGER},
    "SendQueueRole": {"read token", "ask refresher", "enqueue", "park", "put aside", "publish"}
    | LEDGER
    | GROUPS,
    "SendBroadcastRole": {"read token", "ask refresher", "release", "put aside", "publish"} | LEDGER | GROUPS,
    "BroadcastRole": {"begin step", "release", "publish", "list names", *LEDGER, *FILES},
    "TeamApiRole": {"read token", "ask refresher", "begin step", "publish", *LEDGER, *FILES}
    | {"list messages", "read schedule", "list schedules"},
    "TemplateSyncRole": {
        "read token",
        "list names",
        "put template",
        "get template",
        "insert template",
        "update template",
    },
    "CallbackRole": {"read callback keys", "list names", "tell"},
    "CallbackEventsRole": {
        "ask refresher",
        "write ticket",
        "publish",
        "find receipt",
        "delete consents",
        "tell",
    }
    | LEDGER
    | GROUPS,
    "TokenRefreshRole": {"read account", "list accounts", "write token", "publish"}
    | {"read token", "read credentials", "read callback keys", "write credentials"},
    "ScheduleRole": {"enqueue", "park", "begin step", "put event aside"},
    "RefreshScheduleRole": {"ask refresher", "put event aside"},
    "CanaryRole": set(),  # it calls the HTTP API, and reads its own order
    "DeploymentRole": set(),  # there is no CodeDeploy here
    "TemplateSyncScheduleRole": {"sync templates", "put event aside"},
}
Call = tuple[str, str, dict[str, Any]]
Calls = dict[str, Call]


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
    files, group = {"Bucket": physical["BroadcastBucket"]}, physical["ScheduleGroup"]
    deployed.client("s3").create_bucket(Bucket="another")
    for bucket in (files["Bucket"], "another"):
        deployed.client("s3").put_object(Bucket=bucket, Key="probe", Body=b"probe")
    never = {"ScheduleExpression": "at(2099-01-01T00:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    target = {"Arn": deployed.get_att("SendQueue", "Arn"), "RoleArn": deployed.get_att("ScheduleRole", "Arn")}
    for name in (group, "default"):
        deployed.client("scheduler").create_schedule(Name="probe", GroupName=name, **never, Target=target)

    # For an account that nobody sends for, and so late that nobody takes it off its queue.
    written = {"Value": "x", "Type": "SecureString", "Overwrite": True}
    late = {"MessageBody": "probe", "DelaySeconds": 900, "MessageGroupId": "probe"}
    key, template = {"pk": {"S": "probe"}}, {"pk": {"S": "templates#probe"}}
    keys = {"Keys": [key]}

    def send(queue: str) -> Call:
        return "sqs", "send_message", {"QueueUrl": physical[queue], **late}

    def ask(function: str) -> Call:
        return "lambda", "invoke", {"FunctionName": f"{physical[function]}:live", "InvocationType": "DryRun"}

    def publish(*events: tuple[str, str]) -> Call:
        entries = [
            {"Source": source, "DetailType": "probe", "Detail": "{}", "EventBusName": name}
            for source, name in events
        ]
        return "events", "put_events", {"Entries": entries}

    def query(index: str, name: str) -> Call:
        return (
            "dynamodb",
            "query",
            {
                "TableName": table,
                "IndexName": index,
                "KeyConditionExpression": f"{name} = :key",
                "ExpressionAttributeValues": {":key": key["pk"]},
            },
        )

    def in_group(statement: str, *parameters: Any) -> Call:
        """Writes of several threads go out as one call."""
        group = [{"Statement": statement, "Parameters": [*parameters]}]
        return "dynamodb", "batch_execute_statement", {"Statements": group}

    insert = f"INSERT INTO \"{table}\" VALUE {{'pk': ?}}"
    update = f'UPDATE "{table}" SET "probed" = ? WHERE "pk" = ?'  # noqa: S608 - the table's own name
    own = ("wechat-notify", bus)
    return {
        "read token": ("ssm", "get_parameter", {"Name": TOKEN}),
        "read credentials": ("ssm", "get_parameter", {"Name": CREDENTIALS}),
        "read callback keys": ("ssm", "get_parameter", {"Name": f"{ACCOUNTS}/demo/callback"}),
        "read account": ("ssm", "get_parameters", {"Names": [TOKEN, CREDENTIALS]}),
        "list accounts": ("ssm", "get_parameters_by_path", {"Path": ACCOUNTS, "Recursive": True}),
        "list names": ("ssm", "describe_parameters", {}),
        "write token": ("ssm", "put_parameter", {"Name": f"{ACCOUNTS}/probe/access-token", **written}),
        "write credentials": ("ssm", "put_parameter", {"Name": f"{ACCOUNTS}/probe/credentials", **written}),
        "write ticket": ("ssm", "put_parameter", {"Name": f"{ACCOUNTS}/probe/ticket", **written}),
        "ask refresher": ask("TokenRefreshFunction"),
        "sync templates": ask("TemplateSyncFunction"),
        "ask another function": ask("SendApiFunction"),
        "enqueue": send("SendQueue"),
        "park": (
            "sqs",
            "send_message_batch",
            {"QueueUrl": physical["SendQueue"], "Entries": [{"Id": "0", **late}]},
        ),
        "release": send("BroadcastQueue"),
        "tell": send("CallbackQueue"),
        "begin step": send("BroadcastStepQueue"),
        "put aside": send("DeadLetterQueue"),
        "put event aside": send("EventDeadLetterQueue"),
        "put": ("dynamodb", "put_item", {"TableName": table, "Item": key}),
        "put into another": ("dynamodb", "put_item", {"TableName": "another", "Item": key}),
        "get": ("dynamodb", "get_item", {"TableName": table, "Key": key}),
        "get many": ("dynamodb", "batch_get_item", {"RequestItems": {table: keys}}),
        "get from another": ("dynamodb", "batch_get_item", {"RequestItems": {table: keys, "another": keys}}),
        "put template": ("dynamodb", "put_item", {"TableName": table, "Item": template}),
        "get template": ("dynamodb", "get_item", {"TableName": table, "Key": template}),
        "insert": in_group(insert, key["pk"]),
        "insert template": in_group(insert, template["pk"]),
        "update": in_group(update, {"BOOL": True}, key["pk"]),
        "update template": in_group(update, {"BOOL": True}, template["pk"]),
        "delete": ("dynamodb", "delete_item", {"TableName": table, "Key": key}),
        "delete consents": (
            "dynamodb",
            "delete_item",
            {"TableName": table, "Key": {"pk": {"S": "consents#probe#0"}}},
        ),
        "scan": ("dynamodb", "scan", {"TableName": table}),
        "list messages": query("listed", "listed"),
        "find receipt": query("receipts", "receipt_key"),
        "read file": ("s3", "get_object", {**files, "Key": "probe"}),
        "read file elsewhere": ("s3", "get_object", {"Bucket": "another", "Key": "probe"}),
        "write file": ("s3", "put_object", {**files, "Key": "probe", "Body": "x"}),
        "delete file": ("s3", "delete_object", {**files, "Key": "probe"}),
        "list files": ("s3", "list_objects_v2", files),
        "list files elsewhere": ("s3", "list_objects_v2", {"Bucket": "another"}),
        "read schedule": ("scheduler", "get_schedule", {"GroupName": group, "Name": "probe"}),
        "read schedule elsewhere": ("scheduler", "get_schedule", {"GroupName": "default", "Name": "probe"}),
        "list schedules": ("scheduler", "list_schedules", {}),
        "publish": publish(own, own),
        "publish as another": publish(own, ("another", bus)),
        "publish elsewhere": publish(own, ("wechat-notify", "another")),
    }


def test_every_role_is_probed(deployed: Deployed) -> None:
    assert {name for name, _ in deployed.deployment.resources("AWS::IAM::Role")} == MAY.keys()


@pytest.mark.parametrize("role", MAY)
def test_role_may_do_its_part(deployed: Deployed, calls: Calls, role: str) -> None:
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
