"""Results of a message, and a function that reports one."""

from __future__ import annotations

from typing import Any

from tests.fakes import START, FakeContext, Metric, Service, message
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import Failed, Result, Sent, Unknown
from wechat_notify.core.delivery.sender import Exchange
from wechat_notify.core.outcomes import Outcome, Status


def entry(status: Status, *, attempts: int = 1) -> Entry:
    return Entry("shop", "order-1", status, "fingerprint", "writer", START, START, attempts=attempts)


def attempted(outcome: Outcome) -> Result:
    """The result of one attempt that ended with this outcome."""
    kind = {Status.SENT: Sent, Status.FAILED: Failed, Status.UNKNOWN: Unknown}[outcome.status]
    return kind(entry=entry(outcome.status), exchange=Exchange(outcome, 1, 0.125), outcome=outcome)


def report(service: Service, result: Result, **fields: Any) -> None:
    """Report this result of a message, in an invocation of its own."""
    with service.telemetry.invocation(FakeContext(), "request-1"):
        service.telemetry.message(
            message(), result, account="shop", openid_hash=service.openid_hash, **fields
        )


def values(found: list[Metric], name: str) -> list[tuple[dict[str, str], float]]:
    """Each value of a metric with its dimensions."""
    return [(metric.dimensions, metric.value) for metric in found if metric.name == name]
