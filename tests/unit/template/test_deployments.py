"""Aliases, the gradual shift to a new version, and its way back."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from functions.deployment_check.checks import CHECKS
from tests.unit.template.conftest import FUNCTIONS, ROOT, SENDERS, SOURCE, Node, Stack, deployed
from wechat_notify.settings import Settings

SHIFTED = frozenset({*SENDERS, "TeamApiFunction", "CallbackFunction", "CallbackEventsFunction"})
"""Those whose invocations are independent of each other."""
PROD = {"Stage": "prod"}
CHECK = "DeploymentCheckFunction"


def update_policies(stack: Stack) -> dict[str, Node]:
    """How the aliases of functions are moved, by CodeDeploy or (absent here) by CloudFormation."""
    aliases = {name: node for name, node in stack.resources.items() if node["Type"] == "AWS::Lambda::Alias"}
    return {
        name.removesuffix("Aliaslive"): node["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        for name, node in aliases.items()
        if "UpdatePolicy" in node
    }


def groups(stack: Stack) -> dict[str, Node]:
    found = stack.of_type("AWS::CodeDeploy::DeploymentGroup")
    return {name.removesuffix("DeploymentGroup"): group for name, group in found.items()}


# Aliases


def test_every_function_has_an_alias(stack: Stack) -> None:
    aliases = stack.of_type("AWS::Lambda::Alias")
    assert {alias["FunctionName"]: alias["Name"] for alias in aliases.values()} == {
        f"<{name}>": "live" for name in FUNCTIONS
    }
    assert all(
        re.fullmatch(r"<\w+FunctionVersion\w+\.Version>", alias["FunctionVersion"])
        for alias in aliases.values()
    )


def invoked(stack: Stack) -> Iterator[str]:
    """What mappings, permissions, routes, schedules, environments and outputs name as a function."""
    for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"):
        yield from (properties["FunctionName"] for properties in stack.of_type(kind).values())
    yield from re.findall(r"functions/([^/]+)/invocations", json.dumps(stack["HttpApi"]["Body"]))
    yield from (target["Arn"] for target in stack.event_targets() if "Function" in target["Arn"])
    for function in FUNCTIONS:
        variables = stack[function]["Environment"]["Variables"]
        yield from (value for value in variables.values() if "Function" in str(value))
    yield from (output["Value"] for output in stack.outputs.values() if "Function" in output["Value"])


def test_nothing_bypasses_the_aliases() -> None:
    names = set(invoked(deployed(CanarySchedule="rate(10 minutes)")))
    assert len(names) >= len(FUNCTIONS)
    assert [
        name for name in names if not re.fullmatch(r"<\w+FunctionAliaslive>|<\w+Function>:live", name)
    ] == []


def test_roles_may_invoke_what_is_named(stack: Stack) -> None:
    """An alias is a resource of its own to IAM: the function's ARN does not cover it."""
    for function in FUNCTIONS:
        asked = stack[function]["Environment"]["Variables"].get("TOKEN_REFRESH_FUNCTION")
        if asked:
            assert stack.allows(function, "lambda:InvokeFunction", asked)


# Gradual deployments


@pytest.mark.parametrize(
    ("given", "gradual"),
    [
        ({}, False),
        (PROD, True),
        ({"GradualDeployment": "true"}, True),
        (PROD | {"GradualDeployment": "false"}, False),
        ({"Stage": "production"}, False),
    ],
    ids=["dev", "prod", "asked-for", "switched-off", "other-stage"],
)
def test_gradual_in_production(given: dict[str, str], *, gradual: bool) -> None:
    stack = deployed(**given)
    shifts = {name: group["DeploymentConfigName"] for name, group in groups(stack).items()}
    canary = "CodeDeployDefault.LambdaCanary10Percent10Minutes"
    if gradual:
        assert shifts == dict.fromkeys(SHIFTED, canary)
    else:
        assert canary not in shifts.values()
    hooks = {policy.get("BeforeAllowTrafficHook") for policy in update_policies(stack).values()}
    assert hooks <= ({f"<{CHECK}>"} if gradual else {None})
    assert (CHECK in stack.resources) is gradual


def test_switched_off_needs_no_codedeploy() -> None:
    stack = deployed(GradualDeployment="false")
    assert not update_policies(stack)
    assert not [node for node in stack.resources.values() if node["Type"].startswith("AWS::CodeDeploy")]


