"""The events about messages, for the team's own automation."""

from __future__ import annotations

from wechat_notify.core.entry import Entry
from wechat_notify.core.outcomes import Notice, Status, iso_time, without_none

_DETAIL_TYPES = {Status.FAILED: "message.failed", Status.UNKNOWN: "message.unknown"}


def message_notices(entry: Entry) -> list[Notice]:
    """Return what there is to publish of a message's new status: its end, where that was no success."""
    detail_type = _DETAIL_TYPES.get(entry.status)
    if detail_type is None or entry.in_vain:
        return []
    outcome = entry.final_outcome
    detail = without_none(
        id=entry.id,
        account=entry.account,
        kind=entry.kind,
        template_id=entry.template_id,
        openid_hash=entry.openid_hash,
        status=entry.status.value,
        reason=entry.reason,
        attempts=entry.attempts,
        at=iso_time(entry.updated_at),
    )
    return [Notice(detail_type, {**detail, **(outcome.as_dict() if outcome else {})})]
