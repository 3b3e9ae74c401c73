"""``data`` and colours: what a message's keywords may be beyond the rules of their types."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.unit.core.messages.bodies import (
    WITH_KEYWORDS,
    changed,
    example,
    keyword,
    refusals,
    sent_at,
    violations,
    warnings,
    wire,
    without,
)
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json

ONCE = "one_time_subscription"
COLORS = [(ONCE, "data.content.color", "format"), ("template", "data.thing1.color", "dropped")]


@pytest.mark.parametrize("key", ["thing1.DATA", ".DATA", "", "a\nb", "\x7f"])
def test_wrong_keys(key: str) -> None:
    assert refusals(keyword("x", key)) == [(f"data.{key}", "key")]


def test_longest_key() -> None:
    assert warnings(keyword("x", "k" * 64)) == []
    [violation] = violations(keyword("x", "k" * 1000))
    assert (violation.path, violation.limit, violation.length) == ("data." + "k" * 115, 64, 1000)
    assert violation.place == "data.?"


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        *((text, text) for text in ("0", "-5", "39.80", "0.00000001", "1" * 32, "9007199254740993")),
        ("1234567890123456.789012345678901", "1234567890123456.789012345678901"),
        ("1.5E+2", "150"),
        ("1E+40", "1" + "0" * 40),
        ("1E-40", "0." + "0" * 39 + "1"),
    ],
)
def test_number_digit_for_digit(number: str, sent: str) -> None:
    body = parse_json(json.dumps(keyword("?", "site01")).replace('"?"', number))
    assert sent_at(body, "data.site01.value") == sent


@pytest.mark.parametrize(("value", "sent"), [(39.8, "39.8"), (1e22, "1" + "0" * 22)])
def test_float_digit_for_digit(value: float, sent: str) -> None:
    assert wire(keyword(value, "site01"))["data"] == {"site01": {"value": sent}}


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("range", [1e308, *map(Decimal, ("1E+41", "1E-41", "nan", "-inf", "sNaN")), float("inf")]),
        ("text", [True, None, [], {}]),
        ("control_characters", ["\x00", "\x0b", "\x9f", "a\ud800"]),
    ],
)
def test_wrong_values(rule: str, values: list[object]) -> None:
    for value in values:
        assert refusals(keyword(value, "site01")) == [("data.site01.value", rule)]


def test_rules_hold_for_json_numbers() -> None:
    [violation] = violations(keyword(10**32, "number1"))
    assert (violation.rule, violation.limit, violation.length) == ("max_length", 32, 33)


@pytest.mark.parametrize("name", WITH_KEYWORDS)
def test_each_kind_has_the_rules(name: str) -> None:
    """Those that are certain refuse, the others warn; legacy keywords are a template's alone."""
    long = changed(name, "data.thing9", {"value": "一" * 21})
    assert refusals(long) == [("data.thing9.value", "max_length")]
    body = changed(name, "data.short_thing9", {"value": "123456"})
    body["data"] |= {"first": {"value": "您好"}, "keyword9": {"value": "x" * 21}}
    told = [("data.short_thing9.value", "max_length")]
    legacy = [("data.first.value", "dropped"), ("data.keyword9.value", "max_length")]
    assert warnings(body) == told + (legacy if name == "template" else [])
    assert wire(body)["data"]["short_thing9"] == {"value": "123456"}


def test_key_without_number() -> None:
    """A template may give it any meaning; the other kinds know it by its type."""
    assert warnings(example("template", data={"number": {"value": "1份"}})) == []
    assert refusals(example("subscription", data={"number": {"value": "1份"}}))


def test_unknown_fields_in_body_order() -> None:
    entry = {"value": "x"} | dict.fromkeys("zyxwabcd", 1)
    body = example("subscription", data={"thing1": entry})
    assert [path for path, _ in refusals(body)] == [f"data.thing1.{name}" for name in "zyxwabcd"]


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize(
    ("value", "odd"),
    [
        *((color, False) for color in ("#FF0000", "#012aBc")),
        *((color, True) for color in ("#F00", "FF0000", "#FF00000", "#GG0000", "#１２３４５６")),
    ],
)
@pytest.mark.parametrize(("name", "path", "rule"), COLORS)
def test_color_is_passed_on(*, name: str, path: str, rule: str, value: str, odd: bool) -> None:
    body = changed(name, path, value)
    assert sent_at(body, path) == value
    assert warnings(body) == ([(path, rule)] if odd or rule == "dropped" else [])


@pytest.mark.parametrize("value", [0xFF0000, [], "#FF0000\n", "\ufffd"])
@pytest.mark.parametrize(("name", "path", "_rule"), COLORS)
def test_color_that_is_none(name: str, path: str, _rule: str, value: object) -> None:
    body = changed(name, path, value)
    assert wire(body) == wire(without(name, path))
    assert warnings(body) == [(path, "dropped")]


def test_empty_color_in_a_template() -> None:
    assert "color" not in wire(changed("template", "data.thing1.color", ""))["data"]["thing1"]


@pytest.mark.parametrize(("value", "length"), [("#FF0000", 7), ("", 0), (None, None), (5, None)])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("subscription", "data.keyword1.color"),
        ("mini_program_subscription", "data.number01.color"),
        ("mini_program_template", "data.keyword1.color"),
    ],
)
def test_color_in_a_subscription(name: str, path: str, value: object, length: int | None) -> None:
    body = changed(name, path, value)
    assert wire(body) == wire(example(name))
    [warning] = parse_message(body)[1]
    assert (warning.path, warning.rule, warning.length) == (path, "dropped", length)
