from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from wechat_notify.core.broadcasts import pace
from wechat_notify.core.broadcasts.broadcast import Lease, WaitsFor
from wechat_notify.core.broadcasts.pace import Opening, Window, allot, next_opening
from wechat_notify.core.broadcasts.spec import SendWindow


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def window(daily: str, zone: str = "Asia/Shanghai") -> Window:
    opens, closes = (int(text[:2]) * 60 + int(text[3:]) for text in daily.split("-"))
    return Window(SendWindow(opens, closes), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("daily", "now", "opens", "closes"),
    [
        ("09:00-21:00", "01T08:59:59", "01T09:00", "01T21:00"),
        ("09:00-21:00", "01T09:00:00", "01T09:00", "01T21:00"),
        ("09:00-21:00", "01T21:00:00", "02T09:00", "02T21:00"),
        ("21:00-06:00", "01T23:00:00", "01T21:00", "02T06:00"),
        ("21:00-06:00", "02T05:00:00", "01T21:00", "02T06:00"),
        ("21:00-06:00", "02T06:00:00", "02T21:00", "03T06:00"),
        ("00:00-12:00", "01T12:00:00", "02T00:00", "02T12:00"),
        ("12:00-00:00", "01T23:59:00", "01T12:00", "02T00:00"),
    ],
)
def test_window_of_a_moment(daily: str, now: str, opens: str, closes: str) -> None:
    times = [at(f"2026-03-{text}+08:00") for text in (now, opens, closes)]
    assert window(daily).around(times[0]) == (times[1], times[2])


@pytest.mark.parametrize(
    ("daily", "now", "opens", "closes"),
    [
        # 2026-03-29 02:00 becomes 03:00; 2026-10-25 03:00 becomes 02:00.
        ("01:00-05:00", "2026-03-29T00:00+01:00", "2026-03-29T01:00+01:00", "2026-03-29T05:00+02:00"),
        ("02:30-05:00", "2026-03-29T00:00+01:00", "2026-03-29T03:30+02:00", "2026-03-29T05:00+02:00"),
        ("01:00-02:30", "2026-03-29T00:00+01:00", "2026-03-29T01:00+01:00", "2026-03-29T01:30+01:00"),
        ("01:00-02:30", "2026-10-25T00:00+02:00", "2026-10-25T01:00+02:00", "2026-10-25T02:30+01:00"),
        ("02:30-04:00", "2026-10-25T00:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T04:00+01:00"),
        ("22:00-06:00", "2026-10-24T23:00+02:00", "2026-10-24T22:00+02:00", "2026-10-25T06:00+01:00"),
    ],
)
def test_window_while_clocks_change(daily: str, now: str, opens: str, closes: str) -> None:
    assert window(daily, "Europe/Berlin").around(at(now)) == (at(opens), at(closes))


DAY = window("09:00-21:00")
MORNING, EVENING = at("2026-03-01T09:00+08:00"), at("2026-03-01T21:00+08:00")


@pytest.mark.parametrize(
    ("now", "starts_at", "expires_at", "opening"),
    [
        (MORNING + 5, None, None, Opening(MORNING + 5, EVENING, None)),
        (MORNING - 5, None, None, Opening(MORNING, EVENING, WaitsFor.WINDOW)),
        (MORNING - 5, MORNING + 9, None, Opening(MORNING + 9, EVENING, WaitsFor.START)),
        (MORNING - 9, MORNING - 5, None, Opening(MORNING, EVENING, WaitsFor.START)),
        (MORNING, None, MORNING + 60, Opening(MORNING, MORNING + 60, None)),
        (MORNING - 5, None, MORNING, None),
        (MORNING, MORNING + 60, MORNING + 60, None),
        (MORNING + 61, None, MORNING + 60, None),
    ],
)
def test_next_opening(
    now: float, starts_at: float | None, expires_at: float | None, opening: Opening | None
) -> None:
    assert next_opening(now, window=DAY, starts_at=starts_at, expires_at=expires_at) == opening


@pytest.mark.parametrize(
    ("rate", "room", "messages"),
    [
        (0.01, math.inf, 1),
        (0.5, math.inf, 30),
        (7, math.inf, 420),
        (100, math.inf, 6000),
        (2500, math.inf, 10_000),
        (7, 10.0, 70),
        (7, 0.1, 1),
        (0.3, 10.0, 3),
        (0.1, 25.0, 3),
    ],
)
def test_size_of_a_chunk(rate: float, room: float, messages: int) -> None:
    assert pace.chunk_messages(rate, 1000.0, 1000.0 + room) == messages


@pytest.mark.parametrize(("rate", "lead"), [(0.5, 0.0), (100, 0.0), (2500, 56.0)])
def test_chunks_are_a_minute_ahead(rate: float, lead: float) -> None:
    assert pace.lead(rate) == lead


def test_small_delays_do_not_add_up() -> None:
    assert pace.chunk_start(100.0, 101.5) == 100.0
    assert pace.chunk_start(100.0, 99.2) == 100.0
    assert pace.chunk_start(100.0, 130.0) == 130.0


@pytest.mark.parametrize(("due", "delay"), [(99.0, 0), (100.9, 0), (102.0, 2), (5000.0, 900)])
def test_delay_is_what_sqs_takes(due: float, delay: int) -> None:
    assert pace.delay(due, 100.0) == delay


@pytest.mark.parametrize(
    ("own", "leases", "expected"),
    [
        (None, [], (100.0, 0.0)),
        (7.0, [], (7.0, 0.0)),
        (None, [Lease("me", 100.0, 30.0)], (100.0, 0.0)),
        (None, [Lease("a", 100.0, 30.0)], (50.0, 30.0)),
        (None, [Lease("a", 50.0, 30.0)], (50.0, 0.0)),
        (40.0, [Lease("a", 60.0, 30.0)], (40.0, 0.0)),
        (None, [Lease("a", 50.0, 20.0), Lease("b", 50.0, 40.0)], (100 / 3, 20.0)),
        (None, [Lease("a", 90.0, 20.0), Lease("b", 10.0, 40.0)], (100 / 3, 20.0)),
        (None, [Lease("a", 0.0, 20.0)], (50.0, 0.0)),
        (None, [Lease("a", 100.0, -10.0)], (50.0, 0.0)),
        (None, [Lease("a", 100.0, -121.0)], (100.0, 0.0)),
    ],
)
def test_share_of_an_accounts_rate(
    own: float | None, leases: list[Lease], expected: tuple[float, float]
) -> None:
    assert allot(0.0, "me", own, 100.0, leases) == pytest.approx(expected)


def test_estimate_counts_open_hours_alone() -> None:
    opening = next_opening(EVENING - 100, window=DAY, starts_at=None, expires_at=None)
    assert opening is not None
    found = pace.estimate(1500, 10.0, EVENING - 100, opening, DAY)
    assert found.finishes_at == MORNING + 86400 + 50
    assert found.seconds == 100 + 12 * 3600 + 50


@pytest.mark.parametrize(
    ("messages", "age", "pause"),
    [(0, 0.0, 5.0), (400, 0.0, 6.0), (10_000, 0.0, 30.0), (10_000, 200.0, 100.0), (1, 86400.0, 900.0)],
)
def test_looks_become_rarer(messages: int, age: float, pause: float) -> None:
    assert pace.next_look(1000.0, messages, 1000.0 + age) == 1000.0 + age + pause
