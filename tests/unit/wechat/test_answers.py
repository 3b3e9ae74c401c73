from __future__ import annotations

import json
import re
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wechat_notify.wechat import answers, client, outcomes
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


def test_success() -> None:
    body = b'{"errcode":0,"errmsg":"ok","msgid":3248682510344192008}'
    assert parse_answer(body, ()) == Answer(0, "ok", None, 3248682510344192008, None)


def test_refusal() -> None:
    answer = read({"errcode": 43101, "errmsg": f"user refuse to accept the msg rid: {RID}"})
    assert (answer.errcode, answer.rid, answer.msgid, answer.field) == (43101, RID, None, None)


@pytest.mark.parametrize(
    ("payload", "errcode"),
    [
        ({"errcode": 40001}, 40001),
        ({"errcode": "200014"}, 200014),
        ({"errcode": "-1"}, -1),
        ({"errcode": -1}, -1),
        ({"errCode": 43101, "errMsg": "openapi.subscribeMessage.send:fail"}, 43101),
        ({"errcode": 43101, "errCode": 0}, 43101),
        ({"msgid": 1}, 0),
        ({"msgid": "1864323726461255680", "errmsg": "ok"}, 0),
    ],
)
def test_errcode(payload: dict[str, object], errcode: int) -> None:
    assert read(payload).errcode == errcode


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        0.0,
        1e300,
        [],
        {},
        "",
        " 0",
        "0.0",
        "0x1",
        "1e3",
        "٣",
        "²",
        "--1",
        2**63,
        "9" * 40,
        pytest.param("9" * 5000, id="long"),
    ],
)
def test_errcode_that_is_no_integer(value: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        read({"errcode": value, "msgid": 1})


@pytest.mark.parametrize("payload", [{}, {"errmsg": "ok"}, {"msgid": 0}, {"msgid": "x"}, {"msgid": None}])
def test_neither_errcode_nor_msgid(payload: dict[str, object]) -> None:
    with pytest.raises(UnreadableAnswerError):
        read(payload)


@pytest.mark.parametrize(
    ("value", "msgid"),
    [
        (1, 1),
        (2**53 + 1, 2**53 + 1),
        ("1864323726461255681", 1864323726461255681),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (0, None),
        (-5, None),
        ("0", None),
        ("", None),
        ("12a", None),
        (True, None),
        (1.0, None),
        ([1], None),
        (None, None),
    ],
)
def test_msgid(value: object, msgid: int | None) -> None:
    assert read({"errcode": 0, "msgid": value}).msgid == msgid


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \r\n",
        b"\xef\xbb\xbf",
        b'{"errcode":0,"errmsg":"o',
        b"<html><body>502 Bad Gateway</body></html>",
        b"null",
        b"0",
        b'"ok"',
        b'[{"errcode":0}]',
        b'{"errcode":NaN}',
        b'{"errcode":0,"x":Infinity}',
        b'{"errcode":' + b"9" * 5000 + b"}",
        b'{"errcode":0,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"errcode":0,"x":' + b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_unreadable_bodies(body: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        parse_answer(body, ())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b" \r\n", "the answer is empty"),
        (b"null", "the answer is not a JSON object"),
        (b'{"errCode":"x"}', "the answer's errCode is not an integer"),
        (b"{}", "the answer has neither errcode nor msgid"),
    ],
)
def test_texts_of_unreadable_bodies(body: bytes, text: str) -> None:
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


def test_lone_surrogate_in_errmsg() -> None:
    assert parse_answer(b'{"errcode":1,"errmsg":"a\\ud800b"}', ()).errmsg.encode() == b"a?b"


@pytest.mark.parametrize(
    ("value", "errmsg"), [(None, ""), (42, "42"), (1.5, "1.5"), ({"a": 1}, ""), (["x"], ""), ("ok", "ok")]
)
def test_errmsg(value: object, errmsg: str) -> None:
    assert read({"errcode": 1, "errmsg": value}).errmsg == errmsg


def test_missing_errmsg_and_cloud_spelling() -> None:
    assert read({"errcode": 1}).errmsg == ""
    assert read({"errCode": 0, "errMsg": "openapi.x:ok"}).errmsg == "openapi.x:ok"


def test_long_errmsg_is_cut_last() -> None:
    answer = read({"errcode": 1, "errmsg": "x" * 995 + TOKEN + "y" * 995 + f" rid: {RID}"}, TOKEN)
    assert answer.errmsg == "x" * 995 + "***yy"
    assert answer.rid == RID


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        (f"invalid credential rid: {RID}", RID),
        (f"invalid credential rid:{RID}", RID),
        (f"rid: {RID}, hint: [Zk3]", RID),
        (f"hints: [ req_id: abc ] rid: {RID} more", RID),
        (f"参数错误rid: {RID}", RID),
        ("cut rid: 66695e1c-5d4a8e9f-", "66695e1c-5d4a8e9f"),
        ("cut rid: 66695e1c", "66695e1c"),
        ("cut rid: ", None),
        ("cut rid:", None),
        ("cut rid", None),
        (f"grid: {RID}", None),
        ("rid: failed", None),
        ("rid: 66695e1c-5d4a8e9fz", None),
        ("rid: " + "a" * 60_000 + "z", None),
        ("rid:" + " " * 60_000 + "z", None),
        ("ok", None),
    ],
)
def test_rid(errmsg: str, rid: str | None) -> None:
    assert read({"errcode": 40001, "errmsg": errmsg}).rid == rid


KEYS = ["phrase10", "enum_string2", "keyword1", "thing01", "short_thing12", "first", "name1", "car_number1"]


