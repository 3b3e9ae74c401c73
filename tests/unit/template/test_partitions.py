"""The template in the partitions of AWS: what each is spelt like there, and what one lacks."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.unit.template.conftest import EGRESS, FUNCTIONS, REGIONS, ROOT, VPC, Stack

CHINA = "https://docs.amazonaws.cn/en_us/aws/latest/userguide/lambda.html"
GOVCLOUD = "https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-lambda.html"
SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}
SWITCHES = {
    "Tracing": "Active",
    "Receipts": "true",
    "SnapStart": "true",
    "GradualDeployment": "true",
    "CanarySchedule": "rate(5 minutes)",
    "AlarmEmail": "ops@example.com",
    "MonthlyBudget": "100",
}
VARIANTS: dict[str, dict[str, str]] = {"given subnets": SWITCHES | VPC, "fixed egress": SWITCHES | EGRESS}


@cache
def rendered(partition: str, variant: str = "fixed egress") -> Stack:
    """The stack with all that a parameter can switch on, and with snapshots."""
    key = f"arn:{partition}:kms:{REGIONS[partition]}:123456789012:key/1"
    return Stack(partition=partition, KmsKeyArn=key, **VARIANTS[variant])


@pytest.fixture(params=[(name, variant) for name in REGIONS for variant in VARIANTS], ids="-".join)
def placed(request: pytest.FixtureRequest) -> tuple[str, Stack]:
    """A partition, and the stack in it."""
    name, variant = request.param
    return name, rendered(name, variant)


def texts(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of the stack with the names that lead to it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from texts(value, (*path, str(name)))
    elif isinstance(node, list):
        for value in node:
            yield from texts(value, path)
    elif isinstance(node, str):
        yield path, node


def everything(stack: Stack) -> list[tuple[tuple[str, ...], str]]:
    return list(texts({"Resources": stack.resources, "Outputs": stack.outputs}))


def test_arns_are_of_the_partition(placed: tuple[str, Stack]) -> None:
    name, stack = placed
    found = {arn for _, text in everything(stack) for arn in re.findall(r"arn:([^:]*):", text)}
    assert found == {name}


def test_regions_are_the_stacks(placed: tuple[str, Stack]) -> None:
    name, stack = placed
    region = re.compile(r"\b(?:us|eu|ap|cn|us-gov)-[a-z]+-\d\b")
    found = {each for _, text in everything(stack) for each in region.findall(text)}
    assert found == {REGIONS[name]}


def test_addresses_have_the_partitions_suffix(placed: tuple[str, Stack]) -> None:
    """Service principals end in amazonaws.com everywhere.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    name, stack = placed
    addresses, principals = set(), set()
    for path, text in everything(stack):
        if path[-1] in ("Service", "Principal", "iam:PassedToService"):
            principals.add(text)
        else:
            addresses.update(re.findall(r"\.(amazonaws[a-z.]*)", text))
    assert addresses == {SUFFIXES[name]}
    assert all(re.fullmatch(r"[a-z.]+\.amazonaws\.com|\*", each) for each in principals)


def is_absent(properties: str, value: object = None) -> Callable[[Stack], bool]:
    """No function has the property, or none has this value of it."""

    def absent(stack: Stack) -> bool:
        found = [stack[name].get(properties) for name in FUNCTIONS]
        return all(each is None if value is None else each != value for each in found)

    return absent


