from __future__ import annotations

import copy
import gc
import hashlib
import json
import re
import traceback
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.messages.kinds import (
    KINDS,
    MiniProgramSubscription,
    MiniProgramTemplate,
    OneTimeSubscription,
    Subscription,
    Template,
)
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.violations import Violation

quick = settings(max_examples=150, deadline=None, derandomize=True)

BODIES = Path(__file__).parent.parent / "bodies"
NAMES = [*KINDS, "mini_program_template_cloud_call"]
HTTPS_SPELLING = {"templateId": "template_id", "formId": "form_id", "emphasisKeyword": "emphasis_keyword"}
CHINESE = re.compile("[\u4e00-\u9fff]")

Body = dict[str, Any]


def example(name: str) -> Body:
    body: Body = parse_json((BODIES / f"{name}.json").read_bytes())
    return body


def with_(name: str, path: str, value: object) -> Body:
    """The example body with one field set; ``path`` is dotted."""
    body = example(name)
    *parents, last = path.split(".")
    inner = body
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return body


def without(name: str, path: str) -> Body:
    body = with_(name, path, None)
    *parents, last = path.split(".")
    inner = body
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return body


def keyword(value: object, key: str = "thing1") -> Body:
    return with_("subscription", "data", {key: {"value": value}})


def violations(body: object) -> tuple[Violation, ...]:
    with pytest.raises(InvalidMessageError) as refused:
        parse_message(body)
    return refused.value.violations


def refusals(body: object) -> list[tuple[str, str]]:
    return [(violation.path, violation.rule) for violation in violations(body)]


def wire(body: object, message_id: str | None = None) -> Body:
    sent: Body = json.loads(parse_message(body, message_id)[0].wire())
    return sent


# --- What its sender asks of this service ------------------------------------------------------

OPTIONS = {"expires_at": "2026-11-21T18:00:00+08:00", "delivery": "at_least_once"}


@pytest.mark.parametrize("name", NAMES)
def test_a_wish_stands_beside_kind_and_never_goes_to_wechat(name: str) -> None:
    message, warnings = parse_message(example(name) | OPTIONS)
    assert warnings == []
    assert message.expires_at == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert message.delivery == "at_least_once"
    assert message.wire() == parse_message(example(name))[0].wire()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", OPTIONS)
def test_a_wish_may_be_absent_or_null(name: str, field: str) -> None:
    message, _ = parse_message(example(name) | {field: None})
    assert (message.expires_at, message.delivery) == (None, None)
    assert message.wire() == parse_message(example(name))[0].wire()


@pytest.mark.parametrize("name", ["subscription", "template", "mini_program_template"])
def test_a_keyword_that_is_spelled_like_a_wish_is_wechats(name: str) -> None:
    data = {word: {"value": "x"} for word in ("kind", "expires_at", "delivery")}
    body = with_(name, "data", data)
    body.pop("emphasis_keyword", None)
    assert wire(body)["data"] == data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T18:00:00",
        "2026-11-21",
        "tomorrow",
        "",
        "18:00",
        [],
        {},
        True,
        10**30,
        "2026-13-01T00:00:00Z",
    ],
    ids=str,
)
def test_an_expiry_is_a_time_with_its_zone(name: str, value: object) -> None:
    [violation] = violations(example(name) | {"expires_at": value})
    assert (violation.path, violation.rule) == ("expires_at", "time")
    assert "2026-11-21T18:00:00+08:00" in violation.text.en
    assert CHINESE.search(violation.text.zh)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["exactly_once", "", "AT_LEAST_ONCE", True, 1, [], {}])
def test_a_delivery_is_one_of_two(name: str, value: object) -> None:
    [violation] = violations(example(name) | {"delivery": value})
    assert (violation.path, violation.rule) == ("delivery", "choice")
    assert violation.limit == "at_most_once, at_least_once"


# --- The id that WeChat can know a second copy by -------------------------------------------------

message_ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)


@quick
@given(message_ids, message_ids)
def test_a_template_is_known_by_at_most_32_ascii_bytes_that_stay_the_same(one: str, other: str) -> None:
    body = without("template", "client_msg_id")
    before = copy.deepcopy(body)
    sent, again = (wire(body, message_id)["client_msg_id"] for message_id in (one, other))
    assert 1 <= len(sent) <= 32
    assert sent.isascii()
    assert sent == (one if len(one) <= 32 else hashlib.sha256(one.encode()).hexdigest()[:32])
    assert (again == sent) == (one == other)
    assert wire(body | {"client_msg_id": None}, one)["client_msg_id"] == sent
    assert "client_msg_id" not in wire(body)
    assert body == before  # the fingerprint is made of it


@pytest.mark.parametrize("own", ["refund-7", "x", "x" * 64])
def test_a_callers_own_client_msg_id_is_kept(own: str) -> None:
    assert wire(with_("template", "client_msg_id", own), "order-1")["client_msg_id"] == own


@pytest.mark.parametrize("name", [name for name in NAMES if name != "template"])
def test_no_other_kind_gets_an_id(name: str) -> None:
    message, _ = parse_message(example(name), "order-1")
    assert message == parse_message(example(name))[0]
    assert not message.deduplicated


@pytest.mark.parametrize(
    ("own", "known"), [(None, True), ("x" * 32, True), ("x" * 33, False), ("订单", False)]
)
def test_wechat_is_relied_on_for_ids_of_32_ascii_bytes_only(own: str | None, *, known: bool) -> None:
    fields = without("template", "client_msg_id")
    body = fields if own is None else {**fields, "client_msg_id": own}
    template = parse_message(body, "x" * 64)[0]
    assert template.deduplicated is known


# --- What is printed in the documentation -------------------------------------------------------


