"""Read the rows of a recipients' file: CSV with a header, or JSON Lines.

``formats.detect`` recognises the format. A new one is a ``kind`` of ``FileFormat``, a branch there, and a
branch of ``read_rows``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple

from wechat_notify.core.broadcasts.lines import MAX_RECORD, MAX_SKIPPED, CsvLines, TooLongError, read_lines
from wechat_notify.core.errors import MalformedBodyError, WeChatNotifyError
from wechat_notify.core.messages.strict_json import parse_json, written_out
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

_MAX_PATH = 120


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


def read_rows(
    blocks: Iterable[bytes], file_format: FileFormat, *, offset: int, next_row: int
) -> Iterator[Row]:
    """Read rows, one at a time, with memory for one block and one row.

    Parameters
    ----------
    blocks : Iterable[bytes]
        The file from ``offset`` to its end, in blocks of any size. A range that ends earlier cuts its last
        row.
    file_format : FileFormat
        As it was recognised when the file was read first.
    offset, next_row : int
        The byte and the number of the first row to read.

    Raises
    ------
    UnreadableFileError
        A row has no end: a quote is not closed, or no line break comes for 64 MiB.
    """
    if file_format.kind == "csv":
        return _csv_rows(blocks, file_format, offset, next_row)
    return _json_rows(blocks, file_format.encoding, offset, next_row)


@lru_cache(maxsize=128)  # names of 64 KiB, whose rows are bad, would take 8 MB
def column_name(name: str) -> str:
    """Return a column's name without outer blanks; ``openid`` is known in any case, such as ``OpenID``."""
    name = name.strip()
    return "openid" if name.lower() == "openid" else name


def text_fields(value: object) -> dict[str, str] | Violation:
    """Return the fields of a JSON object as text: numbers digit for digit, null as nothing."""
    if not isinstance(value, dict):
        return _NOT_AN_OBJECT
    fields = {}
    for name, field in value.items():
        if isinstance(field, str):
            text = field
        elif field is None:
            text = ""
        elif isinstance(field, Decimal):
            text = written_out(field)
        elif isinstance(field, int) and not isinstance(field, bool):
            text = str(field)
        else:
            return Violation(name[:_MAX_PATH], "text", _NO_TEXT)
        fields[column_name(name)] = text
    if len(fields) != len(value):
        return Violation("", "duplicate_column", _COLUMN_TWICE)
    if "openid" in fields:
        fields["openid"] = fields["openid"].strip()
    return fields


def _json_rows(blocks: Iterable[bytes], encoding: str, offset: int, number: int) -> Iterator[Row]:
    end = offset
    lines = read_lines(blocks)
    for line in lines:
        start, end = end, end + len(line)
        if len(line) > MAX_RECORD:
            while line and not line.endswith(b"\n"):
                line = next(lines, b"")  # noqa: PLW2901 - the next piece of the same line
                end += len(line)
                _stop_skipping(end - start, number)
            fields: dict[str, str] | Violation = _TOO_LONG
        elif line.isspace():
            continue
        else:
            fields = _json_fields(line, encoding)
        yield _row(number, start, end, fields)
        number += 1


def _json_fields(line: bytes, encoding: str) -> dict[str, str] | Violation:
    if b"\0" in line:
        return _NUL
    try:
        return text_fields(parse_json(line.decode(encoding)))
    except UnicodeDecodeError:
        return _ENCODING
    except MalformedBodyError as error:
        # The row takes the place of the body.
        en, zh = error.text.en.removeprefix("the body "), error.text.zh.removeprefix("请求体")
        return Violation("", "json", Bilingual(en, zh))


def _csv_rows(blocks: Iterable[bytes], file_format: FileFormat, offset: int, number: int) -> Iterator[Row]:
    lines = CsvLines(blocks, file_format.encoding, offset)
    reader = csv.reader(lines, delimiter=file_format.delimiter, strict=True)
    while True:
        start = lines.begin()
        fields: dict[str, str] | Violation | None
        try:
            cells = next(reader)
        except StopIteration:
            return
        except TooLongError:
            if lines.in_quotes:
                raise _unclosed_quote(number) from None
            _stop_skipping(lines.end - start, number)
            fields = _TOO_LONG
        except csv.Error:
            if lines.ended:
                raise _unclosed_quote(number) from None
            fields = _NOT_CSV
        else:
            fields = _csv_fields(file_format.columns, cells)
        if lines.undecodable or lines.has_nul:
            fields = _ENCODING if lines.undecodable else _NUL
        if fields is None:
            continue
        yield _row(number, start, lines.end, fields)
        number += 1


def _csv_fields(columns: Sequence[str], cells: list[str]) -> dict[str, str] | Violation | None:
    """The fields of a row; None where it has no text: spreadsheets write such rows after the last one."""
    if len(cells) == len(columns):
        fields = dict(zip(columns, cells, strict=True))
        openid = fields["openid"] = fields["openid"].strip()
        return fields if openid or _has_text(cells) else None
    return _uneven(len(columns), len(cells)) if _has_text(cells) else None


def _has_text(cells: list[str]) -> bool:
    return any(map(str.strip, cells))


def _row(number: int, start: int, end: int, fields: dict[str, str] | Violation) -> Row:
    if isinstance(fields, dict):
        return Row(number, start, end, fields)
    return Row(number, start, end, None, fields)


def _stop_skipping(size: int, number: int) -> None:
    if size > MAX_SKIPPED:
        raise UnreadableFileError(
            Bilingual(
                f"row {number} does not end within {MAX_SKIPPED >> 20} MiB: every row needs a line break",
                f"第 {number} 行超过 {MAX_SKIPPED >> 20} MiB 仍未结束：每行末尾须有换行符",
            )
        )


def _unclosed_quote(number: int) -> UnreadableFileError:
    return UnreadableFileError(
        Bilingual(
            f"a quote that begins in row {number} is never closed: close it, or double it where it is part "
            "of a text",
            f"第 {number} 行的引号没有闭合：请补上引号；单元格内容中的引号须写成两个",
        )
    )


def _uneven(columns: int, cells: int) -> Violation:
    return Violation(
        "",
        "columns",
        Bilingual(
            f"has {cells} cells, but the header has {columns}", f"有 {cells} 个单元格，而表头有 {columns} 列"
        ),
        limit=columns,
    )


_TOO_LONG = Violation(
    "",
    "max_length",
    Bilingual(f"is larger than {MAX_RECORD >> 10} KiB", f"超过 {MAX_RECORD >> 10} KiB"),
    limit=MAX_RECORD,
)
_ENCODING = Violation(
    "",
    "encoding",
    Bilingual("holds bytes that are not in the encoding of the file", "含有不符合文件编码的字节"),
)
_NUL = Violation("", "control_characters", Bilingual("holds a NUL character", "含有空字符（U+0000）"))
_NOT_CSV = Violation(
    "",
    "csv",
    Bilingual(
        "is not CSV: a quote inside a quoted cell must be doubled, and a line break must stand in quotes",
        "不是合法的 CSV：带引号的单元格内的引号须写成两个，换行须放在引号内",
    ),
)
_NOT_AN_OBJECT = Violation("", "object", Bilingual("must be a JSON object", "必须是 JSON 对象"))
_NO_TEXT = Bilingual("must be text or a number", "必须是字符串或数字")
_COLUMN_TWICE = Bilingual("names a column twice", "有重复的列名")
