from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from wxn.output import print_table


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (60, ["Hold Cause", "kind:template The quota is used up until midnight."]),
        (36, ["Hold Cause", "kind:template The quota is used up", "until midnight."]),
        (20, ["Hold: kind:template", "Cause: The quota is", "used up until", "midnight."]),
    ],
)
def test_table_by_width(width: int, lines: list[str]) -> None:
    """No column but the last is folded: rows become blocks where there is no room."""
    file = StringIO()
    rows = [("kind:template", "The quota is used up until midnight.")]
    print_table(Console(file=file, width=width), ("Hold", "Cause"), rows)

    shown = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    assert [line for line in shown if line.strip("─ ")] == lines
