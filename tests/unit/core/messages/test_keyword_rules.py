"""The rules of ``data``: what passes, what is refused, and every text exactly."""

from __future__ import annotations

import pytest

from wechat_notify.core.messages.findings import Finding
from wechat_notify.core.messages.keyword_rules import check_keyword, field_type
from wechat_notify.core.texts import Bilingual

OFFICIAL = "thing number letter symbol character_string time date amount phone_number car_number name phrase"
TYPES = OFFICIAL.split()


def findings(key: str, value: str, *, template: bool = False) -> list[Finding]:
    return check_keyword(key, value, official_account_template=template)


def refusal(rule: str, en: str, zh: str, limit: int | str | None = None) -> Finding:
    return Finding(rule, Bilingual(en, zh), limit)


def warning(rule: str, en: str, zh: str, limit: int | str | None = None) -> Finding:
    return Finding(rule, Bilingual(en, zh), limit, certain=False)


def longest(limit: int) -> Finding:
    return refusal("max_length", f"must be at most {limit} characters", f"不能超过 {limit} 个字符", limit)


EMPTY = refusal("empty", "must not be empty", "不能为空", 1)
LINE_BREAK = warning("line_break", "line breaks may be refused or dropped", "换行符可能被拒绝或丢弃")
EMOJI = warning("emoji", "emoji may be refused", "表情符号可能被拒绝")
DIGITS = refusal("format", "must be digits, decimals allowed", "只能是数字，可带小数", "digits")
SIGN = warning("sign", "a sign may be refused", "正负号可能被拒绝")
MANY_DIGITS = refusal("max_length", "must be at most 32 digits", "不能超过 32 位数字", 32)
DOT = warning("max_length", "the decimal point may count as a digit", "小数点可能计入位数")
LETTERS = refusal("format", "must be letters only", "只能是字母", "letters")
SYMBOLS = refusal(
    "format",
    "must be symbols only: no letters, digits, Chinese or white space",
    "只能是符号，不能含中文、字母、数字、空白或换行",
    "symbols",
)
ASCII = refusal("format", "must be digits, letters or symbols", "只能是数字、字母或符号，不能含中文", "ascii")
WIDE = warning("characters", "white space and full-width symbols may be refused", "空格和全角符号可能被拒绝")
TIME = refusal(
    "format",
    "must be a 24-hour time, a date before it allowed, a range joined by ~",
    "必须是 24 小时制时间（可带年月日），时间段用 ~ 连接",
    "HH:MM[:SS]",
)
BLANKS = warning("white_space", "white space around ~ may be refused", "~ 前后的空格可能被拒绝")
NO_DATE = refusal("format", "must begin with a date", "必须以年月日开头", "YYYY-MM-DD [HH:MM]")
DATE = refusal(
    "format",
    "must be a date, a 24-hour time after it allowed, a range joined by ~",
    "必须是年月日（可带 24 小时制时间），时间段用 ~ 连接",
    "YYYY-MM-DD [HH:MM]",
)
AMOUNT = refusal(
    "format",
    "must be one currency sign, at most 10 digits, decimals allowed, 元 allowed at the end",
    "必须是 1 个币种符号加 10 位以内纯数字，可带小数，结尾可带“元”",
    "¥ + 10 digits",
)
CURRENCY = warning("currency", "a currency sign or 元 may be required", "可能需要币种符号或结尾的“元”")
PHONE = refusal("format", "must be digits and symbols", "只能是数字和符号", "digits and symbols")
OTHER_SYMBOLS = warning(
    "characters", "symbols other than + - ( ) # * may be refused", "除 + - ( ) # * 外的符号可能被拒绝"
)
CAR = refusal(
    "format",
    "must be letters and digits, the first and the last may be Chinese",
    "首位和末位可为汉字，其余为字母或数字",
    "粤A8Z888挂",
)
NO_DIGITS = refusal("format", "must hold no digits", "不能含数字", "letters")
CHINESE = refusal("format", "must be Chinese characters only", "只能是汉字", "Chinese characters")
DROPPED = warning("dropped", "WeChat no longer shows this keyword", "微信已不再展示该字段")
CUT = warning("max_length", "WeChat cuts it after 20 characters", "微信会截断到 20 个字符", 20)
NO_EMOJI = warning("emoji", "WeChat drops emoji", "微信会丢弃表情符号")
UNSURE_EMPTY = EMPTY._replace(certain=False)


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("thing1", [" ", "\u3000"], [UNSURE_EMPTY]),
        ("thing1", ["一" * 21, "x" * 21], [longest(20)]),
        ("thing1", ["你好😀", "晴☀", "©\ufe0f"], [EMOJI]),
        ("thing1", ["一\n二", "一\t二", "一\r\n二", "一\u2028二", "一\u2029二"], [LINE_BREAK]),
        ("thing", ["x" * 21], [longest(20)]),
        ("short_thing1", [""], [UNSURE_EMPTY]),
        ("short_thing1", ["123456"], [longest(5)._replace(certain=False)]),
        ("const1", [""], [UNSURE_EMPTY]),
        ("const1", ["c" * 21], [longest(20)._replace(certain=False)]),
        ("number1", ["1,000", "12a", "1.2.3", ".5", "5.", "１２"], [DIGITS]),
        ("number1", ["12\n"], [DIGITS, LINE_BREAK]),
        ("number1", ["-5", "+5.5"], [SIGN]),
        ("number1", ["1" * 33, "1" * 30 + ".123"], [MANY_DIGITS]),
        ("number1", ["一" + "1" * 33], [DIGITS, MANY_DIGITS]),
        ("number1", ["1" * 30 + ".12"], [DOT]),
        ("letter1", ["abc1", "a b", "é", "字"], [LETTERS]),
        ("letter1", ["a" * 33], [longest(32)]),
        ("letter1", ["1" * 33], [longest(32), LETTERS]),
        ("symbol1", ["a", "中", "! !", "!\u2028"], [SYMBOLS]),
        ("symbol1", [" "], [UNSURE_EMPTY, SYMBOLS]),
        ("symbol1", ["!!!!!!"], [longest(5)]),
        ("character_string1", ["订单1"], [ASCII]),
        ("character_string1", ["a" * 33], [longest(32)]),
        ("character_string1", ["a b", "ａ", "a，b"], [WIDE]),
        ("time1", ["24:00", "15:60", "15:01:60", "3:01 PM", "15:01~", "15:01~16:01~17:01", "1５:01"], [TIME]),
        ("time1", ["15:00 ~16:00", "15:00~ 16:00", "15:00 ~ 16:00"], [BLANKS]),
        ("date1", ["15:01", "15:01~16:01", "15:01~2019-10-01"], [NO_DATE]),
        ("date1", ["20191001", "2019-10-01T15:01", "2019-10-01  15:01"], [DATE]),
        ("date1", ["19年10月1日", "2019-10-01-2019-10-02"], [DATE]),
        ("date1", ["2019-10-01 ~ 2019-10-02"], [BLANKS]),
        ("amount1", ["¥12345678901", "¥¥1", "-5元", "¥1,000.00", "¥", "¥5美元", "¥５"], [AMOUNT]),
        ("amount1", ["39.8"], [CURRENCY]),
        ("phone_number1", ["+ 866-0766-66888866", "1" * 18], [longest(17)]),
        ("phone_number1", ["ext 5", "电话5", "１３８"], [PHONE]),
        ("phone_number1", ["0766.66888866"], [OTHER_SYMBOLS]),
        ("car_number1", ["粤A8Z8888挂"], [longest(8)]),
        ("car_number1", ["粤粤A888", "粤A 8Z88", "A8Z-888"], [CAR]),
        ("name1", ["用户410774", "Agent 7"], [NO_DIGITS]),
        ("name1", ["一" * 11, "张" + "a" * 10], [longest(10)]),
        ("name1", ["a" * 21], [longest(20)]),
        ("name1", ["张1" + "a" * 10], [NO_DIGITS, longest(10)]),
        ("phrase1", ["略略略略略略"], [longest(5)]),
        ("phrase1", ["approved"], [longest(5), CHINESE]),
        ("phrase1", ["已OK", "配送中！", "配 送", "第1"], [CHINESE]),
        ("site01", [""], [UNSURE_EMPTY]),
        ("site01", ["一\u2028二"], [LINE_BREAK]),
        ("keyword1", [""], [UNSURE_EMPTY]),
        ("keyword1", ["一\r\n二"], [LINE_BREAK]),
    ],
)
def test_findings(key: str, values: list[str], expected: list[Finding]) -> None:
    assert {value: findings(key, value) for value in values} == dict.fromkeys(values, expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("first", "您好", [DROPPED]),
        ("remark", "谢谢😀", [DROPPED, NO_EMOJI]),
        ("keyword1", "x" * 20, []),
        ("keyword1", "x" * 21, [CUT]),
        ("keyword12", "x😀", [NO_EMOJI]),
        ("keyword1", "一\n二", [LINE_BREAK]),
        ("other1", "x" * 21 + "😀", []),
        ("thing1", "x" * 21, [longest(20)]),
        ("thing", "x" * 21, []),
        ("thing", "", [UNSURE_EMPTY]),
    ],
)
def test_findings_in_a_template_message(key: str, value: str, expected: list[Finding]) -> None:
    assert findings(key, value, template=True) == expected


