"""The JSON that each command prints with ``--json``, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wxn.language import text


def _answer(operation: str) -> str:
    return text(f"the answer of `{operation}`", f"`{operation}` 的应答")


JSON: Final[Mapping[str, str]] = {
    "send": text(
        "the answer of `POST …/messages`; of several messages one document a line, with `line` and `id`, and the"
        " problem document of one that is refused",
        "`POST …/messages` 的应答；多条消息时每行一个文档，带 `line` 和 `id`，被拒绝的消息为其错误应答",
    ),
    "trigger": text(
        "as `send`; of an error that is played, its problem document with `id`; of the list, `kinds` and `errors`",
        "同 `send`；模拟错误时为错误应答加 `id`；列表为 `kinds` 和 `errors`",
    ),
    "messages": _answer("GET …/messages"),
    "status": _answer("GET …/messages/{id}"),
    "cancel": _answer("DELETE …/messages/{id}"),
    "broadcast": text(
        "a line each time that the broadcast changes: `GET …/broadcasts/{id}`; of `--list` `GET …/broadcasts`, of"
        " `--results` `id`, `file` and `expires_at`",
        "群发每次变化输出一行 `GET …/broadcasts/{id}`；`--list` 为 `GET …/broadcasts`，`--results` 为 `id`、`file` 和"
        " `expires_at`",
    ),
    "schedule list": text("`account`, `schedules` (`name`)", "`account`、`schedules`（`name`）"),
    "schedule show": _answer("GET …/schedules/{name}"),
    "schedule put": _answer("PUT …/schedules/{name}"),
    "schedule delete": _answer("DELETE …/schedules/{name}"),
    "templates list": _answer("GET …/templates"),
    "templates show": _answer("GET …/templates/{id}"),
    "templates sync": text(
        "`synced`, the number of templates of each account, and `failed`",
        "`synced`（各账号的模板数）和 `failed`",
    ),
    "consents show": _answer("GET …/consents"),
    "consents link": _answer("GET …/consents/links"),
    "holds list": _answer("GET …/holds"),
    "holds release": _answer("DELETE …/holds/{hold}"),
    "quota": _answer("GET …/quota"),
    "tail": text(
        "a line for each: `at` (milliseconds since 1970), `source`, `kind` (`request`, `message`, `event`, `log`) and"
        " `fields`",
        "每条一行：`at`（1970 年以来的毫秒数）、`source`、`kind`（`request`、`message`、`event`、`log`）和 `fields`",
    ),
    "explain": text(
        "`explanations`, one for each code: `name`, `code`, and texts in both languages",
        "`explanations`，每个错误码一项：`name`、`code` 和中英文说明",
    ),
    "account list": text(
        "`accounts`: `name`, `app_id`, `has_credentials`, `consents` (the policy), `token_age` and `token_expires_in` in seconds",
        "`accounts`：`name`、`app_id`、`has_credentials`、`consents`（授权策略）、`token_age` 和 `token_expires_in`（秒）",
    ),
    "account add": text("as `account check`", "同 `account check`"),
    "account check": text(
        "`account`, `accepted`, `token_stored`; where WeChat refused `cause`, `address`, `class`, `errcode`, `errmsg`, `rid`, `hint` and `explanation`",
        "`account`、`accepted`、`token_stored`；微信拒绝时为 `cause`、`address`、`class`、`errcode`、`errmsg`、`rid`、`hint` 和 `explanation`",
    ),
    "account consents": text("`account`, `consents`, `before`", "`account`、`consents`、`before`"),
    "account remove": text(
        "`account`, `deleted` (parameters), `schedules` (names of those that still exist)",
        "`account`、`deleted`（参数）、`schedules`（仍存在的定时任务名）",
    ),
    "erase": text(
        "`account`; `found` and `left`, each with `place`, `name` and `does`, and `blocked` and `again` where it stays for now; `logs_until`, a date",
        "`account`；`found` 和 `left`，每项有 `place`、`name`、`does`，暂时无法处理的还有 `blocked` 和 `again`；`logs_until`，日期",
    ),
    "hash-key rotate": text("`keys`, a count", "`keys`，密钥数量"),
    "hash-key forget": text("`keys`, a count", "`keys`，密钥数量"),
    "dlq list": text(
        "a line for each: `age` (seconds), `copies`, `receives`, `size` (bytes), `digest`, `id`, `producer_id`, `target`, `reason`, and `body` with `--bodies`",
        "每条一行：`age`（秒）、`copies`、`receives`、`size`（字节）、`digest`、`id`、`producer_id`、`target`、`reason`，加 `--bodies` 时还有 `body`",
    ),
    "dlq redrive": text(
        "`sent`, `deleted`, `failed`, `not_sent` (`id`, `code`, `message`), `not_found` and `steps`; with `--dry-run` as `dlq list`",
        "`sent`、`deleted`、`failed`、`not_sent`（`id`、`code`、`message`）、`not_found` 和 `steps`；加 `--dry-run` 时同 `dlq list`",
    ),
    "doctor": text(
        "`findings`: `name`, `severity` (`critical`, `problem`, `note`), `seen`, `next`, `docs`, and `account`, `subject`, `errcode`"
        " where they apply; `checks`: `name`, `status` (`ok`, `problem`, `skipped`)",
        "`findings`：`name`、`severity`（`critical`、`problem`、`note`）、`seen`、`next`、`docs`，以及适用时的 `account`、`subject`、`errcode`；"
        "`checks`：`name`、`status`（`ok`、`problem`、`skipped`）",
    ),
}
"""By the words of the command."""
