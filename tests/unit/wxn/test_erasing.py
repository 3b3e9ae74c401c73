"""What names a person, and files without them."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.core.broadcasts import duplicates, manifest, results
from wechat_notify.core.broadcasts.formats import HEAD_BYTES, detect
from wechat_notify.core.broadcasts.recipients import read_rows
from wechat_notify.core.openid_hashes import hash_openid as hash_of_service
from wxn.erasing.person import Person, hash_openid
from wxn.erasing.rewriting import document, lines_of, without_digests, without_rows
from wxn.errors import CommandError

OPENID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
KEY = b"the stack's key"
WANG = Person(OPENID, KEY)
OPENIDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=6, max_size=40)


@given(OPENIDS, st.binary(min_size=1, max_size=64))
def test_hash_is_the_services(openid: str, key: bytes) -> None:
    assert hash_openid(openid, key) == hash_of_service(openid, key)


@pytest.mark.parametrize("given", ["", "short", "with space", "a/b/c/d", "行行行行行行", "x" * 129])
def test_nobodys_openid(given: str) -> None:
    with pytest.raises(CommandError) as told:
        Person(given, KEY)

    assert not given or given not in told.value.message


@pytest.mark.parametrize(
    ("content", "is_named"),
    [
        (OPENID, True),
        (f'{{"touser":"{OPENID}"}}', True),
        (f"行{OPENID}行", True),
        (f"{OPENID}x", False),
        (f"order-{OPENID}-1", True),
        (OPENID.replace("o", "\\u006f", 1), True),
        (OPENID.replace("U", "\\u0055"), True),
        (OPENID.lower(), False),
        (json.dumps({"value": f"用户{OPENID}", "id": 1}), True),
        (json.dumps({"value": f"one\n{OPENID}\ttwo"}), True),
        (json.dumps({"value": f"行x{OPENID}"}), False),
    ],
)
def test_named_in(content: str, *, is_named: bool) -> None:
    assert WANG.is_named_in(content) is is_named
    assert not WANG.is_named_in(WANG.without(content))
    assert WANG.may_be_in(content.encode()) or not is_named


def rewritten(content: str | bytes, encoding: str = "utf-8") -> bytes:
    data = content.encode(encoding) if isinstance(content, str) else content
    blocks = [data[start : start + 7] for start in range(0, len(data), 7)]
    return b"".join(without_rows(lines_of(blocks), WANG))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"openid,name\r\noA,李\r\n{OPENID},王\r\noB,张", "openid,name\r\noA,李\r\noB,张"),
        (f"\ufeffname;OpenID\nLi;oA\nWang; {OPENID} \n", "\ufeffname;OpenID\nLi;oA\n"),
        (f"sep=;\r\nopenid;name\r\n{OPENID};x,y\r\noA;z\r\n", "sep=;\r\nopenid;name\r\noA;z\r\n"),
        (f'openid,name\n{OPENID},"two\nlines"\noA,"a ""b""\n"\n', 'openid,name\noA,"a ""b""\n"\n'),
        (f"openid,inviter\noA,{OPENID}\n", "openid,inviter\noA,\n"),
        (f'openid,name\noA,"x" y\noB,z\n{OPENID},z\n', 'openid,name\noA,"x" y\noB,z\n'),
        (f'openid,name\n{OPENID},"x" y\noB,z\n', 'openid,name\n,"x" y\noB,z\n'),
        (f'openid,name\noA,"x\noB,y\n{OPENID},Wang\noC,z\n', 'openid,name\noA,"x\noB,y\noC,z\n'),
        (f"openid\n{OPENID}\n{OPENID}x\n", f"openid\n{OPENID}x\n"),
        (f"openid\n{OPENID}", "openid\n"),
        (f"1,m:1,{OPENID},sent,0,,t\r\n2,m:2,oB,sent,0,,t\r\n", "2,m:2,oB,sent,0,,t\r\n"),
        ("", ""),
        (f"{OPENID}\n", ""),
        (
            f'{{"openid":"oA"}}\n{{"openid":"{OPENID}"}}\n{{"openid":"oB"}}',
            '{"openid":"oA"}\n{"openid":"oB"}',
        ),
        (f'{{"openid":"oA"}}\n\n{{"openid":"{OPENID[:-1]}\\u0045","a":1}}\n', '{"openid":"oA"}\n\n'),
        (f'{{"openid":"oA","by":"{OPENID}"}}\n', '{"openid":"oA","by":""}\n'),
        (f'{{"openid":"oA"}}\n{{"openid":"{OPENID}"\n', '{"openid":"oA"}\n{"openid":""\n'),
    ],
)
def test_rows_without_a_person(before: str, after: str) -> None:
    assert rewritten(before).decode() == after


def test_rows_in_gb18030() -> None:
    before = f"openid,name\noA,深圳\n{OPENID},王\noB,给{OPENID}\n"

    assert rewritten(before, "gb18030").decode("gb18030") == "openid,name\noA,深圳\noB,给\n"


def test_bytes_of_others_stay() -> None:
    """Also where they are in no encoding."""
    others = b"openid,name\noA,\xff\xfe\n"

    assert rewritten(others + f"{OPENID},x\n".encode()) == others


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.tuples(st.sampled_from([OPENID, "oA", "oB", f"{OPENID}x"]), CELLS), max_size=8))
def test_service_reads_the_others(rows: list[tuple[str, str]]) -> None:
    """The service's own reader finds every other row as it was."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerows([("openid", "name"), *rows])
    data = file.getvalue().encode()

    def read(content: bytes) -> list[object]:
        found = detect(content[:HEAD_BYTES], complete=True)
        start = found.first_row_at
        return [row.fields for row in read_rows([content[start:]], found, offset=start, next_row=1)]

    assert read(rewritten(data)) == [row for row in read(data) if row and row["openid"] != OPENID]  # type: ignore[index]


