"""Points in time and durations: as people give them, as people read them, as the API takes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from wxn.errors import CommandError
from wxn.language import text

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def seconds_since_1970(given: str, *, now: float) -> float:
    """The time that ``10m``, ``2h`` or ``3d`` ago was, or a date and time (local without an offset).

    Raises
    ------
    CommandError
        If it is none of these.
    """
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", given.strip()):
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(given.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise CommandError(
            text(f"{given} is no time.", f"无法识别的时间：{given}。"),
            text(
                "Give 10m, 2h, 3d, or a time such as 2026-11-21T18:00.",
                "可用 10m、2h、3d，或 2026-11-21T18:00 这样的时间。",
            ),
        ) from None


def utc(seconds: float) -> str:
    """A time in seconds since 1970 as the API writes it, such as ``2026-03-01T15:04:05.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(time: str | float, *, milliseconds: bool = False, offset: bool = False) -> str:
    """A time in the zone of this machine, such as ``2026-03-01 15:04:05``.

    Parameters
    ----------
    time
        In ISO 8601, or in seconds since 1970.
    milliseconds
        Show them.
    offset
        Add the offset of the zone, where the times of another zone stand beside it.
    """
    at = datetime.fromisoformat(time) if isinstance(time, str) else datetime.fromtimestamp(time, UTC)
    local = at.astimezone()
    shown = local.replace(tzinfo=None).isoformat(" ", "milliseconds" if milliseconds else "seconds")
    return f"{shown} {local.strftime('%z')}" if offset else shown


def local_clock(seconds: float) -> str:
    """A time in seconds since 1970 in the zone of this machine without its date, such as ``15:04:05``."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%H:%M:%S")


def seconds_between(first: str, second: str) -> float:
    """Seconds from one ISO 8601 time to another."""
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


def duration(seconds: float) -> str:
    """A duration in at most two units: ``180 ms``, ``4.2 s``, ``2 min 5 s``, ``3 h 10 min``, ``2 d 4 h``."""
    second, minute = text("s", "秒"), text("min", "分钟")
    hour, day = text("h", "小时"), text("d", "天")
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)} {text('ms', '毫秒')}"
    if seconds < _MINUTE - 0.5:
        return f"{seconds:.1f}".removesuffix(".0") + f" {second}"
    whole = round(seconds)
    units = ((_DAY, day, _HOUR, hour), (_HOUR, hour, _MINUTE, minute), (_MINUTE, minute, 1, second))
    unit, name, smaller, smaller_name = next(each for each in units if whole >= each[0])
    rest = whole % unit // smaller
    return f"{whole // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