@pytest.mark.parametrize(
    "text",
    [
        "argument invalid! data.{}.value invalid rid: " + RID,
        "argument invalid! data.{}.value isinvalid",
        "argument invalid! hint: [Ab1_] data.{}.value invalid",
        "argument invalid! data.{}.value is emtpy",
        "argument invalid! data.{}.value is empty rid: " + RID,
        "argument invalid! data.{}.value i rid:",
        "data.{}.value",
    ],
)
def test_field_of_47003(text: str) -> None:
    """In every reported text."""
    assert [read({"errcode": 47003, "errmsg": text.format(key)}).field for key in KEYS] == KEYS


parse: Any = re._parser.parse  # type: ignore[attr-defined]  # sre_parse, of which typeshed knows nothing


def repeats_that_give_back(node: Any) -> bool:
    """Whether a parsed pattern holds a loop that could be taken again in another way."""
    if str(node) in {"MAX_REPEAT", "MIN_REPEAT"}:
        return True
    is_branch = isinstance(node, list | tuple | re._parser.SubPattern)  # type: ignore[attr-defined]  # as above
    return is_branch and any(repeats_that_give_back(each) for each in node)


PATTERNS = [
    (module.__name__, name, value)
    for module in (answers, client, outcomes)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
]


@pytest.mark.parametrize(("module", "name", "pattern"), PATTERNS)
def test_no_pattern_backtracks(module: str, name: str, pattern: re.Pattern[str]) -> None:
    assert not repeats_that_give_back(parse(pattern.pattern)), f"{module}.{name}"


def test_pattern_that_backtracks_is_found() -> None:
    assert {name for _, name, _ in PATTERNS} >= {"_DECIMAL", "_FIELD", "_RID"}
    for pattern in ("a+", "(?:a*b)++", "(a|b{2,})", "a+?"):
        assert repeats_that_give_back(parse(pattern)), pattern


@pytest.mark.parametrize("errmsg", ["argument invalid!", "data format error", "data..value", "data.1.value"])
def test_47003_without_a_key(errmsg: str) -> None:
    assert read({"errcode": 47003, "errmsg": errmsg}).field is None


def test_field_of_another_code() -> None:
    assert read({"errcode": 47001, "errmsg": "data.thing1.value invalid"}).field is None


def test_redaction_plain_and_quoted() -> None:
    token = "57_a/b+c@wx1"
    text = f"token {token} and {token}, access_token={quote(token, safe='')}&to={OPENID}"
    assert redact(text, (token, OPENID)) == "token *** and ***, access_token=***&to=***"


def test_redaction_of_the_longest_first() -> None:
    assert redact("abc-def abc", ["abc", "abc-def"]) == "*** ***"


def test_redaction_of_nothing() -> None:
    assert redact("invalid credential", ["", "absent"]) == "invalid credential"


def test_errmsg_is_redacted() -> None:
    answer = read({"errcode": 40003, "errmsg": f"invalid openid {OPENID} rid: {RID}"}, TOKEN, "", OPENID)
    assert answer.errmsg == f"invalid openid *** rid: {RID}"
    assert answer.rid == RID


@quick
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    try:
        answer = parse_answer(body, (TOKEN,))
    except UnreadableAnswerError:
        return
    assert isinstance(answer, Answer)


@quick
@given(
    json_values,
    st.dictionaries(st.sampled_from(["errcode", "errCode", "errmsg", "errMsg", "msgid"]), json_values),
)
def test_any_json(anything: object, named: dict[str, object]) -> None:
    for payload in (anything, named):
        try:
            answer = read(payload, TOKEN)
        except UnreadableAnswerError:
            continue
        assert type(answer.errcode) is int
        assert answer.msgid is None or answer.msgid > 0
        assert len(answer.errmsg.encode()) <= 4 * 1000


@quick
@given(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(1, 2**63 - 1), st.booleans())
def test_integers_as_numbers_and_strings(errcode: int, msgid: int, as_string: bool) -> None:  # noqa: FBT001 - drawn
    spelled = (str(errcode), str(msgid)) if as_string else (errcode, msgid)
    answer = read({"errcode": spelled[0], "msgid": spelled[1]})
    assert (answer.errcode, answer.msgid) == (errcode, msgid)


@quick
@given(st.lists(secret_texts, min_size=1, max_size=4), st.data())
def test_redacted_text_holds_no_secret(secrets: list[str], data: st.DataObject) -> None:
    spellings = [*secrets, *(quote(secret, safe="") for secret in secrets)]
    text = "".join(
        data.draw(st.lists(st.sampled_from(spellings) | st.text("abc09 -%", max_size=6), max_size=8))
    )
    answer = read({"errcode": 47003, "errmsg": text}, *secrets)
    assert not [spelling for spelling in spellings if spelling in answer.errmsg]


hex_groups = st.lists(st.text("0123456789abcdef", min_size=8, max_size=8), min_size=1, max_size=4).map(
    "-".join
)
field_keys = st.from_regex(r"[A-Za-z_]{1,12}[0-9]{0,3}", fullmatch=True)


@quick
@given(
    rid=hex_groups,
    key=field_keys,
    before=st.sampled_from(["", "argument invalid! ", "hint: [Zk-3] "]),
    verdict=st.sampled_from([" invalid", " is emtpy", " is empty", " i", ""]),
    mark=st.sampled_from([" rid: ", " rid:", ", rid: "]),
    after=st.sampled_from(["", " ", ", hints: [ req_id: x ]"]),
)
def test_rid_and_field_in_any_text(
    *, rid: str, key: str, before: str, verdict: str, mark: str, after: str
) -> None:
    answer = read({"errcode": 47003, "errmsg": f"{before}data.{key}.value{verdict}{mark}{rid}{after}"})
    assert (answer.rid, answer.field) == (rid, key)
