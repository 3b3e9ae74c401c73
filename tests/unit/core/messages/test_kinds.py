"""The fields of the five kinds; the texts of the rules are in ``test_rule_texts``."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.messages.bodies import (
    CLOUD_CALL,
    HTTPS_SPELLING,
    NAMES,
    PATHS,
    Body,
    Told,
    changed,
    example,
    refusals,
    sent_at,
    violations,
    warnings,
    wire,
    without,
)
from wechat_notify.core.messages.kinds import (
    KINDS,
    MiniProgramSubscription,
    MiniProgramTemplate,
    OneTimeSubscription,
    Subscription,
    Template,
)
from wechat_notify.core.messages.parser import parse_message

ONCE = "one_time_subscription"
MINI = "mini_program_template"
MINI_SUBSCRIPTION = "mini_program_subscription"
Places = list[tuple[str, str]]

# ---------------------------------------------------------------- kinds, endpoints, spellings

MODELS = {
    "subscription": (Subscription, "/cgi-bin/message/subscribe/bizsend"),
    ONCE: (OneTimeSubscription, "/cgi-bin/message/template/subscribe"),
    MINI: (MiniProgramTemplate, "/cgi-bin/message/wxopen/template/send"),
    MINI_SUBSCRIPTION: (MiniProgramSubscription, "/cgi-bin/message/subscribe/send"),
    "template": (Template, "/cgi-bin/message/template/send"),
}


def test_kinds_and_their_examples() -> None:
    assert list(KINDS) == list(MODELS)
    assert sorted(path.stem for path in PATHS) == sorted(NAMES)
    for kind, expected in MODELS.items():
        message, _ = parse_message(example(kind))
        assert (message.kind, (type(message), message.endpoint)) == (kind, expected)


@pytest.mark.parametrize("name", NAMES)
def test_examples_leave_as_printed(name: str) -> None:
    body = example(name)
    before = copy.deepcopy(body)
    message, told = parse_message(body)
    printed = {HTTPS_SPELLING.get(field, field): value for field, value in body.items() if field != "kind"}
    assert (told, body, wire(body)) == ([], before, printed)
    assert message.cloud_call == (name == CLOUD_CALL)


@pytest.mark.parametrize(("field", "https"), HTTPS_SPELLING.items())
def test_cloud_call_spelling_of_a_field(field: str, https: str) -> None:
    body = example(MINI)
    both = {**body, field: body[https]}
    body[field] = body.pop(https)
    assert parse_message(body)[0].cloud_call
    assert wire(body) == wire(example(MINI))
    assert [(v.path, v.rule, v.meant) for v in violations(both)] == [(field, "unknown_field", https)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != MINI])
def test_cloud_call_spelling_of_other_kinds(kind: str) -> None:
    body = example(kind)
    body["templateId"] = body.pop("template_id")
    assert sorted(refusals(body)) == [("templateId", "unknown_field"), ("template_id", "missing")]


# ---------------------------------------------------------------- each field


# By kind: the texts that are required and the optional ones, and what else is required and optional.
FIELDS = {
    "subscription": (
        "touser template_id miniprogram.appid",
        "page miniprogram.pagepath",
        "data data.keyword1.value",
        "miniprogram client_msg_id lang miniprogram_state",
    ),
    ONCE: (
        "touser template_id title miniprogram.appid miniprogram.pagepath",
        "url",
        "data scene",
        "miniprogram data.content data.content.value data.content.color",
    ),
    MINI: ("touser template_id form_id", "page", "", "emphasis_keyword"),
    CLOUD_CALL: ("touser templateId formId", "page", "", "emphasisKeyword"),
    MINI_SUBSCRIPTION: ("touser template_id", "page", "data", "lang miniprogram_state"),
    "template": (
        "touser template_id miniprogram.appid",
        "url miniprogram.pagepath",
        "data data.thing1.value",
        "miniprogram client_msg_id",
    ),
}
COLUMNS = [
    [(name, path) for name, row in FIELDS.items() for path in row[column].split()] for column in range(4)
]
REQUIRED_TEXTS, OPTIONAL_TEXTS, OTHER_REQUIRED, OTHER_OPTIONAL = COLUMNS
TEXTS = REQUIRED_TEXTS + OPTIONAL_TEXTS


def named(*paths: str) -> Places:
    """The fields of all kinds that have these names."""
    return [(name, path) for column in COLUMNS for name, path in column if path in paths]


def of_each(path: str) -> Places:
    return [(name, path) for name in NAMES]


DATA, MINI_PROGRAMS, CONTENT = named("data"), named("miniprogram"), named("data.content.value")
OBJECTS = [*DATA, *MINI_PROGRAMS, (ONCE, "data.content"), ("template", "data.thing1")]
EMPHASES = named("emphasis_keyword", "emphasisKeyword")
UNKNOWN = [
    *(("subscription", path) for path in ("access_token", "Touser", "url", "miniprogram.page")),
    *((ONCE, path) for path in ("page", "client_msg_id", "data.keyword1", "data.content.colour")),
    *((MINI, path) for path in ("miniprogram", "templateid", "lang")),
    *((MINI_SUBSCRIPTION, path) for path in ("miniprogram", "data.number01.DATA", "emphasis_keyword")),
    *(("template", path) for path in ("topcolor", "lang", "data.thing1.colour")),
]


@pytest.mark.parametrize(
    ("fields", "rule", "values"),
    [
        (TEXTS, "text", [5, Decimal("1.5"), ["x"], {"x": "y"}]),
        (TEXTS, "control_characters", ["a\x00b", "a\nb", "a\x9fb", "a\ud800"]),
        (TEXTS, "encoding", ["a\ufffd"]),
        (REQUIRED_TEXTS, "empty", [""]),
        (named("touser", "template_id", "templateId"), "white_space", [" x", "x ", "　x", "x\u00a0", " "]),
        (OBJECTS, "object", ["x", 1, [{}]]),
        (UNKNOWN, "unknown_field", ["x"]),
        (named("lang", "miniprogram_state"), "choice", ["de_DE", "Trial", 1, ["trial"]]),
        (of_each("expires_at"), "time", ["2026-11-21T18:00:00", ""]),
        (of_each("delivery"), "choice", ["", "AT_LEAST_ONCE", 1, []]),
        (named("scene"), "text", [True, None, Decimal(5), []]),
        (CONTENT, "max_length", ["您" * 201]),
        (CONTENT, "control_characters", ["a\x00", "\x0b", "\x7f"]),
        (CONTENT, "text", [5, []]),
        (EMPHASES, "format", ["keyword1", "keyword1.data", "keyword1.DATA "]),
        (EMPHASES, "keyword", ["keyword5.DATA", "Keyword1.DATA", ".DATA", "keyword1.DATA.DATA"]),
        (EMPHASES, "text", [5]),
    ],
)
def test_wrong_values(fields: Places, rule: str, values: list[object]) -> None:
    for name, path in fields:
        for value in values:
            assert refusals(changed(name, path, value)) == [(path, rule)]


@pytest.mark.parametrize(("name", "path"), REQUIRED_TEXTS + OTHER_REQUIRED)
def test_required_field(name: str, path: str) -> None:
    missing = HTTPS_SPELLING.get(path, path)
    assert refusals(without(name, path)) == [(missing, "missing")]
    assert len(refusals(changed(name, path, None))) == 1


@pytest.mark.parametrize(("name", "path"), OPTIONAL_TEXTS + OTHER_OPTIONAL)
def test_optional_field(name: str, path: str) -> None:
    """Absent, null and empty are one; the empty one is warned of."""
    absent = wire(without(name, path))
    inner: Any = absent
    for part in path.split("."):
        inner = inner.get(HTTPS_SPELLING.get(part, part), {})
    assert inner == {}
    assert wire(changed(name, path, None)) == wire(changed(name, path, "")) == absent
    more = [("data", "empty")] if path == "data.content" else []
    assert warnings(changed(name, path, "")) == [(path, "empty"), *more]


@pytest.mark.parametrize("value", [{}, [], {"appid": "", "pagepath": ""}, {"pagepath": None}])
@pytest.mark.parametrize(("name", "field"), MINI_PROGRAMS)
def test_empty_mini_program_is_absent(name: str, field: str, value: object) -> None:
    body = changed(name, field, value)
    assert wire(body) == wire(without(name, field))
    assert warnings(body) == [(field, "empty")]


def test_half_a_mini_program() -> None:
    half = {"appid": "", "pagepath": "index"}
    assert refusals(example("subscription", miniprogram=half)) == [("miniprogram.appid", "empty")]
    half = {"appid": "wx1", "pagepath": ""}
    assert refusals(example(ONCE, miniprogram=half)) == [("miniprogram.pagepath", "empty")]


@pytest.mark.parametrize("value", [None, ""])
def test_mini_program_template_without_data(value: object) -> None:
    body = without(MINI, "emphasis_keyword")
    absent = {name: field for name, field in body.items() if name != "data"}
    assert wire({**body, "data": value}) == wire(absent)
    assert "data" not in wire(absent)


@pytest.mark.parametrize(("name", "field"), DATA)
def test_data_without_keywords(name: str, field: str) -> None:
    assert wire(changed(name, field, {}))["data"] == {}
    assert warnings(changed(name, field, {})) == [("data", "empty")]


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        (named("miniprogram_state"), ["developer", "trial", "formal"]),
        (named("lang"), ["zh_CN", "en_US", "zh_HK", "zh_TW"]),
        (named("title"), ["订" * 15, "😀" * 15, " "]),
        (CONTENT, ["您" * 200, "一\n二\r\n\t三"]),
        (named("scene"), ["0", 0]),
    ],
)
def test_right_values(fields: Places, values: list[object]) -> None:
    for name, path in fields:
        for value in values:
            assert sent_at(changed(name, path, value), path) == str(value)


# ---------------------------------------------------------------- what the sender asks of this service


@pytest.mark.parametrize("name", NAMES)
def test_options(name: str) -> None:
    plain = parse_message(example(name))[0].wire()
    message, told = parse_message(
        example(name, expires_at="2026-11-21T18:00:00+08:00", delivery="at_least_once")
    )
    assert (told, message.wire()) == ([], plain)
    assert message.expires_at is not None
    assert (message.expires_at.timestamp(), message.delivery) == (1795255200, "at_least_once")
    message, _ = parse_message(example(name, expires_at=None, delivery=None))
    assert (message.expires_at, message.delivery, message.wire()) == (None, None, plain)


@pytest.mark.parametrize("name", ["subscription", "template"])
def test_keywords_named_like_options(name: str) -> None:
    data = {word: {"value": "x"} for word in ("kind", "expires_at", "delivery")}
    assert wire(example(name, data=data))["data"] == data


# ---------------------------------------------------------------- one kind's own


@pytest.mark.parametrize(
    ("own", "deduplicated"), [(None, True), ("x" * 32, True), ("x" * 33, False), ("订单", False)]
)
def test_template_is_deduplicated_by_wechat(own: str | None, *, deduplicated: bool) -> None:
    """Only of ids of at most 32 ASCII characters it is known."""
    assert parse_message(example("template", client_msg_id=own), "x" * 64)[0].deduplicated is deduplicated


@pytest.mark.parametrize("name", [name for name in NAMES if name != "template"])
def test_other_kinds_are_not_deduplicated(name: str) -> None:
    message, _ = parse_message(example(name), "order-1")
    assert message == parse_message(example(name))[0]
    assert not message.deduplicated


BAD_VALUE: Body = {"keyword1": {"value": None}}


@pytest.mark.parametrize(
    ("data", "emphasis", "expected"),
    [
        (None, "keyword1.DATA", [("emphasis_keyword", "keyword")]),
        ({}, "keyword1.DATA", [("emphasis_keyword", "keyword")]),
        ("text", "keyword1.DATA", [("data", "object")]),
        ({"keyword1.DATA": {"value": "x"}}, "keyword1.DATA", [("data.keyword1.DATA", "key")]),
        (BAD_VALUE, "keyword1.DATA", [("data.keyword1.value", "text")]),
        (BAD_VALUE, "keyword2.DATA", [("data.keyword1.value", "text"), ("emphasis_keyword", "keyword")]),
    ],
)
def test_emphasis_and_wrong_data(data: object, emphasis: str, expected: Told) -> None:
    assert refusals(example(MINI, data=data, emphasis_keyword=emphasis)) == expected
