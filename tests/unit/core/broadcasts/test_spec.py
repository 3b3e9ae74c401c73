from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from wechat_notify.core.broadcasts.formats import detect
from wechat_notify.core.broadcasts.recipients import read_rows
from wechat_notify.core.broadcasts.spec import BroadcastSpec, SendWindow, parse_spec, stored_spec
from wechat_notify.core.errors import InvalidFieldsError
from wechat_notify.core.messages.strict_json import parse_json

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC).timestamp()
MESSAGE = {"kind": "subscription", "template_id": "t1", "data": {"thing1": {"value": "{{name}}"}}}
BODY: dict[str, Any] = {"message": MESSAGE, "upload": "u1"}


def spec(**fields: Any) -> BroadcastSpec:
    return parse_spec({**BODY, **fields}, NOW)


def refusals(body: object) -> list[tuple[str, str]]:
    """Path and rule of each violation; every one is told in both languages."""
    with pytest.raises(InvalidFieldsError) as refused:
        parse_spec(body, NOW)
    assert refused.value.__cause__ is refused.value.__context__ is None
    assert all(violation.text.en and violation.text.zh for violation in refused.value.violations)
    return [(violation.path, violation.rule) for violation in refused.value.violations]


def test_defaults() -> None:
    assert spec().model_dump() == {
        **BODY,
        "recipients": None,
        "name": None,
        "duplicates": "once",
        "on_invalid": "skip",
        "messages_per_second": None,
        "send_window": None,
        "time_zone": "Asia/Shanghai",
        "starts_at": None,
        "expires_at": None,
        "max_failures_percent": 20,
    }


FULL = {
    "name": "春季促销",
    "duplicates": "send",
    "on_invalid": "abort",
    "messages_per_second": 0.5,
    "send_window": "21:00-09:00",
    "time_zone": "Europe/Berlin",
    "starts_at": "2026-03-02T00:00:00+08:00",
    "expires_at": "2026-03-03T00:00:00Z",
    "max_failures_percent": 100,
}


def test_all_fields() -> None:
    found = spec(**FULL)
    assert found.send_window == SendWindow(21 * 60, 9 * 60)
    assert found.starts_at == datetime(2026, 3, 1, 16, tzinfo=UTC)
    assert found.messages_per_second == 0.5


def test_null_counts_as_absent() -> None:
    assert spec(**dict.fromkeys(FULL), recipients=None) == spec()


@pytest.mark.parametrize("body", [BODY, {**BODY, **FULL}, {"message": MESSAGE, "recipients": ["o1"]}])
def test_spec_is_stored(body: dict[str, Any]) -> None:
    found = parse_spec(body, NOW)
    assert stored_spec(found.to_json()) == found.model_copy(update={"recipients": None})


def test_numbers_are_stored_digit_by_digit() -> None:
    message = {**MESSAGE, "data": {"amount1": {"value": Decimal("39.80")}}}
    assert json.loads(spec(message=message).to_json())["message"]["data"] == {"amount1": {"value": "39.80"}}


