"""One message of each kind, to send through the stack."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


def examples() -> list[Message]:
    """One message of each kind; the first three are the examples of WeChat's own documentation."""
    keywords = ["339208499", "2015-01-05, 12:30", "Tencent WeChat Headquarters"]
    return [
        {
            "kind": "subscription",
            "touser": "OPENID",
            "template_id": "KUcVbWfpjR2nX8mQy5tLs0aZ7dGhEoTi3vBrN6wCxMk",
            "page": "http://weixin.qq.com/download",
            "miniprogram": {"appid": "xiaochengxuappid12345", "pagepath": "index?foo=bar"},
            "client_msg_id": "MSG_000001",
            "data": {
                "keyword1": {"value": "巧克力"},
                "keyword2": {"value": "39.8元"},
                "keyword3": {"value": "2014年9月22日"},
            },
        },
        {
            "kind": "one_time_subscription",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "miniprogram": {"appid": "xiaochengxuappid12345", "pagepath": "index?foo=bar"},
            "scene": "1000",
            "title": "订阅通知",
            "data": {"content": {"value": "您好!", "color": "#FF0000"}},
        },
        {
            "kind": "mini_program_template",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "page": "index",
            "form_id": "FORMID",
            "data": {
                **{f"keyword{number}": {"value": value} for number, value in enumerate(keywords, 1)},
                "keyword4": {"value": "No. 397, Xingang Zhonglu, Haizhu District, Guangzhou"},
            },
            "emphasis_keyword": "keyword1.DATA",
        },
        {
            "kind": "mini_program_subscription",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "page": "index?foo=bar",
            "miniprogram_state": "formal",
            "lang": "zh_CN",
            "data": {"phrase3": {"value": "审核通过"}, "date2": {"value": "2019-12-25 09:42"}},
        },
        {
            "kind": "template",
            "touser": "OPENID",
            "template_id": "TEMPLATE_ID",
            "url": "http://weixin.qq.com/download",
            "data": {"keyword1": {"value": "巧克力"}, "keyword2": {"value": "39.8元"}},
        },
    ]


def addressed(message: Message, touser: str) -> Message:
    """The message for this receiver; a form's id is good for one message only."""
    return {**message, "touser": touser, **({"form_id": touser} if "form_id" in message else {})}