def test_chunk_and_results_without_a_person() -> None:
    """The files as the service writes them."""
    lines = [manifest.Line(n, f"b:{n}", openid) for n, openid in enumerate(["oA", OPENID, "oB"])]
    left = list(manifest.from_bytes(rewritten(manifest.to_bytes(lines))))
    assert [line.openid for line in left] == ["oA", "oB"]

    told = [results.Result(line.row, line.message_id, line.openid, "sent") for line in lines]
    whole = results.HEADER + results.part(told)
    assert rewritten(whole) == results.HEADER + results.part([told[0], told[2]])
    assert rewritten(results.part(told)) == results.part([told[0], told[2]])


def test_results_with_an_apostrophe() -> None:
    """As they have one before an openid that looks like a formula."""
    person = Person("-GZUI0egBJY1zhBYw2KhdUfwVJJE", KEY)
    part = results.part(
        [results.Result(1, "b:1", person.openid, "sent"), results.Result(2, "b:2", "oB", "sent")]
    )

    assert b"".join(without_rows(lines_of([part]), person)) == part.splitlines(keepends=True)[1]


def test_digests_without_a_person() -> None:
    run = duplicates.run_of([("oA", 1), (OPENID, 2), ("oB", 3), (OPENID, 4)])

    assert without_digests(run, WANG) == duplicates.run_of([("oA", 1), ("oB", 3)])


def test_document_names_them_beside_text() -> None:
    """JSON writes the text before the openid as an escape, which ends with a letter or a digit."""
    told = {"notes": [f"行{OPENID}", f"\n{OPENID}", "行"], "note": f"行{OPENID}行"}

    assert json.loads(document(json.dumps(told).encode(), WANG)) == {"notes": ["行"], "note": "行行"}


def test_document_without_a_person() -> None:
    messages = [{"row": n, "message": {"touser": openid}} for n, openid in enumerate(["oA", OPENID])]
    told = {"report": {"messages": messages, "rows": 2}, "message": {"touser": OPENID, "n": 1.5}}

    assert json.loads(document(json.dumps(told).encode(), WANG)) == {
        "report": {"messages": messages[:1], "rows": 2},
        "message": {"touser": "", "n": 1.5},
    }
