"""Points in time as people give them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from wxn.errors import CommandError
from wxn.language import text

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_since_1970(given: str, *, now: float) -> float:
    """The time that ``10m``, ``2h`` or ``3d`` ago was, or a date and time (local without an offset).

    Raises
    ------
    CommandError
        If it is none of these.
    """
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", given.strip()):
        return now - int(ago[1]) * _UNITS[ago[2]]
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
