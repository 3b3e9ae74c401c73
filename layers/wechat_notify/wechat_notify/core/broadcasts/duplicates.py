"""Rows that are listed twice, found by merging sorted runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Selection:
    """A set of row numbers, one bit a row."""

    def __init__(self, data: bytes = b"", *, first_byte: int = 0) -> None:
        self._bits = bytearray(data)
        self._first_byte = first_byte

    @staticmethod
    def span(first_row: int, last_row: int) -> tuple[int, int]:
        """Return the range of bytes (start, end) of the stored set that tells of these rows."""
        return first_row >> 3, (last_row >> 3) + 1

    def add(self, row: int) -> None:
        """Add a row."""
        raise NotImplementedError

    def __contains__(self, row: int) -> bool:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the set as it is stored."""
        return bytes(self._bits)


def run_of(rows: Iterable[tuple[str, int]]) -> bytes:
    """Return a sorted run of (identity, row number)."""
    raise NotImplementedError


def combine(runs: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """Merge runs into one, in blocks."""
    raise NotImplementedError


def merge(runs: Iterable[Iterable[bytes]], *, without: Selection | None = None) -> Selection:
    """Return the rows whose identity an earlier row has; rows of ``without`` count as absent."""
    raise NotImplementedError
