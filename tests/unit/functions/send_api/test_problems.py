"""Each problem with its status, its name and its exact texts."""

from __future__ import annotations

import pytest

from functions.send_api import problems
from tests.unit.functions.send_api.calls import TITLES
from wechat_notify.core.errors import (
    AccountNameError,
    BodyTooLargeError,
    IdempotencyKeyError,
    InvalidFieldsError,
    InvalidMessageError,
    MalformedBodyError,
    MediaTypeError,
    StartedError,
    StorageError,
    UnknownAccountError,
    UnknownMessageError,
)
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation
from wechat_notify.http.problems import INTERNAL_ERROR, refusal
from wechat_notify.http.responses import ApiResponse

VIOLATION = Violation("touser", "missing", Bilingual("is required", "缺少必填字段"))

MALFORMED = Bilingual("x", "甲")
ACCOUNT_NAME = Bilingual(
    "No account can have this name: it is 1 to 64 characters of a-z, 0-9 and -. Credentials that are "
    "stored under another name are never used.",
    "账号名不合法：必须为 1 到 64 个字符，只能含小写字母 a-z、数字和 -；存储在其他名称下的凭证不会被使用。",
)
UNKNOWN_ACCOUNT = Bilingual(
    "No credentials are stored for this account; store them, or check the account in the path.",
    "该账号没有存储凭证，请先存储凭证，或检查路径中的账号名。",
)
BODY_TOO_LARGE = Bilingual("The body is larger than 64 KiB.", "请求体超过 64 KiB。")
UNSUPPORTED_MEDIA_TYPE = Bilingual(
    "Send JSON with Content-Type: application/json.",
    "请以 Content-Type: application/json 发送 JSON。",
)
INVALID_MESSAGE = Bilingual(
    "The message was not sent: correct the fields listed under errors.",
    "消息未发送：请修正 errors 中列出的字段。",
)
INVALID_IDEMPOTENCY_KEY = Bilingual(
    "An Idempotency-Key is given once, as 1 to 64 visible ASCII characters without a comma.",
    "Idempotency-Key 只能出现一次，必须是 1 到 64 个不含逗号的可见 ASCII 字符。",
)
UNKNOWN_MESSAGE = Bilingual(
    "This account has no message under this id; one that came by SQS or EventBridge gets an entry when "
    "it is taken from the queue.",
    "该账号没有此 id 的消息；经 SQS 或 EventBridge 提交的消息在出队后才有记录。",
)
ALREADY_STARTED = Bilingual(
    "The message has been started or has come to its end; it cannot be cancelled any more.",
    "消息已开始发送或已结束，无法取消。",
)
STORAGE = Bilingual(
    "The ledger or the queue did not answer; try again shortly, a message with the same "
    "Idempotency-Key, which keeps it from being sent twice.",
    "账本或队列暂时不可用，请稍后重试；重发消息请使用相同的 Idempotency-Key，以免重复。",
)
IN_FLIGHT = Bilingual(
    "Another request with this id is being worked on; ask again after Retry-After.",
    "相同 id 的请求正在处理，请在 Retry-After 之后重试。",
)
IDEMPOTENCY_KEY_REUSED = Bilingual(
    "This id was used for another message; a new message needs a new id.",
    "该 id 已用于另一条消息，新消息请使用新的 id。",
)
REFUSED_BEFORE = Bilingual(
    "This message was refused before; correct it and send it again, under the same id if you like.",
    "该消息此前已被拒绝，请更正后重新发送，可沿用原 id。",
)
EXPIRED = Bilingual("The message expired and was not sent.", "消息已过期，未发送。")
CANCELLED = Bilingual("The message was cancelled and was not sent.", "消息已取消，未发送。")
INVALID_FIELDS = Bilingual(
    "The request was refused and nothing was done: correct the fields listed under errors.",
    "请求被拒绝，未执行任何操作：请修正 errors 中列出的字段。",
)
LOST = Bilingual(
    "WeChat's answer was lost: the message may have been sent. "
    "A copy under a new id can reach the user as a second message.",
    "未收到微信的应答：消息可能已发出。使用新的 id 重发可能造成用户收到两条。",
)
LOST_BUT_REPEATABLE = Bilingual(
    "WeChat's answer was lost: the message may have been sent. "
    "Repeat it under the same id: WeChat drops the second copy, or you asked for at least once.",
    "未收到微信的应答：消息可能已发出。请使用相同的 id 重发：微信会去重，或该消息要求至少送达一次。",
)
INTERNAL = Bilingual(
    "Something went wrong in this service; its log has the request id.",
    "服务内部错误，请凭 request_id 查看日志。",
)


