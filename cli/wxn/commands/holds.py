"""``wxn holds``: list what is held, and end a hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wxn.api import hint_of, part
from wxn.language import text
from wxn.output import print_table
from wxn.run import Run, command
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="holds", help=text("List holds, and end one.", "查看和解除暂停。"), no_args_is_help=True
)


@command(
    app, "list", help=text("List what is held, until when and why.", "列出被暂停的范围、截止时间和原因。")
)
def list_holds(run: Run) -> None:
    """List the account's holds, the longest first."""
    answer: dict[str, Any] = run.api.call("GET", "holds")
    holds = answer["holds"]

    def render(console: Console) -> None:
        if not holds:
            console.print(text(f"Nothing of {run.account} is held.", f"{run.account} 没有被暂停的消息。"))
            return
        columns = (
            "ID",
            text("Until", "截止"),
            text("Errcode", "错误码"),
            text("Cause", "原因"),
        )
        rows = [(h["id"], local_time(h["held_until"]), h.get("errcode"), hint_of(h)) for h in holds]
        print_table(console, columns, rows)

    run.output.show(answer, render)


@command(app, help=text("End a hold now, after its cause was mended.", "原因排除后，立即解除暂停。"))
def release(
    run: Run,
    hold: Annotated[
        str,
        typer.Argument(metavar="ID", help=text("The hold's id, as list shows it.", "暂停的 ID，见 list。")),
    ],
) -> None:
    """End one hold."""
    answer: dict[str, Any] = run.api.call("DELETE", f"holds/{part(hold)}")

    def render(console: Console) -> None:
        told = text(f"{hold} is released: the next message is sent.", f"{hold} 已解除，下一条消息将会发送。")
        console.print(told, markup=False)

    run.output.show(answer, render)
