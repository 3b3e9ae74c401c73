import json
from types import SimpleNamespace
from typing import Any

import pytest

from local import permissions


def authorised(target: str, body: object) -> list[str]:
    """The ARNs that policies are asked about."""
    asked: list[str] = []

    def enforce(*_: Any, resource_arn: str = "*", **__: Any) -> str | None:
        asked.append(resource_arn)
        return "denied" if resource_arn.endswith("secret") else None

    actions = SimpleNamespace(extract_resource_arn=lambda *_: "*")
    evaluator = SimpleNamespace(enforce=enforce)
    permissions.patch_parameter_arns(actions, evaluator)
    arn = actions.extract_resource_arn(
        "ssm", "POST", "/", {"x-amz-target": target}, json.dumps(body).encode(), {}, "us-east-1", "1"
    )
    denied = evaluator.enforce("key", "ssm:Any", "ssm", "us-east-1", resource_arn=arn, service_context={})
    assert (denied == "denied") == any(one.endswith("secret") for one in asked)
    return asked


@pytest.mark.parametrize(
    ("operation", "body", "parameters"),
    [
        ("GetParametersByPath", {"Path": "/a/b/"}, ["a/b"]),
        ("GetParameters", {"Names": ["/a/b", "c"]}, ["a/b", "c"]),
        ("GetParameters", {"Names": ["/a/b", "/a/secret"]}, ["a/b", "a/secret"]),
        ("DescribeParameters", {}, None),
    ],
)
def test_every_parameter_is_authorised(operation: str, body: object, parameters: list[str] | None) -> None:
    names = [f"arn:aws:ssm:us-east-1:1:parameter/{name}" for name in parameters or []]
    assert authorised(f"AmazonSSM.{operation}", body) == (names or ["*"])


SCHEDULE = "arn:aws:scheduler:us-east-1:1:schedule/default/default"


@pytest.mark.parametrize(
    ("service", "query", "body", "group"),
    [
        ("scheduler", {"groupName": "teams"}, b"", "teams"),
        ("scheduler", {"groupName": ["teams"]}, b"", "teams"),
        ("scheduler", {}, b'{"GroupName": "teams", "Name": "news"}', "teams"),
        ("scheduler", {}, b"{}", "default"),
        ("scheduler", {}, b"", "default"),
        ("events", {"groupName": "teams"}, b"", "default"),
    ],
)
def test_schedule_is_authorised_in_its_group(
    service: str, query: dict[str, Any], body: bytes, group: str
) -> None:
    """A schedule of the name ``default`` keeps it."""
    actions = SimpleNamespace(extract_resource_arn=lambda *_: SCHEDULE)
    permissions.patch_schedule_arns(actions)
    arn = actions.extract_resource_arn(
        service, "POST", "/schedules/default", {}, body, query, "us-east-1", "1"
    )
    assert arn == f"arn:aws:scheduler:us-east-1:1:schedule/{group}/default"


@pytest.mark.parametrize(
    ("action", "sources", "context"),
    [
        ("events:PutEvents", ["wechat-notify"] * 3, {"events:source": "wechat-notify"}),
        ("events:PutEvents", ["wechat-notify", "other"], {"events:source": "other wechat-notify"}),
        ("events:PutRule", ["wechat-notify"], {}),
    ],
)
def test_policies_hear_the_events_source(action: str, sources: list[str], context: dict[str, str]) -> None:
    actions = SimpleNamespace(request_tag_context=lambda *_: {"aws:TagKeys": []})
    permissions.patch_request_context(actions)
    body = json.dumps({"Entries": [{"Source": source} for source in sources]}).encode()
    assert actions.request_tag_context("events", action, body, {}) == {"aws:TagKeys": [], **context}


@pytest.mark.parametrize(
    ("service", "action", "authorised_as"),
    [
        ("sqs", "sqs:SendMessageBatch", "sqs:SendMessage"),
        ("sqs", "sqs:ReceiveMessage", "sqs:ReceiveMessage"),
        ("sns", "sns:PublishBatch", "sns:PublishBatch"),
        ("sqs", None, None),
    ],
)
def test_batches_are_authorised_as_their_parts(
    service: str, action: str | None, authorised_as: str | None
) -> None:
    actions = SimpleNamespace(extract_iam_action=lambda *_: action)
    permissions.patch_batch_actions(actions)
    assert actions.extract_iam_action(service, "POST", "/", {}, b"{}", {}) == authorised_as


