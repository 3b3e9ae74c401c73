"""The problem documents: which there are, with which statuses, and what to do about each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from openapi.operation import Json
from openapi.values import Account, Class, Kind, MessageId, Text, Violation
from wechat_notify.core.broadcasts.broadcast import State
from wechat_notify.core.outcomes import Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.http.problems import TYPES


class Problem(TypedDict):
    """The fields of every refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="the English hint")]
    error_class: Class
    retryable: Annotated[bool, Field(description="the same request can work later")]
    hint: Annotated[Text, Field(description="what happened, and what to do")]
    rid: Annotated[str | None, Field(description="WeChat's id of the call, which it keeps for 7 days")]
    request_id: Annotated[str, Field(description="API Gateway's id of the request, as in the log")]


class OfRequest(TypedDict):
    """A refusal in which WeChat had no part."""

    errcode: None
    errmsg: None


class WithErrors(OfRequest):
    """With every rule that is broken."""

    errors: list[Violation]


class OfMessage(OfRequest):
    """About a message that was read."""

    id: MessageId
    account: Account
    kind: NotRequired[Kind]


class Started(OfRequest):
    """With the message's state."""

    message_status: Status


class OfBroadcast(OfRequest):
    """With the broadcast's state."""

    state: State


class OfConsentLink(OfRequest):
    """With the reason why the link was not confirmed."""

    reason: Literal["forged", "expired", "mismatch", "used"]


class OfPlatform(TypedDict):
    """With WeChat's answer, null where there is none."""

    errcode: int | None
    errmsg: str | None


class OfAttempt(TypedDict):
    """With WeChat's answer, null where there is none. In the Cloud Call spelling it is errCode and errMsg."""

    id: MessageId
    account: Account
    kind: NotRequired[Kind]
    errcode: NotRequired[int | None]
    errmsg: NotRequired[str | None]
    errCode: NotRequired[int | None]
    errMsg: NotRequired[str | None]
    field: NotRequired[Annotated[str, Field(description="the field that a 47003 names")]]
    reason: NotRequired[Annotated[str, Field(description="why the queue refused the message before")]]


@dataclass(frozen=True)
class Named:
    """One problem; ``fields`` are those beside a problem's own.

    ``retries`` are the statuses with which Retry-After may come.
    """

    statuses: tuple[int, ...]
    text: Bilingual
    remedy: Bilingual
    fields: type = OfRequest
    retries: tuple[int, ...] = ()