@pytest.mark.parametrize(
    ("response", "status", "name", "hint"),
    [
        (refusal(MalformedBodyError(MALFORMED)), 400, "malformed-body", MALFORMED),
        (refusal(AccountNameError()), 404, "account-name", ACCOUNT_NAME),
        (refusal(UnknownAccountError("nobody")), 404, "unknown-account", UNKNOWN_ACCOUNT),
        (refusal(BodyTooLargeError(65536)), 413, "body-too-large", BODY_TOO_LARGE),
        (refusal(MediaTypeError()), 415, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE),
        (refusal(InvalidMessageError([VIOLATION])), 422, "invalid-message", INVALID_MESSAGE),
        (refusal(InvalidFieldsError([VIOLATION])), 422, "invalid-fields", INVALID_FIELDS),
        (refusal(IdempotencyKeyError()), 400, "invalid-idempotency-key", INVALID_IDEMPOTENCY_KEY),
        (refusal(UnknownMessageError()), 404, "unknown-message", UNKNOWN_MESSAGE),
        (refusal(StartedError(Status.SENT)), 409, "already-started", ALREADY_STARTED),
        (refusal(StorageError("x", "y")), 503, "storage", STORAGE),
        (problems.in_flight(), 409, "in-flight", IN_FLIGHT),
        (problems.key_reused(), 422, "idempotency-key-reused", IDEMPOTENCY_KEY_REUSED),
        (problems.refused_before(), 422, "not-sent", REFUSED_BEFORE),
        (problems.gone(Status.EXPIRED), 410, "expired", EXPIRED),
        (problems.gone(Status.CANCELLED), 410, "cancelled", CANCELLED),
        (problems.answer_lost(repeat_in=None, cloud_call=False), 504, "outcome-unknown", LOST),
        (problems.answer_lost(repeat_in=6.0, cloud_call=False), 504, "outcome-unknown", LOST_BUT_REPEATABLE),
        (INTERNAL_ERROR, 500, "internal-error", INTERNAL),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_problem(response: ApiResponse, status: int, name: str, hint: Bilingual) -> None:
    body = response.body
    assert (response.status, body["status"], body["title"]) == (status, status, TITLES[status])
    assert body["type"] == f"/docs/problems.md#{name}"
    assert (body["detail"], body["hint"]) == (hint.en, hint.as_dict())
    assert [body[answered] for answered in ("errcode", "errmsg", "rid")] == [None] * 3


def test_more_of_a_refusal() -> None:
    for error in (InvalidMessageError([VIOLATION]), InvalidFieldsError([VIOLATION])):
        assert refusal(error).body["errors"] == [VIOLATION.as_dict()]
    assert refusal(StartedError(Status.SENT)).body["message_status"] == "sent"
    assert problems.answer_lost(repeat_in=5.5, cloud_call=False).headers == {"Retry-After": "6"}


STATUSES = {
    422: ["recipient", "request", "template", "duplicate"],
    429: ["rate_limit", "quota"],
    503: ["transient"],
    504: ["unknown"],
    502: ["token", "config", "permission", "banned", "deprecated", "platform", "other", "success"],
}


@pytest.mark.parametrize(("status", "classes"), STATUSES.items())
def test_status_of_a_class(status: int, classes: list[str]) -> None:
    hint = Bilingual("x", "甲")
    for name in classes:
        outcome = Outcome(Status.FAILED, ErrorClass(name), hint)
        response = problems.not_sent(outcome, cloud_call=False)
        assert (response.status, response.headers, response.body["class"]) == (status, {}, name)
        repeatable = problems.not_sent(outcome._replace(retryable=True), cloud_call=False)
        assert repeatable.headers == {"Retry-After": "1"}
    assert {name for names in STATUSES.values() for name in names} == set(ErrorClass)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "application/json", '{"zh": "甲"}'),
        (400, "application/problem+json", '{"zh": "甲", "request_id": "r1"}'),
    ],
)
def test_form_of_api_gateway(status: int, content_type: str, body: str) -> None:
    assert ApiResponse(status, {"zh": "甲"}, {"Retry-After": "2"}).for_api_gateway("r1") == {
        "statusCode": status,
        "headers": {"Content-Type": content_type, "Retry-After": "2"},
        "body": body,
    }
