"""The lines of a file that comes in blocks, with memory for one block and one row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Self

MAX_RECORD = 64 * 1024
"""Maximum size of a row, in bytes."""
MAX_SKIPPED = 64 * 1024 * 1024
"""Bytes of a row that is too large after which its end is not looked for any more."""


def read_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines with their line breaks.

    A line longer than a row may be comes in pieces: only its last one ends with a line break.
    """
    rest = b""
    for block in blocks:
        data, rest = rest + block, b""
        for line in BytesIO(data):
            if line.endswith(b"\n") or len(line) > MAX_RECORD:
                yield line
            else:
                rest = line
    if rest:
        yield rest


class TooLongError(Exception):
    """The row is longer than one may be."""


class CsvLines:
    """The lines of a CSV file as text, for ``csv.reader``, which takes no more of them than a row has.

    Attributes
    ----------
    end : int
        Offset of the end of the last line that was taken.
    undecodable, has_nul : bool
        The current row has bytes that are not in the file's encoding, or a NUL.
    ended : bool
        A line was asked for after the last one.
    """

    def __init__(self, blocks: Iterable[bytes], encoding: str, offset: int) -> None:
        self._lines = read_lines(blocks)
        self._encoding = encoding
        self.end = self._start = offset
        self._quotes = 0
        self.undecodable = self.has_nul = self.ended = False

    def begin(self) -> int:
        """Begin a row, and return its offset."""
        self._start, self._quotes = self.end, 0
        self.undecodable = self.has_nul = False
        return self.end

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """Return the next line; raises ``TooLongError`` where the row is too long, and goes to its end."""
        line = self._take()
        if self.end - self._start > MAX_RECORD:
            self._skip(line)
            raise TooLongError
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError:
            self.undecodable = True
            text = line.decode(self._encoding, "replace")
        if "\0" in text:
            self.has_nul = True
        return text

    @property
    def in_quotes(self) -> bool:
        """Return whether the row that was skipped ends within quotes."""
        return self._quotes % 2 == 1

    def _take(self) -> bytes:
        line = next(self._lines, b"")
        if not line:
            self.ended = True
            raise StopIteration
        self.end += len(line)
        self._quotes += line.count(b'"')
        return line

    def _skip(self, line: bytes) -> None:
        """Go to the line break after which every quote is closed, or as far as it is looked for."""
        while (self.in_quotes or not line.endswith(b"\n")) and self.end - self._start <= MAX_SKIPPED:
            try:
                line = self._take()
            except StopIteration:
                return
