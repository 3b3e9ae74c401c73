"""``wxn quota``: WeChat's quotas, and what was sent today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from wxn.language import text
from wxn.output import print_table
from wxn.run import Run, command
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@command(app, help=text("Show WeChat's quotas, and what was sent today.", "查看微信额度和今日发送量。"))
def quota(run: Run) -> None:
    """Ask for the quotas of all kinds of message."""
    answer: dict[str, Any] = run.api.call("GET", "quota")

    def render(console: Console) -> None:
        numbers = (
            text("Daily limit", "每日上限"),
            text("Used", "已用"),
            text("Remaining", "剩余"),
            text("Sent today", "今日发送"),
        )
        columns = (text("Kind", "类型"), *numbers, text("Held until", "暂停至"))
        print_table(console, columns, [_row(kind) for kind in answer["kinds"]], right=numbers)
        if not answer["counted_all"]:
            console.print(
                text(
                    "There were too many messages to count: more were sent.",
                    "消息过多，未能全部统计，实际发送量更大。",
                )
            )

    run.output.show(answer, render)


def _row(kind: dict[str, Any]) -> tuple[object, ...]:
    wechat = kind.get("wechat") or {}
    counts = [wechat.get(name) for name in ("daily_limit", "used", "remain")]
    shown = [None if count is None else f"{count:,}" for count in (*counts, kind.get("sent_today"))]
    held_until = kind.get("held_until")
    return kind["kind"], *shown, held_until and local_time(held_until)
