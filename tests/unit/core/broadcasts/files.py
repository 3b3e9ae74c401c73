"""Recipients' files, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wechat_notify.core.broadcasts.formats import HEAD_BYTES, detect
from wechat_notify.core.broadcasts.recipients import FileFormat, Row, UnreadableFileError, read_rows
from wechat_notify.core.texts import Bilingual


def file_format(file: bytes) -> FileFormat:
    """The format of a whole file, as its first 64 KiB have it."""
    return detect(file[:HEAD_BYTES], complete=len(file) <= HEAD_BYTES)


def blocks(file: bytes, size: int = 4096) -> Iterator[bytes]:
    """A file as a store hands it over."""
    for start in range(0, len(file), size):
        yield file[start : start + size]


def rows(file: bytes, size: int = 4096) -> list[Row]:
    """Every row of a file that is read in blocks of so many bytes."""
    found = file_format(file)
    begin = found.first_row_at
    return list(read_rows(blocks(file[begin:], size), found, offset=begin, next_row=1))


def told(file: bytes) -> list[tuple[int, object]]:
    """The number of each row with its fields, or with the rule that it breaks."""
    return [(row.number, row.problem.rule if row.problem else row.fields) for row in rows(file)]


def refusal(file: bytes) -> Bilingual:
    """The reason for which a file is refused, at its head or later."""
    with pytest.raises(UnreadableFileError) as refused:
        rows(file)
    assert str(refused.value) == refused.value.text.en
    return refused.value.text
