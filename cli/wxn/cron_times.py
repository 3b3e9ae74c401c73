"""The next times at which a cron expression of EventBridge Scheduler fires."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
_WORDS: Final = ((), (), (), _MONTHS, _DAYS, ())
_MAX_DAYS: Final = 5 * 366
"""The 29th of February comes within five years, but for once in a century."""


def next_times(expression: str, now: datetime, count: int) -> list[datetime]:
    """The next times after ``now``, in its zone; fewer where there are no more within five years.

    Empty for what only Scheduler itself can read: ``L``, ``W`` and ``#``.
    """
    fields = expression.split()
    if len(fields) != len(_RANGES) or any(re.search(r"[LW#](?![A-Z])", field) for field in fields[2:5:2]):
        return []
    try:
        numbers = [_numbers(field, *_RANGES[place], _WORDS[place]) for place, field in enumerate(fields)]
    except ValueError:
        return []
    return list(itertools.islice(_times(numbers, now), count))


def _times(numbers: list[set[int]], now: datetime) -> Iterator[datetime]:
    minutes, hours, days, months, weekdays, years = numbers
    for offset in range(_MAX_DAYS):
        day = (now + timedelta(days=offset)).date()
        # Scheduler counts from Sunday, which is 1.
        weekday = day.isoweekday() % 7 + 1
        if day.day in days and day.month in months and weekday in weekdays and day.year in years:
            for hour, minute in itertools.product(sorted(hours), sorted(minutes)):
                time = datetime(day.year, day.month, day.day, hour, minute, tzinfo=now.tzinfo)
                if time > now:
                    yield time


def _numbers(field: str, least: int, most: int, words: tuple[str, ...]) -> set[int]:
    """The numbers of a field; ValueError for what is none."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span in {"*", "?"}:
            low, high = least, most
        else:
            low = _number(first, least, words)
            high = _number(last, least, words) if dash else most if slash else low
        # A range may go over the end, such as FRI-MON.
        chosen = range(low, high + 1) if low <= high else (*range(low, most + 1), *range(least, high + 1))
        found.update(chosen[:: int(step) if slash else 1])
    return found


def _number(text: str, least: int, words: tuple[str, ...]) -> int:
    return words.index(text.upper()) + least if text.upper() in words else int(text)