PROBLEMS: Mapping[str, Named] = {
    "malformed-body": Named(
        (400,),
        Bilingual(
            "The body cannot be read: it is empty, not JSON in UTF-8, or has a key twice, NaN or a lone surrogate.",
            "请求体无法解析：内容为空、不是 UTF-8 编码的 JSON，或含有重复的键、NaN、不成对的代理字符。",
        ),
        Bilingual(
            "Send one JSON value. `detail` says what is wrong with it.",
            "请发送一个 JSON 值，具体问题见 `detail`。",
        ),
    ),
    "invalid-idempotency-key": Named(
        (400,),
        Bilingual(
            "The `Idempotency-Key` is not 1 to 64 visible ASCII characters without a comma, or was given twice.",
            "`Idempotency-Key` 不是 1 到 64 个不含逗号的可见 ASCII 字符，或出现了多次。",
        ),
        Bilingual(
            "Send the header once, with a shorter or plainer value.",
            "该请求头只发送一次，并换用更短、更简单的值。",
        ),
    ),
    "invalid-cursor": Named(
        (400,),
        Bilingual(
            "The cursor is not one of this list: it was changed, or the account or a filter differs.",
            "游标不属于这个列表：内容被改动，或账号、筛选条件不同。",
        ),
        Bilingual(
            "Ask for the first page, without a cursor, and follow `next` with the same filters.",
            "请不带游标从第一页开始，并以相同的筛选条件沿 `next` 翻页。",
        ),
    ),
    "account-name": Named(
        (404,),
        Bilingual(
            "No account can have this name: it is 1 to 64 characters of `a-z`, `0-9` and `-`.",
            "账号名不合法：只能是 1 到 64 个字符，由 `a-z`、`0-9` 和 `-` 组成。",
        ),
        Bilingual("Correct the account in the path.", "请修正路径中的账号名。"),
    ),
    "unknown-account": Named(
        (404,),
        Bilingual("No credentials are stored under this name.", "该名称下没有存储凭证。"),
        Bilingual(
            "Store the account's credentials, or correct the account in the path.",
            "请先存储该账号的凭证，或修正路径中的账号名。",
        ),
    ),
    "not-a-platform": Named(
        (409,),
        Bilingual(
            "The account is no third-party platform: its credentials are of another type.",
            "该账号不是第三方平台，其凭证为其他类型。",
        ),
        Bilingual(
            "Name the account whose credentials have the type `component`.",
            "请使用凭证 `type` 为 `component` 的账号。",
        ),
    ),
    "platform-refused": Named(
        (502, 503),
        Bilingual(
            "WeChat does not let the third-party platform act, or did not answer. `errcode` is WeChat's.",
            "微信不允许该第三方平台调用接口，或没有应答。`errcode` 为微信返回的错误码。",
        ),
        Bilingual(
            "`hint` says what to do. With `retryable` repeat it after `Retry-After` seconds.",
            "处理方法见 `hint`；`retryable` 为 true 时，可在 `Retry-After` 秒后重试。",
        ),
        OfPlatform,
        retries=(503,),
    ),
    "token-unavailable": Named(
        (502, 503),
        Bilingual(
            "WeChat gives the account no token, or its appid is not stored here yet. `errcode` is WeChat's.",
            "无法获取该账号的 access_token，或尚未获得其 appid。`errcode` 为微信返回的错误码。",
        ),
        Bilingual(
            "`hint` says what to do. With `retryable` repeat it after `Retry-After` seconds.",
            "处理方法见 `hint`；`retryable` 为 true 时，可在 `Retry-After` 秒后重试。",
        ),
        OfPlatform,
        retries=(503,),
    ),
    "consent-link": Named(
        (422,),
        Bilingual(
            "The confirmation is not of a link that can be confirmed: `reason` says that it is forged, expired, of "
            "another template or scene, or used by another person.",
            "该确认不对应可用的授权链接，原因见 `reason`：伪造、过期、模板或 scene 不符、已被他人使用。",
        ),
        Bilingual(
            "Make a new link for each confirmation, and hand its parameters over as WeChat gave them.",
            "每次授权请重新获取链接，并将微信带回的参数原样传入。",
        ),
        OfConsentLink,
    ),
    "unknown-message": Named(
        (404,),
        Bilingual(
            "The account has no message under this id, or it has not been taken from the queue yet.",
            "该账号下没有此 id 的消息，或消息尚未从队列中取出。",
        ),
        Bilingual(
            "Check the id. A message that came by SQS or EventBridge is found once it was taken from the queue.",
            "请检查 id。经 SQS 或 EventBridge 提交的消息，从队列取出后才能查到。",
        ),
    ),
    "unknown-broadcast": Named(
        (404,),
        Bilingual("The account has no broadcast under this id.", "该账号下没有此 id 的群发。"),
        Bilingual("List the broadcasts.", "请查看群发列表。"),
    ),
    "unknown-upload": Named(
        (404,),
        Bilingual(
            "Nothing was uploaded under this id, or it has expired or was replaced.",
            "没有此 id 的上传文件，或文件已过期、已被替换。",
        ),
        Bilingual(
            "Make a new upload and PUT the file to its URL first.",
            "请重新创建上传，并先将文件 PUT 到返回的 URL。",
        ),
    ),
    "broadcast-state": Named(
        (409,),
        Bilingual(
            "The broadcast's state does not allow that; `state` is what it is.",
            "群发当前的状态不允许此操作，其状态见 `state`。",
        ),
        Bilingual("Look the broadcast up, and decide by its state.", "请先查询该群发，再根据其状态决定。"),
        OfBroadcast,
    ),
    "broadcast-id-reused": Named(
        (422,),
        Bilingual(
            "The `Idempotency-Key` belongs to another broadcast.", "`Idempotency-Key` 已用于另一个群发。"
        ),
        Bilingual("Use a new key for a new broadcast.", "新的群发请使用新的幂等键。"),
    ),
    "unknown-schedule": Named(
        (404,),
        Bilingual(
            "The account has no schedule of this name. A schedule that fires once removes itself.",
            "该账号下没有此名称的定时任务。一次性任务触发后会自动删除。",
        ),
        Bilingual("List the schedules.", "请查看定时任务列表。"),
    ),
    "unknown-template": Named(
        (404,),
        Bilingual(
            "The account has no template under this id, as far as its templates were read.",
            "在已读取的模板中，该账号没有此模板 ID。",
        ),
        Bilingual(
            "List the templates: `synced_at` says when they were read.",
            "请查看模板列表，`synced_at` 是上次读取的时间。",
        ),
    ),
    "unknown-hold": Named(
        (404,),
        Bilingual(
            "Nothing of the account is held under this id; the hold may have ended by itself.",
            "该账号没有此 id 的暂停，可能已自行解除。",
        ),
        Bilingual("List the holds.", "请查看暂停列表。"),
    ),
    "in-flight": Named(
        (409,),
        Bilingual(
            "Another request with the same `Idempotency-Key` is in progress.",
            "相同 `Idempotency-Key` 的另一个请求正在处理。",
        ),
        Bilingual("Repeat the request after `Retry-After` seconds.", "请在 `Retry-After` 秒后重试。"),
        OfMessage,
        retries=(409,),
    ),
    "already-started": Named(
        (409,),
        Bilingual(
            "The message has been started or has come to its end; `message_status` is its state.",
            "消息已开始发送或已结束，状态见 `message_status`。",
        ),
        Bilingual("It cannot be cancelled any more.", "已无法取消。"),
        Started,
    ),
    "expired": Named(
        (410,),
        Bilingual(
            "The message's `expires_at` passed before it could be sent.",
            "在发送之前，消息的 `expires_at` 已过。",
        ),
        Bilingual(
            "Send it under a new id with a later expiry, if it is still wanted.",
            "如仍需发送，请使用新的 id 和更晚的过期时间。",
        ),
        OfMessage,
    ),
    "cancelled": Named(
        (410,),
        Bilingual("The message was cancelled and was not sent.", "消息已被取消，没有发送。"),
        Bilingual("Send it under a new id, if it is wanted after all.", "如仍需发送，请使用新的 id。"),
        OfMessage,
    ),
    "body-too-large": Named(
        (413,),
        Bilingual(
            "The body is too large; `detail` says how large it may be.", "请求体过大，上限见 `detail`。"
        ),
        Bilingual("Send less.", "请减小请求体。"),
    ),
    "unsupported-media-type": Named(
        (415,),
        Bilingual("The body is not said to be JSON in UTF-8.", "请求体没有声明为 UTF-8 编码的 JSON。"),
        Bilingual(
            "Send `Content-Type: application/json`, or a type that ends in `+json`.",
            "请发送 `Content-Type: application/json`，或以 `+json` 结尾的类型。",
        ),
    ),
    "invalid-message": Named(
        (422,),
        Bilingual(
            "The message breaks rules for which WeChat would refuse it. It was not sent.",
            "消息不符合微信的规则，发送会被微信拒绝，因此没有发送。",
        ),
        Bilingual(
            "Correct the fields under `errors`, each with its rule in English and Chinese.",
            "请修正 `errors` 中列出的字段，每个字段都附有中英文规则。",
        ),
        WithErrors,
    ),
    "invalid-fields": Named(
        (422,),
        Bilingual(
            "The body or the query has wrong fields. Nothing was done.",
            "请求体或查询参数中有错误的字段，没有执行任何操作。",
        ),
        Bilingual(
            "Correct the fields under `errors`, each with its rule in English and Chinese.",
            "请修正 `errors` 中列出的字段，每个字段都附有中英文规则。",
        ),
        WithErrors,
    ),
    "idempotency-key-reused": Named(
        (422,),
        Bilingual(
            "The `Idempotency-Key` belongs to another message.", "`Idempotency-Key` 已用于另一条消息。"
        ),
        Bilingual("Use a new key for a new message.", "新的消息请使用新的幂等键。"),
        OfMessage,
    ),
    "not-sent": Named(
        (422, 429, 502, 503),
        Bilingual(
            "WeChat refused the message, or it could not be attempted. `errcode` is WeChat's.",
            "微信拒绝了该消息，或无法尝试发送。`errcode` 是微信返回的错误码。",
        ),
        Bilingual(
            "`hint` says what to do. With `retryable` repeat it after `Retry-After` seconds, with the same key.",
            "处理方法见 `hint`。`retryable` 为 true 时，请在 `Retry-After` 秒后使用同一幂等键重试。",
        ),
        OfAttempt,
        retries=(422, 429, 502, 503),
    ),
    "outcome-unknown": Named(
        (504,),
        Bilingual(
            "WeChat's answer was lost: the message may have been sent.", "未收到微信的应答，消息可能已发出。"
        ),
        Bilingual(
            "With `retryable` the same key repeats it without harm. Otherwise a repeat can be a second message.",
            "`retryable` 为 true 时，使用同一幂等键重试不会有副作用；否则重试可能造成重复发送。",
        ),
        OfAttempt,
        retries=(504,),
    ),
    "internal-error": Named(
        (500,),
        Bilingual("An unforeseen error in this service.", "本服务发生意外错误。"),
        Bilingual("Find it in the log by `request_id`.", "请按 `request_id` 在日志中查找。"),
    ),
    "storage": Named(
        (503,),
        Bilingual("The ledger, the queue or another store did not answer.", "账本、队列或其他存储没有应答。"),
        Bilingual(
            "Repeat the request after `Retry-After` seconds, with the same `Idempotency-Key` if it had one.",
            "请在 `Retry-After` 秒后重试；若原请求带有 `Idempotency-Key`，请使用相同的值。",
        ),
        retries=(503,),
    ),
}
COMMON = ("account-name", "internal-error", "storage")
"""Every route can be answered so."""


