"""The events about broadcasts, for the team's own automation."""

from __future__ import annotations

from wechat_notify.core.broadcasts.broadcast import Broadcast
from wechat_notify.core.broadcasts.counts import Counts
from wechat_notify.core.outcomes import DomainEvent
from wechat_notify.core.texts import iso_time, without_none


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
