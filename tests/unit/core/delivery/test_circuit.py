from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import START
from wechat_notify.core.delivery.circuit import Circuit, QuotaReset
from wechat_notify.core.outcomes import ErrorClass

SKEW = 120.0


@pytest.mark.parametrize(
    ("zone", "after_midnight", "now", "reset"),
    [
        (8, 0, "2026-03-01T15:04:05+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-01T23:59:59+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:00:00+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:01:59+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:02:00+08:00", "2026-03-03T00:00:00+08:00"),
        (8, 6.5, "2026-03-02T03:00:00+08:00", "2026-03-02T06:30:00+08:00"),
        (8, 6.5, "2026-03-02T06:33:00+08:00", "2026-03-03T06:30:00+08:00"),
        (8, 23.5, "2026-03-02T23:00:00+08:00", "2026-03-02T23:30:00+08:00"),
        (8, 23.5, "2026-03-02T00:30:00+08:00", "2026-03-02T23:30:00+08:00"),
        (0, 0, "2026-03-02T00:30:00+08:00", "2026-03-02T08:00:00+08:00"),
        (-5, 0, "2026-12-31T23:59:00+08:00", "2027-01-01T13:00:00+08:00"),
        (8, 0, "2028-02-28T12:00:00+08:00", "2028-02-29T00:00:00+08:00"),
    ],
)
def test_next_reset(zone: float, after_midnight: float, now: str, reset: str) -> None:
    quotas = QuotaReset(timezone(timedelta(hours=zone)), after_midnight * 3600)
    expected = datetime.fromisoformat(reset).timestamp()
    assert quotas.next(datetime.fromisoformat(now).timestamp()) == expected + SKEW


@given(
    st.floats(START, START + 86400 * 800),
    st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    st.integers(0, 86399),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_reset_within_a_day(now: float, zone: timezone, after_midnight: int) -> None:
    reset = QuotaReset(zone, after_midnight).next(now)
    assert now < reset <= now + 86400
    local = datetime.fromtimestamp(reset - SKEW, zone)
    assert (local.hour * 60 + local.minute) * 60 + local.second == after_midnight


@pytest.mark.parametrize(
    ("scope", "error_class", "needs_probe"),
    [
        ("kind:subscription", ErrorClass.RATE_LIMIT, False),
        ("account", ErrorClass.RATE_LIMIT, True),
        ("kind:subscription", ErrorClass.QUOTA, True),
    ],
)
def test_limit_per_minute_just_ends(scope: str, error_class: ErrorClass, *, needs_probe: bool) -> None:
    assert Circuit(scope, error_class, 45011, START, START).needs_probe is needs_probe
