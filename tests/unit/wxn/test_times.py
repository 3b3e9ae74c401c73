from datetime import datetime

import pytest

from wxn.errors import CommandError
from wxn.times import duration, local_time, seconds_since_1970, utc


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("10s", 999_990),
        ("10m", 999_400),
        ("2h", 992_800),
        ("3d", 740_800),
        ("1970-01-02T00:00:00Z", 86_400),
        ("1970-01-02T08:00:00+08:00", 86_400),
        ("2026-03-01T10:00", datetime(2026, 3, 1, 10).astimezone().timestamp()),
    ],
)
def test_times(given: str, seconds: float) -> None:
    assert seconds_since_1970(given, now=1_000_000) == seconds


@pytest.mark.parametrize("given", ["", "10", "10w", "yesterday", "2026-13-01", "9999999m"])
def test_no_time(given: str) -> None:
    with pytest.raises(CommandError, match="no time"):
        seconds_since_1970(given, now=0)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0004, "0 ms"),
        (0.18, "180 ms"),
        (1, "1 s"),
        (4.25, "4.2 s"),
        (59.4, "59.4 s"),
        (59.97, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11_430, "3 h 10 min"),
        (187_000, "2 d 3 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_time_from_text_and_number() -> None:
    at = "2026-03-01T15:04:05.678Z"
    seconds = 1_772_377_445.678

    assert utc(seconds) == at
    assert local_time(seconds, milliseconds=True) == local_time(at, milliseconds=True)
