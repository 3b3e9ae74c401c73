"""``wxn`` in this process, as its entry point runs it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from wxn import __main__

Wxn = Callable[..., "Ran"]


@dataclass
class Ran:
    """How the command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def notes(self) -> list[str]:
        """The lines on standard error but for those of the progress."""
        return [line for line in self.err.splitlines() if " · " not in line]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The documents of JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, typed: str = ""
) -> Ran:
    """Run it with these arguments; ``typed`` is its standard input."""
    monkeypatch.setattr(sys, "argv", ["wxn", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as stop:
        __main__.main()
    return Ran(int(stop.value.code or 0), *capsys.readouterr())
