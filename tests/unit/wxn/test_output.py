from __future__ import annotations

import json

import pytest

from wxn.errors import CommandError
from wxn.output import Output

OBEYED = "\x1b]52;c;aGk=\x07\x9b2J"
"""Writes into the clipboard, and clears the screen."""


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_is_obeyed(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    output = Output(as_json=as_json)
    output.show({"name": OBEYED}, lambda console: console.print(f"[red]{OBEYED}[/]"))
    output.note(OBEYED)
    output.fail(CommandError(OBEYED, f"wxn status {OBEYED}"))

    written = "".join(capsys.readouterr())
    assert "aGk=" in written
    assert not {"\x1b", "\x07", "\x9b"} & set(written)


def test_json_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).line({"name": OBEYED})

    assert json.loads(capsys.readouterr().out) == {"name": OBEYED}


@pytest.mark.parametrize("written", ["巧克力　礼盒", "a\xa0b", "👨\u200d👩\u200d👧"])
def test_everyday_text_stays(capsys: pytest.CaptureFixture[str], written: str) -> None:
    Output(as_json=False).console.print(written)

    assert capsys.readouterr().out == f"{written}\n"