def test_there_is_an_example_of_every_kind_and_no_other() -> None:
    assert sorted(path.stem for path in BODIES.glob("*.json")) == sorted(NAMES)
    assert [example(kind)["kind"] for kind in KINDS] == list(KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_valid_and_leave_as_printed(name: str) -> None:
    body = example(name)
    before = copy.deepcopy(body)
    message, warnings = parse_message(body)
    assert warnings == []
    assert body == before
    printed = {HTTPS_SPELLING.get(field, field): value for field, value in body.items() if field != "kind"}
    assert json.loads(message.wire()) == printed


@pytest.mark.parametrize(
    ("kind", "model", "endpoint"),
    [
        ("subscription", Subscription, "/cgi-bin/message/subscribe/bizsend"),
        ("one_time_subscription", OneTimeSubscription, "/cgi-bin/message/template/subscribe"),
        ("mini_program_template", MiniProgramTemplate, "/cgi-bin/message/wxopen/template/send"),
        ("mini_program_subscription", MiniProgramSubscription, "/cgi-bin/message/subscribe/send"),
        ("template", Template, "/cgi-bin/message/template/send"),
    ],
)
def test_each_kind_has_its_model_and_endpoint(kind: str, model: type, endpoint: str) -> None:
    message, _ = parse_message(example(kind))
    assert type(message) is model
    assert message.kind == kind
    assert message.endpoint == endpoint


def test_the_kinds() -> None:
    assert KINDS == (
        "subscription",
        "one_time_subscription",
        "mini_program_template",
        "mini_program_subscription",
        "template",
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_cloud_call_spelling_is_remembered(name: str) -> None:
    assert parse_message(example(name))[0].cloud_call == (name == "mini_program_template_cloud_call")


@pytest.mark.parametrize("field", HTTPS_SPELLING)
def test_one_field_in_the_cloud_call_spelling_is_enough(field: str) -> None:
    body = example("mini_program_template")
    body[field] = body.pop(HTTPS_SPELLING[field])
    message, _ = parse_message(body)
    assert message.cloud_call
    assert json.loads(message.wire()) == wire(example("mini_program_template"))


@pytest.mark.parametrize(("field", "https"), HTTPS_SPELLING.items())
def test_a_field_in_both_spellings_is_refused(field: str, https: str) -> None:
    body = example("mini_program_template")
    assert refusals({**body, field: body[https]}) == [(field, "unknown_field")]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mini_program_template"])
def test_no_other_kind_knows_the_cloud_call_spelling(kind: str) -> None:
    body = example(kind)
    body["templateId"] = body.pop("template_id")
    assert sorted(refusals(body)) == [("templateId", "unknown_field"), ("template_id", "missing")]


def test_a_wrong_field_is_named_as_it_was_spelled() -> None:
    body = example("mini_program_template_cloud_call")
    body |= {"templateId": 5, "formId": "", "emphasisKeyword": "keyword1"}
    assert refusals(body) == [("templateId", "text"), ("formId", "empty"), ("emphasisKeyword", "format")]


# --- Required and optional fields ---------------------------------------------------------------

REQUIRED_TEXTS = [
    *((name, field) for name in KINDS for field in ("touser", "template_id")),
    ("mini_program_template", "form_id"),
    ("mini_program_template_cloud_call", "touser"),
    ("mini_program_template_cloud_call", "templateId"),
    ("mini_program_template_cloud_call", "formId"),
    ("one_time_subscription", "title"),
    ("one_time_subscription", "miniprogram.appid"),
    ("one_time_subscription", "miniprogram.pagepath"),
    ("subscription", "miniprogram.appid"),
    ("template", "miniprogram.appid"),
]
REQUIRED = [
    *REQUIRED_TEXTS,
    *((name, "data") for name in KINDS if name != "mini_program_template"),
    ("one_time_subscription", "scene"),
    ("subscription", "data.keyword1.value"),
    ("template", "data.thing1.value"),
]
OPTIONAL_TEXTS = [
    ("subscription", "page"),
    ("subscription", "miniprogram.pagepath"),
    ("one_time_subscription", "url"),
    ("mini_program_template", "page"),
    ("mini_program_subscription", "page"),
    ("template", "url"),
    ("template", "miniprogram.pagepath"),
]
OPTIONAL = [
    *OPTIONAL_TEXTS,
    ("subscription", "miniprogram"),
    ("subscription", "client_msg_id"),
    ("subscription", "lang"),
    ("subscription", "miniprogram_state"),
    ("one_time_subscription", "miniprogram"),
    ("one_time_subscription", "data.content"),
    ("one_time_subscription", "data.content.value"),
    ("one_time_subscription", "data.content.color"),
    ("mini_program_template", "emphasis_keyword"),
    ("mini_program_template_cloud_call", "emphasisKeyword"),
    ("mini_program_subscription", "lang"),
    ("mini_program_subscription", "miniprogram_state"),
    ("template", "miniprogram"),
    ("template", "client_msg_id"),
]


@pytest.mark.parametrize(("name", "path"), REQUIRED)
def test_a_required_field_is_missed(name: str, path: str) -> None:
    missing = path
    if name == "mini_program_template_cloud_call":
        missing = HTTPS_SPELLING.get(path, path)
    assert refusals(without(name, path)) == [(missing, "missing")]
    assert len(refusals(with_(name, path, None))) == 1


@pytest.mark.parametrize(("name", "path"), REQUIRED_TEXTS)
def test_a_required_text_is_not_empty(name: str, path: str) -> None:
    [violation] = violations(with_(name, path, ""))
    assert (violation.path, violation.rule, violation.limit, violation.length) == (path, "empty", 1, 0)


@pytest.mark.parametrize(("name", "path"), OPTIONAL)
def test_an_optional_field_may_be_absent_or_null(name: str, path: str) -> None:
    absent = wire(without(name, path))
    assert wire(with_(name, path, None)) == absent
    inner: Any = absent
    for part in path.split("."):
        inner = inner.get(HTTPS_SPELLING.get(part, part), {})
    assert inner == {}


def test_a_mini_program_template_message_may_have_no_data() -> None:
    body = without("mini_program_template", "emphasis_keyword")
    del body["data"]
    assert wire(body) == wire({**body, "data": None})
    assert "data" not in wire(body)


@pytest.mark.parametrize(("name", "path"), [*REQUIRED_TEXTS, *OPTIONAL_TEXTS])
@pytest.mark.parametrize("value", [5, True, Decimal("1.5"), ["x"], {"x": "y"}])
def test_a_text_is_text(name: str, path: str, value: object) -> None:
    assert refusals(with_(name, path, value)) == [(path, "text")]


@pytest.mark.parametrize(("name", "path"), [*REQUIRED_TEXTS, *OPTIONAL_TEXTS])
@pytest.mark.parametrize("value", ["a\x00b", "\x1b[0m", "a\nb", "a\tb", "\x7f", "\x85b", "a\x9fb"])
def test_a_text_holds_no_control_characters(name: str, path: str, value: str) -> None:
    [violation] = violations(with_(name, path, value))
    assert (violation.path, violation.rule, violation.length) == (path, "control_characters", len(value))


@pytest.mark.parametrize(("name", "path"), [*REQUIRED_TEXTS, *OPTIONAL_TEXTS])
@pytest.mark.parametrize("value", ["a\ufffd", "\ufffd\x00"])
def test_another_encoding_is_called_by_its_name(name: str, path: str, value: str) -> None:
    """What the gateway makes of GBK."""
    [violation] = violations(with_(name, path, value))
    assert (violation.path, violation.rule) == (path, "encoding")
    assert "UTF-8" in violation.text.en
    assert "UTF-8" in violation.text.zh


@pytest.mark.parametrize("field", ["touser", "template_id"])
@pytest.mark.parametrize("value", [" x", "x ", "　x", "x\u00a0", " "])
@pytest.mark.parametrize("name", NAMES)
def test_an_identifier_has_no_outer_blanks(name: str, field: str, value: str) -> None:
    if name == "mini_program_template_cloud_call":
        field = {"template_id": "templateId"}.get(field, field)
    [violation] = violations(with_(name, field, value))
    assert (violation.path, violation.rule) == (field, "white_space")


@pytest.mark.parametrize(("name", "path"), [*REQUIRED_TEXTS, *OPTIONAL_TEXTS])
def test_half_of_a_surrogate_pair_is_refused(name: str, path: str) -> None:
    assert [broken for broken, _ in refusals(with_(name, path, "a\ud800"))] == [path]


OPTIONAL_ANYWHERE = [*OPTIONAL, ("mini_program_template_cloud_call", "page")]


@pytest.mark.parametrize(("name", "path"), OPTIONAL_ANYWHERE)
def test_an_empty_optional_field_is_absent(name: str, path: str) -> None:
    message, warnings = parse_message(with_(name, path, ""))
    assert json.loads(message.wire()) == wire(without(name, path))
    told = [(warning.path, warning.rule) for warning in warnings]
    assert told == [(path, "empty"), *([("data", "empty")] if path == "data.content" else [])]


@pytest.mark.parametrize("value", [{}, [], {"appid": "", "pagepath": ""}, {"appid": ""}, {"pagepath": None}])
@pytest.mark.parametrize("name", ["subscription", "one_time_subscription", "template"])
def test_an_empty_mini_program_is_absent(name: str, value: object) -> None:
    message, warnings = parse_message(with_(name, "miniprogram", value))
    assert json.loads(message.wire()) == wire(without(name, "miniprogram"))
    assert [(warning.path, warning.rule) for warning in warnings] == [("miniprogram", "empty")]


def test_half_a_mini_program_is_none() -> None:
    body = with_("subscription", "miniprogram", {"appid": "", "pagepath": "index"})
    assert refusals(body) == [("miniprogram.appid", "empty")]
    body = with_("one_time_subscription", "miniprogram", {"appid": "wx1", "pagepath": ""})
    assert refusals(body) == [("miniprogram.pagepath", "empty")]


def test_an_empty_client_msg_id_is_replaced() -> None:
    message, _ = parse_message(with_("template", "client_msg_id", ""), "order-1")
    assert json.loads(message.wire())["client_msg_id"] == "order-1"


def test_an_empty_data_of_an_optional_kind_is_absent() -> None:
    body = {**without("mini_program_template", "emphasis_keyword"), "data": ""}
    assert "data" not in wire(body)


@pytest.mark.parametrize("field", ["expires_at", "delivery"])
def test_the_services_own_fields_are_not_given_empty(field: str) -> None:
    assert [path for path, _ in refusals(with_("template", field, ""))] == [field]


@pytest.mark.parametrize(
    "name", ["subscription", "mini_program_subscription", "one_time_subscription", "template"]
)
def test_a_message_without_keywords_is_warned_of(name: str) -> None:
    message, warnings = parse_message(with_(name, "data", {}))
    assert json.loads(message.wire())["data"] == {}
    assert [(warning.path, warning.rule) for warning in warnings] == [("data", "empty")]
    assert "47003" in warnings[0].text.en


FREE_NAMES = [
    ("date", "2022-08-26 星期五"),
    ("number", "1份"),
    ("time", "今天11:22"),
    ("thing", "x" * 30),
    ("letter", "12"),
    ("symbol", "ab"),
    ("character_string", "中文"),
    ("amount", "面议"),
    ("phone_number", "无"),
    ("car_number", "未知的车牌号码一二三"),
    ("name", "用户410774"),
    ("phrase", "approved"),
    ("short_thing", "x" * 10),
    ("const", "x" * 30),
]


@pytest.mark.parametrize(("key", "value"), FREE_NAMES)
def test_a_key_without_a_number_has_no_type_in_a_template(key: str, value: str) -> None:
    assert parse_message(with_("template", "data", {key: {"value": value}}))[1] == []
    _, warnings = parse_message(with_("template", "data", {key: {"value": ""}}))
    assert [(warning.path, warning.rule) for warning in warnings] == [(f"data.{key}.value", "empty")]


TYPED = [(key, value) for key, value in FREE_NAMES if key not in {"short_thing", "const"}]


@pytest.mark.parametrize(("key", "value"), TYPED)
def test_every_key_of_a_subscription_is_typed(key: str, value: str) -> None:
    for name in ("subscription", "mini_program_subscription"):
        for typed in (key, f"{key}1"):
            assert refusals(with_(name, "data", {typed: {"value": value}}))
    assert refusals(with_("template", "data", {f"{key}1": {"value": value}}))


# --- Unknown fields -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, "access_token") for name in NAMES),
        *((name, "Touser") for name in NAMES),
        ("subscription", "url"),
        ("subscription", "miniprogram.page"),
        ("subscription", "emphasis_keyword"),
        ("one_time_subscription", "page"),
        ("one_time_subscription", "client_msg_id"),
        ("one_time_subscription", "data.keyword1"),
        ("one_time_subscription", "data.content.colour"),
        ("mini_program_template", "miniprogram"),
        ("mini_program_template", "templateid"),
        ("mini_program_subscription", "miniprogram"),
        ("mini_program_subscription", "data.number01.DATA"),
        ("template", "topcolor"),
        ("template", "lang"),
        ("template", "data.thing1.colour"),
    ],
)
def test_an_unknown_field_is_refused_with_its_path(name: str, path: str) -> None:
    [violation] = violations(with_(name, path, "12345"))
    assert (violation.path, violation.rule, violation.length) == (path, "unknown_field", 5)


