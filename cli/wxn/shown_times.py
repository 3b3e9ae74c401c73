"""Times and durations as people read them."""

from __future__ import annotations

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def local_time(time: str, *, milliseconds: bool = False, offset: bool = False) -> str:
    """An ISO 8601 time in the zone of this machine, such as ``2026-03-01 15:04:05``.

    ``offset`` adds that of the zone, where the times of another zone stand beside it.
    """
    local = datetime.fromisoformat(time).astimezone()
    shown = local.replace(tzinfo=None).isoformat(" ", "milliseconds" if milliseconds else "seconds")
    return f"{shown} {local.strftime('%z')}" if offset else shown


def seconds_between(first: str, second: str) -> float:
    """Seconds from one ISO 8601 time to another."""
    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


def duration(seconds: float) -> str:
    """A duration, to two units: ``180 ms``, ``4.2 s``, ``2 min 5 s``, ``3 h 10 min``, ``2 d 4 h``."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < _MINUTE - 0.5:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    units = ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s"))
    unit, name, smaller, smaller_name = next(each for each in units if whole >= each[0])
    rest = whole % unit // smaller
    return f"{whole // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
