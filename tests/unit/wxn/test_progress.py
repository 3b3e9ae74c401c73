from __future__ import annotations

import pytest

from wxn.output import Output
from wxn.progress import Progress, ProgressView


def test_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """One where the title changes, and one a minute."""
    seconds = iter((0.0, 30.0, 61.0, 62.0))
    with ProgressView(Output(as_json=False), now=lambda: next(seconds)) as view:
        for title, done in (("running", 0), ("running", 1), ("running", 2), ("finishing", 3)):
            view.show(Progress(title, done, 4, ["sent"]))

    assert capsys.readouterr().err.splitlines() == [
        "running · 0% · sent",
        "running · 50% · sent",
        "finishing · 75% · sent",
    ]


def test_silent_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(Output(as_json=True)) as view:
        view.show(Progress("running"))

    assert capsys.readouterr().err == ""