# --- Limits and forms ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["订" * 15, "x" * 15, "😀" * 15, " "])
def test_a_title_of_at_most_15_characters(value: str) -> None:
    assert wire(with_("one_time_subscription", "title", value))["title"] == value


@pytest.mark.parametrize("value", ["订" * 16, "x" * 400])
def test_a_longer_title_is_refused(value: str) -> None:
    [violation] = violations(with_("one_time_subscription", "title", value))
    assert (violation.path, violation.rule) == ("title", "max_length")
    assert (violation.limit, violation.length) == (15, len(value))
    assert "15" in violation.text.en
    assert "15" in violation.text.zh


@pytest.mark.parametrize("value", ["您" * 200, "一\n二\r\n\t三"])
def test_a_content_of_at_most_200_characters_with_line_breaks(value: str) -> None:
    assert (
        wire(with_("one_time_subscription", "data.content.value", value))["data"]["content"]["value"] == value
    )


def test_a_longer_content_is_refused() -> None:
    [violation] = violations(with_("one_time_subscription", "data.content.value", "您" * 201))
    assert (violation.path, violation.rule) == ("data.content.value", "max_length")
    assert (violation.limit, violation.length) == (200, 201)


@pytest.mark.parametrize("value", ["a\x00", "\x0b", "\x0c", "\x1b", "\x7f", "\x80"])
def test_a_content_holds_no_control_characters(value: str) -> None:
    assert refusals(with_("one_time_subscription", "data.content.value", value)) == [
        ("data.content.value", "control_characters")
    ]


