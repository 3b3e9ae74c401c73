"""The results of a broadcast as a CSV file: one row for each row of its recipients.

``row,id,openid,status,errcode,reason,time``: ``id`` is the message's, ``time`` when it came to its status.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import NamedTuple

_COLUMNS = ("row", "id", "openid", "status", "errcode", "reason", "time")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
HEADER = "\ufeff".encode() + (",".join(_COLUMNS) + "\r\n").encode()
"""With a byte order mark, without which Excel takes UTF-8 for another encoding."""


class Result(NamedTuple):
    """A line of the results: one row and its message's last status."""

    row: int
    id: str
    openid: str
    status: str
    errcode: int | None = None
    reason: str | None = None
    time: str | None = None


def part(results: Iterable[Result]) -> bytes:
    """Return rows of the file, without its header."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_cell(value) for value in result] for result in results)
    return text.getvalue().encode()


def _cell(value: int | str | None) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
