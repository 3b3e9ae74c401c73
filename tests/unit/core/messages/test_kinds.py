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
    changed,
    example,
    refusals,
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

# ---------------------------------------------------------------- kinds, endpoints, spellings


def test_kinds_and_their_examples() -> None:
    expected = "subscription one_time_subscription mini_program_template mini_program_subscription template"
    assert expected.split() == list(KINDS)
    assert sorted(path.stem for path in PATHS) == sorted(NAMES)


@pytest.mark.parametrize(
    ("kind", "model", "endpoint"),
    [
        ("subscription", Subscription, "/cgi-bin/message/subscribe/bizsend"),
        (ONCE, OneTimeSubscription, "/cgi-bin/message/template/subscribe"),
        ("mini_program_template", MiniProgramTemplate, "/cgi-bin/message/wxopen/template/send"),
        ("mini_program_subscription", MiniProgramSubscription, "/cgi-bin/message/subscribe/send"),
        ("template", Template, "/cgi-bin/message/template/send"),
    ],
)
def test_model_and_endpoint(kind: str, model: type, endpoint: str) -> None:
    message, _ = parse_message(example(kind))
    assert (type(message), message.kind, message.endpoint) == (model, kind, endpoint)


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
    body = example("mini_program_template")
    both = {**body, field: body[https]}
    body[field] = body.pop(https)
    assert parse_message(body)[0].cloud_call
    assert wire(body) == wire(example("mini_program_template"))
    assert [(v.path, v.rule, v.meant) for v in violations(both)] == [(field, "unknown_field", https)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mini_program_template"])
def test_cloud_call_spelling_of_other_kinds(kind: str) -> None:
    body = example(kind)
    body["templateId"] = body.pop("template_id")
    assert sorted(refusals(body)) == [("templateId", "unknown_field"), ("template_id", "missing")]


def test_fields_are_named_as_spelled() -> None:
    body = example(CLOUD_CALL, templateId=5, formId="", emphasisKeyword="keyword1")
    assert refusals(body) == [("templateId", "text"), ("formId", "empty"), ("emphasisKeyword", "format")]


# ---------------------------------------------------------------- required and optional fields

IDENTIFIERS = [*((name, field) for name in KINDS for field in ("touser", "template_id"))]
IDENTIFIERS += [(CLOUD_CALL, "touser"), (CLOUD_CALL, "templateId")]
REQUIRED_TEXTS = [
    *IDENTIFIERS,
    ("mini_program_template", "form_id"),
    (CLOUD_CALL, "formId"),
    (ONCE, "title"),
    (ONCE, "miniprogram.appid"),
    (ONCE, "miniprogram.pagepath"),
    ("subscription", "miniprogram.appid"),
    ("template", "miniprogram.appid"),
]
REQUIRED = [
    *REQUIRED_TEXTS,
    *((name, "data") for name in KINDS if name != "mini_program_template"),
    (ONCE, "scene"),
    ("subscription", "data.keyword1.value"),
    ("template", "data.thing1.value"),
]
OPTIONAL_TEXTS = [
    ("subscription", "page"),
    ("subscription", "miniprogram.pagepath"),
    (ONCE, "url"),
    ("mini_program_template", "page"),
    ("mini_program_subscription", "page"),
    ("template", "url"),
    ("template", "miniprogram.pagepath"),
]
OPTIONAL = [
    *OPTIONAL_TEXTS,
    *(("subscription", field) for field in ("miniprogram", "client_msg_id", "lang", "miniprogram_state")),
    *((ONCE, field) for field in ("miniprogram", "data.content.value", "data.content.color")),
    ("mini_program_template", "emphasis_keyword"),
    (CLOUD_CALL, "page"),
    (CLOUD_CALL, "emphasisKeyword"),
    ("mini_program_subscription", "lang"),
    ("mini_program_subscription", "miniprogram_state"),
    ("template", "miniprogram"),
    ("template", "client_msg_id"),
]
TEXTS = [*REQUIRED_TEXTS, *OPTIONAL_TEXTS]


def rule_of(name: str, path: str, value: object) -> str:
    """The one rule that a value breaks in this place."""
    [(place, rule)] = refusals(changed(name, path, value))
    assert place == path
    return rule


@pytest.mark.parametrize(("name", "path"), REQUIRED)
def test_required_field(name: str, path: str) -> None:
    missing = HTTPS_SPELLING.get(path, path)
    assert refusals(without(name, path)) == [(missing, "missing")]
    assert len(refusals(changed(name, path, None))) == 1


@pytest.mark.parametrize(("name", "path"), [*OPTIONAL, (ONCE, "data.content")])
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


@pytest.mark.parametrize(("name", "path"), TEXTS)
def test_text_field(name: str, path: str) -> None:
    for value in (5, True, Decimal("1.5"), ["x"], {"x": "y"}):
        assert rule_of(name, path, value) == "text"
    for text in ("a\x00b", "\x1b[0m", "a\nb", "a\tb", "\x7f", "\x85b", "a\x9fb", "a\ud800"):
        assert rule_of(name, path, text) == "control_characters"
    for text in ("a\ufffd", "\ufffd\x00"):
        assert rule_of(name, path, text) == "encoding"


@pytest.mark.parametrize(("name", "path"), REQUIRED_TEXTS)
def test_required_text_is_not_empty(name: str, path: str) -> None:
    [violation] = violations(changed(name, path, ""))
    assert (violation.path, violation.rule, violation.limit, violation.length) == (path, "empty", 1, 0)


@pytest.mark.parametrize(("name", "field"), IDENTIFIERS)
def test_identifiers_without_outer_blanks(name: str, field: str) -> None:
    for value in (" x", "x ", "　x", "x\u00a0", " "):
        assert rule_of(name, field, value) == "white_space"


@pytest.mark.parametrize("value", [{}, [], {"appid": "", "pagepath": ""}, {"appid": ""}, {"pagepath": None}])
@pytest.mark.parametrize("name", ["subscription", ONCE, "template"])
def test_empty_mini_program_is_absent(name: str, value: object) -> None:
    body = example(name, miniprogram=value)
    assert wire(body) == wire(without(name, "miniprogram"))
    assert warnings(body) == [("miniprogram", "empty")]


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("subscription", {"appid": "", "pagepath": "index"}, "miniprogram.appid"),
        (ONCE, {"appid": "wx1", "pagepath": ""}, "miniprogram.pagepath"),
    ],
)
def test_half_a_mini_program(name: str, value: Body, missing: str) -> None:
    assert refusals(example(name, miniprogram=value)) == [(missing, "empty")]


