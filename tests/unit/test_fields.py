from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wechat_notify.core.messages.findings import Finding
from wechat_notify.core.messages.keyword_rules import check_keyword, field_type

quick = settings(max_examples=80, deadline=None, derandomize=True)

Limit = int | str | None

CHINESE = re.compile("[\u4e00-\u9fff]")
TYPES = [
    "thing",
    "number",
    "letter",
    "symbol",
    "character_string",
    "time",
    "date",
    "amount",
    "phone_number",
    "car_number",
    "name",
    "phrase",
]
UNOFFICIAL_TYPES = ["short_thing", "const"]
LEGACY_KEYS = ["first", "keyword1", "remark"]

TIME = "HH:MM[:SS]"
DATE = "YYYY-MM-DD [HH:MM]"
AMOUNT = "¥ + 10 digits"
PHONE = "digits and symbols"


def findings(key: str, value: str, *, legacy: bool = False) -> list[Finding]:
    found = list(check_keyword(key, value, official_account_template=legacy))
    for finding in found:
        assert finding.text.en.isascii() or "元" in finding.text.en
        assert CHINESE.search(finding.text.zh)
    return found


def refusals(key: str, value: str) -> list[tuple[str, Limit]]:
    return [(found.rule, found.limit) for found in findings(key, value) if found.certain]


def warnings(key: str, value: str, *, legacy: bool = False) -> list[tuple[str, Limit]]:
    return [(found.rule, found.limit) for found in findings(key, value, legacy=legacy) if not found.certain]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("thing1", "thing"),
        ("thing01", "thing"),
        ("thing", "thing"),
        ("short_thing1", "short_thing"),
        ("character_string12", "character_string"),
        ("phone_number3", "phone_number"),
        ("enum_string2", "enum_string"),
        ("keyword10", "keyword"),
        ("first", "first"),
        ("thing1x", "thing1x"),
        ("1thing", "1thing"),
        ("thing_1", "thing_"),
        ("12", ""),
        ("", ""),
    ],
)
def test_the_type_is_the_key_without_its_trailing_digits(key: str, kind: str) -> None:
    assert field_type(key) == kind


@quick
@given(st.from_regex(r"[a-z_]*[a-z_]", fullmatch=True), st.from_regex("[0-9]{0,6}", fullmatch=True))
def test_any_index_leaves_the_type(kind: str, index: str) -> None:
    assert field_type(kind + index) == kind
    assert field_type(field_type(kind + index)) == kind


