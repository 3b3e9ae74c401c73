from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from tests.fakes import START
from wechat_notify.core.schedules import timing

WEEKLY = "0 9 ? * MON *"


@pytest.mark.parametrize(
    "text",
    [
        WEEKLY,
        "0/15 * * * ? *",
        "*/5 8-18 ? * MON-FRI *",
        "0 9 1,15 * ? 2026-2030",
        "0 9 L * ? *",
        "0 9 LW JAN,dec ? *",
        "0 9 31W * ? *",
        "0 9 ? * 6L *",
        "0 9 ? * fri#3 *",
        "59 23 ? 12 7 2199",
    ],
)
def test_cron(text: str) -> None:
    assert timing.cron(f" {text}  ") == f"cron({text})"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 9 * * MON",
        "0 9 ? * MON * *",
        "60 9 ? * MON *",
        "0 24 ? * MON *",
        "0 9 0 * ? *",
        "0 9 32 * ? *",
        "0 9 ? 13 MON *",
        "0 9 ? * 8 *",
        "0 9 ? * MON 1969",
        "0 9 ? * MONDAY *",
        "0 9 ? * FRI#6 *",
        "0 9 ? * ? *",
        "0 9 * * * *",
        "0 9 1 * 1 *",
        "? 9 ? * 1 *",
        "0/0 9 ? * 1 *",
        "0/x 9 ? * 1 *",
        "1- 9 ? * 1 *",
        "1,,2 9 ? * 1 *",
        "0 9 ? * MON *)",
    ],
)
def test_bad_cron(text: str) -> None:
    with pytest.raises(PydanticCustomError) as raised:
        timing.cron(text)
    assert raised.value.type == "cron"


@pytest.mark.parametrize(
    ("text", "expression"),
    [("1 minute", "rate(1 minute)"), ("5 minute", "rate(5 minutes)"), ("1 days", "rate(1 day)")],
)
def test_rate(text: str, expression: str) -> None:
    assert timing.rate(text) == expression


@pytest.mark.parametrize("text", ["", "5", "0 minutes", "5 seconds", "1.5 hours", "-1 days", "5  hours"])
def test_bad_rate(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="must be a number of minutes"):
        timing.rate(text)


@pytest.mark.parametrize(
    ("text", "zone", "expression"),
    [
        ("2026-11-21T18:00:00", "Asia/Shanghai", "at(2026-11-21T10:00:00)"),
        ("2026-11-21T18:00", "Asia/Shanghai", "at(2026-11-21T10:00:00)"),
        ("2026-11-21T18:00:00+01:00", "Asia/Shanghai", "at(2026-11-21T17:00:00)"),
        ("2026-11-21T18:00:00Z", "Asia/Shanghai", "at(2026-11-21T18:00:00)"),
        ("2026-07-01T18:00:00", "Europe/Berlin", "at(2026-07-01T16:00:00)"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "at(2026-10-25T00:30:00)"),
    ],
)
def test_one_time(text: str, zone: str, expression: str) -> None:
    """A time that the clocks show twice is the first of the two."""
    assert timing.at(text, zone, START) == expression


@pytest.mark.parametrize(
    ("text", "zone", "rule"),
    [
        ("tomorrow", "UTC", "time"),
        ("2026-11-21", "UTC", "time"),
        ("2026-11-31T18:00:00", "UTC", "time"),
        ("2026-11-21T18:00:00.5", "UTC", "time"),
        ("2027-03-28T02:30:00", "Europe/Berlin", "time"),
        ("2026-03-01T07:04:05Z", "UTC", "past"),
        ("2026-03-01T15:04:05", "Asia/Shanghai", "past"),
        ("0001-01-01T00:00:00", "Asia/Shanghai", "time"),
        ("9999-12-31T23:59:59", "America/New_York", "time"),
    ],
)
def test_bad_time(text: str, zone: str, rule: str) -> None:
    with pytest.raises(PydanticCustomError) as raised:
        timing.at(text, zone, START)
    assert raised.value.type == rule
