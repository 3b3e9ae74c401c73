"""Each rule with its exact texts; those of the keyword types are in ``test_keyword_rules``."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from tests.unit.core.messages.bodies import changed, example, keyword, violations, without
from wechat_notify.core.errors import InvalidRequestError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

Row = tuple[object, str, str, int | str | None, int | None, Bilingual]
"""A body, and the path, rule, limit, length and text of what is told of it."""

AN_OBJECT = Bilingual("must be a JSON object", "必须是 JSON 对象")
REQUIRED = Bilingual("is required", "缺少必填字段")
NOT_A_FIELD = Bilingual("is not a field of this message", "该消息没有此字段")
TEXT = Bilingual("must be text", "必须是字符串")
UNICODE = Bilingual("must be valid Unicode text", "必须是合法的 Unicode 字符串")
NOT_EMPTY = Bilingual("must not be empty", "不能为空")
UNPRINTABLE = Bilingual("must hold no control characters", "不能含控制字符")
NOT_UTF8 = Bilingual(
    "must be UTF-8: it was sent in another encoding, such as GBK, and cannot be read any more (U+FFFD)",
    "必须使用 UTF-8 编码：内容以其他编码（如 GBK）发送，已成乱码（U+FFFD）",
)
BLANKS = Bilingual("must not begin or end with white space", "开头和结尾不能有空白字符")
TIME = Bilingual(
    "must be a time with its zone, such as 2026-11-21T18:00:00+08:00",
    "必须是带时区的时间，如 2026-11-21T18:00:00+08:00",
)
SCENE = Bilingual("must be a whole number from 0 to 10000", "必须是 0 到 10000 的整数")
DATA = Bilingual(
    'must be a JSON object such as {"thing1": {"value": "…"}}',
    '必须是 JSON 对象，如 {"thing1": {"value": "…"}}',
)
ENTRY = Bilingual('must be an object {"value": …}', '必须是对象 {"value": …}')
SUFFIX = Bilingual("must be named without .DATA", "键名不能带 .DATA")
KEY = Bilingual("must be a keyword of the template", "必须是模板中的关键词")
LONG_KEY = Bilingual("must be named with at most 64 characters", "键名不能超过 64 个字符")
VALUE = Bilingual("must be text or a number", "必须是字符串或数字")
NUMBER = Bilingual("must be a number that can be written out", "数字超出可表示的范围")
NO_SUFFIX = Bilingual("must end in .DATA, such as keyword1.DATA", "必须以 .DATA 结尾，如 keyword1.DATA")
NO_KEYWORD = Bilingual("must name a keyword of data", "必须是 data 中的关键词")
ACCOUNT = Bilingual(
    "must be 1 to 64 characters of a-z, 0-9 and -", "必须为 1 到 64 个字符，只能含小写字母 a-z、数字和 -"
)
GIVEN_EMPTY = Bilingual("was given empty and counts as absent", "为空，按未填写处理")
NO_KEYWORDS = Bilingual("has no keywords: WeChat is likely to answer 47003", "没有关键词，微信可能返回 47003")
NO_COLOR = Bilingual("WeChat shows no colours here", "微信不展示颜色")
NO_TEXT = Bilingual("is no text and was left out", "不是字符串，已忽略")
ODD_COLOR = Bilingual(
    "is no colour such as #FF0000; WeChat may not show it", "颜色格式不是 #FF0000 的形式，微信可能不展示"
)


def choice(choices: str) -> tuple[str, Bilingual]:
    return choices, Bilingual(f"must be one of {choices}", f"必须是以下之一：{choices}")


def at_most(limit: int) -> Bilingual:
    return Bilingual(f"must be at most {limit} characters", f"不能超过 {limit} 个字符")


def told(row: Row) -> Violation:
    _, path, rule, limit, length, text = row
    return Violation(path, rule, text, limit, length)


template = partial(example, "template")
once = partial(example, "one_time_subscription")
mini = partial(example, "mini_program_template")
subscription = partial(example, "subscription")
ALL_KINDS, ONE_OF_KINDS = choice(", ".join(KINDS))
STATES, ONE_OF_STATES = choice("developer, trial, formal")
LANGUAGES, ONE_OF_LANGUAGES = choice("zh_CN, en_US, zh_HK, zh_TW")
WAYS, ONE_OF_WAYS = choice("at_most_once, at_least_once")
STATE, CONTENT, COLOR = "miniprogram_state", "data.content.value", "data.content.color"
THING, THING_COLOR, PAGE = "data.thing1.value", "data.thing1.color", "miniprogram.pagepath"
NO_VALUE: dict[str, Any] = {"thing1": {}}
SIZE = {"thing1": {"value": "x", "size": "1"}}

REFUSED: list[Row] = [
    (None, "", "object", None, None, AN_OBJECT),
    ("text", "", "object", None, 4, AN_OBJECT),
    ({}, "kind", "missing", None, None, REQUIRED),
    ({"kind": "Template"}, "kind", "choice", ALL_KINDS, 8, ONE_OF_KINDS),
    (without("template", "touser"), "touser", "missing", None, None, REQUIRED),
    (template(nothing="x"), "nothing", "unknown_field", None, 1, NOT_A_FIELD),
    (template(touser=5), "touser", "text", None, None, TEXT),
    (template(touser=""), "touser", "empty", 1, 0, NOT_EMPTY),
    (template(touser="a\x00"), "touser", "control_characters", None, 2, UNPRINTABLE),
    (template(delivery="a\ud800"), "delivery", "text", None, 2, UNICODE),
    (template(touser="a\ufffd\x00"), "touser", "encoding", None, 3, NOT_UTF8),
    (template(touser="x "), "touser", "white_space", None, 2, BLANKS),
    (template(miniprogram=1), "miniprogram", "object", None, None, AN_OBJECT),
    (subscription(miniprogram_state="x"), STATE, "choice", STATES, 1, ONE_OF_STATES),
    (subscription(lang=1), "lang", "choice", LANGUAGES, None, ONE_OF_LANGUAGES),
    (template(expires_at="soon"), "expires_at", "time", None, 4, TIME),
    (template(expires_at=5), "expires_at", "time", None, None, TIME),
    (template(expires_at="2026-11-21T18:00"), "expires_at", "time", None, 16, TIME),
    (template(expires_at="2026-13-01T00:00Z"), "expires_at", "time", None, 17, TIME),
    (once(title="x" * 16), "title", "max_length", 15, 16, at_most(15)),
    (once(data={"content": {"value": "x" * 201}}), CONTENT, "max_length", 200, 201, at_most(200)),
    (once(scene="10001"), "scene", "range", "0-10000", 5, SCENE),
    (template(data="x"), "data", "object", None, 1, DATA),
    (template(data={"thing1": "x"}), "data.thing1", "object", None, 1, ENTRY),
    (template(data=NO_VALUE), THING, "missing", None, None, REQUIRED),
    (template(data=SIZE), "data.thing1.size", "unknown_field", None, 1, NOT_A_FIELD),
    (keyword("x", "a.DATA"), "data.a.DATA", "key", None, None, SUFFIX),
    (keyword("x", ""), "data.", "key", None, None, KEY),
    (keyword("x", "a\x00"), "data.a\x00", "key", None, None, KEY),
    (keyword("x", "a\ufffd"), "data.a\ufffd", "encoding", None, None, NOT_UTF8),
    (keyword("x", "k" * 65), "data." + "k" * 65, "max_length", 64, 65, LONG_KEY),
    (keyword(value=True), THING, "text", None, None, VALUE),
    (keyword("\x00"), THING, "control_characters", None, 1, UNPRINTABLE),
    (keyword("\ufffd"), THING, "encoding", None, 1, NOT_UTF8),
    (keyword(Decimal("1E+41")), THING, "range", None, None, NUMBER),
    (keyword("x" * 21), THING, "max_length", 20, 21, at_most(20)),
    (mini(emphasis_keyword="keyword1"), "emphasis_keyword", "format", "keyword1.DATA", 8, NO_SUFFIX),
    (mini(emphasis_keyword="keyword5.DATA"), "emphasis_keyword", "keyword", None, 13, NO_KEYWORD),
]
WARNED: list[Row] = [
    (template(url=""), "url", "empty", None, None, GIVEN_EMPTY),
    (changed("template", PAGE, ""), PAGE, "empty", None, None, GIVEN_EMPTY),
    (template(data={}), "data", "empty", None, None, NO_KEYWORDS),
    (once(data={}), "data", "empty", None, None, NO_KEYWORDS),
    (changed("template", THING_COLOR, "#FF00"), THING_COLOR, "dropped", None, 5, NO_COLOR),
    (changed("template", THING_COLOR, 5), THING_COLOR, "dropped", None, None, NO_COLOR),
    (once(data={"content": {"color": 5}}), COLOR, "dropped", None, None, NO_TEXT),
    (once(data={"content": {"color": "#F00"}}), COLOR, "format", "#RRGGBB", 4, ODD_COLOR),
    (keyword("123456", "short_thing1"), "data.short_thing1.value", "max_length", 5, 6, at_most(5)),
]
ENVELOPES: list[Row] = [
    ({"account": "Shop"}, "account", "account_name", "a-z0-9-", 4, ACCOUNT),
    ({"id": ""}, "id", "empty", 1, 0, NOT_EMPTY),
    ({"delivery": "x"}, "delivery", "choice", WAYS, 1, ONE_OF_WAYS),
]


@pytest.mark.parametrize("row", REFUSED)
def test_refusal(row: Row) -> None:
    body, *expected, text = row
    [violation] = violations(body)
    assert violation == told(row)
    assert list(violation.as_dict().values()) == [*expected, text.en, text.zh]


@pytest.mark.parametrize("row", WARNED)
def test_warning(row: Row) -> None:
    assert parse_message(row[0])[1] == [told(row)]


@pytest.mark.parametrize("row", ENVELOPES)
def test_refused_envelope(row: Row) -> None:
    change = row[0]
    assert isinstance(change, dict)
    with pytest.raises(InvalidRequestError) as refused:
        parse_queue_body(json.dumps({"account": "shop", "message": {}} | change), "default")
    assert refused.value.violations == (told(row),)
