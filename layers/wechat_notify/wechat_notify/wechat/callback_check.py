"""WeChat's answer about the address to which it pushes an account's events.

``{"dns": [{"ip", "real_operator"}, …], "ping": […]}``
https://developers.weixin.qq.com/doc/service/api/base/api_callbackcheck.html
"""

from __future__ import annotations

from typing import Any, Final

from wechat_notify.wechat.answers import UnreadableAnswerError, parse_json

PATH: Final = "/cgi-bin/callback/check"
REQUEST: Final = b'{"action":"dns","check_operator":"DEFAULT"}'
"""Without a ping, which API Gateway does not answer."""


def read(body: bytes) -> tuple[str, ...] | None:
    """The IP addresses that WeChat finds for the address' name; None where the answer holds no list."""
    try:
        listed: Any = parse_json(body).get("dns")
    except UnreadableAnswerError:
        return None
    if not isinstance(listed, list):
        return None
    found = (item.get("ip") for item in listed if isinstance(item, dict))
    return tuple(ip for ip in found if isinstance(ip, str) and ip)
