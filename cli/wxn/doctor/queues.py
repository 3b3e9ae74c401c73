"""Checks of the queues, and of what takes messages off them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.language import text
from wxn.times import duration

MAPPINGS: Final = {
    "SendQueueFunctionQueue": ("SendQueue", "SendQueueFunction"),
    "SendBroadcastFunctionQueue": ("BroadcastQueue", "SendBroadcastFunction"),
    "BroadcastFunctionStep": ("BroadcastStepQueue", "BroadcastFunction"),
    "CallbackEventsFunctionQueue": ("CallbackQueue", "CallbackEventsFunction"),
}
"""The event source mappings: the queue, and the function that gets its messages."""
_MAX_AGE: Final = 1800
"""Seconds; what a hold parks is put on the queue anew every quarter of an hour."""
_MAX_IN_FLIGHT: Final = 100_000
"""SQS hands out no more beyond 120,000."""


def mappings(context: Context) -> Iterator[Finding]:
    """Look whether each queue is read."""
    for mapping, (queue, function) in MAPPINGS.items():
        uuid = context.resource(mapping)
        found = context.call("lambda", "get_event_source_mapping", UUID=uuid)
        if found["State"] in {"Disabled", "Disabling"}:
            seen = text(
                f"Nobody takes messages off {queue}: its mapping is {found['State']}.",
                f"{queue} 无人处理：事件源映射的状态为 {found['State']}。",
            )
            yield Finding("queue-mapping-disabled", seen, subject=queue, facts={"uuid": uuid})
        elif (result := found.get("LastProcessingResult", "")).startswith("PROBLEM"):
            facts = {"log": context.log(function)}
            yield Finding("queue-mapping-fails", result, subject=queue, facts=facts)


def dead_letters(context: Context) -> Iterator[Finding]:
    """Look for dead letters, for events that could not be delivered, and for callbacks without an effect."""
    for queue, name in (
        ("DeadLetterQueue", "dead-letters"),
        ("EventDeadLetterQueue", "undelivered-events"),
        ("CallbackDeadLetterQueue", "callback-dead-letters"),
    ):
        waiting = _attributes(context, queue)["ApproximateNumberOfMessages"]
        if waiting:
            seen = text(f"{waiting:,} messages are in {queue}.", f"{queue} 中有 {waiting:,} 条消息。")
            yield Finding(name, seen, subject=queue, facts={"url": context.resource(queue)})


def backlogs(context: Context) -> Iterator[Finding]:
    """Look at the messages in flight."""
    for queue in ("SendQueue", "BroadcastQueue"):
        in_flight = _attributes(context, queue)["ApproximateNumberOfMessagesNotVisible"]
        if in_flight > _MAX_IN_FLIGHT:
            seen = text(f"{in_flight:,} messages are in flight.", f"处理中的消息有 {in_flight:,} 条。")
            yield Finding("queue-in-flight-limit", seen, subject=queue)


def ages(context: Context) -> Iterator[Finding]:
    """Look for messages that have waited for long."""
    series = context.metrics()
    for queue in ("SendQueue", "BroadcastQueue", "BroadcastStepQueue"):
        age = series.newest(queue, "ApproximateAgeOfOldestMessage")
        if age <= _MAX_AGE:
            continue
        attributes = _attributes(context, queue)
        waiting, delayed = (attributes[f"ApproximateNumberOfMessages{suffix}"] for suffix in ("", "Delayed"))
        yield Finding(
            "queue-lags",
            text(
                f"The oldest message of {queue} is {duration(age)} old; {waiting:,} wait, {delayed:,} are delayed.",
                f"{queue} 最早的消息已等待 {duration(age)}；排队 {waiting:,} 条，延迟 {delayed:,} 条。",
            ),
            subject=queue,
        )


def _attributes(context: Context, queue: str) -> dict[str, int]:
    names = [f"ApproximateNumberOfMessages{suffix}" for suffix in ("", "NotVisible", "Delayed")]
    answer = context.call(
        "sqs", "get_queue_attributes", QueueUrl=context.resource(queue), AttributeNames=names
    )
    return {name: int(answer["Attributes"][name]) for name in names}
