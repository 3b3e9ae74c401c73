"""What the API answers: results, and refusals as problem documents (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from wechat_notify.core.dispatch import Dispatched, Turn
from wechat_notify.core.envelope import BODY_BYTES_MOST, SendRequest
from wechat_notify.core.ledger import Entry
from wechat_notify.core.messages import Message
from wechat_notify.core.outcomes import (
    Bilingual,
    BodyTooLargeError,
    ErrorClass,
    IdempotencyKeyError,
    InvalidMessageError,
    MalformedBodyError,
    MediaTypeError,
    Outcome,
    StartedError,
    Status,
    StorageError,
    UnknownAccountError,
    UnknownMessageError,
    Violation,
    WeChatNotifyError,
    iso_time,
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


def handed_over(
    request: SendRequest, message: Message, dispatched: Dispatched, warnings: Sequence[Violation]
) -> Response:
    """The answer to a message that was handed over, now or at an earlier time under the same id."""
    match dispatched.turn:
        case Turn.IN_FLIGHT:
            return _problem(
                409,
                "in-flight",
                _IN_FLIGHT,
                retryable=True,
                headers=_retry_after(_IN_FLIGHT_WAIT),
                id=request.id,
            )
        case Turn.OTHER_BODY:
            return _problem(422, "idempotency-key-reused", _OTHER_BODY, id=request.id)
        case Turn.STANDING if dispatched.entry:
            response = _standing(request, message, dispatched.entry, warnings)
            if dispatched.changed:
                return response
            return replace(response, headers={**response.headers, "Idempotent-Replayed": "true"})
    outcome = dispatched.outcome
    assert outcome  # noqa: S101 - what was tried, or could not be, has one
    if dispatched.status is Status.UNKNOWN and outcome.status is not Status.UNKNOWN:
        outcome = _LOST  # an earlier copy's answer is, whatever became of this one
    return _attempted(request, message, outcome, warnings)


def _standing(
    request: SendRequest, message: Message, entry: Entry, warnings: Sequence[Violation]
) -> Response:
    """The answer that a message's entry gives."""
    match entry.status:
        case Status.QUEUED:
            location = f"/v1/accounts/{entry.account}/messages/{quote(entry.id, safe='')}"
            headers = {"Location": location, "Preference-Applied": "respond-async"}
            return Response(202, _accepted(request, message.kind, Status.QUEUED, warnings), headers)
        case Status.EXPIRED | Status.CANCELLED:
            hint = _GONE[entry.status]
            return _problem(410, entry.status.value, hint, id=entry.id, account=entry.account)
        case Status.UNKNOWN:
            return _not_sent(_LOST, message, id=entry.id, account=entry.account)
    if entry.outcome is None:
        return _problem(422, "not-sent", _REFUSED, id=entry.id, account=entry.account, reason=entry.reason)
    return _attempted(request, message, entry.outcome, warnings)


def _attempted(
    request: SendRequest, message: Message, outcome: Outcome, warnings: Sequence[Violation]
) -> Response:
    if outcome.status is not Status.SENT:
        return _not_sent(outcome, message, id=request.id, account=request.account)
    names = _names(message)
    answer: dict[str, Any] = {names[0]: outcome.errcode, names[1]: outcome.errmsg}
    if outcome.msgid is not None:
        answer["msgid"] = outcome.msgid
    return Response(200, _accepted(request, message.kind, Status.SENT, warnings, wechat=answer))


def message(entry: Entry) -> Response:
    """What the ledger says of a message: its state, the last outcome and the timeline."""
    body: dict[str, Any] = {
        "id": entry.id,
        "account": entry.account,
        "kind": entry.kind,
        "template_id": entry.template_id,
        "openid_hash": entry.openid_hash,
        "status": entry.status.value,
        "reason": entry.reason,
        "attempts": entry.attempts,
        "created_at": iso_time(entry.created_at),
        "updated_at": iso_time(entry.updated_at),
        "expires_at": iso_time(entry.expires_at) if entry.expires_at is not None else None,
        "timeline": [
            _given(
                status=change.status.value,
                at=iso_time(change.at),
                errcode=change.errcode,
                reason=change.reason,
            )
            for change in entry.timeline
        ],
    }
    outcome = entry.outcome
    if outcome:
        body["wechat"] = _given(
            errcode=outcome.errcode, errmsg=outcome.errmsg, rid=outcome.rid, msgid=outcome.msgid
        )
        if outcome.status is not Status.SENT:
            hint = {"en": outcome.hint.en, "zh": outcome.hint.zh}
            body |= {"class": outcome.error_class.value, "retryable": outcome.retryable, "hint": hint}
    return Response(200, _given(**body))


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _names(message: Message) -> tuple[str, str]:
    return ("errCode", "errMsg") if message.cloud_call else ("errcode", "errmsg")


def _accepted(
    request: SendRequest, kind: str, status: Status, warnings: Sequence[Violation], **more: Any
) -> dict[str, Any]:
    body = {"id": request.id, "account": request.account, "kind": kind, "status": status.value, **more}
    return {**body, "warnings": [warning.as_dict() for warning in warnings]} if warnings else body


def _not_sent(outcome: Outcome, message: Message, **more: Any) -> Response:
    names = _names(message)
    status = _STATUS.get(outcome.error_class, 502)
    headers = _retry_after(outcome.retry_after) if outcome.retry_after or status in {429, 503} else {}
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
        kind=message.kind,
        **more,
    )


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds or 1))}


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
        case StartedError():
            return _problem(status, name, hint, message_status=error.status.value)
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
    IdempotencyKeyError: (
        400,
        Bilingual(
            "An Idempotency-Key is 1 to 64 visible ASCII characters.",
            "Idempotency-Key 必须是 1 到 64 个可见 ASCII 字符。",
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
            "The ledger or the queue did not answer and nothing was sent; try again shortly, with the "
            "same Idempotency-Key.",
            "账本或队列暂时不可用，消息未发出，请使用相同的 Idempotency-Key 稍后重试。",
        ),
    ),
}
_IN_FLIGHT_WAIT = 2.0
"""Seconds: most are through by then."""
_IN_FLIGHT = Bilingual(
    "Another request with this id is being worked on; ask again after Retry-After.",
    "相同 id 的请求正在处理，请在 Retry-After 之后重试。",
)
_OTHER_BODY = Bilingual(
    "This id was used for another message; a new message needs a new id.",
    "该 id 已用于另一条消息，新消息请使用新的 id。",
)
_REFUSED = Bilingual(
    "A message under this id was refused before; correct it and use a new id.",
    "该 id 的消息此前已被拒绝，请更正后使用新的 id。",
)
_GONE = {
    Status.EXPIRED: Bilingual("The message expired and was not sent.", "消息已过期，未发送。"),
    Status.CANCELLED: Bilingual("The message was cancelled and was not sent.", "消息已取消，未发送。"),
}
_LOST = Outcome(
    Status.UNKNOWN,
    ErrorClass.UNKNOWN,
    Bilingual(
        "WeChat's answer was lost: the message may have been sent. "
        "Repeating it under a new id can send it twice.",
        "未收到微信的应答：消息可能已发出，使用新的 id 重发可能造成重复。",
    ),
)
INTERNAL_ERROR = _problem(
    500,
    "internal-error",
    Bilingual(
        "Something went wrong in this service; its log has the request id.",
        "服务内部错误，请凭 request_id 查看日志。",
    ),
    error_class=ErrorClass.OTHER,
)
