"""Checks of the alarms, and of who hears of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wxn.aws_errors import code_of
from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.language import text
from wxn.times import local_time


def raised(context: Context) -> Iterator[Finding]:
    """Tell the alarms that are raised, and that nobody hears of them in production."""
    alarms = _alarms(context)
    for name, alarm in alarms.items():
        if alarm["StateValue"] == "ALARM":
            since = local_time(alarm["StateUpdatedTimestamp"].isoformat())
            seen = text(
                f"{alarm['AlarmDescription']}; since {since}.",
                f"{alarm['AlarmDescription']}；自 {since} 起。",
            )
            yield Finding("alarm-raised", seen, subject=name)
    silent = [n for n, alarm in alarms.items() if not (alarm["ActionsEnabled"] and alarm.get("AlarmActions"))]
    if silent and context.stack.parameters.get("Stage", "").startswith("prod"):
        seen = text(
            f"{len(silent)} of {len(alarms)} alarms have no action.",
            f"{len(alarms)} 个告警中有 {len(silent)} 个没有通知动作。",
        )
        yield Finding("alarm-without-action", seen)


def topic(context: Context) -> Iterator[Finding]:
    """Look whether somebody subscribed to the topic of the alarms."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    arn = context.stack.parameters.get("AlarmTopicArn") or context.stack.resources.get("AlarmTopic")
    if not arn:
        return
    pending = 0
    try:
        for page in context.pages("sns", "list_subscriptions_by_topic", TopicArn=arn):
            # In the place of its ARN a subscription that nobody confirmed has a word.
            arns = [subscription["SubscriptionArn"] for subscription in page["Subscriptions"]]
            if any(each.startswith("arn:") for each in arns):
                return
            pending += len(arns)
    except ClientError as error:
        if code_of(error) != "NotFound":
            raise
        yield Finding(
            "alarm-topic-unsubscribed", text("The topic does not exist.", "该主题不存在。"), subject=arn
        )
        return
    seen = text(
        f"Nobody is subscribed; {pending} subscriptions wait for their confirmation.",
        f"没有有效的订阅，{pending} 个订阅尚未确认。",
    )
    yield Finding("alarm-topic-unsubscribed", seen, subject=arn)


def _alarms(context: Context) -> dict[str, Any]:
    """The stack's alarms by their logical ids."""
    names = {physical: name for name, physical in context.stack.resources.items() if name.endswith("Alarm")}
    # Without their names it leaves out alarms on alarms.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    kinds = ["MetricAlarm", "CompositeAlarm"]
    request = {"AlarmNames": list(names), "AlarmTypes": kinds, "MaxRecords": 100}
    answer = context.call("cloudwatch", "describe_alarms", **request)
    found = [alarm for kind in kinds for alarm in answer.get(f"{kind}s", [])]
    return {names[alarm["AlarmName"]]: alarm for alarm in found}
