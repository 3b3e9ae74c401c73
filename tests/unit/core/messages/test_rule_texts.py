"""Each rule with its exact texts; those of the keyword types are in ``test_keyword_rules``."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.unit.core.messages.bodies import Body, changed, example, keyword, violations, without
from wechat_notify.core.errors import InvalidRequestError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import Bilingual
from wechat_notify.core.violations import Violation

ONCE = "one_time_subscription"
STATES = "developer, trial, formal"
LANGUAGES = "zh_CN, en_US, zh_HK, zh_TW"
ALL_KINDS = ", ".join(KINDS)
TIME = (
    "must be a time with its zone, such as 2026-11-21T18:00:00+08:00",
    "必须是带时区的时间，如 2026-11-21T18:00:00+08:00",
)
NOT_UTF8 = (
    "must be UTF-8: it was sent in another encoding, such as GBK, and cannot be read any more (U+FFFD)",
    "必须使用 UTF-8 编码：内容以其他编码（如 GBK）发送，已成乱码（U+FFFD）",
)
UNPRINTABLE = ("must hold no control characters", "不能含控制字符")
NOT_EMPTY = ("must not be empty", "不能为空")
A_TEXT = ("must be text", "必须是字符串")
AN_OBJECT = ("must be a JSON object", "必须是 JSON 对象")
NO_FIELD = ("is not a field of this message", "该消息没有此字段")
DATA = (
    'must be a JSON object such as {"thing1": {"value": "…"}}',
    '必须是 JSON 对象，如 {"thing1": {"value": "…"}}',
)
ENTRY = ('must be an object {"value": …}', '必须是对象 {"value": …}')


def one_of(choices: str) -> tuple[str, str]:
    return f"must be one of {choices}", f"必须是以下之一：{choices}"


def at_most(limit: int) -> tuple[str, str]:
    return f"must be at most {limit} characters", f"不能超过 {limit} 个字符"


Texts = tuple[str, str]
REFUSED: list[tuple[object, str, str, Texts, int | str | None, int | None]] = [
    (None, "", "object", AN_OBJECT, None, None),
    ("text", "", "object", AN_OBJECT, None, 4),
    ({}, "kind", "missing", ("is required", "缺少必填字段"), None, None),
    ({"kind": "Template"}, "kind", "choice", one_of(ALL_KINDS), ALL_KINDS, 8),
    (without("template", "touser"), "touser", "missing", ("is required", "缺少必填字段"), None, None),
    (example("template", touser=5), "touser", "text", A_TEXT, None, None),
    (example("template", touser=""), "touser", "empty", NOT_EMPTY, 1, 0),
    (example("template", touser="a\ud800"), "touser", "control_characters", UNPRINTABLE, None, 2),
    (example("template", touser="a\x00"), "touser", "control_characters", UNPRINTABLE, None, 2),
    (example("template", touser="a\ufffd\x00"), "touser", "encoding", NOT_UTF8, None, 3),
    (
        example("template", delivery="a\ud800"),
        "delivery",
        "text",
        ("must be valid Unicode text", "必须是合法的 Unicode 字符串"),
        None,
        2,
    ),
    (
        example("template", touser="x "),
        "touser",
        "white_space",
        ("must not begin or end with white space", "开头和结尾不能有空白字符"),
        None,
        2,
    ),
    (example("template", nothing="x"), "nothing", "unknown_field", NO_FIELD, None, 1),
    (example("template", miniprogram=1), "miniprogram", "object", AN_OBJECT, None, None),
    (
        example("subscription", miniprogram_state="x"),
        "miniprogram_state",
        "choice",
        one_of(STATES),
        STATES,
        1,
    ),
    (example("subscription", lang=1), "lang", "choice", one_of(LANGUAGES), LANGUAGES, None),
    (example("template", expires_at="soon"), "expires_at", "time", TIME, None, 4),
    (example("template", expires_at=5), "expires_at", "time", TIME, None, None),
    (example("template", expires_at="2026-11-21T18:00"), "expires_at", "time", TIME, None, 16),
    (example("template", expires_at="2026-13-01T00:00Z"), "expires_at", "time", TIME, None, 17),
    (example(ONCE, title="x" * 16), "title", "max_length", at_most(15), 15, 16),
    (
        changed(ONCE, "data.content.value", "x" * 201),
        "data.content.value",
        "max_length",
        at_most(200),
        200,
        201,
    ),
    (
        example(ONCE, scene="10001"),
        "scene",
        "range",
        ("must be a whole number from 0 to 10000", "必须是 0 到 10000 的整数"),
        "0-10000",
        5,
    ),
    (example("template", data="x"), "data", "object", DATA, None, 1),
    (example("template", data={"thing1": "x"}), "data.thing1", "object", ENTRY, None, 1),
    (
        example("template", data={"thing1": {}}),
        "data.thing1.value",
        "missing",
        ("is required", "缺少必填字段"),
        None,
        None,
    ),
    (
        example("template", data={"thing1": {"value": "x", "size": "1"}}),
        "data.thing1.size",
        "unknown_field",
        NO_FIELD,
        None,
        1,
    ),
    (
        keyword("x", "a.DATA"),
        "data.a.DATA",
        "key",
        ("must be named without .DATA", "键名不能带 .DATA"),
        None,
        None,
    ),
    (
        keyword("x", ""),
        "data.",
        "key",
        ("must be a keyword of the template", "必须是模板中的关键词"),
        None,
        None,
    ),
    (
        keyword("x", "a\x00"),
        "data.a\x00",
        "key",
        ("must be a keyword of the template", "必须是模板中的关键词"),
        None,
        None,
    ),
    (keyword("x", "a\ufffd"), "data.a\ufffd", "encoding", NOT_UTF8, None, None),
    (
        keyword("x", "k" * 65),
        "data." + "k" * 65,
        "max_length",
        ("must be named with at most 64 characters", "键名不能超过 64 个字符"),
        64,
        65,
    ),
    (
        keyword(value=True),
        "data.thing1.value",
        "text",
        ("must be text or a number", "必须是字符串或数字"),
        None,
        None,
    ),
    (keyword("\x00"), "data.thing1.value", "control_characters", UNPRINTABLE, None, 1),
    (keyword("\ufffd"), "data.thing1.value", "encoding", NOT_UTF8, None, 1),
    (
        keyword(Decimal("1E+41")),
        "data.thing1.value",
        "range",
        ("must be a number that can be written out", "数字超出可表示的范围"),
        None,
        None,
    ),
    (keyword("x" * 21), "data.thing1.value", "max_length", at_most(20), 20, 21),
    (
        example("mini_program_template", emphasis_keyword="keyword1"),
        "emphasis_keyword",
        "format",
        ("must end in .DATA, such as keyword1.DATA", "必须以 .DATA 结尾，如 keyword1.DATA"),
        "keyword1.DATA",
        8,
    ),
    (
        example("mini_program_template", emphasis_keyword="keyword5.DATA"),
        "emphasis_keyword",
        "keyword",
        ("must name a keyword of data", "必须是 data 中的关键词"),
        None,
        13,
    ),
]
EMPTY = ("was given empty and counts as absent", "为空，按未填写处理")
NO_KEYWORDS = ("has no keywords: WeChat is likely to answer 47003", "没有关键词，微信可能返回 47003")
NO_COLOR = ("WeChat shows no colours here", "微信不展示颜色")
NO_TEXT = ("is no text and was left out", "不是字符串，已忽略")
ODD_COLOR = (
    "is no colour such as #FF0000; WeChat may not show it",
    "颜色格式不是 #FF0000 的形式，微信可能不展示",
)
COLOR = "data.content.color"
WARNED: list[tuple[Body, str, str, Texts, int | str | None, int | None]] = [
    (example("template", url=""), "url", "empty", EMPTY, None, None),
    (changed("template", "miniprogram.pagepath", ""), "miniprogram.pagepath", "empty", EMPTY, None, None),
    (example("template", data={}), "data", "empty", NO_KEYWORDS, None, None),
    (example(ONCE, data={}), "data", "empty", NO_KEYWORDS, None, None),
    (changed("template", "data.thing1.color", "#FF00"), "data.thing1.color", "dropped", NO_COLOR, None, 5),
    (changed("template", "data.thing1.color", 5), "data.thing1.color", "dropped", NO_COLOR, None, None),
    (changed(ONCE, COLOR, 5), COLOR, "dropped", NO_TEXT, None, None),
    (changed(ONCE, COLOR, "#F00"), COLOR, "format", ODD_COLOR, "#RRGGBB", 4),
    (keyword("123456", "short_thing1"), "data.short_thing1.value", "max_length", at_most(5), 5, 6),
]


@pytest.mark.parametrize(("body", "path", "rule", "texts", "limit", "length"), REFUSED)
def test_a_refusal(
    *, body: object, path: str, rule: str, texts: Texts, limit: int | str | None, length: int | None
) -> None:
    [violation] = violations(body)
    assert violation == Violation(path, rule, Bilingual(*texts), limit, length)
    assert list(violation.as_dict().values()) == [path, rule, limit, length, *texts]


@pytest.mark.parametrize(("body", "path", "rule", "texts", "limit", "length"), WARNED)
def test_a_warning(
    *, body: object, path: str, rule: str, texts: Texts, limit: int | str | None, length: int | None
) -> None:
    [warning] = parse_message(body)[1]
    assert warning == Violation(path, rule, Bilingual(*texts), limit, length)


def test_a_suggestion() -> None:
    [violation] = violations(example("template", tousr="x"))
    english = "is not a field of this message: did you mean touser?"
    assert violation.text == Bilingual(english, "该消息没有此字段，是否应为 touser？")
    assert violation.meant == "touser"


@pytest.mark.parametrize(
    ("change", "path", "rule", "texts", "limit", "length"),
    [
        (
            {"account": "Shop"},
            "account",
            "account_name",
            (
                "must be 1 to 64 characters of a-z, 0-9 and -",
                "必须为 1 到 64 个字符，只能含小写字母 a-z、数字和 -",
            ),
            "a-z0-9-",
            4,
        ),
        ({"id": ""}, "id", "empty", NOT_EMPTY, 1, 0),
        ({"id": 5}, "id", "text", A_TEXT, None, None),
        ({"expires_at": "soon"}, "expires_at", "time", TIME, None, 4),
        (
            {"delivery": "x"},
            "delivery",
            "choice",
            one_of("at_most_once, at_least_once"),
            "at_most_once, at_least_once",
            1,
        ),
    ],
)
def test_a_refused_envelope(
    *, change: Body, path: str, rule: str, texts: Texts, limit: int | str | None, length: int | None
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_queue_body(json.dumps({"account": "shop", "message": {}} | change), "default")
    assert refused.value.violations == (Violation(path, rule, Bilingual(*texts), limit, length),)
