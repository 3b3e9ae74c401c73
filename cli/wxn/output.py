"""The two ways to show a result: for people, and as JSON.

Results go to standard output, all else to standard error, so that a pipe gets results alone.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO

from wxn.errors import CommandError
from wxn.language import text

_LAST_COLUMN: Final = 20
"""Characters that the last column of a table needs at least."""
_PIPE_WIDTH: Final = 10_000

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class Output:
    """Results for people, or JSON with ``--json``."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        """Standard output. Colours are left out where it is no terminal, or NO_COLOR is set."""
        from wxn.console import PlainTextConsole  # noqa: PLC0415 - --json and --help start without it

        return PlainTextConsole(highlight=False, width=_width(sys.stdout))

    @cached_property
    def errors(self) -> Console:
        """Standard error: progress, questions, errors."""
        from wxn.console import PlainTextConsole  # noqa: PLC0415

        return PlainTextConsole(stderr=True, highlight=False, width=_width(sys.stderr))

    def show(self, result: object, render: Callable[[Console], None]) -> None:
        """Print a result: as JSON, or as ``render`` prints it for people."""
        if self.as_json:
            self.line(result)
        else:
            render(self.console)

    def line(self, result: object) -> None:
        """Print one JSON document in one line, at once."""
        print(_json(result), flush=True)  # noqa: T201

    def note(self, message: str) -> None:
        """Tell something beside the result; nothing with ``--json``."""
        if not self.as_json:
            try:
                self.errors.print(message, markup=False)
            except OSError:  # nobody reads it: no reason to stop
                discard(sys.stderr)

    def note_more(self, answer: Mapping[str, Any]) -> None:
        """Tell of a list that the API has more than was asked for."""
        if answer["next"] is not None:
            self.note(text("There are more: give a greater --limit.", "还有更多，可增大 --limit。"))

    def fail(self, error: CommandError) -> None:
        """Print the reason that ends the command: two lines, or a JSON document."""
        try:
            self._fail(error)
            sys.stderr.flush()
        except OSError:  # nobody reads it: the exit code tells the rest
            discard(sys.stderr)

    def _fail(self, error: CommandError) -> None:
        if self.as_json:
            told = {"message": error.message, "next": error.next_step, "exit_code": error.exit_code}
            document = {"error": told | ({"problem": error.details} if error.details else {})}
            print(_json(document), file=sys.stderr)  # noqa: T201
            return
        from rich.text import Text  # noqa: PLC0415

        self.errors.print(Text.assemble((text("error: ", "错误："), "red"), printable(error.message)))
        self.errors.print(f"→ {error.next_step}", markup=False)


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """Print a table; on a terminal too narrow for it, a block of lines for each row.

    Cells are plain text, None is an empty cell. ``right`` names the columns of numbers.
    """
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*map(Text, row))
    # Columns that are folded in the middle of words cannot be read; one column at the end may be.
    unfolded = console.measure(table, options=console.options.update(max_width=_PIPE_WIDTH))
    if unfolded.maximum <= console.width or _last_column_folds(console, table):
        console.print(table)
        return
    for row in cells:
        for column, cell in zip(columns, row, strict=True):
            if cell:
                console.print(f"{column}: {cell}", markup=False)
        console.print()


def print_outcome(console: Console, outcome: str, name: str, colour: str = "green") -> None:
    """Print what became of something, and its name."""
    from rich.text import Text  # noqa: PLC0415

    console.print(Text.assemble((outcome, colour), "  ", printable(name)))


def print_fields(console: Console, fields: Iterable[tuple[str, object]]) -> None:
    """Print names with their values, a line for each; None and an empty text are left out."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields:
        if value is not None and value != "":
            grid.add_row(name, Text(printable(str(value))))
    console.print(grid)


def _last_column_folds(console: Console, table: Table) -> bool:
    from rich.measure import measure_renderables  # noqa: PLC0415

    *first, _last = table.columns
    widths = [
        measure_renderables(console, console.options, [*column.cells, column.header]).maximum
        for column in first
    ]
    return sum(widths) + 2 * len(widths) + _LAST_COLUMN <= console.width


def _width(stream: TextIO) -> int | None:
    """As wide as the terminal; a pipe has no width, and its lines are not wrapped."""
    return None if stream.isatty() else _PIPE_WIDTH


def printable(value: str) -> str:
    """Without what a terminal would obey: texts of messages and answers come from outside."""
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in value)


def _is_shown(character: str) -> bool:
    # Full-width blanks and joined emoji are everyday text in Chinese.
    return character.isprintable() or character in "\n\u200d" or unicodedata.category(character) == "Zs"


_CONTROLS: Final = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""Control characters that JSON allows in a text, and a terminal obeys."""


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False).translate(_CONTROLS)


def discard(stream: TextIO) -> None:
    """Write nothing more to a stream that takes nothing: Python would try again at its end, and fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def reconfigure_streams() -> None:
    """Let a terminal that knows no Chinese show escapes instead of ending the command, and open closed streams."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
