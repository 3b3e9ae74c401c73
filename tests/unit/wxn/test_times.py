from datetime import datetime

import pytest

from wxn.errors import CommandError
from wxn.times import seconds_since_1970


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
