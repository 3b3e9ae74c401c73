"""Times of schedules: a time, a cron expression or a rate, in EventBridge Scheduler's terms.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from wechat_notify.core.messages.findings import rule_error

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_DAYS_OF_MONTH = re.compile(r"\?|L|LW|([1-9]|[12][0-9]|3[01])W")
_DAYS_OF_WEEK = re.compile(r"\?|L|([1-7]|[A-Za-z]{3})(L|#[1-5])")
_RATE = re.compile(r"([1-9][0-9]{0,4}) (minute|hour|day)s?")
_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?")


class _CronField(NamedTuple):
    """A field of a cron expression: its name, its least and its greatest number, and words for them."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()
    special: re.Pattern[str] | None = None
    """Texts that only this field may hold."""

    def allows(self, text: str) -> bool:
        """Return whether the field may hold this text."""
        if text == "*" or (self.special and self.special.fullmatch(text)):
            return True
        return all(self._allows_part(part) for part in text.split(","))

    def _allows_part(self, part: str) -> bool:
        span, slash, step = part.partition("/")
        if slash and not (re.fullmatch("[0-9]{1,4}", step) and 1 <= int(step) <= self.most):
            return False
        if span == "*":
            return bool(slash)
        first, dash, last = span.partition("-")
        ends = [self._number(first), *([self._number(last)] if dash else [])]
        return None not in ends

    def _number(self, text: str) -> int | None:
        if text.upper() in self.words:
            return self.words.index(text.upper()) + self.least
        number = int(text) if re.fullmatch("[0-9]{1,4}", text) else -1
        return number if self.least <= number <= self.most else None


_CRON = (
    _CronField("minutes", 0, 59),
    _CronField("hours", 0, 23),
    _CronField("day of the month", 1, 31, special=_DAYS_OF_MONTH),
    _CronField("month", 1, 12, tuple(_MONTHS)),
    _CronField("day of the week", 1, 7, tuple(_DAYS), special=_DAYS_OF_WEEK),
    _CronField("year", 1970, 2199),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


def cron(text: str) -> str:
    """Return a cron expression of six fields as Scheduler takes it; raises pydantic's custom error."""
    fields = text.split()
    if len(fields) != len(_CRON):
        raise rule_error(
            "cron",
            f"must have 6 fields (minutes hours day-of-month month day-of-week year), not {len(fields)}",
            f"必须有 6 个字段（分 时 日 月 周 年），而不是 {len(fields)} 个",
            limit="0 9 ? * MON *",
        )
    for field, given in zip(_CRON, fields, strict=True):
        if not field.allows(given):
            raise rule_error(
                "cron",
                f"has a field that Scheduler does not know: {field.name} ({field.least} to {field.most})",
                f"有 Scheduler 不支持的字段：{field.name}（{field.least} 到 {field.most}）",
                limit="0 9 ? * MON *",
            )
    if (fields[_DAY_OF_MONTH] == "?") == (fields[_DAY_OF_WEEK] == "?"):
        raise rule_error(
            "cron",
            "must have a ? as day of the month or as day of the week, and not as both",
            "日和周两个字段必须恰有一个为 ?",
            limit="0 9 ? * MON *",
        )
    return f"cron({' '.join(fields)})"


def rate(text: str) -> str:
    """Return a rate, such as ``5 minutes``, as Scheduler takes it; raises pydantic's custom error."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise rule_error(
            "rate",
            "must be a number of minutes, hours or days, such as 5 minutes",
            "必须是分钟、小时或天数，如 5 minutes",
            limit="5 minutes",
        )
    number, unit = match.groups()
    return f"rate({number} {unit}{'' if number == '1' else 's'})"


def at(text: str, time_zone: str, now: float) -> str:
    """Return one time as Scheduler takes it, in UTC; ``time_zone`` counts where the time has no offset.

    ``now`` is seconds since the epoch.

    Raises
    ------
    PydanticCustomError
        It is no time, does not exist in the zone (the clocks leave it out), or has passed.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - for schedules with one time

    try:
        given = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        given = None
    if given is None:
        raise rule_error(
            "time",
            "must be a time to the second, such as 2026-11-21T18:00:00, with an offset or local to time_zone",
            "必须是精确到秒的时间，如 2026-11-21T18:00:00，可带时区偏移，否则按 time_zone 理解",
            limit="YYYY-MM-DDTHH:MM:SS",
        )
    moment = given if given.tzinfo else given.replace(tzinfo=ZoneInfo(time_zone))
    utc = moment.astimezone(UTC)
    if utc.astimezone(moment.tzinfo).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise rule_error(
            "time",
            "does not exist in this time zone: the clocks are put forward then",
            "在该时区不存在：此时正值夏令时切换",
        )
    if utc.timestamp() <= now:
        raise rule_error("past", "must lie in the future", "必须晚于当前时间")
    return f"at({utc:%Y-%m-%dT%H:%M:%S})"
