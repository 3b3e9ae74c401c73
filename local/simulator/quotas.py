"""The limits of calls and messages, and how much of them is used up."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulator import components, errcodes, template_lists
from local.simulator.errcodes import Refusal
from local.simulator.messages import ENDPOINTS
from local.simulator.paths import CALLBACK_CHECK, QUOTA, STABLE_TOKEN, TOKEN
from local.simulator.tokens import beijing_day


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one app at one endpoint, ``None`` where there is none."""

    daily: int | None = None
    per_minute: int | None = None
    openid_per_minute: int | None = None


# Token endpoints have limits of their own; what WeChat publishes for sends stands at each endpoint.
_DEFAULT_LIMITS = {
    STABLE_TOKEN: Limits(daily=500_000, per_minute=10_000),
    TOKEN: Limits(daily=2_000),
    **{path: Limits(daily=endpoint.daily) for path, endpoint in ENDPOINTS.items()},
    **dict.fromkeys((*template_lists.PATHS, *components.PATHS, QUOTA, CALLBACK_CHECK), Limits()),
}


class Quotas:
    """The calls of today, which begins in Beijing, and of this minute.

    Attributes
    ----------
    limits
        Those that were set, by app id and path.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.limits: dict[tuple[str, str], Limits] = {}
        self._clock = clock
        self._today: tuple[int, Counter[tuple[str, str]]] = (0, Counter())
        self._this_minute: tuple[int, Counter[tuple[str, ...]]] = (0, Counter())

    def limits_of(self, app_id: str, path: str) -> Limits:
        """The limits of an app at an endpoint."""
        return self.limits.get((app_id, path), _DEFAULT_LIMITS[path])

    def told(self, app_id: str, path: str) -> dict[str, Any]:
        """The quota of an endpoint, without its limit per openid, which WeChat does not tell."""
        limits = self.limits_of(app_id, path)
        is_today = self._today[0] == beijing_day(self._clock())
        used = self._today[1][app_id, path] if is_today else 0
        daily = limits.daily or 0
        quota = {"daily_limit": daily, "used": used, "remain": max(0, daily - used)}
        told: dict[str, Any] = {"errcode": errcodes.OK, "errmsg": "ok", "quota": quota}
        if limits.per_minute:
            told["rate_limit"] = {"call_count": limits.per_minute, "refresh_second": 60}
        return told

    def count_call(self, app_id: str, path: str) -> None:
        """Count a call that named its account, and refuse it when that is one too many."""
        limits = self.limits_of(app_id, path)
        day = beijing_day(self._clock())
        if self._today[0] != day:
            self._today = (day, Counter())
        minute = self._minute()
        key = (app_id, path)
        if limits.daily is not None and self._today[1][key] >= limits.daily:
            raise Refusal(errcodes.DAILY_QUOTA_REACHED)
        if limits.per_minute is not None and minute[key] >= limits.per_minute:
            raise Refusal(errcodes.MINUTE_QUOTA_REACHED)
        self._today[1][key] += 1
        minute[key] += 1

    def count_openid(self, app_id: str, path: str, openid: str) -> None:
        """Count a message to a user, and refuse it when that is one too many."""
        limit = self.limits_of(app_id, path).openid_per_minute
        if limit is None:
            return
        key = (app_id, path, openid)
        minute = self._minute()
        if minute[key] >= limit:
            raise Refusal(errcodes.OPENID_TOO_FREQUENT)
        minute[key] += 1

    def _minute(self) -> Counter[tuple[str, ...]]:
        minute = int(self._clock() // 60)
        if self._this_minute[0] != minute:
            self._this_minute = (minute, Counter())
        return self._this_minute[1]
