"""The pages on which a merchant's administrator authorizes a platform."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlencode

from wechat_notify.core.platform.ports import PreAuthCode

_DESKTOP: Final = "https://mp.weixin.qq.com/cgi-bin/componentloginpage"
_MOBILE: Final = "https://mp.weixin.qq.com/safe/bindcomponent"


class Pages(NamedTuple):
    """Two addresses of one code: for a browser on a desk, and inside of WeChat."""

    desktop: str
    mobile: str


def pages(code: PreAuthCode, redirect_uri: str, auth_type: int, biz_appid: str | None) -> Pages:
    """Return the pages of a code.

    Parameters
    ----------
    code
        The code of both.
    redirect_uri
        The page to which WeChat leads back; its host is registered with the platform.
    auth_type
        The kinds of accounts that are shown: 1 official accounts, 2 mini programs, 3 both.
    biz_appid
        The appid of the one account that may authorize.
    """
    query = {
        "component_appid": code.component_app_id,
        "pre_auth_code": code.value,
        "redirect_uri": redirect_uri,
        "auth_type": str(auth_type),
        **({"biz_appid": biz_appid} if biz_appid else {}),
    }
    mobile = urlencode({"action": "bindcomponent", "no_scan": "1", **query})
    return Pages(f"{_DESKTOP}?{urlencode(query)}", f"{_MOBILE}?{mobile}#wechat_redirect")
