from __future__ import annotations

import csv
import io

import pytest

from wechat_notify.core.broadcasts.results import Result, part


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(first: str) -> None:
    """Where Chinese is written, spreadsheets take the full-width signs for formulas too."""
    text = f'{first}cmd|"/c calc"!A1'
    written = part([Result(1, "b:1", text, "failed", -1)]).decode()
    (row,) = csv.reader(io.StringIO(written, newline=""))
    assert row == ["1", "b:1", f"'{text}", "failed", "-1", "", ""]