@pytest.mark.parametrize("value", [5, True, [], {}, Decimal("1.5")])
def test_a_content_is_text(value: object) -> None:
    assert refusals(with_("one_time_subscription", "data.content.value", value)) == [
        ("data.content.value", "text")
    ]


@pytest.mark.parametrize(
    ("value", "sent"),
    [("0", "0"), ("10000", "10000"), ("9999", "9999"), ("01000", "01000"), (0, "0"), (10_000, "10000")],
)
def test_a_scene_from_0_to_10000_leaves_as_text(value: object, sent: str) -> None:
    assert wire(with_("one_time_subscription", "scene", value))["scene"] == sent


@pytest.mark.parametrize(
    "value", ["10001", "99999", "-1", "+1", "", " 1", "1.0", "1\n", "一", "１", "010000", 10_001, -1, 10**30]
)
def test_a_scene_outside_is_refused(value: object) -> None:
    [violation] = violations(with_("one_time_subscription", "scene", value))
    assert (violation.path, violation.rule, violation.limit) == ("scene", "range", "0-10000")
    assert violation.length == (len(value) if isinstance(value, str) else None)


@pytest.mark.parametrize("value", [True, None, Decimal(5), [], {}])
def test_a_scene_is_text_or_an_integer(value: object) -> None:
    assert refusals(with_("one_time_subscription", "scene", value)) == [("scene", "text")]


COLORS = [("one_time_subscription", "data.content.color"), ("template", "data.thing1.color")]


@pytest.mark.parametrize(("name", "path"), COLORS)
@pytest.mark.parametrize("value", ["#FF0000", "#00ff00", "#012aBc"])
def test_a_colour(name: str, path: str, value: str) -> None:
    inner: Any = wire(with_(name, path, value))
    for part in path.split("."):
        inner = inner[part]
    assert inner == value


def test_a_colour_that_wechat_drops_is_warned_of() -> None:
    _, warnings = parse_message(with_("template", "data.thing1.color", "#FF0000"))
    assert [(warning.path, warning.rule) for warning in warnings] == [("data.thing1.color", "dropped")]
    assert parse_message(with_("one_time_subscription", "data.content.color", "#FF0000"))[1] == []


