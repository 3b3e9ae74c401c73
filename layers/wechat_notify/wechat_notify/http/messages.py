"""Messages as the HTTP APIs show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.outcomes import Outcome, Status
from wechat_notify.core.texts import iso_time, iso_time_if_any, without_none


def message(entry: Entry) -> dict[str, Any]:
    """Return a message's entry: its state, its times and the last outcome; what is not known is left out."""
    times = without_none(
        created_at=iso_time(entry.created_at),
        updated_at=iso_time(entry.updated_at),
        expires_at=iso_time_if_any(entry.expires_at),
        next_attempt_at=iso_time_if_any(entry.next_attempt_at),
    )
    outcome = entry.final_outcome
    return {**entry.as_dict(), **times, **(_last(outcome, entry) if outcome else {})}


def timeline(entry: Entry) -> list[dict[str, Any]]:
    """Return the changes of a message's state, the oldest first."""
    return [
        without_none(
            status=change.status.value,
            at=iso_time(change.at),
            errcode=change.errcode,
            reason=change.reason,
        )
        for change in entry.timeline
    ]


def _last(outcome: Outcome, entry: Entry) -> Mapping[str, Any]:
    """Return the fields of the last outcome."""
    wechat = without_none(
        errcode=outcome.errcode, errmsg=outcome.errmsg, rid=outcome.rid, msgid=outcome.msgid
    )
    last: dict[str, Any] = {"wechat": wechat} if wechat else {}
    if outcome.status is not Status.SENT:
        last |= {
            "class": outcome.error_class.value,
            "retryable": entry.awaits_caller,
            "hint": outcome.hint.as_dict(),
        }
    return last