@pytest.mark.parametrize("value", [None, ""])
def test_mini_program_template_without_data(value: object) -> None:
    body = without("mini_program_template", "emphasis_keyword")
    absent = {name: field for name, field in body.items() if name != "data"}
    assert wire({**body, "data": value}) == wire(absent)
    assert "data" not in wire(absent)


@pytest.mark.parametrize("name", ["subscription", "mini_program_subscription", ONCE, "template"])
def test_data_without_keywords(name: str) -> None:
    assert wire(example(name, data={}))["data"] == {}
    assert warnings(example(name, data={})) == [("data", "empty")]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, path) for name in NAMES for path in ("access_token", "Touser")),
        *(("subscription", path) for path in ("url", "miniprogram.page", "emphasis_keyword")),
        *((ONCE, path) for path in ("page", "client_msg_id", "data.keyword1", "data.content.colour")),
        ("mini_program_template", "miniprogram"),
        ("mini_program_template", "templateid"),
        ("mini_program_subscription", "miniprogram"),
        ("mini_program_subscription", "data.number01.DATA"),
        *(("template", path) for path in ("topcolor", "lang", "data.thing1.colour")),
    ],
)
def test_unknown_field(name: str, path: str) -> None:
    [violation] = violations(changed(name, path, "12345"))
    assert (violation.path, violation.rule, violation.length) == (path, "unknown_field", 5)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, "miniprogram") for name in ("subscription", ONCE, "template")),
        *((name, "data") for name in KINDS if name != "mini_program_template"),
        (ONCE, "data.content"),
        ("subscription", "data.keyword1"),
        ("template", "data.thing1"),
    ],
)
def test_object_field(name: str, path: str) -> None:
    values: list[Any] = ["x", 1, True, [{}], "{}"]
    for value in values:
        assert rule_of(name, path, value) == "object"


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
    for value in ("2026-11-21T18:00:00", "", True):
        assert refusals(example(name, expires_at=value)) == [("expires_at", "time")]
    wrong: list[Any] = ["exactly_once", "", "AT_LEAST_ONCE", True, 1, [], {}]
    for each in wrong:
        assert refusals(example(name, delivery=each)) == [("delivery", "choice")]


