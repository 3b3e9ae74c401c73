"""Problem documents (RFC 9457): what was refused, why, and whether a repeat can work."""

from __future__ import annotations

import math
from typing import Any

from wechat_notify.core.errors import (
    AccountNameError,
    BodyTooLargeError,
    BroadcastIdReusedError,
    BroadcastStateError,
    ConsentLinkError,
    CursorError,
    IdempotencyKeyError,
    InvalidFieldsError,
    InvalidMessageError,
    MalformedBodyError,
    MediaTypeError,
    NotAPlatformError,
    StartedError,
    StorageError,
    UnknownAccountError,
    UnknownBroadcastError,
    UnknownHoldError,
    UnknownMessageError,
    UnknownScheduleError,
    UnknownTemplateError,
    UnknownUploadError,
    WeChatNotifyError,
)
from wechat_notify.core.outcomes import ErrorClass, Outcome
from wechat_notify.core.texts import Bilingual
from wechat_notify.http.responses import ApiResponse

_TITLES = {
    400: "Malformed request",
    404: "Not found",
    409: "Conflict",
    410: "Gone",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Refused",
    429: "Limit reached at WeChat",
    500: "Internal error",
    502: "WeChat does not accept this account's calls",
    503: "Busy",
    504: "WeChat's answer was lost: whether the message was sent is not known",
}
TYPES = "/docs/problems.md#"
"""Prefix of the types of problem documents: a page of this project, with a section for each name.

Relative, as RFC 9457 (3.1.1) allows: the project has no public host. The laptop stack serves the page there.
"""
RETRY_AFTER = 2.0
"""Seconds: by then most requests that are in flight are through, and most throttling is over."""


def refusal(error: WeChatNotifyError) -> ApiResponse:
    """The answer to a request that never became an attempt: one of ``REFUSED``."""
    status, hint = REFUSALS[type(error)]
    name = error.reason.replace("_", "-")
    more: dict[str, Any] = {}
    match error:
        case MalformedBodyError():
            hint = error.text
        case InvalidMessageError() | InvalidFieldsError():
            more["errors"] = [violation.as_dict() for violation in error.violations]
        case BodyTooLargeError():
            size = error.limit // 1024
            hint = Bilingual(f"The body is larger than {size} KiB.", f"请求体超过 {size} KiB。")
        case ConsentLinkError():
            hint = _LINKS[error.problem]
            more["reason"] = error.problem
        case StartedError():
            more["message_status"] = error.status.value
        case BroadcastStateError():
            more["state"] = error.state
        case StorageError():
            more |= {"error_class": ErrorClass.TRANSIENT, "retryable": True, "retry_after": RETRY_AFTER}
    return problem(status, name, hint, **more)


def unavailable(name: str, outcome: Outcome) -> ApiResponse:
    """The answer where there is no token: WeChat gives none, or not now."""
    return problem(
        503 if outcome.retryable else 502,
        name,
        outcome.hint,
        error_class=outcome.error_class,
        retryable=outcome.retryable,
        retry_after=outcome.retry_after,
        errcode=outcome.errcode,
        errmsg=outcome.errmsg,
        rid=outcome.rid,
    )


def problem(
    status: int,
    name: str,
    hint: Bilingual,
    *,
    error_class: ErrorClass = ErrorClass.REQUEST,
    retryable: bool = False,
    retry_after: float | None = None,
    **more: Any,
) -> ApiResponse:
    """A problem document; ``name`` ends its type, ``more`` are its fields beside those that all have."""
    body = {
        "type": f"{TYPES}{name}",
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


_LINKS = {
    "forged": Bilingual(
        "reserved is not one that this service made; begin with a new link.",
        "reserved 不是本服务生成的，请重新获取链接。",
    ),
    "expired": Bilingual(
        "The link has expired: it can be confirmed for 24 hours. Begin with a new one.",
        "链接已过期（有效期 24 小时），请重新获取链接。",
    ),
    "mismatch": Bilingual(
        "The link was made for another template or scene; nothing was recorded.",
        "链接对应的模板或 scene 与参数不一致，未作记录。",
    ),
    "used": Bilingual(
        "The link has been confirmed already; a confirmation is one message, and a new one needs a new link.",
        "该链接已被确认。一次确认对应一条消息，再次授权请使用新的链接。",
    ),
}
"""The answers to a confirmation, by the error's ``problem``."""
REFUSALS: dict[type[WeChatNotifyError], tuple[int, Bilingual]] = {
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
    NotAPlatformError: (
        409,
        Bilingual(
            "The account is no third-party platform; name the one whose credentials have the type component.",
            "该账号不是第三方平台，请使用凭证 type 为 component 的账号。",
        ),
    ),
    BodyTooLargeError: (
        413,
        Bilingual("The body is too large.", "请求体过大。"),
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
    InvalidFieldsError: (
        422,
        Bilingual(
            "The request was refused and nothing was done: correct the fields listed under errors.",
            "请求被拒绝，未执行任何操作：请修正 errors 中列出的字段。",
        ),
    ),
    CursorError: (
        400,
        Bilingual(
            "The cursor does not belong to this list; ask for the first page, without a cursor.",
            "cursor 不属于此列表，请不带 cursor 重新获取第一页。",
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
    UnknownScheduleError: (
        404,
        Bilingual(
            "This account has no schedule of this name; one that fires once removes itself afterwards.",
            "该账号没有此名称的定时任务；一次性任务执行后会自动删除。",
        ),
    ),
    UnknownBroadcastError: (
        404,
        Bilingual("This account has no broadcast under this id.", "该账号没有此 id 的群发。"),
    ),
    UnknownUploadError: (
        404,
        Bilingual(
            "Nothing was uploaded under this id, or it has expired: PUT the file to the URL of a new upload "
            "first.",
            "该 id 下没有已上传的文件，或文件已过期：请先新建上传并将文件 PUT 到返回的地址。",
        ),
    ),
    BroadcastIdReusedError: (
        422,
        Bilingual(
            "This id was used for another broadcast; a new broadcast needs a new Idempotency-Key.",
            "该 id 已用于另一个群发，新群发请使用新的 Idempotency-Key。",
        ),
    ),
    BroadcastStateError: (
        409,
        Bilingual(
            "The broadcast's state does not allow that; state says what it is.",
            "群发当前状态不允许此操作，见 state。",
        ),
    ),
    UnknownTemplateError: (
        404,
        Bilingual(
            "This account has no template under this id, as far as its templates were read: GET …/templates "
            "says when that was.",
            "最近一次同步的模板中没有此 id；同步时间见模板列表。",
        ),
    ),
    UnknownHoldError: (
        404,
        Bilingual(
            "Nothing of this account is held under this id; it may have ended by itself.",
            "该账号没有此 id 的暂停，可能已自行结束。",
        ),
    ),
    ConsentLinkError: (422, Bilingual("The link cannot be confirmed.", "链接无法确认。")),
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
"""The errors that have an answer of their own: its status, and what its reader is told."""
REFUSED = tuple(REFUSALS)
INTERNAL_ERROR = problem(
    500,
    "internal-error",
    Bilingual(
        "Something went wrong in this service; its log has the request id.",
        "服务内部错误，请凭 request_id 查看日志。",
    ),
    error_class=ErrorClass.OTHER,
)
