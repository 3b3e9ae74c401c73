"""The check of a broadcast before its start, and the summary at its end, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from wxn.broadcasts import words
from wxn.language import text, translated
from wxn.output import print_table
from wxn.times import duration, local_time, seconds_between

if TYPE_CHECKING:
    from rich.console import Console

_ROUTING: Final = ("kind", "template_id", "templateId")
"""Fields of a message that are the same in all rows and say nothing to a reader."""
_FOUND: Final = {
    "invalid": text("Invalid", "无效"),
    "duplicates": text("Listed twice", "重复的接收者"),
}


def print_check(console: Console, broadcast: Mapping[str, Any]) -> None:
    """Print the report of a check: rows, bad rows, columns, three messages, time and quota."""
    report = broadcast.get("report")
    if report is None or not (report["rows"] or report["columns"]["missing"]):
        return
    if report["rows"]:  # a missing column ends the check before the first one
        _line(console, text("Rows", "行数"), f"{report['rows']:,}")
    for name, rows in (
        ("invalid", [row["row"] for row in report["invalid"]["first"]]),
        ("duplicates", report["duplicates"]["first_rows"]),
    ):
        if count := report[name]["count"]:
            told = ", ".join(map(str, rows)) + (" …" if count > len(rows) else "")
            _line(console, _FOUND[name], text(f"{count:,} (rows {told})", f"{count:,}（第 {told} 行）"))
    _print_columns(console, report["columns"])
    _print_invalid(console, report["invalid"])
    _print_warnings(console, report["warnings"])
    for rendered in report["messages"]:
        console.print()
        row = rendered["row"]
        console.print(text(f"Message of row {row}:", f"第 {row} 行的消息："))
        message = dict(rendered["message"])
        for path, value in _fields({"touser": message.pop("touser", None), **message}):
            console.print(f"  {path}: {value}", markup=False)
    if report["messages"]:
        console.print()
    _print_estimate(console, broadcast)


def print_summary(console: Console, broadcast: Mapping[str, Any]) -> None:
    """Print the state, the counts, and the errcodes with their meanings."""
    told = words.headline(broadcast)
    if "started_at" in broadcast and "finished_at" in broadcast:
        took = duration(seconds_between(broadcast["started_at"], broadcast["finished_at"]))
        told = text(f"{told} after {took}", f"{told}，用时 {took}")
    console.print(told, markup=False)
    console.print()
    counts = broadcast["counts"]
    number = text("Rows", "行数")
    by_status = [(f"{counts[key]:,}", name) for key, name in words.COUNTS.items() if counts.get(key)]
    print_table(console, (number, text("Status", "状态")), by_status, right=(number,))
    if counts["errcodes"]:
        console.print()
        columns = number, text("Errcode", "错误码"), text("Meaning", "含义")
        rows = [
            (f"{count:,}", errcode, words.meaning(int(errcode)))
            for errcode, count in counts["errcodes"].items()
        ]
        print_table(console, columns, rows, right=(number,))


def print_list(console: Console, broadcasts: list[dict[str, Any]], account: str) -> None:
    """Print broadcasts as a table."""
    if not broadcasts:
        console.print(text(f"{account} has no broadcasts.", f"{account} 没有群发。"), markup=False)
        return
    columns = (
        text("Broadcast", "群发"),
        text("Created", "创建时间"),
        text("Rows", "行数"),
        text("State", "状态"),
        text("Name", "名称"),
    )
    rows = [
        (
            each["id"],
            local_time(each["created_at"]),
            f"{each['rows']:,}" if "rows" in each else None,
            words.STATES.get(each["state"], each["state"]),
            each.get("name"),
        )
        for each in broadcasts
    ]
    print_table(console, columns, rows, right=columns[2:3])


def _line(console: Console, name: str, value: str) -> None:
    console.print(text(f"{name}: {value}", f"{name}：{value}"), markup=False)


def _print_columns(console: Console, columns: Mapping[str, list[str]]) -> None:
    names = {
        "found": text("Columns", "列"),
        "missing": text("Missing columns", "缺少的列"),
        "unused": text("Unused columns", "未使用的列"),
    }
    for key, name in names.items():
        if columns[key]:
            _line(console, name, ", ".join(columns[key]))


def _print_invalid(console: Console, invalid: Mapping[str, Any]) -> None:
    if not invalid["first"]:
        return
    console.print()
    columns = (
        text("Row", "行"),
        text("Field", "字段"),
        text("Rule", "规则"),
        text("This row cannot be sent", "无法发送的原因"),
    )
    rows = [
        (row["row"], error["field"], error["rule"], translated(error))
        for row in invalid["first"]
        for error in row["errors"]
    ]
    print_table(console, columns, rows, right=columns[:1])
    more = invalid["count"] - len(invalid["first"])
    if more > 0:
        console.print(text(f"and {more:,} more invalid rows", f"另有 {more:,} 行无效"))


def _print_warnings(console: Console, warnings: list[dict[str, Any]]) -> None:
    if not warnings:
        return
    console.print()
    columns = text("Rows", "行数"), text("Field", "字段"), text("Warning", "警告")
    rows = [(f"{each['count']:,}", each["field"], translated(each)) for each in warnings]
    print_table(console, columns, rows, right=columns[:1])


def _print_estimate(console: Console, broadcast: Mapping[str, Any]) -> None:
    if broadcast["state"] != "checked":
        return
    _line(console, text("Messages to send", "待发送消息"), f"{broadcast['counts']['unreleased']:,}")
    estimate = broadcast.get("estimate")
    if estimate is None:
        return
    left, end = duration(max(1, estimate["seconds"])), local_time(estimate["finishes_at"])
    _line(console, text("Sent by", "预计发完"), text(f"{end}, in {left}", f"{end}（{left} 后）"))
    quota = estimate.get("quota")
    if quota and quota["daily_limit"]:
        told = text(
            f"{quota['remain']:,} of {quota['daily_limit']:,} left today",
            f"今日剩余 {quota['remain']:,}，每日上限 {quota['daily_limit']:,}",
        )
        days = quota.get("days", 1)
        if days > 1:
            told += text(f"; the messages take {days} days", f"；全部发送需要 {days} 天")
        _line(console, text("WeChat's quota", "微信额度"), told)


def _fields(message: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """The texts of a message by their paths; ``data.thing1.value`` is told as ``thing1``."""
    for name, value in message.items():
        if not path and name in _ROUTING:
            continue
        if isinstance(value, dict):
            yield from _fields(value, f"{path}{name}.")
        elif isinstance(value, list):
            yield from _fields({str(place): each for place, each in enumerate(value, 1)}, f"{path}{name}.")
        else:
            yield f"{path}{name}".removeprefix("data.").removesuffix(".value"), str(value)
