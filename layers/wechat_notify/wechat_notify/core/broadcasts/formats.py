"""Recognise the format of a recipients' file by its head: CSV or JSON Lines, UTF-8 or GB18030, its columns.

``recipients.read_rows`` reads what is recognised here.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Literal

from wechat_notify.core.broadcasts.recipients import (
    FileFormat,
    UnreadableFileError,
    column_name,
    read_rows,
)
from wechat_notify.core.texts import Bilingual

HEAD_BYTES = 64 * 1024
"""Bytes of a file's beginning by which its format is recognised; its header must end within them."""
_MAX_COLUMNS = 500
_DELIMITERS = (",", ";", "\t")
"""The comma first: a spreadsheet writes the others where the comma is the decimal sign, or for "text"."""
_SEP_LINE = re.compile(rb"sep=([,;\t])\r?\n", re.IGNORECASE)
"""Excel's own first line, which names the delimiter."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of a zip file, which an .xlsx is, and of an .xls."""
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")

Encoding = Literal["utf-8", "gb18030"]


def detect(head: bytes, *, complete: bool) -> FileFormat:
    """Recognise the format of a file.

    Parameters
    ----------
    head : bytes
        The file's first 64 KiB.
    complete : bool
        The head is the whole file.

    Raises
    ------
    UnreadableFileError
        It is no text in UTF-8 or GB18030, it has no header, or its columns cannot be told apart.
    """
    _refuse_binary(head)
    at = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    encoding: Encoding = "utf-8" if at else _encoding(head, complete=complete)
    if not head[at:].strip():
        raise UnreadableFileError(_EMPTY)
    first = head[at:].lstrip()[:1]
    if first == b"[":
        raise UnreadableFileError(_ARRAY)
    if first == b"{":
        return _json_lines(_whole_lines(head[at:], complete=complete), encoding, at)
    return _csv(head, encoding, at, complete=complete)


def _refuse_binary(head: bytes) -> None:
    if head.startswith(_SPREADSHEETS):
        raise UnreadableFileError(_SPREADSHEET)
    if head.startswith(_COMPRESSED):
        raise UnreadableFileError(_ARCHIVE)
    nuls = max(head[:200:2].count(0), head[1:200:2].count(0))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or nuls * 5 > len(head[:200]):
        raise UnreadableFileError(_UTF16)


def _encoding(head: bytes, *, complete: bool) -> Encoding:
    """The encoding of the head, or of most of its lines that are not ASCII: a few may be broken.

    In doubt it is UTF-8: the worst is then that rows are refused, and not that they are sent garbled.
    """
    if _decodes(head, "utf-8", complete=complete):
        return "utf-8"
    lines = [line for line in _whole_lines(head, complete=complete) if not line.isascii()]
    utf8 = sum(_decodes(line, "utf-8", complete=True) for line in lines)
    gb18030 = sum(_decodes(line, "gb18030", complete=True) for line in lines)
    if gb18030 <= utf8:
        return "utf-8"
    if gb18030 * 2 > len(lines):
        return "gb18030"
    raise UnreadableFileError(_OTHER_ENCODING)


