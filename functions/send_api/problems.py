"""Problem documents (RFC 9457): what was refused or not sent, why, and whether a repeat can work."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechat_notify.core.delivery import own_outcomes
from wechat_notify.core.errors import (
    AccountNameError,
    BodyTooLargeError,
    IdempotencyKeyError,
    InvalidMessageError,
    MalformedBodyError,
    MediaTypeError,
    StartedError,
    StorageError,
    UnknownAccountError,
    UnknownMessageError,
    WeChatNotifyError,
)
from wechat_notify.core.messages.intake import MAX_BODY_BYTES
from wechat_notify.core.outcomes import Bilingual, ErrorClass, Outcome, Status

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

_TITLES = {
    400: "Malformed request",
    404: "Not found",
    409: "Conflict",
    410: "Gone",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Message refused",
    429: "Limit reached at WeChat",
    500: "Internal error",
    502: "WeChat does not accept this account's calls",
    503: "Busy",
    504: "WeChat's answer was lost: whether the message was sent is not known",
}
_RETRY_AFTER = 2.0
"""Seconds: by then most requests that are in flight are through, and most throttling is over."""
_MIN_RETRY_AFTER = 1.0
"""Seconds where the outcome of a message that can be tried again names none."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One HTTP answer before it has API Gateway's form."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def for_api_gateway(self, request_id: str) -> dict[str, Any]:
        """The answer in payload format 2.0; a problem document carries the request's id."""
        problem = self.status >= 400  # noqa: PLR2004 - HTTP's own border
        content_type = "application/problem+json" if problem else "application/json"
        body = {**self.body, "request_id": request_id} if problem else self.body
        return {
            "statusCode": self.status,
            "headers": {"Content-Type": content_type, **self.headers},
            "body": json.dumps(body, ensure_ascii=False),
        }


def not_sent(outcome: Outcome, *, cloud_call: bool, **more: Any) -> ApiResponse:
    """A message that WeChat refused, that could not be attempted, or whose answer was lost."""
    status = _STATUS.get(outcome.error_class, 502)
    if outcome.field:
        more["field"] = f"data.{outcome.field}.value"
    names = ("errCode", "errMsg") if cloud_call else ("errcode", "errmsg")
    answered = dict(zip(names, (outcome.errcode, outcome.errmsg), strict=True))
    return _problem(
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
    return _problem(409, "in-flight", _IN_FLIGHT, retryable=True, retry_after=_RETRY_AFTER, **more)


def key_reused(**more: Any) -> ApiResponse:
    """The id belongs to another message."""
    return _problem(422, "idempotency-key-reused", _OTHER_BODY, **more)


def refused_before(**more: Any) -> ApiResponse:
    """The queue refused the message under this id."""
    return _problem(422, "not-sent", _REFUSED_BEFORE, **more)


def gone(status: Status, **more: Any) -> ApiResponse:
    """The message expired or was cancelled."""
    return _problem(410, status.value, _GONE[status], **more)


def refusal(error: WeChatNotifyError) -> ApiResponse:
    """The answer to a request that never became an attempt: one of ``REFUSED``."""
    status, hint = _REFUSALS[type(error)]
    name = error.reason.replace("_", "-")
    match error:
        case MalformedBodyError():
            return _problem(status, name, error.text)
        case InvalidMessageError():
            errors = [violation.as_dict() for violation in error.violations]
            return _problem(status, name, hint, errors=errors)
        case StartedError():
            return _problem(status, name, hint, message_status=error.status.value)
        case StorageError():
            return _problem(
                status,
                name,
                hint,
                error_class=ErrorClass.TRANSIENT,
                retryable=True,
                retry_after=_RETRY_AFTER,
            )
    return _problem(status, name, hint)


def _problem(
    status: int,
    name: str,
    hint: Bilingual,
    *,
    error_class: ErrorClass = ErrorClass.REQUEST,
    retryable: bool = False,
    retry_after: float | None = None,
    **more: Any,
) -> ApiResponse:
    body = {
        "type": f"urn:wechat-notify:problem:{name}",
        "title": _TITLES[status],
        "status": status,
        "detail": hint.en,
        "class": error_class.value,
        "retryable": retryable,
        "hint": hint.as_dict(),
    }
    if "errCode" not in more:
        body |= {"errcode": None, "errmsg": None}
    headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after else {}
    return ApiResponse(status, {**body, "rid": None, **more}, headers)


_REFUSALS: dict[type[WeChatNotifyError], tuple[int, Bilingual]] = {
    MalformedBodyError: (400, Bilingual("The body cannot be read.", "请求体无法解析。")),
    AccountNameError: (
        404,
        Bilingual(
            "No account can have this name: it is 1 to 64 characters of a-z, 0-9 and -. Credentials that are "
            "stored under another name are never used.",
            "账号名不合法：必须为 1 到 64 个字符，只能含小写字母 a-z、数字和 -；"
            "存储在其他名称下的凭证不会被使用。",
        ),
    ),
    UnknownAccountError: (
        404,
        Bilingual(
            "No credentials are stored for this account; store them, or check the account in the path.",
            "该账号没有存储凭证，请先存储凭证，或检查路径中的账号名。",
        ),
    ),
    BodyTooLargeError: (
        413,
        Bilingual(
            f"The body is larger than {MAX_BODY_BYTES // 1024} KiB.",
            f"请求体超过 {MAX_BODY_BYTES // 1024} KiB。",
        ),
    ),
    MediaTypeError: (
        415,
        Bilingual(
            "Send JSON with Content-Type: application/json.",
            "请以 Content-Type: application/json 发送 JSON。",
        ),
    ),
    InvalidMessageError: (
        422,
        Bilingual(
            "The message was not sent: correct the fields listed under errors.",
            "消息未发送：请修正 errors 中列出的字段。",
        ),
    ),
    IdempotencyKeyError: (
        400,
        Bilingual(
            "An Idempotency-Key is given once, as 1 to 64 visible ASCII characters without a comma.",
            "Idempotency-Key 只能出现一次，必须是 1 到 64 个不含逗号的可见 ASCII 字符。",
        ),
    ),
    UnknownMessageError: (
        404,
        Bilingual(
            "This account has no message under this id; one that came by SQS or EventBridge gets an entry "
            "when it is taken from the queue.",
            "该账号没有此 id 的消息；经 SQS 或 EventBridge 提交的消息在出队后才有记录。",
        ),
    ),
    StartedError: (
        409,
        Bilingual(
            "The message has been started or has come to its end; it cannot be cancelled any more.",
            "消息已开始发送或已结束，无法取消。",
        ),
    ),
    StorageError: (
        503,
        Bilingual(
            "The ledger or the queue did not answer; try again shortly, a message with the same "
            "Idempotency-Key, which keeps it from being sent twice.",
            "账本或队列暂时不可用，请稍后重试；重发消息请使用相同的 Idempotency-Key，以免重复。",
        ),
    ),
}
REFUSED = tuple(_REFUSALS)
"""The errors that have an answer of their own."""
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
INTERNAL_ERROR = _problem(
    500,
    "internal-error",
    Bilingual(
        "Something went wrong in this service; its log has the request id.",
        "服务内部错误，请凭 request_id 查看日志。",
    ),
    error_class=ErrorClass.OTHER,
)
