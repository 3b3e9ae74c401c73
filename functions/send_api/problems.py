"""Problem documents about messages: not sent, in doubt, in flight, or over."""

from __future__ import annotations

from typing import Any

from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.http.problems import RETRY_AFTER, problem
from wechat_notify.http.responses import ApiResponse

_STATUS = {
    ErrorClass.RECIPIENT: 422,
    ErrorClass.REQUEST: 422,
    ErrorClass.TEMPLATE: 422,
    ErrorClass.DUPLICATE: 422,
    ErrorClass.RATE_LIMIT: 429,
    ErrorClass.QUOTA: 429,
    ErrorClass.TRANSIENT: 503,
    ErrorClass.UNKNOWN: 504,
}
"""Every other class is trouble between this service and WeChat that the caller cannot mend: 502."""

_MIN_RETRY_AFTER = 1.0
"""Seconds where the outcome of a message that can be tried again names none."""


def not_sent(outcome: Outcome, *, cloud_call: bool, **more: Any) -> ApiResponse:
    """A message that WeChat refused, that could not be attempted, or whose answer was lost."""
    status = _STATUS.get(outcome.error_class, 502)
    if outcome.field:
        more["field"] = f"data.{outcome.field}.value"
    names = ("errCode", "errMsg") if cloud_call else ("errcode", "errmsg")
    answered = dict(zip(names, (outcome.errcode, outcome.errmsg), strict=True))
    return problem(
        status,
        "not-sent" if outcome.status is not Status.UNKNOWN else "outcome-unknown",
        outcome.hint,
        error_class=outcome.error_class,
        retryable=outcome.retryable,
        retry_after=outcome.retry_after or (_MIN_RETRY_AFTER if outcome.retryable else None),
        **{**answered, "rid": outcome.rid, **more},
    )


def answer_lost(*, repeat_in: float | None, cloud_call: bool, **more: Any) -> ApiResponse:
    """A message of which no more is known than that it may have been sent.

    ``repeat_in`` is in how many seconds it may be repeated, None where it may not.
    """
    outcome = own_outcomes.lost(repeatable=repeat_in is not None)
    return not_sent(outcome._replace(retry_after=repeat_in), cloud_call=cloud_call, **more)


def in_flight(**more: Any) -> ApiResponse:
    """Another request with the same id is being worked on."""
    return problem(409, "in-flight", _IN_FLIGHT, retryable=True, retry_after=RETRY_AFTER, **more)


def key_reused(**more: Any) -> ApiResponse:
    """The id belongs to another message."""
    return problem(422, "idempotency-key-reused", _OTHER_BODY, **more)


def refused_before(**more: Any) -> ApiResponse:
    """The queue refused the message under this id."""
    return problem(422, "not-sent", _REFUSED_BEFORE, **more)


def gone(status: Status, **more: Any) -> ApiResponse:
    """The message expired or was cancelled."""
    return problem(410, status.value, _GONE[status], **more)


_IN_FLIGHT = Bilingual(
    "Another request with this id is being worked on; ask again after Retry-After.",
    "相同 id 的请求正在处理，请在 Retry-After 之后重试。",
)
_OTHER_BODY = Bilingual(
    "This id was used for another message; a new message needs a new id.",
    "该 id 已用于另一条消息，新消息请使用新的 id。",
)
_REFUSED_BEFORE = Bilingual(
    "This message was refused before; correct it and send it again, under the same id if you like.",
    "该消息此前已被拒绝，请更正后重新发送，可沿用原 id。",
)
_GONE = {
    Status.EXPIRED: Bilingual("The message expired and was not sent.", "消息已过期，未发送。"),
    Status.CANCELLED: Bilingual("The message was cancelled and was not sent.", "消息已取消，未发送。"),
}
