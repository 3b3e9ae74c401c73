"""Authorization pages: where a merchant's administrator authorizes a third-party platform."""

from __future__ import annotations

import re
import time
from typing import Annotated, Final

from pydantic import AfterValidator

from wechat_notify.bootstrap import platform
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.messages.findings import rule_error
from wechat_notify.core.messages.identifiers import APP_ID
from wechat_notify.core.platform.pages import pages
from wechat_notify.core.texts import iso_time
from wechat_notify.http import problems, queries, requests
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse

_MAX_WAIT: Final = 15.0
"""Seconds for which a busy token_refresh is waited for."""


def _appid(value: str) -> str:
    if not re.fullmatch(APP_ID, value):
        raise rule_error(
            "format", "must be an appid, such as wx1234…", "必须是 appid，如 wx1234…", limit="wx…"
        )
    return value


class LinkQuery(queries.Query):
    """The query of a link."""

    redirect_uri: queries.Address
    auth_type: Annotated[int, queries.whole_number(1, 6)] = 3
    biz_appid: Annotated[str, AfterValidator(_appid)] | None = None


def get_link(http: HttpEvent, seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/authorization-link``."""
    account = requests.account(http)
    query = queries.read_query(http, LinkQuery)
    try:
        code = platform.platform_requests().pre_auth_code(account, min(_MAX_WAIT, seconds_left() / 2))
    except TokenUnavailableError as error:
        return problems.unavailable("platform-refused", error.outcome)
    links = pages(code, query.redirect_uri, query.auth_type, query.biz_appid)
    content = {
        "account": account,
        "desktop": links.desktop,
        "mobile": links.mobile,
        "expires_at": iso_time(time.time() + code.expires_in),
    }
    return ApiResponse(200, content)
