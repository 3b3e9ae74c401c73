"""One result of each kind, and a function that reports it."""

from __future__ import annotations

from typing import Any

from tests.fakes import START, FakeContext, Metric, Service, answer, lost, message
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.results import (
    Expired,
    Failed,
    Held,
    IdReused,
    InFlight,
    NotDue,
    Queued,
    Replayed,
    Result,
    RetryAt,
    Sent,
    TryAgain,
    Unknown,
    Unrecorded,
)
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.outcomes import Outcome, Status


def entry(status: Status, *, attempts: int = 1) -> Entry:
    return Entry("shop", "order-1", status, "fingerprint", "writer", START, START, attempts=attempts)


def attempted(outcome: Outcome) -> Result:
    """The result of one attempt that ended with this outcome."""
    kind = {Status.SENT: Sent, Status.FAILED: Failed, Status.UNKNOWN: Unknown}[outcome.status]
    return kind(entry=entry(outcome.status), delivery=Delivery(outcome, 1, 0.125), outcome=outcome)


def report(service: Service, result: Result, **fields: Any) -> None:
    """Report this result of a message, in an invocation of its own."""
    with service.telemetry.invocation(FakeContext(), "request-1"):
        service.telemetry.message(
            message(), result, account="shop", openid_hash=service.openid_hash, **fields
        )


def values(found: list[Metric], name: str) -> list[tuple[dict[str, str], float]]:
    """Each value of a metric with its dimensions."""
    return [(metric.dimensions, metric.value) for metric in found if metric.name == name]


BUSY = Delivery(answer(-1), 1, 0.125)
SENT = Delivery(answer(0), 1, 0.125)
NO_TOKEN = Delivery(answer(40125), 0, 0.0)

RESULTS: dict[str, Result] = {
    "sent": attempted(answer(0)),
    "refused by the recipient": attempted(answer(43101)),
    "failed with an unknown errcode": attempted(answer(99999)),
    "answer lost": attempted(lost()),
    "failed without an attempt": Failed(entry=entry(Status.FAILED), delivery=NO_TOKEN, outcome=answer(40125)),
    "returned to the queue": RetryAt(
        entry=entry(Status.QUEUED), delivery=BUSY, outcome=answer(-1), after=2.0
    ),
    "caller is told to repeat": TryAgain(
        entry=entry(Status.FAILED), delivery=BUSY, outcome=answer(-1), after=2.0
    ),
    "answer not recorded": Unrecorded(
        entry=entry(Status.SENDING), delivery=SENT, outcome=answer(0), after=100.0
    ),
    "sent by another invocation meanwhile": Replayed(
        entry=entry(Status.SENT), delivery=SENT, outcome=answer(0)
    ),
    "no token, over HTTP": TryAgain(delivery=NO_TOKEN, outcome=answer(40125), after=2.0),
    "no token, from the queue": RetryAt(
        entry=entry(Status.QUEUED, attempts=0), delivery=NO_TOKEN, outcome=answer(40125), after=2.0
    ),
    "held": Held(outcome=answer(45009), after=900.0),
    "queued": Queued(entry=entry(Status.QUEUED, attempts=0)),
    "queued before": Replayed(entry=entry(Status.QUEUED, attempts=0)),
    "in flight": InFlight(entry=entry(Status.SENDING), after=30.0),
    "not due": NotDue(entry=entry(Status.QUEUED), after=30.0),
    "id reused": IdReused(entry=entry(Status.SENT)),
    "expired": Expired(entry=entry(Status.EXPIRED, attempts=0)),
    "expired after an attempt": Expired(entry=entry(Status.EXPIRED)),
    "holder crashed": Unknown(entry=entry(Status.UNKNOWN)),
    "given up": Failed(entry=entry(Status.FAILED, attempts=0), outcome=answer(45009)),
}
