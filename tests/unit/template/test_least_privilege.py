"""Each statement of the template is needed, and none allows more than is reviewed here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from tests.permissions import contract
from tests.permissions.policies import OPERATOR, Call, Statement, allowed, statements, unnoticed, users
from tests.unit.template.conftest import EGRESS, ROOT, SOURCE, Stack, deployed

EVERYTHING = {
    "Tracing": "Active",
    "Receipts": "true",
    "CanarySchedule": "rate(5 minutes)",
    "AlarmEmail": "ops@example.com",
    "GradualDeployment": "true",
    **EGRESS,
}
"""All that a parameter can switch on; what is there without it is there then too."""


class World(NamedTuple):
    stack: Stack
    statements: list[Statement]
    expected: dict[Call, bool]


@cache
def world() -> World:
    stack = deployed(**EVERYTHING)
    calls = contract.calls(stack)
    expected = dict.fromkeys(calls, True) | dict.fromkeys(contract.foreign(calls), False)
    return World(stack, statements(stack), expected)


ELSEWHERE = {"DataKeyPolicy"}
"""Of a customer's key: ``test_protection.py``."""


def test_everything_is_switched_on() -> None:
    """All that has a policy is judged here: a parameter that makes more belongs to EVERYTHING."""
    policies = {name for name, node in SOURCE["Resources"].items() if "Statement" in str(node)} - ELSEWHERE
    assert policies <= world().stack.resources.keys()


def owners() -> list[str]:
    return list(dict.fromkeys(statement.owner for statement in world().statements))


def test_calls_are_decided_as_they_must_be() -> None:
    wrong = [
        f"{call} is {'denied' if expected else 'allowed'}"
        for call, expected in world().expected.items()
        if allowed(call, world().statements) is not expected
    ]
    assert not wrong, "Give the role a statement for what its function does, or correct tests/permissions"


@pytest.mark.parametrize("owner", owners())
def test_nothing_can_be_taken_away(owner: str) -> None:
    """No statement, action, resource or condition: some call would be decided otherwise.

    One that can be is not used: take it out of the template. If a function uses it, ``RENEW_CALLS=1 pytest
    tests/e2e`` records the call; if AWS does, or only an error leads there, ``tests/permissions/contract.py``
    says so in ``MADE_ELSEWHERE``.
    """
    chosen = [statement for statement in world().statements if statement.owner == owner]
    assert unnoticed(world().statements, world().expected, chosen) == []


def test_unused_permissions_are_noticed() -> None:
    """By the test above: a statement, an action and a resource too many."""
    own = {"Effect": "Allow", "Resource": ["<Ledger.Arn>"]}
    more = [
        Statement("SendApiRole", ("SendApiRole",), {**own, "Sid": "Scan", "Action": ["dynamodb:Scan"]}),
        Statement(
            "ScheduleRole",
            ("ScheduleRole",),
            {
                "Effect": "Allow",
                "Sid": "Delete",
                "Action": ["sqs:DeleteMessage"],
                "Resource": ["<SendQueue.Arn>"],
            },
        ),
    ]
    assert unnoticed([*world().statements, *more], world().expected, more) == [
        "SendApiRole.Scan",
        "ScheduleRole.Delete",
    ]
    (reads,) = (each for each in world().statements if each.name == "CallbackRole.ReadCallbackKeys")
    wider = Statement(
        reads.owner,
        reads.principals,
        {
            **reads.node,
            "Action": [*reads.node["Action"], "ssm:GetParameterHistory"],
            "Resource": [*reads.node["Resource"], "arn:aws:ssm:eu-west-1:123456789012:parameter/other"],
        },
    )
    among = [wider if each is reads else each for each in world().statements]
    assert unnoticed(among, world().expected, [wider]) == [
        "CallbackRole.ReadCallbackKeys: ssm:GetParameterHistory",
        "CallbackRole.ReadCallbackKeys: arn:aws:ssm:eu-west-1:123456789012:parameter/other",
    ]


def test_every_role_has_calls() -> None:
    """A new role has none in ``calls.json`` yet: see ``test_nothing_can_be_taken_away``."""
    made = [call for call in world().expected if not call.action.startswith(("logs:", "xray:"))]
    idle = [role for role in world().stack.roles if not any(call.principal == role for call in made)]
    assert not idle, f"No call of {', '.join(idle)} is recorded: run RENEW_CALLS=1 pytest tests/e2e"


def test_recorded_roles_exist() -> None:
    named = {*contract.recorded(), *(made.principal for made in contract.MADE_ELSEWHERE)}
    assert {each for each in named if "." not in each} <= set(world().stack.roles)


@pytest.mark.parametrize(
    "made", contract.MADE_ELSEWHERE, ids=lambda made: f"{made.principal}-{made.actions[0]}"
)
def test_calls_made_elsewhere_have_a_reason(made: contract.MadeElsewhere) -> None:
    """A page of AWS, or a test that is there."""
    if made.why.startswith("https://docs.aws.amazon.com/"):
        return
    path, _, name = made.why.partition("::")
    functions = ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
    assert name in {node.name for node in functions if isinstance(node, ast.FunctionDef)}


