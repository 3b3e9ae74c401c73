from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from wxn.cron_times import next_times

NOW = datetime(2026, 11, 28, 16, 0, tzinfo=UTC)
"""A Saturday."""


@pytest.mark.parametrize(
    ("expression", "first", "second"),
    [
        ("0 9 ? * MON *", "11-30 09:00", "12-07 09:00"),
        ("0 9 ? * 2 *", "11-30 09:00", "12-07 09:00"),
        ("0 16 * * ? *", "11-29 16:00", "11-30 16:00"),
        ("*/20 * * * ? *", "11-28 16:20", "11-28 16:40"),
        ("50/5 16 * * ? *", "11-28 16:50", "11-28 16:55"),
        ("30 8,20 1-2 DEC ? *", "12-01 08:30", "12-01 20:30"),
        ("0 9 ? * FRI-SUN *", "11-29 09:00", "12-04 09:00"),
        ("0 9 ? * wed *", "12-02 09:00", "12-09 09:00"),
        ("0 0 29 2 ? *", "02-29 00:00", None),
        ("0 9 1 1 ? 2027", "01-01 09:00", None),
        ("0 9 1 1 ? 2025", None, None),
        ("0 9 L * ? *", None, None),
        ("0 9 15W * ? *", None, None),
        ("0 9 ? * MON#1 *", None, None),
        ("0 9 ? * 6L *", None, None),
        ("0 9 * * *", None, None),
        ("a 9 * * ? *", None, None),
        ("*/0 9 * * ? *", None, None),
    ],
)
def test_next_times(expression: str, first: str | None, second: str | None) -> None:
    times = [time.strftime("%m-%d %H:%M") for time in next_times(expression, NOW, 2)]

    assert times == [each for each in (first, second) if each is not None]


def test_times_in_their_zone() -> None:
    """Midnight has passed in Shanghai."""
    now = NOW.astimezone(ZoneInfo("Asia/Shanghai"))

    (time,) = next_times("0 9 * * ? *", now, 1)

    assert time.isoformat() == "2026-11-29T09:00:00+08:00"