INSERT = """INSERT INTO "ledger" VALUE {'pk': ?, 'version': ?}"""
UPDATE = 'UPDATE "ledger" SET "status" = ? REMOVE "reason" WHERE "pk" = ? AND "version" = ?'
KEYS = [{"S": "message#shop#1"}, {"S": "message#shop#2"}]
STATEMENTS = [
    {"Statement": INSERT, "Parameters": [KEYS[0], {"N": "1"}]},
    {"Statement": UPDATE, "Parameters": [{"S": "sent"}, KEYS[1], {"N": "1"}]},
]


def asked_for(statements: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The actions and ARNs that policies are asked about, where inserts are denied."""
    asked: list[tuple[str, str]] = []

    def enforce(_key: str, action: str, *_: Any, resource_arn: str) -> str | None:
        asked.append((action, resource_arn))
        return "denied" if action.endswith("Insert") else None

    def action(*_: Any) -> str:
        return "dynamodb:BatchExecuteStatement"

    actions = SimpleNamespace(extract_iam_action=action, extract_resource_arn=lambda *_: "*")
    evaluator = SimpleNamespace(enforce=enforce)
    permissions.patch_statements(actions, evaluator)
    headers = {"x-amz-target": "DynamoDB_20120810.BatchExecuteStatement"}
    body = json.dumps({"Statements": statements}).encode()
    request: Any = ("dynamodb", "POST", "/", headers, body, {})
    found = actions.extract_iam_action(*request)
    arn = actions.extract_resource_arn(*request, "us-east-1", "1")
    denied = evaluator.enforce("key", found, "dynamodb", "us-east-1", resource_arn=arn)
    assert (denied == "denied") == any(name.endswith("Insert") for name, _ in asked)
    return asked


def test_statements_are_authorised_as_what_they_do() -> None:
    table = "arn:aws:dynamodb:us-east-1:1:table/ledger"
    update = ("dynamodb:PartiQLUpdate", table)
    assert asked_for(STATEMENTS) == [("dynamodb:PartiQLInsert", table)]
    assert asked_for(STATEMENTS[1:]) == [update]
    other = {"Statement": "EXISTS(…)"}
    assert "dynamodb:PartiQLUnknown" in {action for action, _ in asked_for([*STATEMENTS[1:], other])}


@pytest.mark.parametrize(
    ("request_body", "keys"),
    [
        ({"TableName": "ledger", "Key": {"pk": KEYS[0]}}, ["message#shop#1"]),
        ({"TableName": "ledger", "Item": {"pk": KEYS[0], "version": {"N": "1"}}}, ["message#shop#1"]),
        (
            {"RequestItems": {"ledger": {"Keys": [{"pk": key} for key in KEYS]}}},
            ["message#shop#1", "message#shop#2"],
        ),
        ({"Statements": STATEMENTS}, ["message#shop#1", "message#shop#2"]),
        ({"TableName": "ledger", "IndexName": "listed"}, None),
    ],
)
def test_policies_hear_the_keys_of_items(request_body: dict[str, Any], keys: list[str] | None) -> None:
    actions = SimpleNamespace(request_tag_context=lambda *_: {})
    permissions.patch_request_context(actions)
    context = actions.request_tag_context("dynamodb", "dynamodb:Any", json.dumps(request_body).encode(), {})
    assert context == ({} if keys is None else {"dynamodb:LeadingKeys": keys})


def test_decisions_about_roles_are_told() -> None:
    """Each once, by the whole answer: a resource's policy is evaluated after the role's."""

    def enforce(principal: str, resource: str, *results: str) -> str | None:
        context = SimpleNamespace(principal_arn=principal, action="sqs:SendMessage", resource_arn=resource)
        answers = [evaluator.evaluate(context, result) for result in results]
        return None if "Allow" in answers else "denied"

    evaluator = SimpleNamespace(evaluate=lambda _, result: result, enforce=enforce)
    decisions = permissions.record_decisions(evaluator)
    role = "arn:aws:sts::000000000000:assumed-role/sender/function"
    for _ in range(2):
        assert evaluator.enforce(role, "own", "Allow", "ImplicitDeny") is None
    evaluator.enforce(role, "another", "ImplicitDeny")
    evaluator.enforce("arn:aws:iam::000000000000:user/local", "own", "Allow")
    evaluator.enforce("root", "own")
    told = {"role": "sender", "session": "function", "action": "sqs:SendMessage"}
    assert decisions.told() == [
        {**told, "resource": "own", "allowed": True},
        {**told, "resource": "another", "allowed": False},
    ]
