"""The rules for the keywords of ``data``: what WeChat's documentation says refuses, the rest warns.

The type of a keyword is its key without the trailing digits (``thing01`` is a ``thing``,
``short_thing1`` is not). In a ``template`` message a key without any is a name and no type: ``date`` may
hold whatever its owner likes. Limits and forms are those of the parameter tables of the subscription
message APIs; where only field reports or other SDKs speak, the check returns a warning and
WeChat's 47003 stays the judge. Characters are code points: a Chinese character counts as one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from wechat_notify.core.messages.findings import Finding
from wechat_notify.core.texts import Bilingual

# Patterns that few messages need are plain texts, which re compiles on their first use and keeps: the one
# set of Chinese characters takes 2 ms. Only what most messages need is compiled at once.
CHINESE = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_A_CHINESE_CHARACTER = f"[{CHINESE}]"
_LINE_BREAK = r"[\t\n\r\u2028\u2029]"
_EMOJI = re.compile("[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]")

_DAY = (
    r"(?:\d{4}年)?\d{1,2}月\d{1,2}日|\d{4}年\d{1,2}月"
    r"|(?:\d{4}[-/.])?\d{1,2}[-/.]\d{1,2}|\d{4}[-/.]\d{1,2}"
)
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_FROM_A_CLOCK = rf"{_CLOCK}(?:\s*~.*)?"
# "2019年8月8日" alone stands under a time keyword in an official sample, so a time may be a date. The digits
# of other scripts, which \d takes, are none here.
_MOMENT = re.compile(rf"(?:{_DAY})(?:\s?{_CLOCK})?|{_CLOCK}".replace(r"\d", "[0-9]"))

_NUMBER = r"(?P<sign>[+-]?)\d+(?:\.\d+)?"
_AMOUNT = re.compile(r"(\D?)[0-9]{1,10}(?:\.[0-9]+)?(元?)")
_CAR = rf"[{CHINESE}A-Za-z0-9](?:[A-Za-z0-9]*[{CHINESE}A-Za-z0-9])?"
_PHRASE = f"[{CHINESE}]*"

LEGACY_LENGTH = 20
"""Since 2023-05-04 an official account's keywordN is cut here without an error."""


def field_type(key: str) -> str:
    """The keyword's type: its key without the trailing digits (the index in the library)."""
    if key.isascii():
        return key.rstrip("0123456789")
    end = len(key)
    while end and key[end - 1].isdecimal():  # of any script
        end -= 1
    return key[:end]


def check_keyword(key: str, value: str, *, official_account_template: bool) -> list[Finding]:
    """Every rule of the keyword's type that the value breaks.

    Parameters
    ----------
    key : str
        The keyword's key in ``data``, such as ``thing1``.
    value : str
        What WeChat would receive.
    official_account_template : bool
        The message is a ``template`` message: a key without a number has no type, and legacy keywords
        (``first``, ``keywordN``, ``remark``) are cut or dropped by WeChat without an error.
    """
    found: list[Finding] = []
    kind = field_type(key)
    check = None if official_account_template and kind == key else _CHECKS.get(kind)
    if not value.strip():
        # An empty keyword is refused by WeChat ("... is empty"); whether it trims is not documented.
        certain = not value and check is not None and kind not in _UNOFFICIAL
        found.append(Finding("empty", Bilingual("must not be empty", "不能为空"), limit=1, certain=certain))
    if not value:
        return found
    if check is not None:
        check(value, found)
    elif official_account_template and kind in _LEGACY:
        _legacy(kind, value, found)
    # To ask first whether all of it is printable, which a line break is not, takes a tenth of the time.
    if kind != "symbol" and not value.isprintable() and re.search(_LINE_BREAK, value):
        found.append(
            _warning("line_break", "line breaks may be refused or dropped", "换行符可能被拒绝或丢弃")
        )
    return found


def _too_long(value: str, limit: int, found: list[Finding], *, certain: bool = True) -> None:
    if len(value) > limit:
        text = Bilingual(f"must be at most {limit} characters", f"不能超过 {limit} 个字符")
        found.append(Finding("max_length", text, limit=limit, certain=certain))


def _form(limit: str, en: str, zh: str) -> Finding:
    return Finding("format", Bilingual(en, zh), limit=limit)


def _warning(rule: str, en: str, zh: str) -> Finding:
    return Finding(rule, Bilingual(en, zh), certain=False)


def _thing(value: str, found: list[Finding]) -> None:
    _too_long(value, 20, found)
    if _EMOJI.search(value):
        found.append(_warning("emoji", "emoji may be refused", "表情符号可能被拒绝"))


def _short_thing(value: str, found: list[Finding]) -> None:
    _too_long(value, 5, found, certain=False)


def _const(value: str, found: list[Finding]) -> None:
    _too_long(value, 20, found, certain=False)


def _number(value: str, found: list[Finding]) -> None:
    match = re.fullmatch(_NUMBER, value)
    digits = sum(character.isdigit() for character in value)
    if match is None or not value.isascii():
        found.append(_form("digits", "must be digits, decimals allowed", "只能是数字，可带小数"))
    elif match["sign"]:
        found.append(_warning("sign", "a sign may be refused", "正负号可能被拒绝"))
    if digits > 32:  # noqa: PLR2004 - the documented limit
        text = Bilingual("must be at most 32 digits", "不能超过 32 位数字")
        found.append(Finding("max_length", text, limit=32))
    elif len(value) > 32:  # noqa: PLR2004 - whether the dot counts is not documented
        found.append(_warning("max_length", "the decimal point may count as a digit", "小数点可能计入位数"))


