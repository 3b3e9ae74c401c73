from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wxn.broadcasts.answers import COUNTS, broadcast
from wechat_notify.core.broadcasts import retries
from wechat_notify.core.broadcasts.broadcast import State
from wechat_notify.core.broadcasts.counts import Counts
from wxn.broadcasts import words
from wxn.times import local_time

LATER = "2026-03-01T16:05:00.000Z"
AT = local_time(LATER)


@pytest.mark.parametrize(
    ("state", "fields", "told"),
    [
        ("running", {}, "running"),
        ("finishing", {}, "finishing: the last messages are on their way"),
        ("paused", {}, "paused"),
        ("paused", {"reason": "too_many_failures"}, "paused: too many messages failed"),
        (
            "failed",
            {"reason": "upload_changed"},
            "failed: its file was replaced, or has expired in the bucket",
        ),
        ("running", {"waits_for": "start", "next_release_at": LATER}, f"waits for its start at {AT}"),
        (
            "running",
            {"waits_for": "window", "next_release_at": LATER},
            f"outside its window; goes on at {AT}",
        ),
        ("running", {"waits_for": "ceiling"}, "waits: other broadcasts of the account use its whole rate"),
        (
            "running",
            {"waits_for": "hold", "held": [{"hold": "kind:template", "until": LATER, "errcode": 45009}]},
            f"held: kind:template until {AT} (45009: {words.meaning(45009)})",
        ),
        (
            "running",
            {"waits_for": "hold", "held": [{"hold": "account", "until": LATER}]},
            f"held: account until {AT}",
        ),
    ],
)
def test_state_in_words(state: str, fields: dict[str, Any], told: str) -> None:
    assert words.state(broadcast(state, **fields)) == told


@pytest.mark.parametrize(
    ("counts", "can_pass"),
    [
        ({"failed": 3, "errcodes": {"43101": 3}}, False),
        ({"failed": 3, "errcodes": {"43101": 2, "45009": 1}}, True),
        ({"failed": 3, "errcodes": {"43101": 2}}, True),
        ({"failed": 3, "errcodes": {"999999": 3}}, False),
    ],
)
def test_failures_that_can_pass(counts: dict[str, Any], *, can_pass: bool) -> None:
    """A row without an errcode has not reached WeChat."""
    assert words.can_pass(COUNTS | counts) is can_pass


def test_meaning_of_errcodes() -> None:
    assert "Daily call quota" in str(words.meaning(45009))
    assert words.meaning(999999) is None


def test_counts_without_zeros() -> None:
    assert words.counts(COUNTS | {"sent": 1200, "waiting": 3}) == ["sent 1,200", "waiting 3"]


def test_progress_counts_messages_alone() -> None:
    counts = COUNTS | {"sent": 5, "failed": 1, "waiting": 3, "unreleased": 11, "invalid": 7, "duplicate": 2}

    assert words.progress(counts) == (6, 20)


def test_words_for_all_of_the_service() -> None:
    """A state, a count or a class that is added to the service is missed here."""
    assert words.STATES.keys() == set(State)
    assert words.COUNTS.keys() == {*Counts._fields} - {"errcodes"}
    assert words._RETRIED == retries._CAN_PASS