# The documentation's own examples and those of its limits that are exactly reached.
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thing1", "巧克力"),
        ("thing01", "Tencent WeChat HQ 1!"),
        ("thing1", "一" * 20),
        ("number1", "339208499"),
        ("number1", "0"),
        ("number1", "39.80"),
        ("number1", "1" * 32),
        ("letter1", "a"),
        ("letter1", "Az" * 16),
        ("symbol1", "!@#%&"),
        ("symbol1", "，。！？、"),
        ("symbol1", "¥"),
        ("character_string1", "A-1_2/3"),
        ("character_string1", "~" * 32),
        ("time1", "15:01"),
        ("time1", "15:01:59"),
        ("time1", "00:00"),
        ("time1", "23:59:59"),
        ("time1", "9:05"),
        ("time1", "2019年10月1日 15:01"),
        ("time1", "2019年10月1日15:01"),
        ("time7", "2019年8月8日"),
        ("time1", "15:01~16:01"),
        ("time1", "2019年10月1日 15:01~2019年10月2日 15:01"),
        ("time1", "2019-10-01 15:01:00~16:01:00"),
        ("date1", "2019年10月1日"),
        ("date1", "2019年10月"),
        ("date1", "10月1日"),
        ("date1", "2018-01-01"),
        ("date1", "2018/01/01"),
        ("date1", "2018.01.01"),
        ("date1", "2018-01"),
        ("date1", "01-01"),
        ("date2", "2019-12-25 09:42"),
        ("date1", "2019年10月1日 15:01"),
        ("date1", "2019年10月1日~2019年10月3日"),
        ("date1", "2019-12-25 09:42~10:42"),
        ("amount1", "¥1234567890"),
        ("amount1", "¥39.8"),
        ("amount1", "￥39.8元"),
        ("amount1", "$5"),
        ("amount1", "€0.01"),
        ("amount1", "39.8元"),
        ("phone_number1", "+86-0766-66888866"),
        ("phone_number1", "13800138000"),
        ("phone_number1", "(0766)#66*1 2"),
        ("car_number1", "粤A8Z888挂"),
        ("car_number1", "粤A8Z888"),
        ("car_number1", "A8Z888"),
        ("car_number1", "使014578"),
        ("name1", "张三"),
        ("name1", "一" * 10),
        ("name1", "a" * 20),
        ("name1", "John O'Neil-Smith"),
        ("name1", "张三 Zhang"),
        ("phrase1", "配送中"),
        ("phrase3", "审核通过"),
        ("phrase1", "略略略略略"),
        ("phrase1", "二〇二四年"),
        ("phrase1", "人人㐀𠀀々"),
        ("short_thing1", "hello"),
        ("const1", "c" * 20),
        ("enum_string2", "已支付"),
        ("site01", "TIT创意园"),
        ("other1", "x" * 5000),
        ("keyword1", "巧克力😀" * 30),
        ("THING1", "x" * 100),
        ("thing1x", "x" * 100),
        ("any_thing1", "x" * 100),
        ("my_name1", "9" * 100),
        ("12", "x" * 100),
    ],
)
def test_passes_without_a_word(key: str, value: str) -> None:
    assert findings(key, value) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("thing1", "", [("empty", 1)]),
        ("thing1", "一" * 21, [("max_length", 20)]),
        ("thing99", "x" * 21, [("max_length", 20)]),
        ("number1", "1,000", [("format", "digits")]),
        ("number1", "12a", [("format", "digits")]),
        ("number1", "1.2.3", [("format", "digits")]),
        ("number1", ".5", [("format", "digits")]),
        ("number1", "5.", [("format", "digits")]),
        ("number1", "1e3", [("format", "digits")]),
        ("number1", "１２", [("format", "digits")]),
        ("number1", "一", [("format", "digits")]),
        ("number1", "   ", [("format", "digits")]),
        ("number1", "12\n", [("format", "digits")]),
        ("number1", "1" * 33, [("max_length", 32)]),
        ("number1", "1" * 30 + ".123", [("max_length", 32)]),
        ("number1", "一" + "1" * 33, [("format", "digits"), ("max_length", 32)]),
        ("letter1", "abc1", [("format", "letters")]),
        ("letter1", "a b", [("format", "letters")]),
        ("letter1", "é", [("format", "letters")]),
        ("letter1", "字", [("format", "letters")]),
        ("letter1", "a" * 33, [("max_length", 32)]),
        ("letter1", "1" * 33, [("max_length", 32), ("format", "letters")]),
        ("symbol1", "a", [("format", "symbols")]),
        ("symbol1", "1", [("format", "symbols")]),
        ("symbol1", "中", [("format", "symbols")]),
        ("symbol1", "! !", [("format", "symbols")]),
        ("symbol1", "!\n", [("format", "symbols")]),
        ("symbol1", " ", [("format", "symbols")]),
        ("symbol1", "!!!!!!", [("max_length", 5)]),
        ("character_string1", "订单1", [("format", "ascii")]),
        ("character_string1", "a" * 33, [("max_length", 32)]),
        ("time1", "2022-01-27 15:00-16:00", [("format", TIME)]),
        ("time1", "24:00", [("format", TIME)]),
        ("time1", "15:60", [("format", TIME)]),
        ("time1", "15:01:60", [("format", TIME)]),
        ("time1", "3:01 PM", [("format", TIME)]),
        ("time1", "下午3:01", [("format", TIME)]),
        ("time1", "15点01分", [("format", TIME)]),
        ("time1", "15:01~", [("format", TIME)]),
        ("time1", "15:01~16:01~17:01", [("format", TIME)]),
        ("time1", "1５:01", [("format", TIME)]),
        ("time1", "15:01 October 1, 2019", [("format", TIME)]),
        ("time1", "now", [("format", TIME)]),
        ("date1", "15:01", [("format", DATE)]),
        ("date1", "15:01~16:01", [("format", DATE)]),
        ("date1", "15:01~2019-10-01", [("format", DATE)]),
        ("date1", "October 1, 2019", [("format", DATE)]),
        ("date1", "20191001", [("format", DATE)]),
        ("date1", "2019-10-01T15:01", [("format", DATE)]),
        ("date1", "19年10月1日", [("format", DATE)]),
        ("date1", "2019-10-01 25:00", [("format", DATE)]),
        ("date1", "2019-10-01-2019-10-02", [("format", DATE)]),
        ("amount1", "¥12345678901", [("format", AMOUNT)]),
        ("amount1", "¥¥1", [("format", AMOUNT)]),
        ("amount1", "-5元", [("format", AMOUNT)]),
        ("amount1", "¥1,000.00", [("format", AMOUNT)]),
        ("amount1", "¥", [("format", AMOUNT)]),
        ("amount1", "免费", [("format", AMOUNT)]),
        ("amount1", "RMB5", [("format", AMOUNT)]),
        ("amount1", "¥5美元", [("format", AMOUNT)]),
        ("amount1", "¥５", [("format", AMOUNT)]),
        ("phone_number1", "+ 866-0766-66888866", [("max_length", 17)]),
        ("phone_number1", "1" * 18, [("max_length", 17)]),
        ("phone_number1", "ext 5", [("format", PHONE)]),
        ("phone_number1", "电话5", [("format", PHONE)]),
        ("phone_number1", "１３８", [("format", PHONE)]),
        ("car_number1", "粤A8Z8888挂", [("max_length", 8)]),
        ("car_number1", "粤粤A888", [("format", "粤A8Z888挂")]),
        ("car_number1", "粤A 8Z88", [("format", "粤A8Z888挂")]),
        ("car_number1", "A8Z-888", [("format", "粤A8Z888挂")]),
        ("name1", "用户410774", [("format", "letters")]),
        ("name1", "Agent 7", [("format", "letters")]),
        ("name1", "一" * 11, [("max_length", 10)]),
        ("name1", "张" + "a" * 10, [("max_length", 10)]),
        ("name1", "a" * 21, [("max_length", 20)]),
        ("name1", "张1" + "a" * 10, [("format", "letters"), ("max_length", 10)]),
        ("phrase1", "略略略略略略", [("max_length", 5)]),
        ("phrase3", "approved", [("max_length", 5), ("format", "Chinese characters")]),
        ("phrase1", "已OK", [("format", "Chinese characters")]),
        ("phrase1", "配送中！", [("format", "Chinese characters")]),
        ("phrase1", "配 送", [("format", "Chinese characters")]),
        ("phrase1", "第1", [("format", "Chinese characters")]),
    ],
)
def test_is_refused(key: str, value: str, expected: list[tuple[str, Limit]]) -> None:
    assert refusals(key, value) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("thing1", " ", [("empty", 1)]),
        ("name1", "\u3000", [("empty", 1)]),
        ("site01", "", [("empty", 1)]),
        ("keyword1", "", [("empty", 1)]),
        ("short_thing1", "", [("empty", 1)]),
        ("const1", "", [("empty", 1)]),
        ("thing1", "你好😀", [("emoji", None)]),
        ("thing1", "晴☀", [("emoji", None)]),
        ("short_thing1", "123456", [("max_length", 5)]),
        ("const1", "c" * 21, [("max_length", 20)]),
        ("number1", "-5", [("sign", None)]),
        ("number1", "+5.5", [("sign", None)]),
        ("number1", "1" * 30 + ".12", [("max_length", None)]),
        ("character_string1", "a b", [("characters", None)]),
        ("character_string1", "ａ", [("characters", None)]),
        ("character_string1", "a，b", [("characters", None)]),
        ("time1", "15:00 ~16:00", [("white_space", None)]),
        ("time1", "15:00~ 16:00", [("white_space", None)]),
        ("time1", "15:00 ~ 16:00", [("white_space", None)]),
        ("date1", "2019-10-01 ~ 2019-10-02", [("white_space", None)]),
        ("amount1", "39.8", [("currency", None)]),
        ("phone_number1", "0766.66888866", [("characters", None)]),
        ("thing1", "一\n二", [("line_break", None)]),
        ("thing1", "一\t二", [("line_break", None)]),
        ("site01", "一\u2028二", [("line_break", None)]),
        ("keyword1", "一\r\n二", [("line_break", None)]),
    ],
)
def test_passes_with_a_warning(key: str, value: str, expected: list[tuple[str, Limit]]) -> None:
    assert warnings(key, value) == expected
    assert refusals(key, value) == []


