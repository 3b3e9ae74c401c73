"""Quotas: WeChat's own numbers, beside what this service sent today and what is held."""

from __future__ import annotations

from typing import Any

from wechat_notify.bootstrap import teams
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery.quotas import KindQuota
from wechat_notify.core.texts import iso_time, without_none
from wechat_notify.http import requests
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse


def get_quotas(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/quota``."""
    account = requests.account(http)
    found = teams.quotas().of(account)
    content = {
        "account": account,
        "since": iso_time(found.since),
        "counted_all": found.counted_all,
        "kinds": [_as_dict(kind) for kind in found.kinds],
    }
    return ApiResponse(200, content)


def _as_dict(kind: KindQuota) -> dict[str, Any]:
    return without_none(
        kind=kind.kind,
        endpoint=kind.endpoint,
        wechat=kind.quota and without_none(**kind.quota._asdict()),
        refused=kind.refusal and kind.refusal.as_dict(),
        sent_today=kind.sent_today,
        held_until=iso_time(kind.hold.held_until) if kind.hold else None,
    )
