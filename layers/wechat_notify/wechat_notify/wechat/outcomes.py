"""WeChat's answers, and their absence, as outcomes in the service's own words."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from functools import lru_cache

from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.advice import advice
from wechat_notify.wechat.answers import Answer
from wechat_notify.wechat.error_codes import RetryHint, lookup
from wechat_notify.wechat.error_policy import counts_as_sent, holds, repeats, until_reset
from wechat_notify.wechat.session import NoAnswer

_RETRY_AFTER = {
    RetryHint.BACKOFF: 2.0,
    RetryHint.BACKOFF_CAPPED: 2.0,
    RetryHint.SERIALISE_PER_OPENID: 1.0,
    RetryHint.BACKOFF_PER_OPENID: 60.0,
    RetryHint.NEXT_MINUTE: 60.0,
    RetryHint.AFTER_60S: 60.0,
    RetryHint.AFTER_1H: 3600.0,
    RetryHint.AFTER_24H: 86400.0,
    RetryHint.AFTER_TOKEN_REFRESH_ONCE: 3.0,
    RetryHint.AFTER_NEW_COMPONENT_TICKET: 600.0,
}
"""Seconds before a repeat makes sense, where the documentation or the field reports say so."""
_RETRY_AFTER_CODE = {45501: 60.0}
"""The same where a code asks for more than its hint: all calls of the app are refused for a short time."""
_ABOUT_ADDRESS = frozenset({40164, 61004, *range(89501, 89508)})
"""Codes about the caller's IP address, which their errmsg may name."""
_THIS_ADDRESS = Bilingual("this IP address", "该 IP 地址")
"""The placeholder of the address in the advice about them."""
_NO_ADDRESS = re.compile(r"[^0-9A-Fa-f:.]")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_MAX_WORDS = 100
UNREADABLE = "unreadable answer"
CAUSES = {
    "InvalidURL": Bilingual("the address is not valid", "接口地址无效"),
    "NameResolutionError": Bilingual("the host name could not be resolved", "域名解析失败"),
    "ConnectTimeout": Bilingual("connecting took too long", "连接超时"),
    "ConnectionRefused": Bilingual("the connection was refused", "连接被拒绝"),
    "ConnectionError": Bilingual("no connection could be made", "连接失败"),
    "CertificateError": Bilingual("the server's certificate was not accepted", "证书校验失败"),
    "HandshakeTimeout": Bilingual("the TLS handshake took too long", "握手超时"),
    "HandshakeError": Bilingual("the TLS handshake failed", "握手失败"),
    "ProxyError": Bilingual("the proxy gave no connection", "代理未能建立连接"),
    "WriteTimeout": Bilingual("sending the request took too long", "发送超时"),
    "ReadTimeout": Bilingual("no answer came in time", "读取超时"),
    "AnswerTimeout": Bilingual("the answer took too long", "应答超时"),
    "ConnectionLost": Bilingual("the connection was lost", "连接中断"),
    "ConnectionClosed": Bilingual("the server closed the connection", "连接被关闭"),
    "AnswerTruncated": Bilingual("the answer was cut off", "应答不完整"),
    "AnswerTooLarge": Bilingual("the answer was too large", "应答过大"),
    "AnswerUnreadable": Bilingual("the answer was not well formed", "应答格式错误"),
    UNREADABLE: Bilingual("the answer could not be read", "应答无法解析"),
}
"""Causes in words for people; an HTTP status stands for itself."""
_CAUSE_ELSE = Bilingual("the call failed", "调用失败")


def outcome_of(answer: Answer, kind: str = "") -> Outcome:
    """Return the outcome of an answer to a message of a kind, or to a question for a token."""
    code = lookup(answer.errcode)
    done = counts_as_sent(code)
    return Outcome(
        status=Status.SENT if done else Status.FAILED,
        error_class=code.error_class,
        hint=_hint_of(answer, kind),
        retryable=code.retryable,
        errcode=answer.errcode,
        errmsg=answer.errmsg,
        rid=answer.rid,
        msgid=answer.msgid,
        field=answer.field,
        retry_after=_RETRY_AFTER_CODE.get(code.code, _RETRY_AFTER.get(code.retry_hint)),
        repeats=repeats(code, kind),
        holds=None if done else holds(code, kind),
        until_reset=until_reset(code),
    )


def _hint_of(answer: Answer, kind: str) -> Bilingual:
    hint = hint_for(answer.errcode, kind)
    address = _address(answer.errmsg) if answer.errcode in _ABOUT_ADDRESS else None
    if address is None:
        return hint
    return Bilingual(
        hint.en.replace(_THIS_ADDRESS.en, address, 1), hint.zh.replace(_THIS_ADDRESS.zh, f" {address} ", 1)
    )