@pytest.mark.parametrize("name", ["subscription", "template", "mini_program_template"])
def test_keywords_named_like_options(name: str) -> None:
    data = {word: {"value": "x"} for word in ("kind", "expires_at", "delivery")}
    body = example(name, data=data)
    body.pop("emphasis_keyword", None)
    assert wire(body)["data"] == data


# ---------------------------------------------------------------- limits and forms


@pytest.mark.parametrize("value", ["订" * 15, "x" * 15, "😀" * 15, " "])
def test_title(value: str) -> None:
    assert wire(example(ONCE, title=value))["title"] == value


@pytest.mark.parametrize("value", ["您" * 200, "一\n二\r\n\t三"])
def test_content(value: str) -> None:
    assert wire(changed(ONCE, "data.content.value", value))["data"]["content"]["value"] == value


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("max_length", ["您" * 201]),
        ("control_characters", ["a\x00", "\x0b", "\x0c", "\x1b", "\x7f", "\x80"]),
        ("text", [5, True, [], {}, Decimal("1.5")]),
    ],
)
def test_wrong_content(rule: str, values: list[object]) -> None:
    for value in values:
        assert rule_of(ONCE, "data.content.value", value) == rule


@pytest.mark.parametrize("value", [0, "0"])
def test_scene_leaves_as_text(value: object) -> None:
    assert wire(example(ONCE, scene=value))["scene"] == "0"


@pytest.mark.parametrize("value", [True, None, Decimal(5), [], {}])
def test_scene_of_another_type(value: object) -> None:
    assert refusals(example(ONCE, scene=value)) == [("scene", "text")]


CHOICES = {
    "miniprogram_state": ["developer", "trial", "formal"],
    "lang": ["zh_CN", "en_US", "zh_HK", "zh_TW"],
}


@pytest.mark.parametrize("name", ["subscription", "mini_program_subscription"])
@pytest.mark.parametrize(("field", "choices"), CHOICES.items())
def test_choices(name: str, field: str, choices: list[str]) -> None:
    assert [wire(changed(name, field, choice))[field] for choice in choices] == choices
    values: list[Any] = ["de_DE", "Trial", 1, True, ["trial"], {}]
    for value in values:
        [violation] = violations(changed(name, field, value))
        assert (violation.path, violation.rule, violation.limit) == (field, "choice", ", ".join(choices))


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


@pytest.mark.parametrize("field", ["emphasis_keyword", "emphasisKeyword"])
@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("format", ["keyword1", "keyword1.data", "keyword1.DATA "]),
        ("keyword", ["keyword5.DATA", "Keyword1.DATA", ".DATA", "keyword1.DATA.DATA"]),
        ("text", [5]),
    ],
)
def test_wrong_emphasis(field: str, rule: str, values: list[object]) -> None:
    body = without("mini_program_template", "emphasis_keyword")
    for value in values:
        assert refusals({**body, field: value}) == [(field, rule)]


@pytest.mark.parametrize(
    ("data", "emphasis", "expected"),
    [
        (None, "keyword1.DATA", [("emphasis_keyword", "keyword")]),
        ({}, "keyword1.DATA", [("emphasis_keyword", "keyword")]),
        ("text", "keyword1.DATA", [("data", "object")]),
        ({"keyword1.DATA": {"value": "x"}}, "keyword1.DATA", [("data.keyword1.DATA", "key")]),
        ({"keyword1": {"value": None}}, "keyword1.DATA", [("data.keyword1.value", "text")]),
        (
            {"keyword1": {"value": None}},
            "keyword2.DATA",
            [("data.keyword1.value", "text"), ("emphasis_keyword", "keyword")],
        ),
    ],
)
def test_emphasis_and_wrong_data(data: object, emphasis: str, expected: list[tuple[str, str]]) -> None:
    body = example("mini_program_template", data=data, emphasis_keyword=emphasis)
    assert refusals(body) == expected