# The documentation's own examples and those of its limits that are exactly reached.
PASSING = {
    "thing1": ["巧克力", "Tencent WeChat HQ 1!", "一" * 20],
    "number1": ["339208499", "0", "39.80", "1" * 32, "1" * 30 + ".1"],
    "letter1": ["a", "Az" * 16],
    "symbol1": ["!@#%&", "，。！？、", "¥"],
    "character_string1": ["A-1_2/3", "~" * 32],
    "time1": ["15:01", "15:01:59", "00:00", "23:59:59", "9:05", "2019年10月1日 15:01", "2019年10月1日15:01"],
    "time7": ["2019年8月8日", "15:01~16:01", "2019年10月1日 15:01~2019年10月2日 15:01"],
    "time8": ["2019-10-01 15:01:00~16:01:00"],
    "date1": ["2019年10月1日", "2019年10月", "10月1日", "2018-01-01", "2018/01/01", "2018.01.01", "2018-01"],
    "date2": ["01-01", "2019-12-25 09:42", "2019年10月1日 15:01", "2019年10月1日~2019年10月3日"],
    "date3": ["2019-12-25 09:42~10:42"],
    "amount1": ["¥1234567890", "¥39.8", "￥39.8元", "$5", "€0.01", "39.8元"],
    "phone_number1": ["+86-0766-66888866", "13800138000", "(0766)#66*1 2", "1" * 17],
    "car_number1": ["粤A8Z888挂", "粤A8Z888", "A8Z888", "使014578"],
    "name1": ["张三", "一" * 10, "a" * 20, "John O'Neil-Smith", "张三 Zhang"],
    "phrase1": ["配送中", "审核通过", "略略略略略", "二〇二四年", "人㐀𠀀々\uf900"],
    "short_thing1": ["hello"],
    "const1": ["c" * 20],
    "enum_string2": ["已支付"],
    "site01": ["TIT创意园"],
    "keyword1": ["巧克力😀" * 30],
    "first": ["x" * 21 + "😀"],
    "THING1": ["x" * 100],
    "any_thing1": ["x" * 100],
}


@pytest.mark.parametrize(("key", "values"), PASSING.items())
def test_passes_without_a_finding(key: str, values: list[str]) -> None:
    assert [value for value in values if findings(key, value)] == []


FREE = {"thing", "character_string", "phone_number", "name"}


@pytest.mark.parametrize("kind", TYPES)
def test_empty_and_blank_values(kind: str) -> None:
    assert findings(f"{kind}1", "") == [EMPTY]
    unsure, *others = findings(f"{kind}1", "  ")
    assert unsure == UNSURE_EMPTY
    assert [found.rule for found in others if found.certain] == ([] if kind in FREE else ["format"])


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("thing01", "thing"),
        ("thing", "thing"),
        ("character_string12", "character_string"),
        ("thing1x", "thing1x"),
        ("thing１２", "thing"),
        ("thing²", "thing²"),
        ("姓名1", "姓名"),
        ("12", ""),
        ("１", ""),
    ],
)
def test_type_of_a_key(key: str, kind: str) -> None:
    assert field_type(key) == kind
