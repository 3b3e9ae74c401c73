"""docs/privacy.md names everything in which something can be stored."""

import fnmatch
import json
import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.unit.template.conftest import ROOT, SOURCE, deployed

STORES = (
    "AWS::DynamoDB::Table",
    "AWS::Events::Archive",
    "AWS::Events::EventBus",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::SecretsManager::Secret",
)
PAGES = [ROOT / "docs/privacy.md", ROOT / "docs/zh/privacy.md"]


def stored() -> set[str]:
    """Logical ids of stores, and the parameters below an account that some role may read or write."""
    resources = SOURCE["Resources"]
    names = {name for name, each in resources.items() if each["Type"] in STORES}
    policies = json.dumps([each for each in resources.values() if each["Type"] == "AWS::IAM::Role"])
    return (
        names
        | {"…/canary"}
        | {f"…/{name}" for name in re.findall(r"parameter/[^\"]*accounts/\*/([a-z-]+)", policies)}
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_store_is_named(page: Path) -> None:
    table = page.read_text("utf-8").partition("\n|---")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[1:]]
    assert {len(row) for row in rows} == {4}
    assert all(cell.strip() for row in rows for cell in row)

    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]
    names = stored()
    assert len(names) > 20
    assert {name for name in names if not any(fnmatch.fnmatchcase(name, each) for each in named)} == set()
    gone = {each for each in named if not any(fnmatch.fnmatchcase(name, each) for name in names)}
    assert gone == {"Tracing"}


def test_audit_trail_leaves_out_the_stack_alone() -> None:
    """Role by role: the names of people's may begin as the stack's do, with ``wechat-notify-prod-``."""
    stack = deployed(CanarySchedule="rate(5 minutes)", GradualDeployment="true")
    of_callers = {"s3": {"TeamApiRole"}}  # it signs the URLs by which they read results
    trail = yaml_parse((ROOT / "operations/audit-trail.yaml").read_text("utf-8"))["Resources"]["Trail"]
    checked = set()
    for selector in trail["Properties"]["AdvancedEventSelectors"]:
        fields = {each["Field"]: each for each in selector["FieldSelectors"]}
        (kind,) = fields["resources.type"]["Equals"]
        service = kind.split("::")[1].lower()
        left_out = [each["Fn::Sub"] for each in fields["userIdentity.arn"]["NotStartsWith"]]
        assert left_out == [
            f"arn:${{AWS::Partition}}:sts::${{AWS::AccountId}}:assumed-role/${{StackName}}-{role}-"
            for role in sorted(stack.resources_for(f"{service}:*").keys() - of_callers.get(service, set()))
        ]
        checked.add(service)
    assert checked == {"dynamodb", "s3", "sqs"}