@pytest.mark.parametrize(
    ("name", "path", "rule"), [(*COLORS[0], "format"), (*COLORS[1], "dropped")], ids=["one-time", "template"]
)
@pytest.mark.parametrize("value", ["#F00", "FF0000", "#FF000", "#FF00000", "#GG0000", "red", "#１２３４５６"])
def test_an_odd_colour_is_passed_on(name: str, path: str, rule: str, value: str) -> None:
    message, warnings = parse_message(with_(name, path, value))
    assert value in message.wire().decode()
    assert [(warning.path, warning.rule) for warning in warnings] == [(path, rule)]


@pytest.mark.parametrize(("name", "path"), COLORS)
@pytest.mark.parametrize("value", [0xFF0000, True, [], "#FF0000\n", "\ufffd"])
def test_what_is_no_colour_is_left_out(name: str, path: str, value: object) -> None:
    message, warnings = parse_message(with_(name, path, value))
    assert json.loads(message.wire()) == wire(without(name, path))
    assert [(warning.path, warning.rule) for warning in warnings] == [(path, "dropped")]


@pytest.mark.parametrize("value", ["#FF0000", "", None, 5])
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("subscription", "keyword1"),
        ("mini_program_subscription", "number01"),
        ("mini_program_template", "keyword1"),
    ],
)
def test_a_subscription_has_no_colours(name: str, key: str, value: object) -> None:
    body = with_(name, f"data.{key}.color", value)
    message, warnings = parse_message(body)
    assert json.loads(message.wire()) == wire(example(name))
    assert [(warning.path, warning.rule) for warning in warnings] == [(f"data.{key}.color", "dropped")]


CHOICES = [
    ("miniprogram_state", ["developer", "trial", "formal"]),
    ("lang", ["zh_CN", "en_US", "zh_HK", "zh_TW"]),
]


@pytest.mark.parametrize("name", ["subscription", "mini_program_subscription"])
@pytest.mark.parametrize(("field", "choices"), CHOICES)
def test_a_choice(name: str, field: str, choices: list[str]) -> None:
    for choice in choices:
        assert wire(with_(name, field, choice))[field] == choice


@pytest.mark.parametrize("name", ["subscription", "mini_program_subscription"])
@pytest.mark.parametrize(("field", "choices"), CHOICES)
@pytest.mark.parametrize("value", ["de_DE", "Trial", 1, True, ["trial"], {}])
def test_another_choice_is_refused(name: str, field: str, choices: list[str], value: object) -> None:
    [violation] = violations(with_(name, field, value))
    assert (violation.path, violation.rule) == (field, "choice")
    assert violation.limit == ", ".join(choices)
    assert violation.length == (len(value) if isinstance(value, str) else None)
    assert all(choice in violation.text.en and choice in violation.text.zh for choice in choices)


@pytest.mark.parametrize("value", ["x", 1, True, [{}], "{}"])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("subscription", "miniprogram"),
        ("one_time_subscription", "miniprogram"),
        ("one_time_subscription", "data.content"),
        ("template", "miniprogram"),
        *((name, "data") for name in KINDS if name != "mini_program_template"),
        ("subscription", "data.keyword1"),
        ("template", "data.thing1"),
    ],
)
def test_an_object_is_an_object(name: str, path: str, value: object) -> None:
    [violation] = violations(with_(name, path, value))
    assert (violation.path, violation.rule) == (path, "object")
    assert violation.length == (len(value) if isinstance(value, str) else None)


def test_a_data_that_is_a_string_is_told_what_to_be() -> None:
    body = with_("subscription", "data", '{"thing1": {"value": "x"}}')
    [violation] = violations(body)
    assert (violation.path, violation.rule, violation.length) == ("data", "object", 26)
    assert "JSON object" in violation.text.en
    assert "JSON 对象" in violation.text.zh


# --- emphasis_keyword ---------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["emphasis_keyword", "emphasisKeyword"])
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("keyword1", "format"),
        ("keyword1.data", "format"),
        ("keyword1.DATA ", "format"),
        ("keyword5.DATA", "keyword"),
        ("Keyword1.DATA", "keyword"),
        (".DATA", "keyword"),
        ("keyword1.DATA.DATA", "keyword"),
        (5, "text"),
    ],
)
def test_the_emphasis_names_a_keyword_of_data_with_its_suffix(field: str, value: object, rule: str) -> None:
    body = without("mini_program_template", "emphasis_keyword")
    [violation] = violations({**body, field: value})
    assert (violation.path, violation.rule) == (field, rule)
    assert violation.length == (len(value) if isinstance(value, str) else None)


@pytest.mark.parametrize("data", [None, {}])
def test_there_is_nothing_to_emphasise_without_data(data: object) -> None:
    body = with_("mini_program_template", "data", data)
    assert refusals(body) == [("emphasis_keyword", "keyword")]


def test_the_emphasis_is_checked_where_a_value_of_data_is_refused() -> None:
    body = with_("mini_program_template", "data", {"keyword1": {"value": None}})
    assert refusals(body) == [("data.keyword1.value", "text")]
    body["emphasis_keyword"] = "keyword2.DATA"
    assert refusals(body) == [("data.keyword1.value", "text"), ("emphasis_keyword", "keyword")]


def test_the_emphasis_is_right_where_the_key_is_wrong() -> None:
    body = with_("mini_program_template", "data", {"keyword1.DATA": {"value": "x"}})
    assert refusals(body) == [("data.keyword1.DATA", "key")]


def test_the_emphasis_is_not_judged_by_a_data_that_is_none() -> None:
    assert refusals(with_("mini_program_template", "data", "text")) == [("data", "object")]


