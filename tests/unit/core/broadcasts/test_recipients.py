from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.broadcasts.files import blocks, file_format, refusal, rows, told
from tests.unit.core.messages.bodies import quick
from wechat_notify.core.broadcasts.lines import MAX_RECORD, MAX_SKIPPED
from wechat_notify.core.broadcasts.recipients import (
    FileFormat,
    UnreadableFileError,
    read_rows,
)

ONE_COLUMN = FileFormat("csv", "utf-8", ("openid",), 0)
JSON_LINES = FileFormat("jsonl", "utf-8", ("openid",), 0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"o1,x", [{"openid": "o1", "a": "x"}]),
        (b" o1 , x \r\n", [{"openid": "o1", "a": " x "}]),
        (b'o1,"x, ""y""\r\nz"\n', [{"openid": "o1", "a": 'x, "y"\r\nz'}]),
        (b"o1,=1+1\n", [{"openid": "o1", "a": "=1+1"}]),
        (b"\n\r\n,\n o1,x\n  ,  \n,,,\n", [{"openid": "o1", "a": "x"}]),
        (b",x\n", [{"openid": "", "a": "x"}]),
        (b"o1\no2,x\n", ["columns", {"openid": "o2", "a": "x"}]),
        (b"o1,x,y\n", ["columns"]),
        (b"o1,\0\n", ["control_characters"]),
        (b"o1,\xff\no2,x\n", ["encoding", {"openid": "o2", "a": "x"}]),
        (b"o1,\xff,y\n", ["encoding"]),
        (b'o1,"x"y\no2,x\n', ["csv", {"openid": "o2", "a": "x"}]),
        (b"o1,x\ry\no2,x\n", ["csv", {"openid": "o2", "a": "x"}]),
        (b'o1,"\xff\n"y\no2,x\n', ["encoding", {"openid": "o2", "a": "x"}]),
        (b"o1," + b"x" * MAX_RECORD + b"\no2,x\n", ["max_length", {"openid": "o2", "a": "x"}]),
        (b'o1,"' + b"x\n" * MAX_RECORD + b'"\no2,x\n', ["max_length", {"openid": "o2", "a": "x"}]),
        (b"o1," + b"x" * MAX_RECORD, ["max_length"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_csv(body: bytes, expected: list[object]) -> None:
    assert told(b"openid,a\n" + body) == list(enumerate(expected, 1))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"openid": " o1 ", "a": " x "}', {"openid": "o1", "a": " x "}),
        ('{"OpenID": 12, " a ": 39.80}', {"openid": "12", "a": "39.80"}),
        ('{"a": 12345678901234567890.10}', {"a": "12345678901234567890.10"}),
        ('{"a": null, "b": -0.5}', {"a": "", "b": "-0.5"}),
        ("{}", {}),
        ('{"a": true}', "text"),
        ('{"a": []}', "text"),
        ('{"a": {}}', "text"),
        ('{"a": 1, "a": 1}', "json"),
        ('{"a": 1, " a": 1}', "duplicate_column"),
        ('["o1"]', "object"),
        ("o1", "json"),
        ('{"a": "\0"}', "control_characters"),
        ('{"a": "' + "x" * MAX_RECORD + '"}', "max_length"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_json_lines(line: str, expected: object) -> None:
    file = f'{{"openid": "o0"}}\r\n \n{line}\n{{"openid": "o2"}}'.encode()
    assert told(file) == [(1, {"openid": "o0"}), (2, expected), (3, {"openid": "o2"})]


@pytest.mark.parametrize(("more", "readable"), [(0, True), (1, False)])
@pytest.mark.parametrize(
    ("file", "begin", "end"),
    [(ONE_COLUMN, b"o", b"\n"), (ONE_COLUMN, b'"o\n', b'"\n'), (JSON_LINES, b'{"openid": "o', b'"}\n')],
)
def test_largest_row(file: FileFormat, begin: bytes, end: bytes, more: int, readable: bool) -> None:  # noqa: FBT001
    line = begin + b"x" * (65_536 - len(begin) - len(end) + more) + end
    (row,) = read_rows([line], file, offset=0, next_row=1)
    assert (row.fields is not None) is readable
    assert row.end == len(line)


def test_json_line_in_another_encoding() -> None:
    found = list(read_rows([b'{"a": "\xff"}'], JSON_LINES, offset=0, next_row=1))
    assert [row.problem.rule for row in found if row.problem] == ["encoding"]


def test_problem_says_where_and_no_value() -> None:
    _, wrong = rows(b'{"openid": "o1"}\n{"openid": "secret" "a"}')
    assert wrong.problem
    assert wrong.problem.text.en == "is not JSON: Expecting ',' delimiter at line 1, column 21"
    assert wrong.problem.text.zh == "不是合法的 JSON：第 1 行第 21 列"
    assert "secret" not in repr(wrong.problem)
    (uneven,) = rows(b"openid\nsecret,secret\n")
    assert uneven.problem
    assert uneven.problem.text.en == "has 2 cells, but the header has 1"
    assert "secret" not in repr(uneven.problem)


@pytest.mark.parametrize("size", [100, 999, MAX_RECORD, 10 * MAX_RECORD])
def test_offsets(size: int) -> None:
    """Each row ends where the next one begins, quoted line breaks and bad rows included."""
    records = [b'o1,"a\r\nb"\r\n', b"o2\n", b"o3," + b"x" * (3 * MAX_RECORD) + b"\n", b"o4,\xff\n", b"o5,c"]
    file = b"openid,a\n" + b"".join(records)
    read = rows(file, size)
    assert [file[row.start : row.end] for row in read] == records
    assert [row.number for row in read] == [1, 2, 3, 4, 5]


cells = st.text(st.sampled_from('ab ,;"\n\r\t=0中😀'), max_size=6)
tables = st.lists(st.tuples(cells, cells), max_size=8)


@quick
@given(tables, st.integers(1, 20), st.sampled_from(["utf-8", "gb18030"]), st.sampled_from(["\n", "\r\n"]))
def test_csv_is_read_as_written(
    table: list[tuple[str, str]], size: int, encoding: str, line_break: str
) -> None:
    table = [(f"o{number} 中", *pair) for number, pair in enumerate(table)]  # type: ignore[misc]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=line_break).writerows(
        [("openid", "a", "中"), *table]
    )
    file = text.getvalue().encode(encoding)
    read = rows(file, size)
    assert [tuple((row.fields or {}).values()) for row in read] == table
    for row in read:
        rest = blocks(file[row.end :], size)
        again = read_rows(rest, file_format(file), offset=row.end, next_row=row.number + 1)
        assert list(again) == read[row.number :]


@quick
@given(st.lists(st.dictionaries(cells, cells | st.integers(), max_size=3), max_size=8), st.integers(1, 20))
def test_json_lines_resume_anywhere(table: list[dict[str, object]], size: int) -> None:
    lines = [json.dumps({"openid": "o1", **fields}, ensure_ascii=False) for fields in table]
    file = "\n".join(["{}", *lines]).encode()
    read = list(read_rows(blocks(file, size), JSON_LINES, offset=0, next_row=1))
    assert [file[row.start : row.end].strip().decode() for row in read] == ["{}", *lines]
    for row in read:
        rest = blocks(file[row.end :], size)
        assert (
            list(read_rows(rest, JSON_LINES, offset=row.end, next_row=row.number + 1)) == read[row.number :]
        )


def test_unclosed_quote_names_its_row() -> None:
    """It would take every row after it for one text."""
    for tail in (b"o4\n", b"o4\n" * MAX_RECORD):
        text = refusal(b'openid\no1\no2\n"o3\n' + tail)
        assert text.en.startswith("a quote that begins in row 3 is never closed")
        assert text.zh.startswith("第 3 行的引号没有闭合")


def endless(begin: bytes, block: bytes, size: int) -> Iterator[bytes]:
    yield begin
    for _ in range(0, size, len(block)):
        yield block


@pytest.mark.parametrize(
    ("file", "begin", "block"),
    [
        (ONE_COLUMN, b"o1", b"x" * MAX_RECORD),
        (JSON_LINES, b'{"a": "', b"x" * MAX_RECORD),
        (ONE_COLUMN, b'"o1', (b"x" * 999 + b"\n") * 64),
    ],
)
def test_row_without_an_end(file: FileFormat, begin: bytes, block: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"row 7 (does not end|is never closed)"):
        list(read_rows(endless(begin, block, 2 * MAX_SKIPPED), file, offset=10**9, next_row=7))


@pytest.mark.parametrize(
    ("file", "begin", "block", "end"),
    [
        (ONE_COLUMN, b"o1", b"x" * MAX_RECORD, b"\n"),
        (ONE_COLUMN, b'"o1', (b"x" * 999 + b"\n") * 64, b'"\n'),
        (JSON_LINES, b'{"a": "', b"x" * MAX_RECORD, b'"}\n'),
    ],
)
def test_long_row_takes_no_memory(file: FileFormat, begin: bytes, block: bytes, end: bytes) -> None:
    def ten_megabytes() -> Iterator[bytes]:
        yield from endless(begin, block, 10_000_000)
        yield end
        yield b"o2\n"

    tracemalloc.start()
    read = list(read_rows(ten_megabytes(), file, offset=10**9, next_row=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.problem.rule for row in read if row.problem][0] == "max_length"  # noqa: RUF015
    assert read[1].start == read[0].end == read[1].end - 3 > 10**9 + 10_000_000
    assert peak < 1_000_000


def test_rows_are_read_one_by_one() -> None:
    """A step stops after so many rows, and has not read the rest."""
    taken = []

    def counted() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield b"o1\n" * 100

    reading = read_rows(counted(), ONE_COLUMN, offset=0, next_row=1)
    assert [next(reading).number for _ in range(150)][-1] == 150
    assert len(taken) == 2