def _decodes(text: bytes, encoding: Encoding, *, complete: bool) -> bool:
    """Return whether a text is in an encoding; one that is not complete may end within a character."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(text, final=complete)
    except UnicodeDecodeError:
        return False
    return True


def _whole_lines(head: bytes, *, complete: bool) -> list[bytes]:
    lines = BytesIO(head).readlines()
    if not complete and lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    return lines


def _json_lines(lines: list[bytes], encoding: Encoding, at: int) -> FileFormat:
    file_format = FileFormat("jsonl", encoding, (), at)
    readable = [row.fields for row in read_rows(lines, file_format, offset=at, next_row=1) if row.fields]
    columns = tuple(dict.fromkeys(name for fields in readable for name in fields))
    if readable and "openid" not in columns:
        raise UnreadableFileError(_NO_OPENID_FIELD)
    return file_format._replace(columns=columns[:_MAX_COLUMNS])


def _csv(head: bytes, encoding: Encoding, at: int, *, complete: bool) -> FileFormat:
    delimiters: tuple[str, ...] = _DELIMITERS
    named = _SEP_LINE.match(head, at)
    if named:
        at, delimiters = named.end(), (named[1].decode(),)
    lines = _whole_lines(head[at:], complete=complete)
    if b"\n" not in head.strip() and b"\r" in head.strip():
        raise UnreadableFileError(_CARRIAGE_RETURNS)
    for delimiter in delimiters:
        size, cells = _header(lines, encoding, delimiter)
        columns = tuple(map(column_name, cells))
        if "openid" in columns:
            _check_columns(columns, head[at : at + size])
            return FileFormat("csv", encoding, columns, at + size, delimiter)
    raise UnreadableFileError(_NO_HEADER if lines else _LONG_HEADER)


def _header(lines: list[bytes], encoding: Encoding, delimiter: str) -> tuple[int, list[str]]:
    """The size of the header in bytes, and its cells; blank lines before it belong to it."""
    size = 0

    def texts() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += len(line)
            yield line.decode(encoding)

    try:
        for cells in csv.reader(texts(), delimiter=delimiter, strict=True):
            if any(cells):
                return size, cells
    except UnicodeDecodeError:
        raise UnreadableFileError(_OTHER_ENCODING) from None
    except csv.Error:
        pass
    return size, []


def _check_columns(columns: tuple[str, ...], header: bytes) -> None:
    if _CONTROL.search(header):
        raise UnreadableFileError(_BINARY)
    if len(columns) > _MAX_COLUMNS:
        raise UnreadableFileError(
            Bilingual(
                f"the header has more than {_MAX_COLUMNS} columns: delete what the message does not use",
                f"表头超过 {_MAX_COLUMNS} 列：请删除消息用不到的列",
            )
        )
    if "" in columns:
        raise UnreadableFileError(
            Bilingual(
                f"column {columns.index('') + 1} has no name: name every column in the header, or delete the "
                "empty ones",
                f"第 {columns.index('') + 1} 列没有列名：请在表头中为每一列命名，或删除空列",
            )
        )
    twice = [place for place, name in enumerate(columns) if columns.index(name) < place]
    if twice:
        first = columns.index(columns[twice[0]]) + 1
        raise UnreadableFileError(
            Bilingual(
                f"columns {first} and {twice[0] + 1} have the same name: rename or delete one of them",
                f"第 {first} 列和第 {twice[0] + 1} 列的列名相同：请修改或删除其中一列",
            )
        )


_EMPTY = Bilingual(
    "the file is empty: it must begin with a header that names the columns, one of them openid",
    "文件为空：第一行必须是表头，且其中一列为 openid",
)
_NO_HEADER = Bilingual(
    "the first line names no column openid: begin the file with a header, such as openid,name",
    "第一行中没有 openid 列：文件必须以表头开始，如 openid,name",
)
_NO_OPENID_FIELD = Bilingual(
    'the rows have no field openid: write each as {"openid": "…"}',
    '各行没有 openid 字段：每行应为 {"openid": "…"}',
)
_LONG_HEADER = Bilingual(
    f"the first line is longer than {HEAD_BYTES >> 10} KiB: the file must begin with a header, such as "
    "openid,name",
    f"第一行超过 {HEAD_BYTES >> 10} KiB：文件必须以表头开始，如 openid,name",
)
_CARRIAGE_RETURNS = Bilingual(
    'the lines end with CR alone, as of old Macs: save the file as "CSV UTF-8", with LF or CRLF',
    "换行符为单独的 CR（旧版 Mac 格式）：请另存为“CSV UTF-8”，使用 LF 或 CRLF 换行",
)
_ARRAY = Bilingual(
    "the file is a JSON array: write JSON Lines, one object a line without commas between them",
    "文件是 JSON 数组：请改为 JSON Lines，每行一个对象，行间不加逗号",
)
_SPREADSHEET = Bilingual(
    'the file is a spreadsheet (.xlsx, .xls) or a zip file: save it as "CSV UTF-8" and upload that',
    "文件是电子表格（.xlsx、.xls）或压缩包：请另存为“CSV UTF-8”后再上传",
)
_ARCHIVE = Bilingual(
    "the file is compressed: upload the CSV or JSON Lines file itself",
    "文件是压缩文件：请上传解压后的 CSV 或 JSON Lines 文件",
)
_UTF16 = Bilingual(
    'the file is in UTF-16 ("Unicode text"): save it as "CSV UTF-8" and upload that',
    "文件编码为 UTF-16（“Unicode 文本”）：请另存为“CSV UTF-8”后再上传",
)
_OTHER_ENCODING = Bilingual(
    'the file is neither in UTF-8 nor in GB18030: save it as "CSV UTF-8" and upload that',
    "文件编码既不是 UTF-8 也不是 GB18030：请另存为“CSV UTF-8”后再上传",
)
_BINARY = Bilingual(
    "the file is no text: upload CSV with a header, or JSON Lines",
    "文件不是文本文件：请上传带表头的 CSV 或 JSON Lines 文件",
)