# --- Keywords -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name != "one_time_subscription"])
@pytest.mark.parametrize("key", ["thing1.DATA", ".DATA", "", "a\nb", "\x00", "\x7f"])
def test_a_key_is_a_keyword_without_suffix(name: str, key: str) -> None:
    body = example(name)
    body["data"][key] = {"value": "x"}
    assert refusals(body) == [(f"data.{key}", "key")]


@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        ("39", "39"),
        ("0", "0"),
        ("-5", "-5"),
        ("39.80", "39.80"),
        ("0.10", "0.10"),
        ("1.0", "1.0"),
        ("1e3", "1000"),
        ("1.5E+2", "150"),
        ("1e-7", "0.0000001"),
        ("0.00000001", "0.00000001"),
        ("12345678901234567890123456789012", "12345678901234567890123456789012"),
        ("1234567890123456.789012345678901", "1234567890123456.789012345678901"),
        ("9007199254740993", "9007199254740993"),
    ],
)
def test_a_json_number_leaves_as_text_digit_for_digit(given_value: str, sent: str) -> None:
    body = parse_json(json.dumps(keyword("?", "number1")).replace('"?"', given_value))
    assert wire(body)["data"] == {"number1": {"value": sent}}


def test_a_number_may_stand_under_any_keyword() -> None:
    assert wire(keyword(Decimal("39.80"), "site01"))["data"] == {"site01": {"value": "39.80"}}
    assert wire(keyword(39.8, "number1"))["data"] == {"number1": {"value": "39.8"}}
    assert wire(keyword(1e22, "number1"))["data"] == {"number1": {"value": "10000000000000000000000"}}


@pytest.mark.parametrize("value", [1e308, 1e-308, Decimal("1E+41"), Decimal("1E-41"), Decimal("1E+99999999")])
def test_a_number_that_is_not_written_out_is_refused(value: object) -> None:
    assert refusals(keyword(value, "site01")) == [("data.site01.value", "range")]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "sNaN"])
def test_no_number_is_refused(value: str) -> None:
    assert refusals(keyword(Decimal(value))) == [("data.thing1.value", "range")]
    if value != "sNaN":
        assert refusals(keyword(float(value))) == [("data.thing1.value", "range")]


@pytest.mark.parametrize("value", [True, False, None, [], {}, ["x"]])
def test_a_value_is_text_or_a_number(value: object) -> None:
    assert refusals(keyword(value)) == [("data.thing1.value", "text")]


@pytest.mark.parametrize("value", ["\x00", "a\x1b", "\x0b", "\x7f", "\x9f", "a\ud800", "\udfff"])
def test_a_value_holds_no_control_characters(value: str) -> None:
    [violation] = violations(keyword(value))
    assert (violation.path, violation.rule) == ("data.thing1.value", "control_characters")
    assert violation.length == len(value)


def test_a_numbers_rule_holds_for_json_numbers_too() -> None:
    [violation] = violations(keyword(10**32, "number1"))
    assert (violation.path, violation.rule) == ("data.number1.value", "max_length")
    assert (violation.limit, violation.length) == (32, 33)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "one_time_subscription"])
def test_what_is_certain_refuses(name: str) -> None:
    body = example(name)
    body["data"]["thing9"] = {"value": "一" * 21}
    [violation] = violations(body)
    assert violation.as_dict() == {
        "path": "data.thing9.value",
        "rule": "max_length",
        "limit": 20,
        "length": 21,
        "en": "must be at most 20 characters",
        "zh": "不能超过 20 个字符",
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name != "one_time_subscription"])
def test_what_is_not_certain_warns(name: str) -> None:
    body = example(name)
    body["data"]["short_thing9"] = {"value": "123456"}
    message, [warning] = parse_message(body)
    assert (warning.path, warning.rule) == ("data.short_thing9.value", "max_length")
    assert (warning.limit, warning.length) == (5, 6)
    assert json.loads(message.wire())["data"]["short_thing9"] == {"value": "123456"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "one_time_subscription"])
def test_only_a_template_message_has_legacy_keywords(name: str) -> None:
    body = example(name)
    body["data"]["first"] = {"value": "您好"}
    body["data"]["keyword9"] = {"value": "x" * 21}
    warned = [(warning.path, warning.rule) for warning in parse_message(body)[1]]
    expected = [("data.first.value", "dropped"), ("data.keyword9.value", "max_length")]
    assert warned == (expected if name == "template" else [])


# --- Every wrong field at once, and no value ----------------------------------------------------


def test_every_wrong_field_is_named_at_once() -> None:
    body = example("template")
    del body["touser"]
    body |= {
        "template_id": "",
        "url": 5,
        "miniprogram": {"pagepath": "a\x00", "path": "x"},
        "topcolor": "#FF0000",
        "client_msg_id": [],
        "data": {
            "thing1": {"value": "x" * 21, "color": "red", "size": 1},
            "phrase2": {"value": "approved"},
            "time3.DATA": {"value": "15:01"},
            "date4": "2019-10-01",
            "name5": {},
            "thing6": {"value": "right"},
        },
    }
    assert sorted(refusals(body)) == [
        ("client_msg_id", "text"),
        ("data.date4", "object"),
        ("data.name5.value", "missing"),
        ("data.phrase2.value", "format"),
        ("data.phrase2.value", "max_length"),
        ("data.thing1.size", "unknown_field"),
        ("data.thing1.value", "max_length"),
        ("data.time3.DATA", "key"),
        ("miniprogram.appid", "missing"),
        ("miniprogram.pagepath", "control_characters"),
        ("miniprogram.path", "unknown_field"),
        ("template_id", "empty"),
        ("topcolor", "unknown_field"),
        ("touser", "missing"),
        ("url", "text"),
    ]


