"""All commands."""

from __future__ import annotations

from typing import Annotated

import typer

from wxn.commands import holds, quota
from wxn.language import text

app = typer.Typer(
    name="wxn",
    no_args_is_help=True,
    help=text(
        "WeChat Notify: send messages, follow them, and mend what stops them.",
        "WeChat Notify 命令行：发送消息、跟踪结果、排查故障。",
    ),
    epilog=text("Read more in docs/wxn.md.", "更多说明见 docs/zh/wxn.md。"),
)


def _version(asked: bool) -> None:  # noqa: FBT001 - called by typer
    if asked:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"wxn {version('wechat-notify-wxn')}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help=text("Print the version.", "显示版本。")
        ),
    ] = False,
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="en|zh", help=text("The language.", "语言。"))
    ] = None,
) -> None:
    """Options before the command."""


for module in (holds, quota):
    app.add_typer(module.app)
