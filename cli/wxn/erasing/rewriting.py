"""The files of broadcasts without one person: rows of CSV and JSON Lines, JSON documents, digests.

Lines that do not name the person keep their bytes. A row of the person's is left out; in another row, and in one
that cannot be read, the openid alone is.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from wxn.erasing.person import Person

_MARK: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final[tuple[str, ...]] = (",", ";", "\t")
_SEP_LINE: Final = "sep=,"
_ROW_BYTES: Final = 8
_OPENID: Final = "openid"


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file, each with its end."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def without_rows(lines: Iterable[bytes], person: Person) -> Iterator[bytes]:
    """A file of rows, CSV or JSON Lines, without the person's."""
    lines = iter(lines)
    head: list[bytes] = []
    for line in lines:
        head.append(line)
        if line.removeprefix(_MARK).strip():
            break
    first = head[-1].removeprefix(_MARK).lstrip() if head else b""
    if first[:1] in {b"{", b"["}:
        return _json_lines(chain(head, lines), person)
    return _csv(head, lines, person)


def document(data: bytes, person: Person) -> bytes:
    """A JSON document without the person: elements of lists that name them are left out, texts are emptied."""
    return json.dumps(_without(json.loads(data), person), ensure_ascii=False, separators=(",", ":")).encode()


def without_digests(data: bytes, person: Person) -> bytes:
    """A sorted run of digests with row numbers, without the person's."""
    size = len(person.digest) + _ROW_BYTES
    records = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(record for record in records if not record.startswith(person.digest))


def decoded(line: bytes) -> tuple[str, str]:
    """A line's text and its encoding; bytes that are in none stay what they are."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return line.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return line.decode("utf-8", "surrogateescape"), "utf-8"


def _json_lines(lines: Iterable[bytes], person: Person) -> Iterator[bytes]:
    for line in lines:
        content, encoding = decoded(line)
        if not person.is_named_in(content):
            yield line
        elif not _is_of(content, person):
            yield person.without(content).encode(encoding, "surrogateescape")


def _is_of(content: str, person: Person) -> bool:
    """True of a row of recipients, and of a chunk's list, whose openid is the person's."""
    try:
        row = json.loads(content.strip().removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return False
    if isinstance(row, dict):
        return any(
            str(name).strip().lower() == _OPENID and isinstance(value, str) and value.strip() == person.openid
            for name, value in row.items()
        )
    return isinstance(row, list) and person.openid in row


def _csv(head: list[bytes], lines: Iterator[bytes], person: Person) -> Iterator[bytes]:
    """``head`` ends with the first line that has text."""
    delimiters = _DELIMITERS
    first = decoded(head[-1].removeprefix(_MARK))[0].strip() if head else ""
    if first.lower().startswith("sep=") and len(first) == len(_SEP_LINE):  # Excel's own line
        yield from head
        head, delimiters = [next(lines, b"")], (first[-1],)
        first = decoded(head[0])[0].strip()
    places = {delimiter: _column(first, delimiter) for delimiter in delimiters}
    delimiter = next((each for each, place in places.items() if place is not None), delimiters[0])
    for raw, cells in _records(chain(head, lines), delimiter):
        content, encoding = decoded(raw)
        if not person.is_named_in(content):
            yield raw
        elif cells is None or not _is_row_of(cells, places[delimiter], person):
            yield person.without(content).encode(encoding, "surrogateescape")


def _column(header: str, delimiter: str) -> int | None:
    """The place of the column with openids; None where there is none, as in a part of the results."""
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    return names.index(_OPENID) if _OPENID in names else None


def _is_row_of(cells: list[str], column: int | None, person: Person) -> bool:
    given = cells if column is None else cells[column : column + 1]
    # Results have an apostrophe before what a spreadsheet would take for a formula.
    return any(cell.strip().removeprefix("'") == person.openid for cell in given)


def _records(lines: Iterable[bytes], delimiter: str) -> Iterator[tuple[bytes, list[str] | None]]:
    """Each row with its bytes; without cells where it cannot be read. A row may have several lines."""
    taken: list[bytes] = []

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield decoded(line)[0]

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:  # perhaps of a quote that is never closed, with the rows of many behind it
            yield from ((line, _cells(line, delimiter)) for line in taken)
        else:
            yield b"".join(taken), cells
        taken.clear()


def _cells(line: bytes, delimiter: str) -> list[str] | None:
    """The cells of a row that is one line; None where it cannot be read."""
    try:
        return next(csv.reader([decoded(line)[0]], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _without(value: Any, person: Person) -> Any:
    if isinstance(value, dict):
        return {
            name: _without(each, person) for name, each in value.items() if not person.is_named_in(str(name))
        }
    if isinstance(value, list):
        return [_without(each, person) for each in value if not person.is_named_in(json.dumps(each))]
    return person.without(value) if isinstance(value, str) else value
