"""States, reasons and counts of a broadcast in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wxn.explanations import by_code
from wxn.language import text
from wxn.times import local_time

STATES: Final = {
    "checking": text("checking its rows", "正在检查"),
    "checked": text("checked, not started", "已检查，尚未开始"),
    "refused": text("refused", "已拒绝"),
    "running": text("running", "发送中"),
    "paused": text("paused", "已暂停"),
    "finishing": text("finishing", "收尾中"),
    "finished": text("finished", "已完成"),
    "cancelled": text("cancelled", "已取消"),
    "failed": text("failed", "失败"),
}
COUNTS: Final = {
    "sent": text("sent", "已发送"),
    "delivered": text("delivered", "已送达"),
    "undelivered": text("undelivered", "未送达"),
    "failed": text("failed", "失败"),
    "expired": text("expired", "已过期"),
    "cancelled": text("cancelled", "已取消"),
    "unknown": text("unknown", "结果未知"),
    "invalid": text("invalid", "无效"),
    "duplicate": text("duplicate", "重复"),
    "waiting": text("waiting", "等待中"),
    "unreleased": text("to come", "待发送"),
}
"""In the order in which they are shown."""
_RETRIED: Final = frozenset({"transient", "token", "quota", "rate_limit", "config", "permission", "platform"})
"""Classes of failures that a retry repeats (docs/teams-api.md)."""
_REASONS: Final = {
    "too_many_failures": text("too many messages failed", "失败比例过高"),
    "upload_changed": text(
        "its file was replaced, or has expired in the bucket", "接收者文件被替换，或已过期删除"
    ),
}


def reason(broadcast: Mapping[str, Any]) -> str | None:
    """The reason of its state, in words where there are some."""
    named = broadcast.get("reason")
    return _REASONS.get(named, named) if named else None


def meaning(errcode: int) -> str | None:
    """The meaning of one of WeChat's codes, and the thing to do; None for a code that is not in the table."""
    known = by_code(errcode)
    if known is None:
        return None
    separator = text(" ", "")
    return separator.join((known.text("meaning"), known.text("advice")))


def can_pass(counts: Mapping[str, Any]) -> bool:
    """Return whether something failed for a reason that can pass, or has not reached WeChat."""
    known = [by_code(int(errcode)) for errcode in counts["errcodes"]]
    without_errcode = counts["failed"] > sum(counts["errcodes"].values())
    return without_errcode or any(each and each.fields["class"] in _RETRIED for each in known)


def state(broadcast: Mapping[str, Any]) -> str:
    """The state in a sentence, with its reason or what it waits for."""
    if broadcast["state"] == "running" and (waits := _waits(broadcast)):
        return waits
    named = reason(broadcast)
    if broadcast["state"] == "finishing":
        named = text("the last messages are on their way", "最后一批消息发送中")
    told = STATES.get(broadcast["state"], broadcast["state"])
    return text(f"{told}: {named}", f"{told}：{named}") if named else told


def headline(broadcast: Mapping[str, Any]) -> str:
    """The broadcast's id and its state in a sentence."""
    broadcast_id, told = broadcast["id"], state(broadcast)
    return text(f"{broadcast_id}: {told}", f"{broadcast_id}：{told}")


def _waits(broadcast: Mapping[str, Any]) -> str | None:
    until = broadcast.get("next_release_at")
    when = local_time(until) if until else "?"
    match broadcast.get("waits_for"):
        case "start":
            return text(f"waits for its start at {when}", f"等待在 {when} 开始")
        case "window":
            return text(f"outside its window; goes on at {when}", f"不在发送时段内，{when} 继续")
        case "ceiling":
            return text(
                "waits: other broadcasts of the account use its whole rate",
                "等待：该账号的其他群发已占满速率",
            )
        case "hold":
            holds = [_hold(each) for each in broadcast.get("held", ())]
            return text("held: ", "被暂停：") + ("; ".join(holds) or "?")
        case _:
            return None


def _hold(hold: Mapping[str, Any]) -> str:
    until = local_time(hold["until"])
    errcode = hold.get("errcode")
    told = text(f"{hold['hold']} until {until}", f"{hold['hold']}，至 {until}")
    if errcode is None:
        return told
    cause = meaning(errcode)
    return f"{told} ({errcode}: {cause})" if cause else f"{told} ({errcode})"


def progress(numbers: Mapping[str, Any]) -> tuple[int, int]:
    """The messages that have come to their end, and all of them."""
    left_out = {"invalid", "duplicate"}
    messages = sum(numbers.get(name, 0) for name in COUNTS if name not in left_out)
    return messages - numbers["waiting"] - numbers["unreleased"], messages


def counts(numbers: Mapping[str, Any]) -> list[str]:
    """Each count that is not 0, with its name."""
    return [f"{name} {numbers[key]:,}" for key, name in COUNTS.items() if numbers.get(key)]
