"""The events about messages, for the team's own automation."""

from __future__ import annotations

from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.outcomes import DomainEvent, Status
from wechat_notify.core.texts import iso_time

_DETAIL_TYPES = {
    Status.FAILED: "message.failed",
    Status.UNKNOWN: "message.unknown",
    Status.DELIVERED: "message.delivered",
    Status.UNDELIVERED: "message.undelivered",
}


def message_events(entry: Entry) -> list[DomainEvent]:
    """Return what there is to publish of a message's new status: a failure, a lost answer, a receipt."""
    detail_type = _DETAIL_TYPES.get(entry.status)
    if detail_type is None or entry.awaits_caller:
        return []
    is_receipt = entry.status in {Status.DELIVERED, Status.UNDELIVERED}
    outcome = None if is_receipt else entry.final_outcome
    detail = {**entry.as_dict(), "at": iso_time(entry.updated_at)}
    return [DomainEvent(detail_type, {**detail, **(outcome.as_dict() if outcome else {})})]
