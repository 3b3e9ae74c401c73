"""The problem documents in Chinese: what each means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROBLEMS_ZH: Final[Mapping[str, tuple[str, str]]] = {
    "malformed-body": (
        "请求体无法解析：内容为空、不是 UTF-8 编码的 JSON，或含有重复的键、NaN、不成对的代理字符。",
        "请发送一个 JSON 值，具体问题见 `detail`。",
    ),
    "invalid-idempotency-key": (
        "`Idempotency-Key` 不是 1 到 64 个不含逗号的可见 ASCII 字符，或出现了多次。",
        "该请求头只发送一次，并换用更短、更简单的值。",
    ),
    "invalid-cursor": (
        "游标不属于这个列表：内容被改动，或账号、筛选条件不同。",
        "请不带游标从第一页开始，并以相同的筛选条件沿 `next` 翻页。",
    ),
    "account-name": (
        "账号名不合法：只能是 1 到 64 个字符，由 `a-z`、`0-9` 和 `-` 组成。",
        "请修正路径中的账号名。",
    ),
    "unknown-account": (
        "该名称下没有存储凭证。",
        "请先存储该账号的凭证，或修正路径中的账号名。",
    ),
    "not-a-platform": (
        "该账号不是第三方平台，其凭证为其他类型。",
        "请使用凭证 `type` 为 `component` 的账号。",
    ),
    "platform-refused": (
        "微信不允许该第三方平台调用接口，或没有应答。`errcode` 为微信返回的错误码。",
        "处理方法见 `hint`；`retryable` 为 true 时，可在 `Retry-After` 秒后重试。",
    ),
    "unknown-message": (
        "该账号下没有此编号的消息，或消息尚未从队列中取出。",
        "请检查编号。经 SQS 或 EventBridge 提交的消息，从队列取出后才能查到。",
    ),
    "unknown-broadcast": ("该账号下没有此编号的群发。", "请查看群发列表。"),
    "unknown-upload": (
        "该编号下没有上传过文件，或文件已过期、已被替换。",
        "请重新创建上传，并先将文件 PUT 到返回的 URL。",
    ),
    "broadcast-state": (
        "群发当前的状态不允许此操作，状态见 `state`。",
        "请先查询该群发，再根据其状态决定。",
    ),
    "broadcast-id-reused": ("`Idempotency-Key` 已用于另一个群发。", "新的群发请使用新的值。"),
    "unknown-schedule": (
        "该账号下没有此名称的定时任务。一次性任务触发后会自动删除。",
        "请查看定时任务列表。",
    ),
    "unknown-template": (
        "在已读取的模板中，该账号没有此模板 ID。",
        "请查看模板列表，`synced_at` 是上次读取的时间。",
    ),
    "unknown-hold": (
        "该账号没有此编号的暂停，可能已自行解除。",
        "请查看暂停列表。",
    ),
    "in-flight": (
        "相同 `Idempotency-Key` 的另一个请求正在处理。",
        "请在 `Retry-After` 秒后重试。",
    ),
    "already-started": (
        "消息已开始发送或已结束，状态见 `message_status`。",
        "已无法取消。",
    ),
    "expired": (
        "在发送之前，消息的 `expires_at` 已过。",
        "如仍需发送，请使用新的编号和更晚的过期时间。",
    ),
    "cancelled": (
        "消息已被取消，没有发送。",
        "如仍需发送，请使用新的编号。",
    ),
    "body-too-large": ("请求体过大，上限见 `detail`。", "请减小请求体。"),
    "unsupported-media-type": (
        "请求体没有声明为 UTF-8 编码的 JSON。",
        "请发送 `Content-Type: application/json`，或以 `+json` 结尾的类型。",
    ),
    "invalid-message": (
        "消息不符合微信的规则，发送会被微信拒绝，因此没有发送。",
        "请修正 `errors` 中列出的字段，每个字段都附有中英文规则。",
    ),
    "invalid-fields": (
        "请求体或查询参数中有错误的字段，没有执行任何操作。",
        "请修正 `errors` 中列出的字段，每个字段都附有中英文规则。",
    ),
    "idempotency-key-reused": ("`Idempotency-Key` 已用于另一条消息。", "新的消息请使用新的值。"),
    "not-sent": (
        "微信拒绝了该消息，或无法尝试发送。`errcode` 是微信返回的错误码。",
        "处理方法见 `hint`。`retryable` 为 true 时，请在 `Retry-After` 秒后以相同的 key 重试。",
    ),
    "outcome-unknown": (
        "没有收到微信的响应，消息可能已发送。",
        "`retryable` 为 true 时，以相同的 key 重试不会有副作用；否则重试可能造成重复发送。",
    ),
    "internal-error": ("本服务发生意外错误。", "请按 `request_id` 在日志中查找。"),
    "storage": (
        "账本、队列或其他存储没有响应。",
        "请在 `Retry-After` 秒后重试；若原请求带有 `Idempotency-Key`，请使用相同的值。",
    ),
}
