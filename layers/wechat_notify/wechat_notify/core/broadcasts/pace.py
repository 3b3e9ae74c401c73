"""Decide a broadcast's pace: its window, the size of its chunks, their times, its part of an account's rate.

Without storage: ``releasing`` asks, and ``shares`` stores the leases that ``allot`` works with.

All times are seconds since the epoch, all rates messages per second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wechat_notify.core.broadcasts.broadcast import Lease, WaitsFor
from wechat_notify.core.broadcasts.spec import BroadcastSpec, SendWindow

CHUNK_SECONDS = 60.0
MAX_CHUNK_MESSAGES = 10_000
MAX_DELAY = 900
"""SQS's longest delay, in seconds."""
EARLY = 1.0
"""Seconds by which a step may come before its time: SQS counts delays in whole seconds."""
_MAX_LATENESS = 2.0
"""Seconds of lateness that a chunk makes up for; one that is later starts a new schedule."""
_LEASE_GRACE = 120.0
"""Seconds for which a broadcast that did not come back still counts as running."""
_LITTLE = 0.1
"""A part of an account's rate with which no chunk is begun: it waits for more."""
_FIRST_LOOK, _MIN_LOOK, _MAX_LOOK = 3.0, 5.0, 900.0
"""Seconds: most messages are at their end a second after they were due."""
_LOOKED_UP_PER_SECOND = 400
"""Messages of a chunk for each of which it is looked at a second later: a large one takes time and money."""
_MAX_WINDOWS = 1000


class Window(NamedTuple):
    """The part of every day in which messages are released, in a time zone."""

    daily: SendWindow
    zone: ZoneInfo

    @classmethod
    def of(cls, spec: BroadcastSpec) -> Window | None:
        """Return the window that a request asks for."""
        return cls(spec.send_window, ZoneInfo(spec.time_zone)) if spec.send_window else None

    def around(self, now: float) -> tuple[float, float]:
        """Return the opening and the closing of the window that is open now, or of the next one.

        A time that a change of the clocks leaves out is an hour later; of one that comes twice the first
        counts, and the second for the closing.
        """
        day = datetime.fromtimestamp(now, self.zone).date() - timedelta(days=1)
        overnight = self.daily.closes <= self.daily.opens
        while True:
            opens = self._at(day, self.daily.opens, fold=0)
            closes = self._at(day + timedelta(days=1) if overnight else day, self.daily.closes, fold=1)
            # Both may lie in the hour that a change of the clocks leaves out.
            if closes > now and closes > opens:
                return opens, closes
            day += timedelta(days=1)

    def _at(self, day: date, minutes: int, *, fold: int) -> float:
        wall_time = datetime.combine(day, time(fold=fold)) + timedelta(minutes=minutes)
        return wall_time.replace(tzinfo=self.zone, fold=fold).timestamp()


class Opening(NamedTuple):
    """A time at which rows may be released, until another one; and what they wait for meanwhile."""

    at: float
    until: float
    waits_for: WaitsFor | None


def next_opening(
    now: float, *, window: Window | None, starts_at: float | None, expires_at: float | None
) -> Opening | None:
    """Return the time from ``now`` on at which rows may be released; None where there is none any more."""
    at = max(now, starts_at or now)
    until = math.inf
    waits_for = WaitsFor.START if at > now else None
    if window is not None:
        opens, until = window.around(at)
        if opens > at:
            at, waits_for = opens, waits_for or WaitsFor.WINDOW
    if expires_at is not None:
        until = min(until, expires_at)
    return Opening(at, until, waits_for) if at < until else None


def opening_for(spec: BroadcastSpec, now: float) -> Opening | None:
    """Return the time from ``now`` on at which a request lets rows be released; None where none is left."""
    return next_opening(
        now,
        window=Window.of(spec),
        starts_at=timestamp(spec.starts_at),
        expires_at=timestamp(spec.expires_at),
    )


def timestamp(moment: datetime | None) -> float | None:
    """Return a moment in seconds since the epoch."""
    return moment.timestamp() if moment else None


