"""The text of the template: what it refuses before anything is made, and the files beside it."""

import re
import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from wechat_notify.core.delivery.circuit import QuotaReset
from wechat_notify.settings import MalformedSettingError, Settings

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "template.yaml").read_text("utf-8")
SOURCE: dict[str, Any] = yaml_parse(TEMPLATE)
PARAMETERS: dict[str, Any] = SOURCE["Parameters"]
ALARMS = "arn:aws:sns:eu-west-1:123456789012:alarms"
VALUES = {
    "QuotaReset": (
        ["00:00+08:00", "23:59-14:59"],
        [
            "00:00",
            "24:00+08:00",
            "00:60+08:00",
            "0:00+08:00",
            "00:00+8:00",
            "00:00+15:00",
            "00:00+08:60",
            "00:00+08:00\n",
            "٠٠:٠٠+٠٨:٠٠",
        ],
    ),
    "WeChatApiBase": (
        ["https://api.weixin.qq.com", "http://127.0.0.1:8080", "http://[::1]:8080"],
        ["https://api.weixin.qq.com/", "api.weixin.qq.com", "https://a b"],
    ),
    "WeChatProxy": (
        ["", "http://10.0.0.5:3128"],
        [
            "10.0.0.5:3128",
            "ftp://10.0.0.5",
            "http://name:password@proxy.example:3128",
            "http://",
            "http://a/b",
        ],
    ),
    "AlarmTopicArn": (
        ["", ALARMS, "arn:aws-cn:sns:cn-north-1:123456789012:wechat_alarms"],
        ["alarms", ALARMS.replace("sns", "sqs"), f"{ALARMS}:0a1b2c3d-subscription"],
    ),
    "AlarmEmail": (["", "ops@example.com"], ["ops", "@example.com", "ops@", "a b@example.com", "a@b@c"]),
}
ROWS = [
    (name, value, valid)
    for name, both in VALUES.items()
    for valid, values in zip((True, False), both, strict=True)
    for value in values
]
# How the functions read it, and what they say where they cannot; a proxy's password is not quoted.
READ: dict[str, tuple[Callable[[str], Any], str]] = {
    "QuotaReset": (lambda value: Settings({"QUOTA_RESET": value}).quota_reset, "^QUOTA_RESET must be a time"),
    "WeChatProxy": (
        lambda value: Settings({"WECHAT_PROXY": value}).wechat_proxy,
        "^WECHAT_PROXY must be a scheme, a host and a port$",
    ),
}


@pytest.mark.parametrize(("name", "value", "valid"), ROWS)
def test_values_of_parameters(name: str, value: str, *, valid: bool) -> None:
    """The functions take the same values as the template."""
    assert bool(re.fullmatch(PARAMETERS[name]["AllowedPattern"], value)) is valid
    if name in READ:
        read, refusal = READ[name]
        with nullcontext() if valid else pytest.raises(MalformedSettingError, match=refusal):
            assert isinstance(read(value), QuotaReset) or read(value) == (value or None)


RULE_FUNCTIONS: dict[str, Callable[[list[Any]], bool]] = {
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Not": lambda values: not values[0],
    "Fn::Equals": lambda values: values[0] == values[1],
    "Fn::Contains": lambda values: values[1] in values[0],
    "Fn::EachMemberIn": lambda values: set(values[0]) <= set(values[1]),
}


def rule(node: Any, given: dict[str, Any]) -> Any:
    """What CloudFormation makes of a rule's assertion.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
    """
    if isinstance(node, list):
        return [rule(item, given) for item in node]
    if not isinstance(node, dict):
        return node
    ((name, argument),) = node.items()
    return given[argument] if name == "Ref" else RULE_FUNCTIONS[name](rule(argument, given))


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, None),
        ({"BatchSize": "10"}, None),
        ({"BatchSize": "11", "BatchWindow": "1"}, None),
        ({"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}, None),
        ({"BatchSize": "11"}, "BatchWindow"),
        ({"SubnetIds": "subnet-1"}, "SecurityGroupIds"),
        ({"MonthlyBudget": "50", "AlarmEmail": "ops@example.com"}, None),
        ({"MonthlyBudget": "50"}, "AlarmEmail"),
        ({"SecurityGroupIds": "sg-1,sg-2"}, "SubnetIds"),
        ({"Stage": "staging"}, None),
        ({"Stage": "prod", "AlarmEmail": "ops@example.com"}, None),
        ({"Stage": "prod", "AlarmTopicArn": ALARMS}, None),
        ({"Stage": "prod"}, "somebody hears of its alarms"),
        ({"AlarmEmail": "ops@example.com", "AlarmTopicArn": ALARMS}, "not both"),
        ({"FixedEgress": "true", "FixedEgressZones": "2"}, None),
        ({"FixedEgress": "true", "SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, "own subnets"),
        ({"FixedEgress": "true", "WeChatProxy": "http://10.0.0.5:3128"}, "WeChatProxy"),
    ],
)
def test_parameters_that_go_together(given: dict[str, str], broken: str | None) -> None:
    values: dict[str, Any] = {name: str(each["Default"]) for name, each in PARAMETERS.items()} | given
    for name in ("SubnetIds", "SecurityGroupIds"):
        assert PARAMETERS[name]["Type"] == "CommaDelimitedList"
        values[name] = values[name].split(",")
    told = [
        assertion["AssertDescription"]
        for each in SOURCE["Rules"].values()
        if rule(each.get("RuleCondition", True), values)
        for assertion in each["Assertions"]
        if not rule(assertion["Assert"], values)
    ]
    assert len(told) == (broken is not None)
    assert all(broken in description for description in told if broken)


# The files themselves


def test_every_partition_is_served() -> None:
    lines = [line.partition("#")[0] for line in TEMPLATE.splitlines()]
    asked = "- !Equals [!Ref AWS::Region, "  # a condition that tells regions from each other
    assert not [line for line in lines if re.search(r"arn:aws|\bcn-|us-east", line) and asked not in line]
    # Service principals are spelt alike in every partition.
    name = r"(?:\w+\.)+amazonaws\.com"
    principal = re.compile(rf"(Principal: \{{Service|iam:PassedToService): (\[{name}(, {name})+\]|{name})\}}")
    assert not [line for line in lines if "amazonaws" in line and not principal.search(line)]


def test_yaml_is_what_cloudformation_reads() -> None:
    # Aliases and merges: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    assert not re.search(r"^[^#]*(?:: |- )[&*]\w", TEMPLATE, re.MULTILINE)


def test_samconfig_environments_are_apart() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    assert config.pop("version") == 0.1
    assert config.keys() == {"default", "staging", "prod"}
    stacks, stages = set(), set()
    for environment in config.values():
        deploy = environment["deploy"]["parameters"]
        # They take nothing over from [default].
        assert deploy.keys() == config["default"]["deploy"]["parameters"].keys()
        assert deploy["resolve_s3"] is True
        assert deploy["capabilities"] == "CAPABILITY_IAM"
        overrides = dict(override.split("=", 1) for override in deploy["parameter_overrides"])
        assert overrides.keys() <= PARAMETERS.keys()
        stages.add(overrides["Stage"])
        stacks.add(environment["global"]["parameters"]["stack_name"])
    assert len(stacks) == len(stages) == len(config)
    assert config["prod"]["deploy"]["parameters"]["confirm_changeset"] is True


def test_preflight_comes_before_the_build() -> None:
    recipe = (ROOT / "build.mk").read_text("utf-8").partition("\ndeploy:")[2]
    steps = [recipe.index(step) for step in ("operations.preflight", "build\n", "$(SAM) deploy")]
    assert steps == sorted(steps)
