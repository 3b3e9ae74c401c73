from __future__ import annotations

import json
import re
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wechat_notify.wechat import answers
from wechat_notify.wechat.answers import Answer, UnreadableAnswerError, parse_answer, parse_json, redact

quick = settings(max_examples=100, deadline=None, derandomize=True)

RID = "66695e1c-5d4a8e9f-0b2c3d4e"
TOKEN = "57_Zx-Qw_" + "k" * 40
OPENID = "oABC123-def_456"

# What tokens, app secrets and openids are made of; "/" and "@" (token@appid) change when they are quoted.
secret_texts = st.text("abcXYZ019-_/@+=", min_size=1, max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def read(payload: object, *secrets: str) -> Answer:
    return parse_answer(json.dumps(payload).encode(), secrets)


# ---------------------------------------------------------------- errcode and msgid


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"errcode": 0, "errmsg": "ok", "msgid": 2**53 + 1}, Answer(0, "ok", None, 2**53 + 1, None)),
        (
            {"errcode": 43101, "errmsg": f"refused rid: {RID}"},
            (43101, f"refused rid: {RID}", RID, None, None),
        ),
        ({"errcode": "200014"}, (200014, "", None, None, None)),
        ({"errcode": "-1"}, (-1, "", None, None, None)),
        ({"errcode": 43101, "errCode": 0}, (43101, "", None, None, None)),
        ({"errCode": 43101, "errMsg": "openapi.send:fail"}, (43101, "openapi.send:fail", None, None, None)),
        ({"msgid": 1}, (0, "", None, 1, None)),
    ],
)
def test_answers(payload: dict[str, object], expected: Answer) -> None:
    assert read(payload) == expected


@pytest.mark.parametrize(
    "value", [True, None, 0.0, [], "", " 0", "0.0", "1e3", "٣", "²", "--1", 2**63, "9" * 40]
)
def test_errcode_that_is_no_integer(value: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        read({"errcode": value, "msgid": 1})


@pytest.mark.parametrize(
    ("value", "msgid"),
    [
        ("1864323726461255681", 1864323726461255681),
        (2**63 - 1, 2**63 - 1),
        *((value, None) for value in (2**63, 0, -5, "0", "", "12a", True, 1.0, [1], None)),
    ],
)
def test_msgid(value: object, msgid: int | None) -> None:
    assert read({"errcode": 0, "msgid": value}).msgid == msgid
    if msgid is None:
        with pytest.raises(UnreadableAnswerError):
            read({"errmsg": "ok", "msgid": value})


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("the answer is empty", [b"", b" \r\n"]),
        (
            "the answer is not a JSON object",
            [
                b"\xef\xbb\xbf",
                b'{"errcode":0,"errmsg":"o',
                b"null",
                b'[{"errcode":0}]',
                b'{"errcode":NaN}',
                b'{"errcode":' + b"9" * 5000 + b"}",
                b'{"errcode":0,"x":' + b"[" * 100_000,
            ],
        ),
        ("the answer's errCode is not an integer", [b'{"errCode":"x"}']),
        ("the answer has neither errcode nor msgid", [b"{}"]),
    ],
)
def test_unreadable_bodies(text: str, bodies: list[bytes]) -> None:
    for body in bodies:
        with pytest.raises(UnreadableAnswerError, match=f"^{text}$"):
            parse_answer(body, ())


@pytest.mark.parametrize(
    "body",
    [
        b'{"errcode":0,"msgid": ' + TOKEN.encode(),
        b"[" + json.dumps(TOKEN).encode() + b"]",
        b"\xff" + TOKEN.encode(),
        json.dumps({"errcode": TOKEN}).encode(),
        json.dumps({TOKEN: 1}).encode(),
        b'{"errcode": NaN, "x": "' + TOKEN.encode() + b'"}',
    ],
)
def test_error_quotes_nothing_of_the_body(body: bytes) -> None:
    with pytest.raises(UnreadableAnswerError) as caught:
        parse_answer(body, ())
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    assert all(TOKEN not in str(argument) for argument in error.args)
    assert TOKEN not in "".join(traceback.format_exception_only(error))


def test_bom_control_characters_and_broken_utf8() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a":"x\ty\n\x01","b":"\xe4\xbd"}') == {"a": "x\ty\n\x01", "b": "�"}


# ---------------------------------------------------------------- errmsg, rid and field


@pytest.mark.parametrize(("value", "errmsg"), [(None, ""), (1.5, "1.5"), (["x"], ""), ("a\ud800b", "a?b")])
def test_errmsg(value: object, errmsg: str) -> None:
    assert read({"errcode": 1, "errmsg": value}).errmsg == errmsg


