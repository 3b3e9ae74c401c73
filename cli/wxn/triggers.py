"""Messages to try the service with: an example of each kind, and errors that the WeChat simulator plays."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any, Final, NamedTuple

from wxn.language import text
from wxn.messages import Message


class Trigger(NamedTuple):
    """A message that can be sent to see what happens.

    Parameters
    ----------
    name
        Its name on the command line.
    meaning
        Its meaning, in the language of this process.
    errcode
        WeChat's answer; None where there is none to be read, and for an example of a kind.
    recipient
        The ``touser`` for which the simulator plays it; None for an example of a kind.
    """

    name: str
    meaning: str
    errcode: int | None = None
    recipient: str | None = None


def _error(name: str, errcode: int, en: str, zh: str) -> Trigger:
    return Trigger(name, f"{errcode}: {text(en, zh)}", errcode, f"errcode-{errcode}")


EXAMPLES: Final = (
    Trigger("subscription", text("official account: subscription notification", "公众号：订阅通知")),
    Trigger(
        "one_time_subscription", text("official account: one-time subscription", "公众号：一次性订阅消息")
    ),
    Trigger("mini_program_template", text("mini program: template message", "小程序：模板消息")),
    Trigger("cloud_call", text("the same in the Cloud Call spelling", "小程序：模板消息（云调用写法）")),
    Trigger("mini_program_subscription", text("mini program: subscription message", "小程序：订阅消息")),
    Trigger("template", text("official account: template message", "公众号：模板消息")),
)
"""An example of each kind of message."""

ERRORS: Final = (
    _error("recipient", 43101, "the recipient did not subscribe", "用户未订阅或已拒收"),
    _error("request", 47003, "a value breaks the template's rule", "模板参数不合规则"),
    _error("template_id", 40037, "the template's id is wrong", "模板 ID 不正确"),
    _error(
        "duplicate",
        45065,
        "WeChat has this message already: it counts as sent",
        "微信已收到相同消息，视为已发送",
    ),
    _error("token", 40001, "the access token is not accepted", "access_token 无效"),
    _error("quota", 45009, "the quota of the day is used up", "当日额度已用完"),
    _error("rate_limit", 45011, "too many calls in this minute", "本分钟调用过多"),
    _error("config", 40164, "the IP address is not on WeChat's list", "IP 不在白名单中"),
    _error("permission", 48001, "the account may not use this API", "账号没有接口权限"),
    _error("banned", 48004, "the API is banned for the account", "接口被封禁"),
    _error("deprecated", 45103, "the API was switched off", "接口已停用"),
    _error("platform", 61005, "the ticket of the third-party platform expired", "第三方平台 ticket 已过期"),
    _error("transient", -1, "WeChat is busy", "微信系统繁忙"),
    _error("other", 99999, "an errcode that nobody knows", "未知的错误码"),
    Trigger(
        "lost_answer",
        text("the connection breaks behind the message: it may have been sent", "发送后连接中断：可能已发送"),
        recipient="fault-reset-after",
    ),
)
"""An error of each class that the service knows, and a lost answer."""


def find(name: str) -> Trigger | None:
    """The trigger of a name, of an errcode such as ``43101``, or of a recipient that the simulator knows."""
    for trigger in (*EXAMPLES, *ERRORS):
        if trigger.name == name.replace("-", "_"):
            return trigger
    if errcode := re.fullmatch(r"(?:errcode-)?(-?[0-9]{1,9})", name):
        number = int(errcode[1])
        return Trigger(name, "", number, f"errcode-{number}")
    return Trigger(name, "", None, name) if name.startswith("fault-") else None


def example(name: str) -> Message:
    """The example of a kind, or ``cloud_call``."""
    from importlib import resources  # noqa: PLC0415 - --help starts without it

    data = resources.files("wxn.data").joinpath("examples.json").read_text("utf-8")
    found: Message = json.loads(data)[name]
    return found


def addressed(message: Message, openid: str) -> Message:
    """The message for this recipient, good for one more sending.

    WeChat takes a ``client_msg_id`` once in ten minutes, and a form id once.
    """
    fresh: dict[str, Any] = {key: value for key, value in message.items() if key != "client_msg_id"}
    fresh["touser"] = openid
    for name in ("form_id", "formId"):
        if name in fresh:
            fresh[name] = uuid.uuid4().hex
    return fresh
