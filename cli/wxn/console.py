"""The terminal that results, notes and errors are printed on."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from wxn.output import printable


class PlainTextConsole(Console):
    """A console on which a text is shown, and never obeyed by the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text with escapes in the place of control characters."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Leave the end to the command: rich would end the process here."""
        raise BrokenPipeError
