"""All commands."""

from __future__ import annotations

from typing import Annotated

import typer

from wxn import __version__
from wxn.commands import (
    account,
    broadcast,
    consents,
    dlq,
    doctor,
    erase,
    explain,
    hash_key,
    holds,
    messages,
    quota,
    schedules,
    send,
    tail,
    templates,
    trigger,
)
from wxn.language import text
from wxn.run import COMMANDS, Help, Lang

app = typer.Typer(
    name="wxn",
    no_args_is_help=True,
    add_help_option=False,
    pretty_exceptions_enable=False,  # it prints local variables, keys among them
    help=text(
        "WeChat Notify: send messages, follow them, and mend what stops them.",
        "WeChat Notify 命令行：发送消息、跟踪结果、排查故障。",
    ),
    epilog=text("Read more in docs/wxn.md.", "更多说明见 docs/zh/wxn.md。"),
)


def _version(asked: bool) -> None:  # noqa: FBT001 - called by typer
    if asked:
        typer.echo(f"wxn {__version__}")
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
    lang: Lang = None,
    show_help: Help = False,
) -> None:
    """Options before the command."""


def _group(*, lang: Lang = None, show_help: Help = False) -> None:
    """Options of a group of commands."""


for module in (
    send,
    trigger,
    broadcast,
    messages,
    schedules,
    templates,
    consents,
    holds,
    quota,
    tail,
    doctor,
    explain,
    account,
    dlq,
    erase,
    hash_key,
):
    if module.app.registered_callback is None and module.app.info.name:
        module.app.callback(add_help_option=False)(_group)
    app.add_typer(module.app, rich_help_panel=COMMANDS)
