from __future__ import annotations

import copy
import gc
import json
import re
import traceback
import weakref
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.messages.bodies import (
    NAMES,
    Body,
    changed,
    example,
    keyword,
    quick,
    refusals,
    violations,
    wire,
    without,
)
from wechat_notify.core.errors import InvalidMessageError
from wechat_notify.core.messages.kinds import KINDS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

LONG_ID = "order-4711-" + "x" * 22
LONG_ID_DIGEST = "bf6e950944a292c4ac81ce00712b33f7"

NO_KINDS: list[Any] = [None, "", "Subscription", "subscription ", "\ud800", [], {}, "x" * 9999]


@pytest.mark.parametrize("kind", NO_KINDS)
def test_unknown_kind(kind: object) -> None:
    [violation] = violations(example("template", kind=kind))
    assert (violation.path, violation.rule, violation.limit) == ("kind", "choice", ", ".join(KINDS))


# ---------------------------------------------------------------- the id


@pytest.mark.parametrize(
    ("openid", "message_id", "is_warned"),
    [
        ("oGZUI0egBJY1zhBYw2KhdUfwVJJE", "order-oGZUI0egBJY1zhBYw2KhdUfwVJJE-1", True),
        ("oGZUI0egBJY1zhBYw2KhdUfwVJJE", "order-oGZUI0egBJY1zhBYw2KhdUfwVJJF-1", False),
        ("oGZUI0egBJY1zhBYw2KhdUfwVJJE", None, False),
        ("abc", "0193abc7", False),
    ],
)
def test_id_that_names_the_receiver(openid: str, message_id: str | None, *, is_warned: bool) -> None:
    _, warnings = parse_message(example("template", touser=openid), message_id)

    assert [(each.path, each.rule) for each in warnings] == ([("id", "names_receiver")] if is_warned else [])


# ---------------------------------------------------------------- client_msg_id


@pytest.mark.parametrize(
    ("own", "message_id", "sent"),
    [
        (None, "x" * 32, "x" * 32),
        (None, LONG_ID, LONG_ID_DIGEST),
        ("", "order-1", "order-1"),
        ("x" * 64, "order-1", "x" * 64),
        (None, None, None),
    ],
)
def test_client_msg_id(own: str | None, message_id: str | None, sent: str | None) -> None:
    body = example("template", client_msg_id=own)
    before = copy.deepcopy(body)
    assert wire(body, message_id).get("client_msg_id") == sent
    assert body == before  # the fingerprint is made of it
    if own is None:
        assert wire(without("template", "client_msg_id"), message_id).get("client_msg_id") == sent


# ---------------------------------------------------------------- every wrong field at once


def test_every_wrong_field() -> None:
    body = without("template", "touser") | {
        "url": 5,
        "miniprogram": {"pagepath": "a\x00", "path": "x"},
        "data": {
            "phrase1": {"value": "approved", "size": 1},
            "time2.DATA": {"value": "15:01"},
            "date3": "2019-10-01",
            "thing4": {"value": "right"},
        },
    }
    assert sorted(refusals(body)) == [
        ("data.date3", "object"),
        ("data.phrase1.size", "unknown_field"),
        ("data.phrase1.value", "format"),
        ("data.phrase1.value", "max_length"),
        ("data.time2.DATA", "key"),
        ("miniprogram.appid", "missing"),
        ("miniprogram.pagepath", "control_characters"),
        ("miniprogram.path", "unknown_field"),
        ("touser", "missing"),
        ("url", "text"),
    ]


def test_at_most_a_hundred_are_told() -> None:
    data = {f"thing{number}": {"value": "x" * 21} for number in range(101)}
    assert len(violations(example("subscription", data=data))) == 100
    data = {f"short_thing{number}": {"value": "123456"} for number in range(101)}
    assert len(parse_message(example("subscription", data=data))[1]) == 100


@pytest.mark.parametrize(
    ("change", "path", "meant"),
    [
        ({"tousr": "x"}, "tousr", "touser"),
        ({"toUser": "x"}, "toUser", "touser"),
        ({"templateID": "x"}, "templateID", "template_id"),
        ({"mini_program": {}}, "mini_program", "miniprogram"),
        ({"expire_at": "x"}, "expire_at", "expires_at"),
        ({"miniprogram": {"appid": "wx1", "page_path": "x"}}, "miniprogram.page_path", "pagepath"),
        ({"data": {"thing1": {"value": "x", "colour": "x"}}}, "data.thing1.colour", "color"),
    ],
)
def test_misspelt_field(change: Body, path: str, meant: str) -> None:
    [violation] = violations(example("template", **change))
    assert (violation.path, violation.rule, violation.meant) == (path, "unknown_field", meant)
    assert violation.for_log() == f"{path}: unknown_field, did you mean {meant}?"
    assert violation.as_sentence() == Bilingual(
        f"{path} is not a field of this message: did you mean {meant}?",
        f"{path} 该消息没有此字段，是否应为 {meant}？",
    )


