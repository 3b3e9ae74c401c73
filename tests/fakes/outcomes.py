"""What a call to WeChat comes to, as the client tells the core."""

from __future__ import annotations

from typing import Any

from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.texts import Bilingual

_HOLDS = {
    **dict.fromkeys((40001, 40014, 42001, 45009, 45011, 45103, 48001), HoldScope.KIND),
    **dict.fromkeys((40013, 40125, 40164, 40243), HoldScope.ACCOUNT),
    43107: HoldScope.TEMPLATE,
}
_REPEATS = dict.fromkeys((40001, 40014, 40037, 42001), 2)
_ANSWERS: dict[int, tuple[ErrorClass, bool, float | None]] = {
    -1: (ErrorClass.TRANSIENT, True, 2.0),
    0: (ErrorClass.SUCCESS, False, None),
    40001: (ErrorClass.TOKEN, True, 3.0),
    40003: (ErrorClass.RECIPIENT, False, None),
    40013: (ErrorClass.CONFIG, False, None),
    40014: (ErrorClass.TOKEN, True, 3.0),
    40037: (ErrorClass.TEMPLATE, False, None),
    40125: (ErrorClass.CONFIG, False, None),
    40164: (ErrorClass.CONFIG, False, None),
    40241: (ErrorClass.DUPLICATE, False, None),
    40243: (ErrorClass.CONFIG, False, None),
    41030: (ErrorClass.REQUEST, False, None),
    42001: (ErrorClass.TOKEN, True, 3.0),
    43101: (ErrorClass.RECIPIENT, False, None),
    43107: (ErrorClass.BANNED, False, None),
    43108: (ErrorClass.RATE_LIMIT, True, 1.0),
    43117: (ErrorClass.RATE_LIMIT, True, 60.0),
    45009: (ErrorClass.QUOTA, False, None),
    45011: (ErrorClass.RATE_LIMIT, True, 60.0),
    45103: (ErrorClass.DEPRECATED, False, None),
    47003: (ErrorClass.REQUEST, False, None),
    48001: (ErrorClass.PERMISSION, False, None),
    99999: (ErrorClass.OTHER, False, None),
}
ERRCODES = tuple(_ANSWERS)


def answer(errcode: int, errmsg: str | None = None, **fields: Any) -> Outcome:
    """What a send comes to when WeChat answers with this errcode."""
    error_class, retryable, retry_after = _ANSWERS[errcode]
    sent = error_class in {ErrorClass.SUCCESS, ErrorClass.DUPLICATE}
    hint = Bilingual(f"What to do about {errcode}.", f"如何处理 {errcode}。")
    outcome = Outcome(Status.SENT if sent else Status.FAILED, error_class, hint, retryable, errcode)
    fields = {
        "errmsg": errmsg if errmsg is not None else "ok" if not errcode else f"error {errcode}",
        "rid": None if sent else "66695e1c-5d4a8e9f-0b2c3d4e",
        "retry_after": retry_after,
        "repeats": _REPEATS.get(errcode),
        "holds": _HOLDS.get(errcode),
        "until_reset": errcode == 45009,
        **fields,
    }
    return outcome._replace(**fields)


def lost() -> Outcome:
    """What a send comes to when the answer never arrives."""
    hint = Bilingual("WeChat's answer was lost (ReadTimeout).", "未收到微信的应答（读取超时）。")
    return Outcome(Status.UNKNOWN, ErrorClass.UNKNOWN, hint, cause="ReadTimeout")


def unreachable() -> Outcome:
    """What a send or a token call comes to when no connection can be made."""
    hint = Bilingual("WeChat could not be reached (ConnectTimeout).", "无法连接微信（连接超时）。")
    return Outcome(
        Status.FAILED,
        ErrorClass.TRANSIENT,
        hint,
        retryable=True,
        retry_after=2.0,
        unjudged=True,
        cause="ConnectTimeout",
    )


def misdirected() -> Outcome:
    """What a send comes to when something in between answers with a page of its own."""
    hint = Bilingual(
        "WeChat's address answered HTTP 404; check WeChatApiBase.", "微信接口地址返回 HTTP 404。"
    )
    return Outcome(Status.FAILED, ErrorClass.CONFIG, hint, unjudged=True)
