"""The policy for each error code: whether the message was sent, what it holds, how often to repeat."""

from __future__ import annotations

from collections.abc import Mapping

from wechat_notify.core.outcomes import ErrorClass, HoldScope
from wechat_notify.wechat.error_codes import ABOUT_APPID, ErrorCode, RetryHint

# 40241 (same message within 60 seconds), 44007 and 45065 (same message id) say that WeChat has an earlier
# copy of the message. 200022 is of the same class and says that a template exists.
_COUNTS_AS_SENT = frozenset({0, 40241, 44007, 45065})


def counts_as_sent(code: ErrorCode) -> bool:
    """Return whether an answer means that WeChat has the message, now or from before."""
    return code.code in _COUNTS_AS_SENT


_DAILY_LIMIT_OF_THE_CALL = 45009


def until_reset(code: ErrorCode) -> bool:
    """Return whether the code is the documented daily limit of this very call."""
    return code.code == _DAILY_LIMIT_OF_THE_CALL


_HOLDS_BY_CLASS: Mapping[ErrorClass, HoldScope] = {
    ErrorClass.CONFIG: HoldScope.ACCOUNT,
    ErrorClass.PLATFORM: HoldScope.ACCOUNT,
    ErrorClass.PERMISSION: HoldScope.KIND,
    ErrorClass.BANNED: HoldScope.KIND,
    ErrorClass.DEPRECATED: HoldScope.KIND,
}
# Of the class quota only those of a send: the others count templates, mass messages or clear_quota itself,
# and no waiting helps the message that they answer.
_HOLDS: Mapping[int, HoldScope | None] = {
    # One API of several: the others have their own entry in the list that is to be changed, and API security
    # (40234, 40235) is demanded by some paths only.
    **dict.fromkeys((-604101, -604100, 40234, 40235, 45063, 85107), HoldScope.KIND),
    **dict.fromkeys((45009, 45040, 45093, 45104), HoldScope.KIND),
    **dict.fromkeys((43107, 43116, 48011, 200013), HoldScope.TEMPLATE),
    # Every message is answered the same: where the query string is lost (41001), where the token of a
    # third-party platform has expired (42006, as 40094), and where the app as a whole is refused (45501).
    **dict.fromkeys((41001, 42006, 45501, 50004, 50007, 61003), HoldScope.ACCOUNT),
    # One form_id, the management of templates, a query about a rid: no other message meets that.
    **dict.fromkeys((41031, 43106, 76003, 76022, 200011), None),
    # No text of WeChat's says what it means, so it counts as an unknown code does.
    85112: None,
}
_HOLDS_BY_HINT: Mapping[RetryHint, HoldScope] = {
    RetryHint.NEXT_MINUTE: HoldScope.KIND,
    RetryHint.AFTER_TOKEN_REFRESH_ONCE: HoldScope.KIND,
}


def holds(code: ErrorCode, kind: str = "") -> HoldScope | None:
    """Return the scope that a code holds, beyond the message that it answers; None for nothing.

    ``kind`` is that of the message, empty where a token was asked for.
    """
    if code.code in ABOUT_APPID and kind:
        return None
    by_class = _HOLDS_BY_HINT.get(code.retry_hint) or _HOLDS_BY_CLASS.get(code.error_class)
    return _HOLDS.get(code.code, by_class)


_REPEATS: Mapping[RetryHint, int] = {
    RetryHint.NEVER_BUT_TWICE: 2,
    RetryHint.AFTER_TOKEN_REFRESH_ONCE: 2,
    RetryHint.AFTER_COMPONENT_TOKEN_REFRESH: 2,
}
_SYSTEM_BUSY = -1
_REPEATS_OF_A_PERMANENT_BUSY = 4


def repeats(code: ErrorCode, kind: str) -> int | None:
    """Return the repeats that an answer to this kind of message is worth; None for as many as usual."""
    # Reported to stay for as long as a template id of another message kind is used.
    if code.code == _SYSTEM_BUSY and kind == "one_time_subscription":
        return _REPEATS_OF_A_PERMANENT_BUSY
    return _REPEATS.get(code.retry_hint)