def test_long_errmsg_is_cut_last() -> None:
    answer = read({"errcode": 1, "errmsg": "x" * 995 + TOKEN + "y" * 995 + f" rid: {RID}"}, TOKEN)
    assert answer.errmsg == "x" * 995 + "***yy"
    assert answer.rid == RID


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        *((errmsg, RID) for errmsg in (f"rid:{RID}", f"参数错误rid: {RID}", f"hint [a: b] Rid: {RID}, more")),
        ("cut rid: 66695e1c-5d4a8e9f-", "66695e1c-5d4a8e9f"),
        ("cut rid: 66695e1c", "66695e1c"),
        *(
            (errmsg, None)
            for errmsg in ("cut rid: ", "cut rid", f"grid: {RID}", "rid: failed", f"rid: {RID}z")
        ),
        ("rid: " + "a" * 60_000 + "z", None),
        ("rid:" + " " * 60_000 + "z", None),
    ],
)
def test_rid(errmsg: str, rid: str | None) -> None:
    assert read({"errcode": 40001, "errmsg": errmsg}).rid == rid


@pytest.mark.parametrize(
    "text",
    [
        "argument invalid! data.{}.value invalid rid: " + RID,
        "argument invalid! data.{}.value isinvalid",
        "argument invalid! hint: [Ab1_] data.{}.value is emtpy",
        "argument invalid! data.{}.value i rid:",
        "data.{}.value",
    ],
)
def test_field_of_47003(text: str) -> None:
    """In every reported text."""
    keys = ["phrase10", "enum_string2", "thing01", "first", "Name1"]
    assert [read({"errcode": 47003, "errmsg": text.format(key)}).field for key in keys] == keys
    assert read({"errcode": 47001, "errmsg": text.format("thing1")}).field is None


@pytest.mark.parametrize("errmsg", ["argument invalid!", "data..value", "data.1.value", "data1thing.value"])
def test_47003_without_a_key(errmsg: str) -> None:
    assert read({"errcode": 47003, "errmsg": errmsg}).field is None


def test_no_pattern_backtracks() -> None:
    """A repeat gives nothing back that it took: each is followed by a plus."""
    patterns = [value.pattern for value in vars(answers).values() if isinstance(value, re.Pattern)]
    assert len(patterns) == 3
    for pattern in patterns:
        others = re.sub(r"\[[^]]*\]|[*+?}]\+", "", pattern)
        assert not re.search(r"[*+}]|(?<!\()\?", others), pattern


# ---------------------------------------------------------------- no secret in it


@pytest.mark.parametrize(
    ("text", "secrets", "redacted"),
    [
        ("a 57_a/b@c, t=57_a%2Fb%40c&", ["57_a/b@c"], "a ***, t=***&"),
        ("abc-def abc", ["abc", "abc-def"], "*** ***"),
        ("invalid credential", ["", "absent"], "invalid credential"),
        ("abc", ["abc"], "***"),
    ],
)
def test_redaction(text: str, secrets: list[str], redacted: str) -> None:
    assert redact(text, secrets) == redacted


def test_errmsg_is_redacted() -> None:
    answer = read({"errcode": 40003, "errmsg": f"invalid openid {OPENID} rid: {RID}"}, TOKEN, "", OPENID)
    assert answer.errmsg == f"invalid openid *** rid: {RID}"
    assert answer.rid == RID


@quick
@given(st.lists(secret_texts, min_size=1, max_size=4), st.data())
def test_redacted_text_holds_no_secret(secrets: list[str], data: st.DataObject) -> None:
    spellings = [*secrets, *(quote(secret, safe="") for secret in secrets)]
    text = "".join(
        data.draw(st.lists(st.sampled_from(spellings) | st.text("abc09 -%", max_size=6), max_size=8))
    )
    answer = read({"errcode": 47003, "errmsg": text}, *secrets)
    assert not [spelling for spelling in spellings if spelling in answer.errmsg]


# ---------------------------------------------------------------- anything at all

named = st.dictionaries(st.sampled_from(["errcode", "errCode", "errmsg", "errMsg", "msgid"]), json_values)


@quick
@given(st.binary(max_size=200) | (json_values | named).map(lambda value: json.dumps(value).encode()))
def test_anything_is_read_or_unreadable(body: bytes) -> None:
    try:
        answer = parse_answer(body, (TOKEN,))
    except UnreadableAnswerError:
        return
    assert type(answer.errcode) is int
    assert answer.msgid is None or answer.msgid > 0
    assert len(answer.errmsg.encode()) <= 4 * 1000