def _letter(value: str, found: list[Finding]) -> None:
    _too_long(value, 32, found)
    if not re.fullmatch("[A-Za-z]*", value):
        found.append(_form("letters", "must be letters only", "只能是字母"))


def _symbol(value: str, found: list[Finding]) -> None:
    _too_long(value, 5, found)
    if any(character.isalnum() or character.isspace() for character in value):
        found.append(
            _form(
                "symbols",
                "must be symbols only: no letters, digits, Chinese or white space",
                "只能是符号，不能含中文、字母、数字、空白或换行",
            )
        )


def _character_string(value: str, found: list[Finding]) -> None:
    _too_long(value, 32, found)
    if value.isascii() and " " not in value:
        return
    if re.search(_A_CHINESE_CHARACTER, value):
        found.append(
            _form("ascii", "must be digits, letters or symbols", "只能是数字、字母或符号，不能含中文")
        )
    else:
        found.append(
            _warning(
                "characters", "white space and full-width symbols may be refused", "空格和全角符号可能被拒绝"
            )
        )


def _time(value: str, found: list[Finding]) -> None:
    _moments(
        value,
        found,
        "HH:MM[:SS]",
        "must be a 24-hour time, a date before it allowed, a range joined by ~",
        "必须是 24 小时制时间（可带年月日），时间段用 ~ 连接",
    )


def _date(value: str, found: list[Finding]) -> None:
    if re.fullmatch(_FROM_A_CLOCK, value):
        found.append(_form("YYYY-MM-DD [HH:MM]", "must begin with a date", "必须以年月日开头"))
        return
    _moments(
        value,
        found,
        "YYYY-MM-DD [HH:MM]",
        "must be a date, a 24-hour time after it allowed, a range joined by ~",
        "必须是年月日（可带 24 小时制时间），时间段用 ~ 连接",
    )


def _moments(value: str, found: list[Finding], limit: str, en: str, zh: str) -> None:
    if _MOMENT.fullmatch(value):
        return
    begin, tilde, end = value.partition("~")
    first, second = begin.rstrip(), end.lstrip()
    if not (tilde and _MOMENT.fullmatch(first) and _MOMENT.fullmatch(second)):
        found.append(_form(limit, en, zh))
    elif (begin, end) != (first, second):
        found.append(_warning("white_space", "white space around ~ may be refused", "~ 前后的空格可能被拒绝"))


def _amount(value: str, found: list[Finding]) -> None:
    match = _AMOUNT.fullmatch(value)
    sign, unit = match.groups() if match else ("", "")
    if match is None or (sign and unicodedata.category(sign) != "Sc"):
        found.append(
            _form(
                "¥ + 10 digits",
                "must be one currency sign, at most 10 digits, decimals allowed, 元 allowed at the end",
                "必须是 1 个币种符号加 10 位以内纯数字，可带小数，结尾可带“元”",
            )
        )
    elif not sign and not unit:
        found.append(
            _warning("currency", "a currency sign or 元 may be required", "可能需要币种符号或结尾的“元”")
        )


def _phone_number(value: str, found: list[Finding]) -> None:
    _too_long(value, 17, found)
    if any(character.isalpha() or (character.isdigit() and not character.isascii()) for character in value):
        found.append(_form("digits and symbols", "must be digits and symbols", "只能是数字和符号"))
    elif not re.fullmatch(r"[0-9+\-()#*\s]*", value):
        found.append(
            _warning(
                "characters",
                "symbols other than + - ( ) # * may be refused",
                "除 + - ( ) # * 外的符号可能被拒绝",
            )
        )


def _car_number(value: str, found: list[Finding]) -> None:
    _too_long(value, 8, found)
    if not re.fullmatch(_CAR, value):
        found.append(
            _form(
                "粤A8Z888挂",
                "must be letters and digits, the first and the last may be Chinese",
                "首位和末位可为汉字，其余为字母或数字",
            )
        )


def _name(value: str, found: list[Finding]) -> None:
    if any(character.isdigit() for character in value):
        found.append(_form("letters", "must hold no digits", "不能含数字"))
    _too_long(value, 10 if re.search(_A_CHINESE_CHARACTER, value) else 20, found)


def _phrase(value: str, found: list[Finding]) -> None:
    _too_long(value, 5, found)
    if not re.fullmatch(_PHRASE, value):
        found.append(_form("Chinese characters", "must be Chinese characters only", "只能是汉字"))


def _legacy(kind: str, value: str, found: list[Finding]) -> None:
    if kind != "keyword":
        found.append(_warning("dropped", "WeChat no longer shows this keyword", "微信已不再展示该字段"))
    elif len(value) > LEGACY_LENGTH:
        text = Bilingual(
            f"WeChat cuts it after {LEGACY_LENGTH} characters", f"微信会截断到 {LEGACY_LENGTH} 个字符"
        )
        found.append(Finding("max_length", text, limit=LEGACY_LENGTH, certain=False))
    if _EMOJI.search(value):
        found.append(_warning("emoji", "WeChat drops emoji", "微信会丢弃表情符号"))


_LEGACY = frozenset({"keyword", "first", "remark"})
_UNOFFICIAL = frozenset({"short_thing", "const"})
"""Known from other SDKs and field reports only, so they warn."""

_CHECKS: dict[str, Callable[[str, list[Finding]], None]] = {
    "thing": _thing,
    "short_thing": _short_thing,
    "const": _const,
    "number": _number,
    "letter": _letter,
    "symbol": _symbol,
    "character_string": _character_string,
    "time": _time,
    "date": _date,
    "amount": _amount,
    "phone_number": _phone_number,
    "car_number": _car_number,
    "name": _name,
    "phrase": _phrase,
}