@pytest.mark.parametrize("kind", TYPES)
def test_an_official_type_is_never_empty(kind: str) -> None:
    assert refusals(f"{kind}1", "") == [("empty", 1)]


@pytest.mark.parametrize(
    "kind", ["number", "letter", "symbol", "time", "date", "amount", "car_number", "phrase"]
)
def test_white_space_alone_has_no_documented_form(kind: str) -> None:
    assert [rule for rule, _ in refusals(f"{kind}1", "  ")] == ["format"]
    assert warnings(f"{kind}1", "  ")[0] == ("empty", 1)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("first", "您好", [("dropped", None)]),
        ("remark", "谢谢", [("dropped", None)]),
        ("remark", "谢谢😀", [("dropped", None), ("emoji", None)]),
        ("keyword1", "x" * 20, []),
        ("keyword1", "x" * 21, [("max_length", 20)]),
        ("keyword12", "x😀", [("emoji", None)]),
        ("keyword1", "一\n二", [("line_break", None)]),
        ("other1", "x" * 21 + "😀", []),
        ("short_thing1", "123456", [("max_length", 5)]),
    ],
)
def test_legacy_keywords_of_a_template_message_only_warn(
    key: str, value: str, expected: list[tuple[str, Limit]]
) -> None:
    assert warnings(key, value, legacy=True) == expected
    assert not any(found.certain for found in findings(key, value, legacy=True))