def _address(errmsg: str) -> str | None:
    """The first IPv4 address in a text, or else the first IPv6 one.

    Such as ``invalid ip 198.51.100.7 ipv6 ::ffff:198.51.100.7, not in whitelist rid: …``. A Chinese text has
    no blanks around it.
    """
    words = _NO_ADDRESS.sub(" ", errmsg).split(None, _MAX_WORDS)[:_MAX_WORDS]
    for word in words:
        with suppress(ValueError):
            return str(ipaddress.IPv4Address(word.rstrip(".:").rpartition(":")[2]))
    for word in words:
        with suppress(ValueError):
            address = ipaddress.IPv6Address(word.rstrip(".:"))
            if address in _GLOBAL_UNICAST:  # "d::" comes about where words and colons meet
                return str(address)
    return None


@lru_cache(maxsize=512)
def hint_for(errcode: int, kind: str = "") -> Bilingual:
    """Return what a code means, and what to do about it."""
    code = lookup(errcode)
    action = advice(code, kind)
    meaning = code.meaning.en
    if "_" not in meaning.split(maxsplit=1)[0]:  # access_token is spelled that way
        meaning = meaning[:1].upper() + meaning[1:]
    return Bilingual(f"{meaning}. {action.en}", f"{code.meaning.zh}。{action.zh}")


def _cause(reason: str) -> Bilingual:
    """The words for a cause."""
    return Bilingual(reason, reason) if reason.startswith("HTTP ") else CAUSES.get(reason, _CAUSE_ELSE)


def outcome_of_no_answer(problem: NoAnswer) -> Outcome:
    """Return the outcome of a call that was not answered: it may have arrived, or surely has not."""
    cause = _cause(problem.reason)
    if problem.may_have_arrived:
        # What follows from it is said by who knows whether the message is sent again.
        return Outcome(
            Status.UNKNOWN,
            ErrorClass.UNKNOWN,
            Bilingual(
                f"WeChat's answer was lost ({cause.en}): the message may have been sent.",
                f"未收到微信的应答（{cause.zh}）：消息可能已发出。",
            ),
            cause=problem.reason,
        )
    if not problem.passing:
        return Outcome(
            Status.FAILED,
            ErrorClass.CONFIG,
            Bilingual(
                f"WeChat is not reached under the configured address ({cause.en}); check WeChatApiBase.",
                f"通过所配置的接口地址无法访问微信（{cause.zh}），请检查 WeChatApiBase。",
            ),
            unjudged=True,
            cause=problem.reason,
        )
    return Outcome(
        Status.FAILED,
        ErrorClass.RATE_LIMIT if problem.limited else ErrorClass.TRANSIENT,
        Bilingual(
            f"WeChat took no message ({cause.en}); nothing was sent. Try again after Retry-After.",
            f"微信未接收消息（{cause.zh}），消息未发出，请在 Retry-After 之后重试。",
        ),
        unjudged=True,
        cause=problem.reason,
        retryable=True,
        retry_after=60.0 if problem.limited else 2.0,
        holds=HoldScope.KIND if problem.limited else None,
    )


def outcome_of_token_endpoint(reason: str) -> Outcome:
    """Return the outcome of a question for a token that was not answered."""
    return _not_answered(reason, Bilingual("WeChat's token endpoint", "微信的 access_token 接口"))


def outcome_of_template_list(reason: str) -> Outcome:
    """Return the outcome of a question for templates that was not answered."""
    return _not_answered(reason, Bilingual("WeChat's list of templates", "微信的模板列表接口"))


def outcome_of_quota(reason: str) -> Outcome:
    """Return the outcome of a question for a quota that was not answered."""
    return _not_answered(reason, Bilingual("WeChat's quota endpoint", "微信的额度查询接口"))


def outcome_of_callback_check(reason: str) -> Outcome:
    """Return the outcome of a question for an account's callback address that was not answered."""
    return _not_answered(reason, Bilingual("WeChat's check of the callback address", "微信的网络检测接口"))


def outcome_of_platform(reason: str) -> Outcome:
    """Return the outcome of a call of a third-party platform that was not answered."""
    return _not_answered(reason, Bilingual("WeChat's third-party platform API", "微信的第三方平台接口"))


def _not_answered(reason: str, asked: Bilingual) -> Outcome:
    cause = _cause(reason)
    return Outcome(
        Status.FAILED,
        ErrorClass.TRANSIENT,
        Bilingual(
            f"{asked.en} gave no answer ({cause.en}). Try again shortly.",
            f"{asked.zh}没有应答（{cause.zh}），请稍后重试。",
        ),
        cause=reason,
        retryable=True,
        retry_after=2.0,
    )