def chunk_start(due: float, now: float) -> float:
    """Return the time of a chunk's first row: when it was due, so that no delay adds up; now where late."""
    return due if now - due <= _MAX_LATENESS else now


def chunk_messages(rate: float, starts_at: float, until: float) -> int:
    """Return the size of a chunk whose messages are all due before ``until``: one at least."""
    wanted = min(max(1, int(CHUNK_SECONDS * rate + 1e-9)), MAX_CHUNK_MESSAGES)
    # A row is released at the beginning of its share of the time.
    room = (until - starts_at) * rate
    return wanted if room >= wanted else max(1, math.ceil(room))


def chunk_span(rate: float) -> float:
    """Return the seconds of a whole chunk."""
    return chunk_messages(rate, 0.0, math.inf) / rate


def lead(rate: float | None) -> float:
    """Return the seconds by which a chunk is put on the queue before its first message is due.

    The first chunk of a broadcast, which has no ``rate`` yet, has no lead.

    The chunks of a high rate are shorter than a minute; together they are as far ahead as the one of a low
    rate, so that a step that takes longer than its chunk does not slow the broadcast down.
    """
    return max(0.0, CHUNK_SECONDS - MAX_CHUNK_MESSAGES / rate) if rate else 0.0


def delay(due: float, now: float) -> int:
    """Return the delay of a message that is due then, in whole seconds: 0 to 900."""
    return min(max(0, int(due - now)), MAX_DELAY)


def chunk_rate(own: float | None, ceiling: float, running: int) -> float:
    """Return a broadcast's rate: its own, and at most its part of the account's."""
    part = ceiling / max(1, running)
    return part if own is None else min(own, part)


def allot(
    now: float, broadcast_id: str, own: float | None, ceiling: float, leases: Iterable[Lease]
) -> tuple[float, float]:
    """Return a broadcast's rate, and when it may use it.

    It has to wait where the others use too much of the account's rate in their present chunks; in their
    next ones they count it in.
    """
    others = [each for each in current(leases, now) if each.broadcast_id != broadcast_id]
    running = sum(not each.over for each in others)
    left = ceiling - sum(each.rate for each in others if each.over)
    rate = chunk_rate(own, left if left > ceiling * _LITTLE else ceiling, running + 1)
    busy = sorted((each for each in others if each.until > now), key=lambda lease: lease.until)
    used, at = sum(each.rate for each in busy), now
    for each in busy:
        if used + rate <= ceiling * (1 + 1e-6):
            break
        used, at = used - each.rate, each.until
    return rate, at


def current(leases: Iterable[Lease], now: float) -> tuple[Lease, ...]:
    """The leases of broadcasts that are running, or have messages on the queue."""
    return tuple(lease for lease in leases if lease.until + (0 if lease.over else _LEASE_GRACE) > now)


def first_look(ends_at: float) -> float:
    """Return when the messages of a chunk are looked up for the first time."""
    return ends_at + _FIRST_LOOK


def next_look(ends_at: float, messages: int, now: float) -> float:
    """Return when a chunk's messages are looked up again.

    The more they are and the longer they take, the later.
    """
    least = _MIN_LOOK + messages / _LOOKED_UP_PER_SECOND
    return now + min(max((now - ends_at) / 2, least), _MAX_LOOK)


class Estimate(NamedTuple):
    """The time that messages take: when the last one is released, and the seconds until then."""

    finishes_at: float
    seconds: float


def estimate(messages: int, rate: float, now: float, opening: Opening, window: Window | None) -> Estimate:
    """Return when so many messages are released, window by window."""
    left, at, until = messages / rate, opening.at, opening.until
    for _ in range(_MAX_WINDOWS):
        if window is None or left <= until - at:
            break
        left -= until - at
        at, until = window.around(until)
    return Estimate(at + left, at + left - now)


def due_first(times: Sequence[float | None]) -> float | None:
    """Return the earliest of the times that there are; None without one."""
    return min((each for each in times if each is not None), default=None)