def test_the_unknown_fields_of_a_keyword_come_in_the_order_of_the_body() -> None:
    entry = {"value": "x"} | dict.fromkeys("zyxwabcd", 1)
    body = with_("subscription", "data", {"thing1": entry})
    assert [path for path, _ in refusals(body)] == [f"data.thing1.{name}" for name in "zyxwabcd"]


def test_the_error_itself_names_paths_and_rules() -> None:
    with pytest.raises(
        InvalidMessageError, match=r"^title: max_length 15, scene: range 0-10000$|^scene: .*, title: .*$"
    ):
        parse_message(with_("one_time_subscription", "title", "x" * 16) | {"scene": "no"})


def test_there_is_an_end_to_the_violations_and_the_warnings() -> None:
    body = with_("subscription", "data", {f"thing{n}": {"value": "x" * 21} for n in range(500)})
    assert len(violations(body)) == 100
    body["data"] = {f"short_thing{n}": {"value": "123456"} for n in range(500)}
    assert len(parse_message(body)[1]) == 100


def test_there_is_an_end_to_a_path() -> None:
    body = with_("subscription", "data", {"k" * 1000: {}, "other": {"value": "x"}})
    [violation] = violations(body)
    assert (len(violation.path), violation.rule, violation.limit) == (120, "max_length", 64)
    assert (violation.length, violation.place) == (1000, "data.?")


def test_a_key_of_64_characters_may_be_one() -> None:
    body = with_("subscription", "data", {"k" * 64: {"value": "x"}})
    assert parse_message(body)[1] == []


MISSPELT = [
    ({"tousr": "x"}, "tousr", "touser"),
    ({"toUser": "x"}, "toUser", "touser"),
    ({"templateID": "x"}, "templateID", "template_id"),
    ({"mini_program": {}}, "mini_program", "miniprogram"),
    ({"expire_at": "x"}, "expire_at", "expires_at"),
    ({"miniprogram": {"appid": "wx1", "page_path": "x"}}, "miniprogram.page_path", "pagepath"),
    ({"data": {"thing1": {"value": "x", "colour": "x"}}}, "data.thing1.colour", "color"),
]


@pytest.mark.parametrize(("change", "path", "meant"), MISSPELT)
def test_a_misspelt_field_is_answered_with_the_right_one(
    change: dict[str, Any], path: str, meant: str
) -> None:
    [violation] = violations(example("template") | change)
    assert (violation.path, violation.rule, violation.meant) == (path, "unknown_field", meant)
    assert violation.text.en.endswith(f"did you mean {meant}?")
    assert violation.for_log() == f"{path}: unknown_field, did you mean {meant}?"
    assert violation.told().en.startswith(f"{path} is not a field")


def test_a_field_in_both_spellings_is_not_said_to_mean_itself() -> None:
    [violation] = violations(example("mini_program_template") | {"templateId": "x"})
    assert (violation.path, violation.rule, violation.meant) == ("templateId", "unknown_field", "template_id")


@pytest.mark.parametrize(
    "name",
    [
        "oQk3h5LrVfTnWb8xYc2ZpJd0GmEs",
        "姓名",
        "secret",
        "o" * 500,
        "13800138000",
        "wang.wu@example.com",
        "wang",
        "Wang",
        "kang",
        "Fang",
        "Dana",
        "Sage",
    ],
)
@pytest.mark.parametrize("kind", ["template", "mini_program_subscription"])
def test_another_name_is_not_shown(kind: str, name: str) -> None:
    [violation] = violations(example(kind) | {name: "x"})
    assert (violation.meant, violation.place) == (None, "?")
    assert name not in violation.told().en + violation.told().zh + violation.for_log()


@pytest.mark.parametrize("body", [None, True, 5, Decimal("1.5"), "", "text", "{}", [], [{}]])
def test_a_body_that_is_no_object(body: object) -> None:
    assert refusals(body) == [("", "object")]


def test_an_empty_object_lacks_its_kind() -> None:
    assert refusals({}) == [("kind", "missing")]


@pytest.mark.parametrize(
    "kind",
    [
        None,
        True,
        0,
        "",
        "Subscription",
        "subscription ",
        "bizsend",
        "\ud800",
        [],
        ["template"],
        {},
        "x" * 9999,
    ],
)
def test_an_unknown_kind_is_told_the_known_ones(kind: object) -> None:
    [violation] = violations({**example("template"), "kind": kind})
    assert (violation.path, violation.rule) == ("kind", "choice")
    assert violation.limit == ", ".join(KINDS)
    assert violation.length == (len(kind) if isinstance(kind, str) else None)
    assert all(known in violation.text.en and known in violation.text.zh for known in KINDS)


def deep(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = {"value": [value]}
    return value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["data", "touser", "miniprogram", "kind", "unknown"])
def test_a_deep_nesting_is_refused(name: str, path: str) -> None:
    assert refusals(with_(name, path, deep(300)))
    assert refusals(deep(300))


# Characters that stand in none of our texts, so that a trace of them can only be a value's.
marks = st.text("킇킈킉", min_size=1, max_size=40)
texts = st.one_of(
    marks,
    st.builds("{}{}".format, marks, st.text(max_size=30)),
    st.builds("{}{}".format, st.text(max_size=3), marks),
)
marked_values = st.recursive(
    texts | st.integers(10**15, 10**16) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=30)
    | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({field for name in NAMES for field in example(name)} | {"url", "lang", "unknown"} - {"kind"})
KEYS = [
    "thing1",
    "short_thing2",
    "number3",
    "symbol5",
    "time7",
    "date8",
    "amount9",
    "car_number11",
    "phrase13",
    "keyword1",
    "first",
    "content",
    "site01",
    "thing1.DATA",
]