ACCOUNTS = r"arn:aws:ssm:[^:]+:\d+:parameter/wechat-notify/dev/accounts"
OWN_NAMES = "named while the stack runs"
NO_RESOURCES = "the action knows no resources, or none beforehand"
ANYBODY = "a denial, which is meant for everybody and everything"
ACTIONS = "https://docs.aws.amazon.com/service-authorization/latest/reference"
REVIEWED: dict[str, str] = {
    rf"{ACCOUNTS}/\*": f"{OWN_NAMES}: all of each account, which token_refresh alone reads",
    rf"{ACCOUNTS}/\*/[a-z-]+": f"{OWN_NAMES}: accounts, each with this one parameter",
    r"<BroadcastBucket\.Arn>/\*": f"{OWN_NAMES}: files",
    r"arn:aws:scheduler:[^:]+:\d+:schedule/<ScheduleGroup>/\*": f"{OWN_NAMES}: schedules of one group",
    r"arn:aws:logs:[^:]+:\d+:log-group:/aws/events/stack:\*": f"{OWN_NAMES}: streams of one group",
    r"arn:aws:events:[^:]+:\d+:rule/<EventBus>/\*": "the bus stands for its rule",
    r"templates#\*": f"{OWN_NAMES}: the accounts' templates",
    r"<\w+Function\.Arn>:?\*": f"{OWN_NAMES}: a function's versions and aliases",
    r"arn:aws:codedeploy:[^:]+:\d+:deploymentgroup:stack-\*": "a reference to the application is a circle",
    r"\* codedeploy:\w+Targets": f"{NO_RESOURCES}: {ACTIONS}/list_awscodedeploy.html",
    r"\* cloudwatch:DescribeAlarms": f"{NO_RESOURCES}: CodeDeploy asks for all of them",
    r"consents#\*": f"{OWN_NAMES}: the accounts' consents",
    "Deny Principal": ANYBODY,
    "Deny (sqs|s3|secretsmanager)": ANYBODY,
    r"\* secretsmanager:\*": "the one secret that has the policy",
    r"Deny <BroadcastBucket\.Arn>/\*": ANYBODY,
    r"\* ssm:DescribeParameters": f"{NO_RESOURCES}: {ACTIONS}/list_awssystemsmanager.html",
    r"\* scheduler:ListSchedules": f"{NO_RESOURCES}: {ACTIONS}/list_amazoneventbridgescheduler.html",
    r"arn:aws:execute-api:[^:]+:\d+:<HttpApi>/\$default/\w+/v1/accounts/\*/(messages(/canary-\*)?|quota)": (
        f"{OWN_NAMES}: accounts; the canary calls three routes"
    ),
    r"\* xray:PutT\w+": f"{NO_RESOURCES}: {ACTIONS}/list_awsx-ray.html",
    "kms": "of one key: what SNS asks for, and what IAM decides",
    r"arn:aws:cloudwatch:[^:]+:\d+:alarm:stack-\*": f"{OWN_NAMES}: alarms of one stack",
    r"arn:aws:lambda:[^:]+:\d+:function:\*": "a denial, for the code of any function",
    r"\* ec2:\w+": f"{NO_RESOURCES}: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html",
}
"""Every ``*`` of the policies, and why it is there. The parameter of an account is one of a few names."""


def stars(statement: Statement) -> Iterator[str]:
    """Each pattern of a statement, as ``REVIEWED`` names it."""
    node, denial = statement.node, "Deny " if statement.node["Effect"] == "Deny" else ""
    if "*" in statement.principals:
        yield f"{denial}Principal"
    for action in node["Action"]:
        if "*" in action:
            yield denial + action.partition(":")[0]
        if "*" in node["Resource"]:
            yield f"* {action}"
    yield from (denial + each for each in node["Resource"] if "*" in each and each != "*")
    for keys in node.get("Condition", {}).values():
        for value in keys.values():
            yield from (each for each in (value if isinstance(value, list) else [value]) if "*" in str(each))


def test_every_star_is_reviewed() -> None:
    found = {(statement.name, star) for statement in world().statements for star in stars(statement)}
    unknown = [
        (name, star) for name, star in found if not any(re.fullmatch(known, star) for known in REVIEWED)
    ]
    assert not unknown, "Name the resource, or say in REVIEWED why it cannot be named"
    assert not [known for known in REVIEWED if not any(re.fullmatch(known, star) for _, star in found)]


def test_nothing_is_allowed_by_exclusion() -> None:
    """``NotAction`` allows what AWS will add, and so does ``NotResource``."""
    excluding: list[Any] = [
        statement.name
        for statement in world().statements
        if {"NotAction", "NotResource", "NotPrincipal"} & statement.node.keys()
    ]
    assert excluding == []


def test_each_call_has_one_statement() -> None:
    """Two that allow the same are one too many; only a denial may stand beside it."""
    for call, expected in world().expected.items():
        if expected:
            allowing = [each for each in world().statements if each.node["Effect"] == "Allow"]
            named = [each.name for each in allowing if users(each, [call])]
            assert len(named) == (0 if call.principal == OPERATOR else 1), (call, named)
