"""``wxn`` in this process, as its entry point runs it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wxn import __main__

Wxn = Callable[..., "Ran"]


def write_state(folder: Path) -> None:
    """Name a stack that nobody runs: nothing listens at its address."""
    addresses = {"api_url": "http://127.0.0.1:9", "aws_endpoint_url": "http://127.0.0.1:9"}
    keys = {"access_key_id": "a", "secret_access_key": "hidden-key"}
    (folder / ".local").mkdir()
    (folder / ".local/stack.json").write_text(
        json.dumps({**addresses, **keys, "region": "us-east-1", "account": "demo"})
    )


@dataclass
class Ran:
    """The end of the command, and what it printed."""

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
