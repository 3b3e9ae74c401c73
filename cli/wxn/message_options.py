"""The options that give a message, or change that of a file: the same for every command that takes one."""

from __future__ import annotations

from typing import Annotated

import typer

from wxn.language import text
from wxn.messages import KINDS

_PANEL = text("The message", "消息内容")
File = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help=text(
            "A message as JSON, or several, one a line; - for standard input.",
            "JSON 格式的消息，也可一行一条；- 表示标准输入。",
        ),
    ),
]
OneFile = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help=text("A message as JSON; - for standard input.", "JSON 格式的消息；- 表示标准输入。"),
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        help=text(f"One of {', '.join(KINDS)}.", f"可选：{'、 '.join(KINDS)}。"),
        rich_help_panel=_PANEL,
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="OPENID",
        help=text("The recipient's openid.", "接收者的 openid。"),
        rich_help_panel=_PANEL,
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template", metavar="ID", help=text("The template's id.", "模板 ID。"), rich_help_panel=_PANEL
    ),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="KEY=VALUE",
        help=text(
            "A keyword of the template, such as thing1=Chocolate; may be repeated.",
            "模板关键词，如 thing1=巧克力，可重复。",
        ),
        rich_help_panel=_PANEL,
    ),
]
Page = Annotated[
    str | None,
    typer.Option(
        "--page", help=text("The page that a tap opens.", "点击后打开的页面。"), rich_help_panel=_PANEL
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", help=text("The URL that a tap opens.", "点击后打开的网址。"), rich_help_panel=_PANEL
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help=text(
            "Another field, such as scene=1000 or miniprogram.appid=wx1; may be repeated.",
            "其他字段，如 scene=1000 或 miniprogram.appid=wx1，可重复。",
        ),
        rich_help_panel=_PANEL,
    ),
]
