"""A message's entry in the ledger: its states, and which may follow which.

::

    (new) ─► queued ─► sending ─► sent ─► delivered | undelivered     (by WeChat's receipt)
               │ ▲       │ ├───► failed    (a repeat may follow where nothing was sent)
               │ └───────┘ └───► unknown   (a repeat may follow where it cannot do harm)
               └─► cancelled | expired | failed

A receipt also settles what is ``unknown``, or waits for a repeat after a lost answer: it was sent.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any, NamedTuple

from wechat_notify.core.errors import IllegalTransitionError
from wechat_notify.core.outcomes import Outcome, Status
from wechat_notify.core.texts import without_none

CLOCK_SKEW = 120.0
"""Seconds by which the clocks of two functions may differ: a minute each."""
_RESUMED_AFTER = 7200.0
"""Seconds of silence after which a caller's repeat begins anew: twice the longest wait between attempts."""
MAX_CHANGES = 40
MAX_RETENTION = 14 * 86400.0
"""Seconds for which SQS keeps a message at most: after them nobody comes who could send it."""

_NEXT: dict[Status | None, frozenset[Status]] = {
    None: frozenset({Status.QUEUED, Status.SENDING, Status.FAILED, Status.EXPIRED}),
    Status.QUEUED: frozenset(
        {
            Status.QUEUED,  # now for another reason
            Status.SENDING,
            Status.FAILED,
            Status.EXPIRED,
            Status.CANCELLED,
            Status.UNKNOWN,
            Status.DELIVERED,  # a copy whose answer was lost: its receipt says that it was sent
            Status.UNDELIVERED,
        }
    ),
    Status.SENDING: frozenset(
        {
            Status.SENDING,
            Status.QUEUED,
            Status.SENT,
            Status.FAILED,
            Status.EXPIRED,
            Status.UNKNOWN,
        }
    ),
    Status.SENT: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
    # From failed only where nothing was sent; from unknown only where a repeat does no harm, or because
    # the holder of a claim that was given up comes back with the answer.
    Status.FAILED: frozenset({Status.SENDING, Status.QUEUED, Status.FAILED, Status.EXPIRED}),
    Status.UNKNOWN: frozenset(
        {
            Status.SENDING,
            Status.QUEUED,
            Status.SENT,
            Status.FAILED,
            Status.DELIVERED,
            Status.UNDELIVERED,
        }
    ),
}
FIRST_STATES = _NEXT[None]
CANCELLED = "cancelled"
EXHAUSTED = "retries_exhausted"
HELD = "held"
"""The reason of what waits for its account, kind or template and not for its own next attempt."""
REQUEUED = "requeued"
"""The reason of what was put on the queue again, because its copy there was lost."""
NOT_RECORDED = "answer_not_recorded"
NEWER_RELEASE = "newer_release"
"""The reason of what a newer release has written in a state of which this one knows nothing. It is over here:
whatever the state means, the message may have been sent. Its entry is not written, so that nothing is lost
when that release is back."""
TRY_AGAIN = "try_again"
"""The reason of what failed without having been sent, where its caller and no queue repeats it."""


class Change(NamedTuple):
    """One line of a message's timeline; ``at`` is seconds since the epoch."""

    status: Status
    at: float
    errcode: int | None = None
    reason: str | None = None


