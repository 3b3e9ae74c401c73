"""WeChat's answer about the quota of an endpoint.

``{"errcode": 0, "quota": {"daily_limit", "used", "remain"},
"rate_limit"?: {"call_count", "refresh_second"}}``
"""

from __future__ import annotations

from typing import Any

from wechat_notify.core.delivery.quotas import Quota
from wechat_notify.wechat.answers import UnreadableAnswerError, parse_json

PATH = "/cgi-bin/openapi/quota/get"


def read(body: bytes) -> Quota | None:
    """Return the quota in an answer, None where it holds none."""
    try:
        fields = parse_json(body)
    except UnreadableAnswerError:
        return None
    quota, rate = _object(fields.get("quota")), _object(fields.get("rate_limit"))
    daily_limit, used, remain = (_count(quota.get(name)) for name in ("daily_limit", "used", "remain"))
    if fields.get("errcode") not in (0, "0") or daily_limit is None or used is None or remain is None:
        return None
    return Quota(
        daily_limit, used, remain, _count(rate.get("call_count")), _count(rate.get("refresh_second"))
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count and isinstance(value, int) else None
