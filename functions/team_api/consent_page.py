"""The page that a person sees after WeChat's confirmation, where the team has none of its own.

It holds our own sentences and nothing of the request.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

from wechat_notify.core.texts import Bilingual
from wechat_notify.http.responses import HtmlPage

_PAGE: Final = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto 0;padding:0 1.5rem;
text-align:center}}p+p{{color:#666;font-size:.9rem}}</style></head>
<body><p>{zh}</p><p lang="en">{en}</p></body></html>
"""
_RECORDED: Final[Mapping[str, Bilingual]] = {
    "confirm": Bilingual(
        "Thank you. You will get one message on this subject.", "订阅成功，您将收到一条相关消息。"
    ),
    "cancel": Bilingual("You will get no message on this subject.", "已取消，您不会收到相关消息。"),
}
_AGAIN: Final = Bilingual(
    "This could not be recorded. Please try again in a moment, or ask for a new link.",
    "未能记录，请稍后重试，或重新获取链接。",
)


def recorded(action: str) -> HtmlPage:
    """The page after a confirmation, or after a refusal."""
    text = _RECORDED[action]
    return _page(200, "订阅消息", text.zh, text.en)


def failed(status: int, hint: Mapping[str, str] | None) -> HtmlPage:
    """The page where nothing was recorded, with the reason where it helps the person."""
    said = hint or _AGAIN.as_dict()
    return _page(status, "未能记录", said["zh"], said["en"])


def _page(status: int, title: str, zh: str, en: str) -> HtmlPage:
    return HtmlPage(status, _PAGE.format(title=html.escape(title), zh=html.escape(zh), en=html.escape(en)))
