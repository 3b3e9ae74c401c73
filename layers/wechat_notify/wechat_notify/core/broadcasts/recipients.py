"""The rows of a recipients' file: CSV with a header, or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal, NamedTuple

from wechat_notify.core.errors import WeChatNotifyError
from wechat_notify.core.outcomes import Bilingual
from wechat_notify.core.violations import Violation

HEAD_BYTES = 64 * 1024
"""Bytes of a file's beginning by which its format is recognised; its header must end within them."""
MAX_RECORD = 64 * 1024
"""Maximum size of a row, in bytes."""


class UnreadableFileError(WeChatNotifyError):
    """No rows can be read from the file, or none beyond a certain one; ``text`` says what to do."""

    reason: ClassVar[str] = "unreadable_file"

    def __init__(self, text: Bilingual) -> None:
        super().__init__(text.en)
        self.text = text


class FileFormat(NamedTuple):
    """The format of a file, recognised once from its first 64 KiB and kept.

    ``columns`` are the header's names; of JSON Lines the names in the rows of the head. ``first_row_at`` is a
    byte offset.
    """

    kind: Literal["csv", "jsonl"]
    encoding: Literal["utf-8", "gb18030"]
    columns: tuple[str, ...]
    first_row_at: int
    delimiter: str = ","


class Row(NamedTuple):
    """One row; the next one begins at byte ``end``.

    ``number`` counts from 1, the first row after the header; blank lines are no rows. ``fields`` is None
    where the row cannot be read, and ``problem`` says why.
    """

    number: int
    start: int
    end: int
    fields: Mapping[str, str] | None
    problem: Violation | None = None


def detect(head: bytes, *, complete: bool) -> FileFormat:
    """Recognise the format of a file by its first 64 KiB; ``complete``: there is no more of it."""
    raise NotImplementedError


def read_rows(
    blocks: Iterable[bytes], file_format: FileFormat, *, offset: int, next_row: int
) -> Iterator[Row]:
    """Read the rows from a byte offset on, which is where row ``next_row`` begins, to the file's end."""
    raise NotImplementedError
