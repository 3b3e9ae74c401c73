"""Who hears of the alarms, and by which topic. ``tests/unit/alarms`` tries that they are raised."""

import re
from typing import Any

import pytest

from tests.unit.template.conftest import PARAMETERS, REGIONS, Node, Stack, deployed

EMAIL, ARN = "ops@example.com", "arn:aws:sns:eu-west-1:123456789012:alarms"
KINDS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
TOPIC_KINDS = ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription", "AWS::KMS::Key")


def alarms(stack: Stack) -> dict[str, Node]:
    return {name: alarm for kind in KINDS for name, alarm in stack.of_type(kind).items()}


@pytest.mark.parametrize(
    ("given", "actions", "own"),
    [
        ({}, None, 0),
        ({"AlarmEmail": EMAIL}, ["<AlarmTopic>"], 1),
        ({"AlarmTopicArn": ARN}, [ARN], 0),
    ],
)
def test_alarms_tell_of_both_states(given: dict[str, str], actions: list[str] | None, own: int) -> None:
    """By the stack's topic, or by the given one; with neither, nobody hears, and nothing is paid for it."""
    stack = deployed(**given)
    for alarm in alarms(stack).values():
        assert (alarm.get("AlarmActions"), alarm.get("OKActions")) == (actions, actions)
        assert alarm["AlarmDescription"]
    assert [len(stack.of_type(kind)) for kind in TOPIC_KINDS] == [own] * 4


def test_canary_has_an_alarm_where_one_is_sent() -> None:
    without, with_it = deployed(), deployed(CanarySchedule="rate(10 minutes)")
    assert alarms(with_it).keys() - alarms(without).keys() == {"CanaryAlarm"}
    rules = [stack["MessagesDoNotFlowAlarm"]["AlarmRule"] for stack in (without, with_it)]
    assert rules[1] == f'{rules[0]} OR ALARM("<CanaryAlarm>")'


@pytest.mark.parametrize(
    ("schedule", "taken"),
    [
        ("", True),
        ("rate(1 minute)", True),
        ("rate(15 minutes)", True),
        ("rate(16 minutes)", False),
        ("rate(1 hour)", False),
        ("cron(0 8 * * ? *)", False),
    ],
)
def test_canary_comes_twice_a_period(schedule: str, *, taken: bool) -> None:
    """Less often, and its alarm would be raised between two that are delivered."""
    assert bool(re.fullmatch(PARAMETERS["CanarySchedule"]["AllowedPattern"], schedule)) == taken
    (metric,) = metrics_of(deployed(CanarySchedule="rate(15 minutes)")["CanaryAlarm"])
    assert metric["Period"] == 2 * 15 * 60


def metrics_of(alarm: Node) -> list[Node]:
    return [query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query]


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_topic_is_encrypted_for_alarms(partition: str) -> None:
    """Under a key that CloudWatch may use, which AWS's own key for SNS is not, and over TLS."""
    given = {} if partition == "aws" else {"partition": partition}
    stack = deployed(AlarmEmail=EMAIL, **given)
    assert stack["AlarmTopic"] == {"KmsMasterKeyId": "<AlarmKey>"}
    assert stack["AlarmSubscription"] == {
        "TopicArn": "<AlarmTopic>",
        "Protocol": "email",
        "Endpoint": EMAIL,
    }
    of_this_stack = {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {
            "aws:SourceArn": f"arn:{partition}:cloudwatch:{REGIONS[partition]}:123456789012:alarm:stack-*"
        },
    }
    cloudwatch: Any = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    admitted = {**cloudwatch, "Condition": of_this_stack}
    assert plain(stack["AlarmTopicPolicy"]["PolicyDocument"]) == [
        {**admitted, "Action": "sns:Publish", "Resource": "<AlarmTopic>"},
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": "<AlarmTopic>",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    key = stack["AlarmKey"]
    assert key["EnableKeyRotation"] is True
    assert plain(key["KeyPolicy"])[1:] == [
        {**admitted, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*"}
    ]
    assert plain(key["KeyPolicy"])[0]["Principal"] == {"AWS": f"arn:{partition}:iam::123456789012:root"}


def plain(document: Node) -> list[Node]:
    """A policy's statements without their names."""
    return [{name: each[name] for name in each if name != "Sid"} for each in document["Statement"]]


def test_names_are_those_that_the_topic_admits() -> None:
    """CloudFormation makes them of the stack's name and the alarm's: none may have a name of its own."""
    assert not [name for name, alarm in alarms(deployed()).items() if "AlarmName" in alarm]
    assert all(re.fullmatch(r"\w+Alarm", name) for name in alarms(deployed()))