def test_recipients_are_rows() -> None:
    body = parse_json('["o1", {"OpenID": " o2 ", "name": "王", "n": 5.50, "x": null}]')
    found = parse_spec({"message": MESSAGE, "recipients": body}, NOW)
    rows = [{"openid": "o1"}, {"openid": "o2", "name": "王", "n": "5.50", "x": ""}]
    assert found.recipients == rows
    file = found.recipients_file()
    read = read_rows([file], detect(file, complete=True), offset=0, next_row=1)
    assert [row.fields for row in read] == rows
    assert spec().recipients_file() == b""


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        ([], [("recipients", "empty")]),
        ("o1", [("recipients", "array")]),
        (["o1"] * 1001, [("recipients", "max_length")]),
        (["o1", "", {"name": "x"}], [("recipients.1.openid", "missing"), ("recipients.2.openid", "missing")]),
        ([1, {"openid": "o1", "a": True}], [("recipients.0", "object"), ("recipients.1.a", "text")]),
        ([{"openid": "o1", " openid": "o2"}], [("recipients.0", "duplicate_column")]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_recipients_are_refused(recipients: object, expected: list[tuple[str, str]]) -> None:
    assert refusals({"message": MESSAGE, "recipients": recipients}) == expected


def test_thousand_recipients() -> None:
    found = parse_spec({"message": MESSAGE, "recipients": ["o1"] * 1000}, NOW)
    assert len(found.recipients or ()) == 1000


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        *[("messages_per_second", value, "range") for value in (0, -1, 10_001, 10**400, "5", True, 1e-9)],
        ("messages_per_second", Decimal("1E-400"), "range"),
        *[("max_failures_percent", value, "range") for value in (0, 101, 20.5, "20", True)],
        *[("send_window", value, "format") for value in ("9:00-21:00", "09:00-24:00", "09:00", 9, "")],
        *[("send_window", value, "format") for value in ("09:60-21:00", "09:00-21:00\n")],
        ("send_window", "09:00-09:00", "window"),
        *[("time_zone", value, "time_zone") for value in ("Asia/Shangai", "UTC+8", "Asia", "", 8)],
        *[("time_zone", value, "time_zone") for value in ("/etc/passwd", "../UTC", "a" * 300, "Asia/\0")],
        *[("starts_at", value, "time") for value in ("2026-03-02", "2026-03-02T00:00:00", 1772323200)],
        *[("starts_at", value, "range") for value in ("2200-01-01T00:00:00Z", "9999-12-31T23:59:59-08:00")],
        ("expires_at", "2026-03-01T16:00:00+08:00", "past"),
        ("expires_at", "0001-01-01T00:00:00+08:00", "past"),
        ("upload", "a/b", "upload"),
        ("upload", "", "upload"),
        ("name", "", "empty"),
        ("name", "x" * 65, "max_length"),
        ("name", "a\nb", "control_characters"),
        ("name", 1, "text"),
        ("duplicates", "never", "choice"),
        ("on_invalid", "stop", "choice"),
        ("message", [], "object"),
        ("recipients", ["o1"], "exclusive"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_field_is_refused(field: str, value: object, rule: str) -> None:
    place = "upload" if rule == "exclusive" else field
    assert refusals({**BODY, field: value}) == [(place, rule)]


@pytest.mark.parametrize(
    ("text", "window"),
    [("09:05-21:59", SendWindow(545, 1319)), ("00:00-23:01", SendWindow(0, 1381))],
)
def test_window(text: str, window: SendWindow) -> None:
    found = spec(send_window=text)
    assert found.send_window == window
    assert stored_spec(found.to_json()) == found


@pytest.mark.parametrize("value", [0.001, 1, Decimal("2.5"), 10_000])
def test_rate(value: Any) -> None:
    assert spec(messages_per_second=value).messages_per_second == float(value)


@pytest.mark.parametrize("starts_at", ["2026-03-03T00:00:00Z", "2027-02-28T23:59:59-08:00"])
def test_expiry_follows_the_start(starts_at: str) -> None:
    expired = {**BODY, "starts_at": starts_at, "expires_at": "2026-03-03T00:00:00Z"}
    assert refusals(expired) == [("expires_at", "order")]


def test_start_may_have_passed() -> None:
    assert spec(starts_at="2020-01-01T00:00:00Z").starts_at


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [("", "object")]),
        ({}, [("recipients", "missing"), ("message", "missing")]),
        ({**BODY, "message": None}, [("message", "missing")]),
        ({**BODY, "duplicate": "once"}, [("duplicate", "unknown_field")]),
        ({**BODY, "x": None}, [("x", "unknown_field")]),
    ],
    ids=str,
)
def test_body_is_refused(body: object, expected: list[tuple[str, str]]) -> None:
    assert refusals(body) == expected


def test_misspelt_field_is_answered() -> None:
    with pytest.raises(InvalidFieldsError) as refused:
        spec(duplicate="once")
    (violation,) = refused.value.violations
    assert violation.text.en == "is not a field of a broadcast: did you mean duplicates?"
    assert violation.text.zh == "群发请求没有此字段，是否应为 duplicates？"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "sms"}, [("message.kind", "choice")]),
        ({"kind": "{{kind}}"}, [("message.kind", "placeholder")]),
        ({"template_id": "{{"}, [("message.template_id", "placeholder")]),
        ({"template_id": ""}, [("message.template_id", "empty")]),
        ({"templat_id": "{{x}}"}, [("message.templat_id", "unknown_field")]),
        ({"data": {"thing1": {"value": "x" * 21}}}, [("message.data.thing1.value", "max_length")]),
        ({"data": {"time1": {"value": "{{when}}"}}, "lang": "{{lang}}"}, []),
        ({"touser": "o1"}, [("message.touser", "placeholder")]),
        ({"touser": None}, [("message.touser", "placeholder")]),
        ({"touser": "{{wechat}}"}, []),
    ],
    ids=str,
)
def test_message_breaks_rules(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """What no row can mend is refused before a row is read."""
    body = {**BODY, "message": {**MESSAGE, **change}}
    if expected:
        assert refusals(body) == expected
    else:
        assert parse_spec(body, NOW).message == body["message"]


def test_many_violations_are_cut() -> None:
    assert len(refusals({**BODY, **{f"x{number}": 1 for number in range(200)}})) == 100
