"""The types of keywords for people: rule, limit and a value that keeps the rule.

``core.messages.keyword_rules`` is what checks them; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from wechat_notify.core.messages.keyword_rules import LEGACY_LENGTH
from wechat_notify.core.texts import Bilingual


class KeywordType(NamedTuple):
    """One type; ``max_length`` counts characters, of a ``number`` digits. ``sample`` keeps the rule."""

    text: Bilingual
    sample: str
    max_length: int | None = None


KEYWORD_TYPES: Mapping[str, KeywordType] = MappingProxyType(
    {
        "thing": KeywordType(
            Bilingual(
                "up to 20 characters: Chinese, digits, letters, symbols",
                "20 个以内字符，可汉字、数字、字母或符号组合",
            ),
            "示例内容",
            20,
        ),
        "short_thing": KeywordType(Bilingual("up to 5 characters", "5 个以内字符"), "示例", 5),
        "const": KeywordType(
            Bilingual("up to 20 characters, usually one of preset values", "20 个以内字符，通常为预设值"),
            "示例",
            20,
        ),
        "number": KeywordType(
            Bilingual("up to 32 digits, decimals allowed", "32 位以内数字，可带小数"), "1", 32
        ),
        "letter": KeywordType(Bilingual("up to 32 letters", "32 位以内字母"), "A", 32),
        "symbol": KeywordType(Bilingual("up to 5 symbols", "5 位以内符号"), "*", 5),
        "character_string": KeywordType(
            Bilingual(
                "up to 32 digits, letters or symbols, no Chinese", "32 位以内数字、字母或符号，不含中文"
            ),
            "A-4711",
            32,
        ),
        "time": KeywordType(
            Bilingual(
                "a 24-hour time, a date before it allowed, a range joined by ~",
                "24 小时制时间，可带年月日，时间段用 ~ 连接",
            ),
            "2026年1月1日 15:01",
        ),
        "date": KeywordType(
            Bilingual(
                "a date, a 24-hour time after it allowed, a range joined by ~",
                "年月日，可带 24 小时制时间，时间段用 ~ 连接",
            ),
            "2026年1月1日",
        ),
        "amount": KeywordType(
            Bilingual(
                "a currency sign and up to 10 digits, decimals allowed, 元 allowed at the end",
                "1 个币种符号加 10 位以内纯数字，可带小数，结尾可带“元”",
            ),
            "¥9.90",
        ),
        "phone_number": KeywordType(
            Bilingual("up to 17 digits and symbols", "17 位以内数字、符号"), "+86-0766-66888866", 17
        ),
        "car_number": KeywordType(
            Bilingual(
                "up to 8 letters and digits, the first and the last may be Chinese",
                "8 位以内，首位和末位可为汉字，其余为字母或数字",
            ),
            "粤A8Z888挂",
            8,
        ),
        "name": KeywordType(
            Bilingual(
                "up to 10 characters with Chinese in them, or up to 20 letters and symbols; no digits",
                "10 个以内汉字，或 20 个以内字母或符号，不含数字",
            ),
            "张三",
            20,
        ),
        "phrase": KeywordType(Bilingual("up to 5 Chinese characters", "5 个以内汉字"), "配送中", 5),
    }
)
ENUMERATION = KeywordType(Bilingual("one of the listed values", "只能是列出的值之一"), "")
FREE_TEXT = KeywordType(
    Bilingual(
        f"free text; WeChat may cut it after {LEGACY_LENGTH} characters",
        f"任意文本，微信可能截断到 {LEGACY_LENGTH} 个字符",
    ),
    "示例内容",
)
