"""Options that several commands have: one name and one meaning in all of them."""

from __future__ import annotations

from typing import Annotated

import typer

from wxn.language import text

Yes = Annotated[bool, typer.Option("--yes", help=text("Do not ask.", "不再询问。"))]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help=text("Show what would happen; nothing is sent or changed.", "只显示结果，不发送，也不做改动。"),
    ),
]
Limit = Annotated[
    int,
    typer.Option("--limit", metavar="N", min=1, help=text("At most so many.", "最多列出的条数。")),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help=text(
            "Only what is newer: 10m, 2h or 3d, or a time.", "只看此时间之后的：10m、2h、3d 前，或具体时间。"
        ),
    ),
]