def schema_name(name: str) -> str:
    """The name of a problem's schema."""
    return "".join(part.capitalize() for part in name.split("-")) + "Problem"


def schema(name: str, fields: Json) -> Json:
    """The schema of a problem; ``fields`` is that of its own fields."""
    return {
        "description": PROBLEMS[name].text.en,
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"type": "object", "properties": {"type": {"const": TYPES + name}}, "required": ["type"]},
            fields,
        ],
    }


def as_json() -> str:
    """The data of ``wxn explain``: each problem's statuses, what it means and what to do, in two languages."""
    told = {}
    for name, problem in sorted(PROBLEMS.items()):
        told[name] = {
            "statuses": problem.statuses,
            "meaning": problem.text.as_dict(),
            "remedy": problem.remedy.as_dict(),
        }
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def page(language: Literal["en", "zh"]) -> str:
    """docs/problems.md or docs/zh/problems.md: a section for each name, to which its type leads."""
    head, section = _PAGE[language]
    parts = [head]
    for name, problem in sorted(PROBLEMS.items()):
        statuses = section.format(", ".join(map(str, problem.statuses)))
        text, remedy = problem.text.as_dict(), problem.remedy.as_dict()
        parts.append(f"## {name}\n\n{statuses}{text[language]}\n\n{remedy[language]}\n")
    return "\n".join(parts)


_PAGE = {
    "en": (
        """\
# Problems

Every refusal is a problem document; [api.md](api.md#problem-documents) describes its fields. Its `type` is
`/docs/problems.md#` and one of these names. [error-codes.md](error-codes.md) explains WeChat's `errcode`.
""",
        "Status {}. ",
    ),
    "zh": (
        """\
# 错误类型

本服务的拒绝均以[错误应答](api.md#错误应答)返回，其 `type` 是 `/docs/problems.md#` 加以下名称之一。微信的 `errcode` 见 [error-codes.md](error-codes.md)。
""",
        "状态码 {}。",
    ),
}
"""The beginning of the page, and of each section, in each language."""