class Entry(NamedTuple):
    """One message's entry. All times are seconds since the epoch.

    ``writer`` names the invocation that wrote it, so that a write whose answer was lost is known again.
    ``attempts`` counts those that WeChat had a chance to judge, a claim that is under way included.
    ``lease_until`` is when a claim's holder must be dead, by any clock. ``lost_at`` is when the first copy
    went out whose answer was lost, ``answers_lost`` how many such copies there are. ``next_attempt_at`` is
    until when nobody attempts it again, whichever copy of it comes, over HTTP or from the queue.
    ``resumed_at`` is when a caller came back last after hours of silence. ``outcome`` is that of the last
    attempt; ``reason`` says what no errcode says.
    """

    account: str
    id: str
    status: Status
    fingerprint: str
    writer: str
    created_at: float
    updated_at: float
    version: int = 1
    kind: str | None = None
    template_id: str | None = None
    openid_hash: str | None = None
    attempts: int = 0
    expires_at: float | None = None
    lease_until: float | None = None
    lost_at: float | None = None
    answers_lost: int = 0
    next_attempt_at: float | None = None
    resumed_at: float | None = None
    reason: str | None = None
    outcome: Outcome | None = None
    timeline: tuple[Change, ...] = ()

    def moved(self, status: Status, *, writer: str, now: float, **fields: Any) -> Entry:
        """The next version of the entry; raises ``IllegalTransitionError``."""
        if status not in _NEXT.get(self.status, frozenset()):
            raise IllegalTransitionError(self.status, status)
        outcome: Outcome | None = fields.get("outcome")
        change = Change(status, now, outcome.errcode if outcome else None, fields.get("reason"))
        # Not found out from the timeline later: that keeps the last changes alone.
        if self.reason == TRY_AGAIN and now - self.updated_at > _RESUMED_AFTER:
            fields["resumed_at"] = now
        return self._replace(
            status=status,
            writer=writer,
            updated_at=now,
            version=self.version + 1,
            timeline=(*self.timeline, change)[-MAX_CHANGES:],
            **{"lease_until": None, "next_attempt_at": None, "reason": None, **fields},
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what people and their programs are told of the message; what is not known is left out."""
        return without_none(
            id=self.id,
            account=self.account,
            kind=self.kind,
            template_id=self.template_id,
            openid_hash=self.openid_hash,
            status=self.status.value,
            reason=self.reason,
            attempts=self.attempts,
        )

    @property
    def final_outcome(self) -> Outcome | None:
        """The last attempt's outcome, where that is what became of the message."""
        if self.status in {Status.CANCELLED, Status.EXPIRED}:
            return None
        if self.status is Status.UNKNOWN and self.outcome and self.outcome.status is not Status.UNKNOWN:
            return None
        return self.outcome

    @property
    def awaits_caller(self) -> bool:
        """Return whether the message failed unsent, and its caller was told to try again."""
        return self.status is Status.FAILED and self.reason == TRY_AGAIN

    @property
    def owns_id(self) -> bool:
        """Return whether its id is taken: not by a message that was refused before any attempt."""
        return self.status is not Status.FAILED or self.attempts > 0 or self.lost_at is not None

    @property
    def tries(self) -> int:
        """Claims that the timeline shows, the last one included: 20 at most."""
        return sum(change.status is Status.SENDING for change in self.timeline)

    @property
    def try_again_count(self) -> int:
        """Times that its caller was told to try again, as far as the timeline goes back."""
        return sum(change.reason == TRY_AGAIN for change in self.timeline)

    @property
    def queue_tries(self) -> int:
        """Claims since a caller was told to try again last: the queue's own, where it has the message."""
        own = takewhile(lambda change: change.reason != TRY_AGAIN, reversed(self.timeline))
        return sum(change.status is Status.SENDING for change in own)

    @property
    def retrying_since(self) -> float:
        """Time since which it has been retried without a long break: hours later a caller begins anew."""
        return self.resumed_at or self.created_at


RECEIPT_KINDS = frozenset({"template", "subscription", "mini_program_subscription"})
"""The kinds whose messages WeChat tells the fate of."""


def awaits_receipt(entry: Entry) -> bool:
    """Return whether a receipt settles the message: it was sent, or may have been."""
    if entry.reason == NEWER_RELEASE:
        return False
    if entry.status is Status.QUEUED:
        return entry.lost_at is not None  # a copy went out whose answer was lost
    return entry.status in {Status.SENT, Status.UNKNOWN}
