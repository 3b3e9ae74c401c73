from __future__ import annotations

import pytest

from tests.fakes import START, answer
from wechat_notify.core.delivery.entry import EXHAUSTED, TRY_AGAIN, Entry
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.outcomes import Status


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (Status.FAILED, None, ["message.failed"]),
        (Status.FAILED, EXHAUSTED, ["message.failed"]),
        (Status.FAILED, TRY_AGAIN, []),
        (Status.UNKNOWN, None, ["message.unknown"]),
        *[(status, None, []) for status in Status if status not in {Status.FAILED, Status.UNKNOWN}],
    ],
)
def test_events_by_status(status: Status, reason: str | None, expected: list[str]) -> None:
    """What its caller is to try again has not ended."""
    entry = Entry("shop", "x", status, "f", "w", START, START, reason=reason, outcome=answer(-1))
    assert [event.detail_type for event in message_events(entry)] == expected