@pytest.mark.parametrize("key", LEGACY_KEYS)
def test_legacy_rules_hold_for_template_messages_only(key: str) -> None:
    assert findings(key, "x" * 21 + "😀") == []


def test_a_type_of_the_library_is_refused_in_a_template_message_too() -> None:
    assert [found.rule for found in findings("thing1", "x" * 21, legacy=True) if found.certain] == [
        "max_length"
    ]


DATE_FORM = (
    r"(?:[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日|[0-9]{4}年[0-9]{1,2}月|[0-9]{1,2}月[0-9]{1,2}日"
    r"|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{4}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2})"
)
TIME_FORM = r"(?:(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?)"
TIME_VALUE = rf"(?:(?:{DATE_FORM} ?)?{TIME_FORM}|{DATE_FORM})"
DATE_VALUE = rf"{DATE_FORM}(?: ?{TIME_FORM})?"
HAN = "[\u4e00-\u9fff]"
# What the documentation says may stand there, written down a second time.
DOCUMENTED = {
    "thing": r"[!-~一-鿿]{1,20}",
    "number": r"[0-9]{1,20}(?:\.[0-9]{1,10})?",
    "letter": "[A-Za-z]{1,32}",
    "symbol": r"[!-/:-@\[-`{-~。，、￥…]{1,5}",
    "character_string": "[!-~]{1,32}",
    "time": f"{TIME_VALUE}(?:~{TIME_VALUE})?",
    "date": f"{DATE_VALUE}(?:~{DATE_VALUE})?",
    "amount": r"[¥￥$€£][0-9]{1,10}(?:\.[0-9]{1,2})?元?",
    "phone_number": r"[0-9+\-()#*]{1,17}",
    "car_number": f"(?:{HAN}|[A-Za-z0-9])[A-Za-z0-9]{{0,6}}(?:{HAN}|[A-Za-z0-9])?",
    "name": f"{HAN}{{1,10}}|[A-Za-z]{{1,20}}|{HAN}[A-Za-z]{{1,9}}",
    "phrase": f"{HAN}{{1,5}}",
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_documented_form_passes(kind: str) -> None:
    @settings(quick, max_examples=20)
    @given(st.from_regex(DOCUMENTED[kind], fullmatch=True))
    def passes(value: str) -> None:
        assert findings(f"{kind}1", value) == []

    passes()


# Forms that the documentation leaves open pass too, so these are what a value may be at the very most.
MAX_AT = {
    "thing": "(?s:.){1,20}",
    "number": r"[+-]?[0-9]{1,32}(?:\.[0-9]+)?",
    "letter": "[A-Za-z]{1,32}",
    "symbol": r"[^A-Za-z0-9\s\u4e00-\u9fff]{1,5}",
    "character_string": "[^\u4e00-\u9fff]{1,32}",
    "time": rf"{TIME_VALUE}(?:\s*~\s*{TIME_VALUE})?",
    "date": rf"{DATE_VALUE}(?:\s*~\s*{TIME_VALUE})?",
    "amount": r"[^\w\s-]?[0-9]{1,10}(?:\.[0-9]+)?元?",
    "phone_number": r"[^A-Za-z\u4e00-\u9fff]{1,17}",
    "car_number": f"(?:{HAN}|[A-Za-z0-9])[A-Za-z0-9]{{0,6}}(?:{HAN}|[A-Za-z0-9])?",
    "name": r"[^\d]{1,20}",
    "phrase": f"{HAN}{{1,5}}",
}
# Characters that sit on the rules' borders, and forms that are one change away from a right one.
near_misses = st.lists(
    st.sampled_from([*"0159:~-/.+ ¥$aZ年月日元中粤(#😀，\n", "2019", "15:01", "2019-10-01", "10月1日"]),
    max_size=7,
).map("".join)


@pytest.mark.parametrize("kind", TYPES)
def test_nothing_else_passes(kind: str) -> None:
    @quick
    @given(near_misses | st.from_regex(DOCUMENTED[kind], fullmatch=True).map(lambda value: value + value))
    def holds(value: str) -> None:
        if refusals(f"{kind}1", value) == []:
            assert re.fullmatch(MAX_AT[kind], value)

    holds()


keys = st.sampled_from([*TYPES, *UNOFFICIAL_TYPES, *LEGACY_KEYS, "enum_string", "site", ""]).map(
    lambda kind: f"{kind}1"
) | st.text(max_size=20)


@quick
@given(key=keys, value=st.text(max_size=40) | near_misses, legacy=st.booleans())
def test_every_finding_speaks_both_languages_and_knows_its_type(
    key: str, value: str, *, legacy: bool
) -> None:
    found = findings(key, value, legacy=legacy)
    for finding in found:
        assert finding.rule
        assert finding.text.en
        if isinstance(finding.limit, int) and finding.rule == "max_length":
            assert str(finding.limit) in finding.text.en
            assert str(finding.limit) in finding.text.zh
    if field_type(key) not in TYPES:
        assert not any(finding.certain for finding in found)


@quick
@given(st.text(max_size=60))
def test_a_thing_is_refused_for_its_length_alone(value: str) -> None:
    assert bool(refusals("thing1", value)) == (not 1 <= len(value) <= 20)