def test_alarms_bring_back_the_old_version() -> None:
    """Each is raised within the ten minutes; a function's own errors are among them."""
    stack = deployed(**PROD)
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    for function, group in groups(stack).items():
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        watched = {alarm["Name"].strip("<>") for alarm in group["AlarmConfiguration"]["Alarms"]}
        assert watched
        for name in watched:
            assert seconds_to_alarm(alarms[name]) <= 600
        own = function.replace("Function", "ErrorAlarm")
        assert own not in alarms or own in watched
        # Lambda counts an error of callback alone: the others answer, or give the message back.
        assert ("UnforeseenAlarm" in watched) is (function != "CallbackFunction")


def seconds_to_alarm(alarm: Node) -> int:
    """Seconds of data that raise an alarm."""
    parts: list[Node] = [
        metric["MetricStat"] for metric in alarm.get("Metrics", ()) if "MetricStat" in metric
    ]
    period = max(int(str(part["Period"])) for part in parts or [alarm])
    return period * int(str(alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])))


def test_codedeploy_moves_these_aliases_alone() -> None:
    stack = deployed(**PROD)
    (role,) = {group["ServiceRoleArn"] for group in groups(stack).values()}
    assert role == "<DeploymentRole.Arn>"
    assert "CodeDeployServiceRole" not in stack.resources  # SAM's, with AWS's broad policy
    moved = stack.resources_for("lambda:UpdateAlias")["DeploymentRole"]
    assert set(moved) == {f"<{name}.Arn>*" for name in SHIFTED}
    assert stack.resources_for("lambda:InvokeFunction")["DeploymentRole"] == [f"<{CHECK}.Arn>*"]


# The check before traffic


def test_every_shifted_function_is_checked() -> None:
    stack = deployed(**PROD)
    variables = stack[CHECK]["Environment"]["Variables"]
    checked = Settings({name: str(value) for name, value in variables.items()}).checked_functions
    assert set(checked) == {f"<{name}>" for name in SHIFTED}
    for name, code in checked.items():
        assert SOURCE["Resources"][name.strip("<>")]["Properties"]["CodeUri"] == f"functions/{code}"
    assert set(checked.values()) == set(CHECKS)


def test_check_tries_versions_alone() -> None:
    """And tells CodeDeploy of this stack's deployments; nothing else is allowed to it."""
    stack = deployed(**PROD)
    role = "DeploymentCheckRole"
    assert stack.resources_for("lambda:*")[role] == [
        f"<{name}.Arn>:*"
        for name in (
            "SendApiFunction",
            "SendQueueFunction",
            "SendBroadcastFunction",
            "TeamApiFunction",
            "CallbackFunction",
            "CallbackEventsFunction",
        )
    ]
    assert stack.resources_for("codedeploy:Put*") == {
        role: ["arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:stack-*"]
    }
    # Scoped to a resource, an action that knows none is denied, and each deployment would fail its check.
    assert stack.resources_for("codedeploy:*Targets") == {role: ["*"]}
    actions = {action for statement in stack.statements(role) for action in statement["Action"]}
    assert {action.partition(":")[0] for action in actions} == {"lambda", "codedeploy", "logs"}


# Snapshots


@pytest.mark.parametrize(("given", "names"), [({}, ()), ({"SnapStart": "true"}, SENDERS)], ids=["off", "on"])
def test_only_senders_have_snapshots(given: dict[str, str], names: tuple[str, ...]) -> None:
    stack = deployed(**given)
    found = {name: stack[name]["SnapStart"]["ApplyOn"] for name in FUNCTIONS if "SnapStart" in stack[name]}
    assert found == dict.fromkeys(names, "PublishedVersions")


# What `make deploy` does


def samconfig(environment: str) -> dict[str, Any]:
    config: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    parameters: dict[str, Any] = config[environment]["deploy"]["parameters"]
    return parameters


def test_people_confirm_in_production() -> None:
    assert samconfig("prod")["confirm_changeset"] is True
    makefile = (ROOT / "build.mk").read_text("utf-8")
    assert "$(if $(filter true 1,$(CI)),--no-confirm-changeset --no-fail-on-empty-changeset)" in makefile
    assert makefile.index("operations.versions") < makefile.index("$(SAM) deploy --config-env")


def test_one_new_index_at_a_time() -> None:
    """CloudFormation makes one index of a table in an update: a release that needs two cannot be deployed."""
    before = json.loads((ROOT / "tests/upgrade/16d154f/template.json").read_text("utf-8"))
    indexes = {
        each["IndexName"] for each in SOURCE["Resources"]["Ledger"]["Properties"]["GlobalSecondaryIndexes"]
    }
    assert len(indexes - set(before["indexes"])) <= 1
    assert set(before["indexes"]) <= indexes  # nor is one taken away that the release before still reads