def entries(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entry = st.dictionaries(st.sampled_from(["value", "color", "size"]), values, max_size=3)
    return st.dictionaries(st.sampled_from(KEYS), entry | values, max_size=4)


@st.composite
def changed_examples(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Body:
    """An example with some fields replaced by anything."""
    body = example(draw(st.sampled_from(NAMES)))
    body |= draw(st.dictionaries(st.sampled_from(FIELDS), values, max_size=4))
    if draw(st.booleans()):
        body["data"] = draw(entries(values))
    return body


def parsed(body: object) -> tuple[bytes, list[Violation]] | InvalidMessageError:
    try:
        message, warnings = parse_message(body)
    except InvalidMessageError as error:
        return error
    return message.wire(), warnings


@quick
@given(json_values | changed_examples(json_values) | changed_examples(st.text(max_size=25)))
def test_parsing_raises_nothing_else_and_what_passes_leaves_as_it_came(body: object) -> None:
    result = parsed(body)
    if isinstance(result, InvalidMessageError):
        assert 1 <= len(result.violations) <= 100
        return
    sent, warnings = result
    assert isinstance(body, dict)
    given_empty = {warning.path for warning in warnings if warning.rule == "empty"}
    if given_empty <= {"data"} and not any(warning.path.endswith(".color") for warning in warnings):
        check_wire(body, sent)


def as_sent(value: object) -> object:
    """What WeChat is to receive: numbers as text, nothing that is null."""
    if isinstance(value, dict):
        return {name: as_sent(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, float):
        value = Decimal(repr(value))
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def check_wire(body: Mapping[str, Any], sent: bytes) -> None:
    text = sent.decode("utf-8")
    expected = {HTTPS_SPELLING.get(field, field): value for field, value in body.items() if field != "kind"}
    assert json.loads(text) == as_sent(expected)
    assert not re.search(r"\\u(?!00[0-7])", text.replace(r"\\", ""))


@pytest.mark.parametrize(
    "value", ["巧克力", "é", "\u2028x", "😀", '"\\', "\\u4e2d", "</script>", "\u200d", "\ufffe"]
)
def test_the_wire_is_raw_utf_8(value: str) -> None:
    body = keyword(value, "site01")
    sent = parse_message(body)[0].wire()
    check_wire(body, sent)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert f'"value":"{escaped}"'.encode() in sent
    assert b'"kind"' not in sent


@quick
@given(
    changed_examples(marked_values) | st.builds(lambda kind: {"kind": kind}, marked_values) | marked_values
)
def test_every_violation_speaks_both_languages_and_quotes_no_value(body: object) -> None:
    result = parsed(body)
    found: Sequence[Violation]
    if isinstance(result, InvalidMessageError):
        assert result.__cause__ is None
        assert result.__context__ is None
        check_quotes_nothing("".join(traceback.format_exception(result)))
        found = result.violations
    else:
        _, found = result
    for violation in found:
        assert violation.rule
        assert violation.text.en
        assert CHINESE.search(violation.text.zh)
        check_quotes_nothing(json.dumps(violation.as_dict(), ensure_ascii=False))
        check_quotes_nothing(repr(violation))


def check_quotes_nothing(text: str) -> None:
    assert not re.search("[킇킈킉]|[0-9]{15}", text)


@pytest.mark.parametrize(
    "body",
    [
        with_("subscription", "touser", "\x00킇"),
        with_("subscription", "data", "킇"),
        with_("subscription", "data", {"thing1": "킇"}),
        with_("one_time_subscription", "title", "킇" * 16),
        with_("one_time_subscription", "scene", "킇"),
        with_("subscription", "lang", "킇"),
        with_("subscription", "unknown", "킇"),
        with_("mini_program_template", "emphasis_keyword", "킇"),
        with_("mini_program_template", "emphasis_keyword", "킇.DATA"),
        {"kind": "킇"},
        "킇",
        *(
            keyword("킇" * 40, f"{kind}1")
            for kind in ("thing", "number", "symbol", "time", "phrase", "amount")
        ),
    ],
)
def test_no_rule_quotes_the_value(body: object) -> None:
    found = violations(body)
    assert found
    for violation in found:
        check_quotes_nothing(repr(violation))
        assert violation.length


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("subscription", "touser", "\x00"),
        ("subscription", "lang", "xx"),
        ("subscription", "expires_at", "soon"),
        ("subscription", "unknown", 1),
        ("subscription", "data", 1),
        ("subscription", "data", {"thing1": "x"}),
        ("subscription", "data", {"thing1": {"value": "\x00"}}),
        ("subscription", "data", {"thing1": {"value": "x" * 21}}),
        ("subscription", "data", {"thing1": {"value": Decimal("1e999")}}),
        ("one_time_subscription", "scene", "x"),
        ("one_time_subscription", "title", "x" * 16),
        ("one_time_subscription", "data.content.value", "\x00"),
        ("mini_program_template", "emphasis_keyword", "x"),
    ],
)
def test_a_refused_message_is_forgotten_at_once(name: str, path: str, value: object) -> None:
    """Not when garbage is collected, which is hardly ever, nor never."""

    class Body(dict[str, Any]):
        pass

    def refuse() -> weakref.ref[Body]:
        body = Body(with_(name, path, value))
        try:
            parse_message(body)
        except InvalidMessageError:
            return weakref.ref(body)
        raise AssertionError

    refuse()  # what is built on first use is no garbage
    gc.disable()
    try:
        assert refuse()() is None
    finally:
        gc.enable()


def test_a_warning_quotes_no_value() -> None:
    for key in ("short_thing1", "const1", "character_string1", "name1", "thing1"):
        message, warnings = parse_message(keyword("킇킈\n킉 킉킉", key))
        assert warnings
        assert "킇킈" in message.wire().decode()
        check_quotes_nothing(repr(warnings))