def has_no_alarm_on(*metrics: str) -> Callable[[Stack], bool]:
    def none(stack: Stack) -> bool:
        watched = json.dumps(
            [stack.of_type(kind) for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard")]
        )
        return not any(metric in watched for metric in metrics)

    return none


def has_no(kind: str) -> Callable[[Stack], bool]:
    return lambda stack: not stack.of_type(kind)


LACKING: dict[str, dict[str, Callable[[Stack], bool]]] = {
    # CHINA
    "aws-cn": {
        "recursive loop detection": is_absent("RecursiveLoop"),
        "X-Ray for Lambda": is_absent("TracingConfig", {"Mode": "Active"}),
        "SnapStart for Python": is_absent("SnapStart"),
        "function URLs": has_no("AWS::Lambda::Url"),
        "metrics of asynchronous invocations": has_no_alarm_on("AsyncEvent"),
        "metrics of event source mappings": has_no_alarm_on("PolledEventCount", "FilteredOutEventCount"),
        "tags of event source mappings": lambda stack: (
            not any("Tags" in each for each in stack.of_type("AWS::Lambda::EventSourceMapping").values())
        ),
        "keys of one's own for packages": is_absent("KmsKeyArn"),
        # https://docs.amazonaws.cn/en_us/aws/latest/userguide/api-gateway.html
        "Cognito authorizers": lambda stack: "cognito" not in json.dumps(stack.resources).lower(),
    },
    # GOVCLOUD, https://github.com/aws/aws-lambda-roadmap/issues/18 (recursive loops),
    # https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-eventbridge.html (API destinations)
    "aws-us-gov": {
        "recursive loop detection": is_absent("RecursiveLoop"),
        "SnapStart for Python": is_absent("SnapStart"),
        "function URLs": has_no("AWS::Lambda::Url"),
        "JSON log formatting": lambda stack: (
            not any("LogFormat" in stack[name].get("LoggingConfig", {}) for name in FUNCTIONS)
        ),
        "API destinations": has_no("AWS::Events::ApiDestination"),
    },
}
LACKED = [(name, feature) for name, features in LACKING.items() for feature in features]


@pytest.mark.parametrize(("name", "feature"), LACKED, ids=str)
def test_stack_does_without_what_is_lacking(name: str, feature: str) -> None:
    """A new use of one needs a condition on the partition, and its line in docs/regions.md."""
    assert LACKING[name][feature](rendered(name))


def test_lacking_features_are_used_elsewhere() -> None:
    """Their conditions are what leaves them out: the checks above can fail."""
    used = [feature for feature, is_without in LACKING["aws-cn"].items() if not is_without(rendered("aws"))]
    assert used == ["recursive loop detection", "X-Ray for Lambda", "SnapStart for Python"]
    traced = {name: stack_traces(rendered(name)) for name in REGIONS}
    assert traced == {"aws": True, "aws-cn": False, "aws-us-gov": True}


def stack_traces(stack: Stack) -> bool:
    """The functions write traces and may do so."""
    modes = {stack[name]["TracingConfig"]["Mode"] for name in FUNCTIONS}
    allowed = {stack.allows(name, "xray:PutTraceSegments", "*") for name in FUNCTIONS}
    assert (modes, allowed) in (({"Active"}, {True}), ({"PassThrough"}, {False}))
    return modes == {"Active"}


def test_snapshots_need_their_partition() -> None:
    """Elsewhere the alias leads to versions that start as always."""
    for name in REGIONS:
        stack = rendered(name)
        assert ("SnapStart" in stack["SendApiFunction"]) is (name == "aws")


@pytest.mark.parametrize(
    ("call", "source"),
    [
        ("start_message_move_task", "https://docs.amazonaws.cn/en_us/aws/latest/userguide/sqs.html"),
        ("start_live_tail", CHINA),
    ],
)
def test_calls_that_partitions_lack_are_not_made(call: str, source: str) -> None:
    """Redriving by SQS itself and Live Tail: ``wxn dlq`` and ``wxn tail`` do without."""
    assert source.startswith("https://")
    folders = (ROOT / name for name in ("cli", "functions", "layers/wechat_notify", "operations"))
    assert not [
        path for folder in folders for path in python_files(folder) if call in path.read_text("utf-8")
    ]


def python_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def test_every_partition_is_linted() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition("\nREGIONS :=")[2].partition("\ntest:")[0]
    assert {*REGIONS.values(), "cn-northwest-1", "us-gov-east-1"} <= set(recipe.split())
