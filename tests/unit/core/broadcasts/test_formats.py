from __future__ import annotations

import gzip

import pytest

from tests.unit.core.broadcasts.files import file_format, refusal, rows
from wechat_notify.core.broadcasts.formats import HEAD_BYTES, detect
from wechat_notify.core.broadcasts.recipients import FileFormat

BOM = b"\xef\xbb\xbf"
CHINESE = "openid,姓名\no1,王小明\n"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (b"openid\no1\n", FileFormat("csv", "utf-8", ("openid",), 7)),
        (b"openid", FileFormat("csv", "utf-8", ("openid",), 6)),
        (b"name, openid ,id\r\n", FileFormat("csv", "utf-8", ("name", "openid", "id"), 18)),
        (b"OpenID,OPEN\no1,x", FileFormat("csv", "utf-8", ("openid", "OPEN"), 12)),
        (BOM + b"openid,a\no1,x", FileFormat("csv", "utf-8", ("openid", "a"), 12)),
        (b"openid;a\no1;x", FileFormat("csv", "utf-8", ("openid", "a"), 9, ";")),
        (b"openid\ta,b\no1\tx", FileFormat("csv", "utf-8", ("openid", "a,b"), 11, "\t")),
        (b"sep=;\r\nopenid;a\r\n", FileFormat("csv", "utf-8", ("openid", "a"), 17, ";")),
        (b"\n,\nopenid,a\no1,x", FileFormat("csv", "utf-8", ("openid", "a"), 12)),
        (b'"a\nb","open""id",openid\n', FileFormat("csv", "utf-8", ("a\nb", 'open"id', "openid"), 24)),
        (CHINESE.encode(), FileFormat("csv", "utf-8", ("openid", "姓名"), 14)),
        (CHINESE.encode("gb18030"), FileFormat("csv", "gb18030", ("openid", "姓名"), 12)),
        ('openid\n"𠮷"\n'.encode("gb18030"), FileFormat("csv", "gb18030", ("openid",), 7)),
        (b'{"openid": "o1"}\n{"a": 1, "OpenId": 2}', FileFormat("jsonl", "utf-8", ("openid", "a"), 0)),
        (BOM + b'\n {"openid": "o1"}', FileFormat("jsonl", "utf-8", ("openid",), 3)),
        ('{"openid": "o1", "姓": 1}'.encode("gbk"), FileFormat("jsonl", "gb18030", ("openid", "姓"), 0)),
        (b'{"openid": ', FileFormat("jsonl", "utf-8", (), 0)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_format(file: bytes, expected: FileFormat) -> None:
    assert file_format(file) == expected


def test_largest_header() -> None:
    columns = ["openid", *(f"c{number}" for number in range(499))]
    assert len(file_format(",".join(columns).encode()).columns) == 500


@pytest.mark.parametrize("cut", range(3))
def test_head_ends_within_a_character(cut: int) -> None:
    file = ("openid,a\n" + "o1,巧\n" * 20_000).encode()
    begin = file.index("巧".encode(), HEAD_BYTES - 10)
    head = file[: begin + cut]
    assert detect(head, complete=False).encoding == "utf-8"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_one_broken_line_decides_nothing(encoding: str) -> None:
    """A name that a program has cut within a character makes no other encoding of the file."""
    lines = [f"o{number},王小明\n".encode(encoding) for number in range(10)]
    lines[3] = "o3,王".encode(encoding)[:-1] + b"\n"
    read = rows(b"openid,name\n" + b"".join(lines))
    assert [row.number for row in read if row.problem] == [4]
    assert read[9].fields == {"openid": "o9", "name": "王小明"}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "is empty"),
        (BOM + b" \n", "is empty"),
        (b"name\nx\n", "no column openid"),
        (b"oQk3h5LrVfTnWb8xYc2ZpJd0GmEs,x\n", "no column openid"),
        (b'"openid\no1\n', "no column openid"),
        (b'{"name": "x"}\n', "no field openid"),
        (b' [{"openid": "o1"}]', "JSON array"),
        (b"openid,,a\n", "column 2 has no name"),
        (b"openid,a, a\n", "columns 2 and 3 have the same name"),
        (b"OpenID,openid\n", "columns 1 and 2 have the same name"),
        (b"openid," + b",".join(b"c%d" % number for number in range(500)), "more than 500 columns"),
        (b"x" * HEAD_BYTES + b"\nopenid\n", "longer than 64 KiB"),
        (b"openid,a\ro1,x\ro2,y", "CR alone"),
        (b"openid,\x01\n", "is no text"),
        ("openid\no1\n".encode("utf-16"), "UTF-16"),
        ("openid\no1\n".encode("utf-16-le"), "UTF-16"),
        ("openid\no1\n".encode("utf-16-be"), "UTF-16"),
        (b"PK\x03\x04\x14\x00", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1", "spreadsheet"),
        (gzip.compress(b"openid\n", mtime=0), "compressed"),
        ("openid,prénom\no1,\xe9\n".encode("latin-1"), "neither in UTF-8 nor in GB18030"),
        (b"openid,pr\xe9\n", "neither in UTF-8 nor in GB18030"),
        (b"%PDF-1.7\n%\xff\xff\xff\xff\n", "no column openid"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_file_is_refused(file: bytes, words: str) -> None:
    text = refusal(file)
    assert words in text.en
    assert text.zh
    assert "oQk3h5" not in text.en
