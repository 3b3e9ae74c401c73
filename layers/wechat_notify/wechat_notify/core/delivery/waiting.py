"""The ages of the messages of a batch.

SQS's own measure leaves out what was received three times or more:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""

from __future__ import annotations

from collections.abc import Iterable

from wechat_notify.core.delivery.records import Disposition, Handled


def oldest(handled: Iterable[Handled], now: float) -> float:
    """Seconds since the oldest message came to the queue, of those that no circuit holds; 0 without any.

    A copy that was parked counts from its own start: after a hold has ended, hours would be told of messages
    that are on their way.
    """
    sent = [item.record.sent_at for item in handled if item.disposition is not Disposition.PARKED]
    return max((now - at for at in sent if at is not None), default=0.0)


def oldest_held(handled: Iterable[Handled], now: float) -> float:
    """Seconds since the oldest message was held first, of those that a circuit holds on; 0 without any."""
    parked = (item.record for item in handled if item.disposition is Disposition.PARKED)
    return max((now - (record.held_since(now) or now) for record in parked), default=0.0)
