from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.messages.bodies import quick
from wechat_notify.core.errors import MalformedBodyError
from wechat_notify.core.messages.strict_json import parse_json, written_out
from wechat_notify.core.texts import Bilingual


def refusal(body: str | bytes) -> Bilingual:
    with pytest.raises(MalformedBodyError) as refused:
        parse_json(body)
    error = refused.value
    assert str(error) == error.text.en
    assert error.__cause__ is error.__context__ is None
    return error.text


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (' {"a": [1, true, false, null, "x"]}\n', {"a": [1, True, False, None, "x"]}),
        (b'{"\xe5\xb7\xa7": "\xf0\x9f\x98\x80"}', {"巧": "😀"}),
        (r'{"a":"\ud83d\uDE00 \u4e2d","b":1.5}', {"a": "😀 中", "b": Decimal("1.5")}),
        (r'"\u0000\u001f"', "\x00\x1f"),
        (r'"\\ud800"', r"\ud800"),
        ('{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        ("9007199254740993", 9007199254740993),
        ("null", None),
        ("\ufeff{}", {}),
        (b'\xef\xbb\xbf  {"a": 1}', {"a": 1}),
    ],
)
def test_json_is_read(body: str | bytes, value: object) -> None:
    assert parse_json(body) == value


OUT_OF_RANGE = Bilingual("a number is out of range", "数字超出范围")


@pytest.mark.parametrize(
    ("en", "zh", "bodies"),
    [
        ("the body is empty", "请求体为空", ["", b"", "  \n\t", "\ufeff"]),
        ("the body is not UTF-8", "请求体不是 UTF-8 编码", [b'"\xff"', b'"\xed\xa0\x80"']),
        (
            "a key is given twice in one object",
            "同一对象中有重复的键",
            ['{"openid-1": 1, "openid-1": 1}', r'{"a": 1, "\u0061": 2}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'],
        ),
        (
            "the body holds half of a surrogate pair",
            "请求体含不成对的代理字符",
            [
                r'"openid-1\ud800"',
                r'"\uDFFF"',
                r'"\ude00\ud83d"',
                r'{"\ud800": 1}',
                '"\ud800"',
                '{"\udfff": 1}',
            ],
        ),
        ("NaN is not JSON", "NaN 不是合法的 JSON", ["NaN", '{"a": NaN}']),
        ("-Infinity is not JSON", "-Infinity 不是合法的 JSON", ["[-Infinity]"]),
        ("the body holds a number that is too long", "请求体含有过长的数字", ["9" * 5000]),
        ("the body is nested too deeply", "请求体嵌套过深", ["[" * 100_000, '{"a":' * 100_000]),
    ],
)
def test_a_problem_is_told(en: str, zh: str, bodies: list[str | bytes]) -> None:
    """In words that quote nothing of the body."""
    assert [refusal(body) for body in bodies] == [Bilingual(en, zh)] * len(bodies)


@pytest.mark.parametrize(
    ("body", "what", "line", "column"),
    [
        ("{'a': 1}", "Expecting property name enclosed in double quotes", 1, 2),
        ("\ufeff\ufeff{}", "Expecting value", 1, 1),
        ("{}\ufeff", "Extra data", 1, 3),
        ('"a\nb"', "Invalid control character", 1, 3),
        ('"openid-1', "Unterminated string starting", 1, 1),
        ('{"touser":\n "oABC" "secret"}', "Expecting ',' delimiter", 2, 9),
    ],
)
def test_the_place_of_an_error(body: str, what: str, line: int, column: int) -> None:
    english = f"the body is not JSON: {what} at line {line}, column {column}"
    assert refusal(body) == Bilingual(english, f"请求体不是合法的 JSON：第 {line} 行第 {column} 列")


@pytest.mark.parametrize("body", ['{"a": 1,}', r'"\x41"'])
def test_texts_that_differ_between_pythons(body: str) -> None:
    assert refusal(body).en.startswith("the body is not JSON: ")
    assert "at at" not in refusal(body).en


@pytest.mark.parametrize(
    ("number", "written"),
    [
        *((number, number) for number in ("39.80", "-0.0", "1234567890123456.789012345678901")),
        ("1e3", "1000"),
        ("-1.5e-7", "-0.00000015"),
        ("0." + "0" * 50_000 + "1", "0." + "0" * 50_000 + "1"),
        # A number may grow by 400 digits.
        ("1E405", "1" + "0" * 405),
        ("1E-406", "0." + "0" * 405 + "1"),
    ],
    ids=lambda number: number[:20],
)
def test_a_decimal_keeps_its_digits(number: str, written: str) -> None:
    value = parse_json(number)
    assert isinstance(value, Decimal)
    assert written_out(value) == written


@pytest.mark.parametrize(
    "number", ["1E406", "1E-407", "-1E+408", "1E+240000000", "0E+999999999", "1e" + "9" * 30]
)
def test_a_decimal_grows_too_much(number: str) -> None:
    assert refusal(number) == OUT_OF_RANGE


json_like_text = st.lists(
    st.sampled_from(
        [*'{}[]:,"\\', '"a"', "\\u", "d800", "\\ud83d\\ude00", "1", "e9", "-", ".", "NaN", "null", "中"]
    ),
    max_size=15,
).map("".join)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@quick
@given(st.text() | st.text(st.characters()) | st.binary() | json_like_text)
def test_anything_is_read_or_refused(body: str | bytes) -> None:
    """What is read can go to WeChat and to the queue."""
    try:
        value = parse_json(body)
    except MalformedBodyError:
        return
    json.dumps(value, ensure_ascii=False, default=str, allow_nan=False).encode()


@quick
@given(json_values, st.booleans(), st.booleans())
def test_json_is_read_as_python_does(value: object, ascii_only: bool, as_bytes: bool) -> None:  # noqa: FBT001
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text.encode() if as_bytes else text) == value
