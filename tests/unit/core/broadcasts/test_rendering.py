from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import pytest

from tests.fakes.templates import MEETING, account_templates
from tests.unit.core.messages.bodies import example
from wechat_notify.core.broadcasts.recipients import Row
from wechat_notify.core.broadcasts.rendering import BadRow, CheckedRow, MessageTemplate, check_row
from wechat_notify.core.errors import InvalidFieldsError
from wechat_notify.core.messages.identifiers import is_message_id
from wechat_notify.core.messages.kinds import Template
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

FIELDS = {"openid": "o1", "name": "王小明", "a b": "{{name}} %s", "empty": ""}


def row(number: int = 1, **fields: str) -> Row:
    return Row(number, 0, 1, {"openid": "o1", **fields})


def template(value: str = "{{name}}", **fields: Any) -> MessageTemplate:
    """A template message with one keyword."""
    body = example("template", data={"thing1": {"value": value}}, **fields)
    del body["client_msg_id"], body["touser"]
    return MessageTemplate(body)


def check(
    message: MessageTemplate, checked: Row, broadcast_id: str = "b1", *, by_id: bool = False
) -> CheckedRow:
    result = check_row(message, checked, broadcast_id, by_id=by_id)
    assert isinstance(result, CheckedRow)
    return result


def problems(message: MessageTemplate, checked: Row, *, by_id: bool = False) -> list[tuple[str, str]]:
    """Path and rule of what is wrong with a row."""
    result = check_row(message, checked, "b1", by_id=by_id)
    assert isinstance(result, BadRow)
    assert result.number == checked.number
    return [(violation.path, violation.rule) for violation in result.violations]


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain", "plain"),
        ("{{name}}", "王小明"),
        ("{{ name }}", "王小明"),
        ("{{OpenID}}", "o1"),
        ("{{empty}}", ""),
        ("Dear {{name}}, {{ openid}}!", "Dear 王小明, o1!"),
        ("{{name}}{{name}}", "王小明王小明"),
        ("100% {{name}} %s %(name)s", "100% 王小明 %s %(name)s"),
        ("{{a b}}", "{{name}} %s"),
        ("{{{name}}}", "{王小明}"),
        ("{name} }} {", "{name} }} {"),
    ],
)
def test_text_is_rendered(text: str, rendered: str) -> None:
    assert MessageTemplate({"a": text}).render(FIELDS)["a"] == rendered


@pytest.mark.parametrize(
    "text", ["{{", "{{name", "{{name}", "{{}}", "x{{  }}", "{{name}} {{", "{{a{b}}", "{{{{name}}}}"]
)
def test_placeholder_is_broken(text: str) -> None:
    with pytest.raises(InvalidFieldsError) as refused:
        MessageTemplate({"data": {"thing1": {"value": text}}, "list": ["{{name}}", text]})
    found = [(violation.path, violation.rule) for violation in refused.value.violations]
    assert found == [("data.thing1.value", "placeholder"), ("list.1", "placeholder")]


def test_message_is_rendered_at_depth() -> None:
    message = {
        "touser": "{{name}}",
        "a": {"b": [{"c": "{{name}}"}, "x", 1], "d": {"e": None}},
        "{{name}}": True,
    }
    made = MessageTemplate(message)
    assert made.columns == {"name"}
    assert made.paths == {"touser", "a.b.0.c"}
    assert made.render({"name": "n"}) == {
        "touser": "n",
        "a": {"b": [{"c": "n"}, "x", 1], "d": {"e": None}},
        "{{name}}": True,
    }
    assert message["touser"] == "{{name}}"


def test_fields_keep_their_order() -> None:
    made = MessageTemplate({"a": "{{x}}", "b": "1", "c": {"d": "{{x}}", "e": "1"}})
    rendered = made.render({"x": "1", "openid": "o1"})
    assert list(rendered) == ["a", "b", "c", "touser"]
    assert list(rendered["c"]) == ["d", "e"]


def test_messages_do_not_share_what_changes() -> None:
    made = MessageTemplate({"a": {"b": "{{x}}"}})
    first, second = made.render({"x": "1", "openid": "o1"}), made.render({"x": "2", "openid": "o2"})
    assert (first["a"]["b"], first["touser"]) == ("1", "o1")
    assert (second["a"]["b"], second["touser"]) == ("2", "o2")


