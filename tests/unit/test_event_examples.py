"""The templates of events/examples: what they let out of the stack, and what they do with what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from openapi import events
from tests import event_contract
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.wechat.error_codes import ERROR_CODES
from wechat_notify.wechat.outcomes import hint_for

EXAMPLES = Path(__file__).parents[2] / "events/examples"
NAMES = ["api-destination.yaml", "wecom.yaml"]
OTHERS = [{"anything-but": events.REQUESTED}]


def of_type(name: str, kind: str) -> list[dict[str, Any]]:
    """The properties of an example's resources of a type."""
    resources = yaml_parse((EXAMPLES / name).read_text("utf-8"))["Resources"].values()
    return [each["Properties"] for each in resources if each["Type"] == f"AWS::{kind}"]


def test_every_example_is_tested() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_request_leaves_the_stack(name: str) -> None:
    """It holds an openid and texts."""
    for place in (*of_type(name, "Events::Rule"), *of_type(name, "Events::Archive")):
        pattern = place["EventPattern"]
        assert pattern["source"] == [events.SOURCE]
        detail_types = pattern["detail-type"]
        assert detail_types == OTHERS or set(detail_types) <= events.PUBLISHED.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_partition_is_served(name: str) -> None:
    text = (EXAMPLES / name).read_text("utf-8")
    assert "arn:aws:" not in text.replace("${AWS::Partition}", "")


@pytest.mark.parametrize("name", NAMES)
def test_keys_stand_in_secrets(name: str) -> None:
    (connection,) = of_type(name, "Events::Connection")
    parameters = connection["AuthParameters"]
    key = parameters["ApiKeyAuthParameters"]["ApiKeyValue"]
    if name == "wecom.yaml":
        (query,) = parameters["InvocationHttpParameters"]["QueryStringParameters"]
        assert query["IsValueSecret"] is True
        key = query["Value"]
    assert "{{resolve:secretsmanager:" in json.dumps(key)


def test_undelivered_events_are_kept() -> None:
    ((rule,), (policy,)) = (of_type(NAMES[0], kind) for kind in ("Events::Rule", "SQS::QueuePolicy"))
    (target,) = rule["Targets"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["Undelivered", "Arn"]}}
    statement, _ = policy["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}}


def test_wecom_gets_valid_json() -> None:
    """Each of its events has a hint, and none with a quotation mark, which EventBridge would not escape.

    A request that WeChat refuses makes none of these events.
    """
    (rule,) = of_type("wecom.yaml", "Events::Rule")
    for detail_type in rule["EventPattern"]["detail-type"]:
        name = events.PUBLISHED[detail_type].__name__
        assert "hint" in event_contract.schema(detail_type)["components"]["schemas"][name]["required"]
    told = [code for code, row in ERROR_CODES.items() if row.error_class is not ErrorClass.REQUEST]
    assert [code for code in told if {'"', "\\"} & set(hint_for(code).zh)] == []
