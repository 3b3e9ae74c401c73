"""A broadcast as the API and the events show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wechat_notify.core.broadcasts.broadcast import Broadcast
from wechat_notify.core.broadcasts.counts import Counts
from wechat_notify.core.broadcasts.pace import Estimate
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.outcomes import DomainEvent
from wechat_notify.core.texts import iso_time, iso_time_if_any, without_none


class Overview(NamedTuple):
    """A broadcast with its counts.

    ``report`` is what the check has found so far, with openids in its rendered messages. ``kind`` is that of
    its messages, and ``estimate`` when the last one is released; None where that is over or cannot be said.
    ``holds`` are the circuits that its account's messages wait for.
    """

    broadcast: Broadcast
    counts: Counts
    report: Mapping[str, Any] | None = None
    kind: str | None = None
    estimate: Estimate | None = None
    holds: tuple[Circuit, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; what is not known is left out."""
        broadcast = self.broadcast
        return without_none(
            **summary(broadcast),
            counts=self.counts.as_dict(),
            messages_per_second=broadcast.rate,
            next_release_at=iso_time_if_any(broadcast.next_release_at),
            waits_for=broadcast.waits_for.value if broadcast.waits_for else None,
            held=[_hold(circuit) for circuit in self.holds] or None,
            estimate=self._estimate(),
            problem=broadcast.problem.as_dict() if broadcast.problem else None,
            has_results=broadcast.results is not None,
            report=self.report,
        )

    def _estimate(self) -> dict[str, Any] | None:
        if self.estimate is None:
            return None
        return {"seconds": round(self.estimate.seconds), "finishes_at": iso_time(self.estimate.finishes_at)}


def summary(broadcast: Broadcast) -> dict[str, Any]:
    """Return what a list says of a broadcast."""
    return without_none(
        id=broadcast.id,
        account=broadcast.account,
        name=broadcast.name,
        state=broadcast.state.value,
        reason=broadcast.reason,
        retry_of=broadcast.retry_of,
        rows=broadcast.rows,
        created_at=iso_time(broadcast.created_at),
        started_at=iso_time_if_any(broadcast.started_at),
        finished_at=iso_time_if_any(broadcast.finished_at),
        expires_at=iso_time_if_any(broadcast.expires_at),
    )


def broadcast_event(detail_type: str, broadcast: Broadcast, counts: Counts) -> DomainEvent:
    """Return an event about a broadcast, with its counts so far."""
    detail = without_none(
        account=broadcast.account,
        id=broadcast.id,
        name=broadcast.name,
        state=broadcast.state.value,
        reason=broadcast.reason,
        errcode=counts.leading_errcode,
        counts=counts.as_dict(),
        at=iso_time(broadcast.updated_at),
    )
    return DomainEvent(detail_type, detail)


def _hold(circuit: Circuit) -> dict[str, Any]:
    return without_none(hold=circuit.scope, until=iso_time(circuit.held_until), errcode=circuit.errcode)