def test_message_without_placeholders() -> None:
    made = MessageTemplate({"touser": "o9", "a": 1})
    assert made.columns == frozenset()
    assert made.render({}) == {"touser": "o9", "a": 1}


def test_row_is_checked() -> None:
    checked = check(template(), row(17, name="礼盒"))
    assert (checked.number, checked.message_id, checked.openid, checked.own_id) == (17, "b1:17", "o1", None)
    assert checked.body["data"] == {"thing1": {"value": "礼盒"}}
    assert "client_msg_id" not in checked.body
    assert isinstance(checked.message, Template)
    assert checked.message.client_msg_id == "b1:17"
    assert checked.warnings == []


def test_row_has_warnings() -> None:
    checked = check(template(), row(name="礼盒😀"))
    assert [warning.rule for warning in checked.warnings] == ["emoji"]


@pytest.mark.parametrize(
    ("own_id", "message_id"),
    [
        (" 4711 ", "b1:4711"),
        ("订单", "b1:" + hashlib.sha256("订单".encode()).hexdigest()[:31]),
        ("x" * 80, "b1:" + hashlib.sha256(b"x" * 80).hexdigest()[:31]),
    ],
)
def test_row_has_its_own_id(own_id: str, message_id: str) -> None:
    checked = check(template(), row(name="x", id=own_id), by_id=True)
    assert (checked.own_id, checked.message_id) == (own_id.strip(), message_id)
    assert check(template(), row(3, name="x", id=own_id)).message_id == "b1:3"


def test_message_id_is_valid() -> None:
    """The longest id of a broadcast with an end that is not ASCII."""
    assert is_message_id(check(template(), row(name="x", id="订"), "b" * 32, by_id=True).message_id)


UNREADABLE = Violation("", "encoding", Bilingual("x", "x"))


@pytest.mark.parametrize(
    ("checked", "by_id", "expected"),
    [
        (Row(5, 0, 1, None, UNREADABLE), False, [("", "encoding")]),
        (row(), False, [("name", "missing")]),
        (row(name="x" * 21), False, [("data.thing1.value", "max_length")]),
        (row(name="", openid=""), False, [("touser", "empty"), ("data.thing1.value", "empty")]),
        (row(name="x"), True, [("id", "missing")]),
        (row(name="x", id=" "), True, [("id", "missing")]),
    ],
)
def test_row_is_bad(checked: Row, by_id: bool, expected: list[tuple[str, str]]) -> None:  # noqa: FBT001
    assert problems(template(), checked, by_id=by_id) == expected


@pytest.mark.parametrize(("pages", "fits"), [(3, True), (4, False)])
def test_message_has_a_limited_size(pages: int, fits: bool) -> None:  # noqa: FBT001
    """It must fit on the queue, whatever becomes of a small message and a small row together."""
    made = template(url="{{page}}" * pages)
    checked = row(name="x", page="中" * 6000)
    if fits:
        assert len(check(made, checked).body["url"]) == 18_000
    else:
        assert problems(made, checked) == [("", "max_length")]


def test_large_message_is_not_made() -> None:
    """A body of a megabyte and a row of 64 KiB would make gigabytes."""
    made = template("{{page}}" * 100)
    checked = row(page="x" * 60_000)
    tracemalloc.start()
    try:
        assert problems(made, checked) == [("", "max_length")]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "rules", "warned"),
    [
        ({"date2": "2026年3月1日", "thing1": "{{name}}"}, [], []),
        ({"thing1": "{{name}}"}, [("data.date2", "missing")], []),
        (
            {"date2": "2026年3月1日", "thing1": "{{name}}", "thing3": "{{name}}"},
            [],
            [("data.thing3", "unknown_field")],
        ),
    ],
)
def test_row_against_its_template(
    data: dict[str, str], rules: list[tuple[str, str]], warned: list[tuple[str, str]]
) -> None:
    body = {"kind": "subscription", "template_id": MEETING.id}
    template = MessageTemplate({**body, "data": {key: {"value": value} for key, value in data.items()}})
    row = Row(1, 0, 1, {"openid": "o-1", "name": "会议室"}, None)
    result = check_row(template, row, "b1", by_id=False, known=account_templates(MEETING))
    found = result.violations if isinstance(result, BadRow) else []
    warnings = [] if isinstance(result, BadRow) else result.warnings
    assert [(each.path, each.rule) for each in found] == rules
    assert [(each.path, each.rule) for each in warnings] == warned
