from __future__ import annotations

from typing import Any

import pytest

from tests.unit.wxn.broadcasts.answers import COUNTS, broadcast
from wxn.broadcasts import words
from wxn.shown_times import local_time

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
            f"held: kind:template until {AT} (45009: The quota is used up.)",
        ),
        (
            "running",
            {"waits_for": "hold", "held": [{"hold": "account", "until": LATER}]},
            f"held: account until {AT}",
        ),
    ],
)
def test_state_in_words(state: str, fields: dict[str, Any], told: str) -> None:
    assert words.state(broadcast(state, **fields), {45009: "The quota is used up."}) == told


def test_counts_without_zeros() -> None:
    assert words.counts(COUNTS | {"sent": 1200, "waiting": 3}) == ["sent 1,200", "waiting 3"]


def test_progress_counts_messages_alone() -> None:
    counts = COUNTS | {"sent": 5, "failed": 1, "waiting": 3, "unreleased": 11, "invalid": 7, "duplicate": 2}

    assert words.progress(counts) == (6, 20)
