"""What the API answers: results, and refusals as problem documents (RFC 9457)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wechat_notify.core.delivery import seconds_to_reset
from wechat_notify.core.envelope import BODY_BYTES_MOST, SendRequest
from wechat_notify.core.messages import Message
from wechat_notify.core.outcomes import (
    Bilingual,
    BodyTooLargeError,
    ErrorClass,
    InvalidMessageError,
    MalformedBodyError,
    MediaTypeError,
    Outcome,
    Status,
    StorageError,
    UnknownAccountError,
    Violation,
    WeChatNotifyError,
)

_STATUS = {
    ErrorClass.RECIPIENT: 422,
    ErrorClass.REQUEST: 422,
    ErrorClass.TEMPLATE: 422,
    ErrorClass.RATE_LIMIT: 429,
    ErrorClass.QUOTA: 429,
    ErrorClass.TRANSIENT: 503,
    ErrorClass.UNKNOWN: 504,
}
"""Every other class is trouble between this service and WeChat that the caller cannot mend: 502."""

_TITLES = {
    400: "Malformed JSON",
    404: "Unknown account",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Message refused",
    429: "Limit reached at WeChat",
    500: "Internal error",
    502: "WeChat does not accept this account's calls",
    503: "Busy",
    504: "WeChat's answer was lost: whether the message was sent is not known",
}


@dataclass(frozen=True, slots=True)
class Response:
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


def attempted(
    request: SendRequest, message: Message, outcome: Outcome, warnings: Sequence[Violation]
) -> Response:
    """The answer for a message that was sent, or that could not be."""
    names = ("errCode", "errMsg") if message.cloud_call else ("errcode", "errmsg")
    if outcome.status is not Status.SENT:
        return _not_sent(outcome, names, id=request.id, account=request.account, kind=message.kind)
    answer: dict[str, Any] = {names[0]: outcome.errcode, names[1]: outcome.errmsg}
    if outcome.msgid is not None:
        answer["msgid"] = outcome.msgid
    return Response(200, _accepted(request, message.kind, Status.SENT, warnings, wechat=answer))


def queued(request: SendRequest, message: Message, warnings: Sequence[Violation]) -> Response:
    """The answer for a checked message that now waits on the queue."""
    location = f"/v1/accounts/{request.account}/messages/{request.id}"
    headers = {"Location": location, "Preference-Applied": "respond-async"}
    return Response(202, _accepted(request, message.kind, Status.QUEUED, warnings), headers)


def _accepted(
    request: SendRequest, kind: str, status: Status, warnings: Sequence[Violation], **more: Any
) -> dict[str, Any]:
    body = {"id": request.id, "account": request.account, "kind": kind, "status": status.value, **more}
    return {**body, "warnings": [warning.as_dict() for warning in warnings]} if warnings else body


def _not_sent(outcome: Outcome, names: tuple[str, str], **more: Any) -> Response:
    status = _STATUS.get(outcome.error_class, 502)
    wait = outcome.retry_after
    if outcome.error_class is ErrorClass.QUOTA:
        wait = seconds_to_reset(time.time())
    headers = {"Retry-After": str(math.ceil(wait or 1))} if wait or status in {429, 503} else {}
    if outcome.field:
        more["field"] = f"data.{outcome.field}.value"
    return _problem(
        status,
        "not-sent" if status != 504 else "outcome-unknown",  # noqa: PLR2004
        outcome.hint,
        error_class=outcome.error_class,
        retryable=outcome.retryable,
        headers=headers,
        **{names[0]: outcome.errcode, names[1]: outcome.errmsg},
        rid=outcome.rid,
        **more,
    )


def refusal(error: WeChatNotifyError) -> Response:
    """The answer for a request that never became an attempt."""
    status, hint = _REFUSALS[type(error)]
    name = error.reason.replace("_", "-")
    match error:
        case MalformedBodyError():
            return _problem(status, name, error.text)
        case InvalidMessageError():
            return _problem(
                status, name, hint, errors=[violation.as_dict() for violation in error.violations]
            )
        case StorageError():
            headers = {"Retry-After": "2"}
            return _problem(
                status, name, hint, error_class=ErrorClass.TRANSIENT, retryable=True, headers=headers
            )
    return _problem(status, name, hint)


def is_json(content_type: str | None) -> bool:
    """Whether the body may be read as JSON; a request that does not say is taken at its word."""
    media_type, *parameters = (content_type or "application/json").lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    charsets = [value.strip(' "') for key, _, value in pairs if key.strip() == "charset"]
    is_utf8 = all(charset in {"utf-8", "utf8"} for charset in charsets)
    return is_utf8 and (media_type.strip() == "application/json" or media_type.strip().endswith("+json"))


def prefers_async(prefer: str | None) -> bool:
    """Whether the ``Prefer`` header (RFC 7240) asks for ``respond-async``."""
    return any(
        preference.partition(";")[0].strip().lower() == "respond-async"
        for preference in (prefer or "").split(",")
    )


def _problem(
    status: int,
    name: str,
    hint: Bilingual,
    *,
    error_class: ErrorClass = ErrorClass.REQUEST,
    retryable: bool = False,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    body = {
        "type": f"urn:wechat-notify:problem:{name}",
        "title": _TITLES[status],
        "status": status,
        "detail": hint.en,
        "class": error_class.value,
        "retryable": retryable,
        "hint": {"en": hint.en, "zh": hint.zh},
    }
    if "errCode" not in more:
        body |= {"errcode": None, "errmsg": None}
    return Response(status, {**body, "rid": None, **more}, headers or {})


_REFUSALS: dict[type[WeChatNotifyError], tuple[int, Bilingual]] = {
    MalformedBodyError: (400, Bilingual("The body cannot be read.", "请求体无法解析。")),
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
            f"The body is larger than {BODY_BYTES_MOST // 1024} KiB.",
            f"请求体超过 {BODY_BYTES_MOST // 1024} KiB。",
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
    StorageError: (
        503,
        Bilingual("The message was not queued; try again shortly.", "消息未能入队，请稍后重试。"),
    ),
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