PERSONAL = ["oQk3h5LrVfTnWb8xYc2ZpJd0GmEs", "姓名", "o" * 500, "13800138000", "wang.wu@example.com"]
CLOSE_TO_A_FIELD = ["wang", "Wang", "kang", "Fang", "Dana", "Sage"]


@pytest.mark.parametrize("name", [*PERSONAL, *CLOSE_TO_A_FIELD])
def test_personal_name_is_not_shown(name: str) -> None:
    [violation] = violations(example("mini_program_subscription", **{name: "x"}))
    assert (violation.meant, violation.place) == (None, "?")
    assert name not in violation.as_sentence().en + violation.as_sentence().zh + violation.for_log()


# ---------------------------------------------------------------- anything at all

# Characters that stand in none of our texts, so that a trace of them can only be a value's.
marks = st.text("킇킈킉", min_size=1, max_size=40)
texts = st.builds("{}{}{}".format, st.text(max_size=3) | st.just(""), marks, st.text(max_size=30))
numbers = st.integers(10**15, 10**16) | st.floats() | st.decimals()
marked_values = st.recursive(
    st.none() | st.booleans() | numbers | marks | texts | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({field for name in NAMES for field in example(name)} | {"url", "lang", "unknown"} - {"kind"})
KEYS = "thing1 short_thing2 number3 symbol5 time7 date8 amount9 car_number11 phrase13 keyword1 first content"


@st.composite
def changed_examples(draw: st.DrawFn) -> Body:
    """An example with some fields replaced by anything."""
    body = example(draw(st.sampled_from(NAMES)))
    body |= draw(st.dictionaries(st.sampled_from(FIELDS), marked_values, max_size=4))
    if draw(st.booleans()):
        entry = st.dictionaries(st.sampled_from(["value", "color", "size"]), marked_values, max_size=3)
        keys = st.sampled_from([*KEYS.split(), "site01", "thing1.DATA"])
        body["data"] = draw(st.dictionaries(keys, entry | marked_values, max_size=4))
    return body


def parsed(body: object) -> list[Violation] | InvalidMessageError:
    try:
        return parse_message(body)[1]
    except InvalidMessageError as error:
        return error


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *((text, text) for text in ("巧克力", "\u2028x", "😀", "</script>", "\ufffe")),
        ('"\\', r"\"\\"),
        ("\\u4e2d", r"\\u4e2d"),
    ],
)
def test_wire_is_raw_utf_8(value: str, written: str) -> None:
    sent = parse_message(keyword(value, "site01"))[0].wire()
    assert f'"value":"{written}"'.encode() in sent
    assert b'"kind"' not in sent


@pytest.mark.parametrize("path", ["data", "touser", "miniprogram", "kind", "unknown"])
def test_deep_nesting(path: str) -> None:
    deep: object = "x"
    for _ in range(300):
        deep = {"value": [deep]}
    assert refusals(changed("subscription", path, deep))


# ---------------------------------------------------------------- no value is quoted or kept


@quick
@given(changed_examples() | marked_values.map(lambda kind: {"kind": kind}) | marked_values)
def test_anything_is_told_without_values(body: object) -> None:
    result, told = parsed(body), ""
    if isinstance(result, InvalidMessageError):
        assert result.__cause__ is result.__context__ is None
        assert 1 <= len(result.violations) <= 100
        told = "".join(traceback.format_exception(result))
    found = result.violations if isinstance(result, InvalidMessageError) else result
    for violation in found:
        assert violation.rule
        assert violation.text.en
        assert re.search("[\u4e00-\u9fff]", violation.text.zh)
        told += json.dumps(violation.as_dict(), ensure_ascii=False) + repr(violation)
    assert not re.search("[킇킈킉]|[0-9]{15}", told)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("subscription", "touser", "\x00"),
        ("subscription", "expires_at", "soon"),
        ("subscription", "data", {"thing1": {"value": "\x00"}}),
        ("subscription", "data", {"thing1": {"value": "x" * 21}}),
        ("subscription", "data", {"thing1": {"value": Decimal("1e999")}}),
        ("one_time_subscription", "data.content.value", "\x00"),
        ("mini_program_template", "emphasis_keyword", "x"),
    ],
)
def test_refused_message_is_forgotten(name: str, path: str, value: object) -> None:
    """At once, and not when garbage is collected, which is hardly ever."""

    class Kept(dict[str, Any]):
        pass

    def refuse() -> weakref.ref[Kept]:
        body = Kept(changed(name, path, value))
        with pytest.raises(InvalidMessageError):
            parse_message(body)
        return weakref.ref(body)

    refuse()  # what is built on first use is no garbage
    gc.disable()
    try:
        assert refuse()() is None
    finally:
        gc.enable()
