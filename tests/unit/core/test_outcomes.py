from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.fakes import ERRCODES, OPENID, START, answer, body, lost, misdirected, unreachable
from wechat_notify.core.errors import (
    IllegalTransitionError,
    InvalidMessageError,
    StartedError,
    StorageError,
    WeChatNotifyError,
)
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.outcomes import (
    Bilingual,
    Outcome,
    Status,
    iso_time,
    outcome_from_dict,
    outcome_to_dict,
)
from wechat_notify.core.violations import Violation


def violation(path: str, rule: str = "missing") -> Violation:
    return Violation(path, rule, Bilingual("is required", "缺少必填字段"))


def errors(error: type[WeChatNotifyError] = WeChatNotifyError) -> Iterator[type[WeChatNotifyError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from errors(subclass)


def test_every_error_has_a_reason_of_its_own() -> None:
    reasons = [error.reason for error in errors()]
    assert len(reasons) == len(set(reasons)) >= 8
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", reason) for reason in reasons)
    assert all("reason" in vars(error) for error in errors())


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("touser", "touser"),
        ("data", "data"),
        ("data.thing1.value", "data.thing1.value"),
        ("data.character_string12.value", "data.character_string12.value"),
        ("data.first.color", "data.first.color"),
        ("data." + "k" * 24, "data." + "k" * 24),
        (f"data.{OPENID}.value", "data.?.value"),
        (OPENID, "?"),
        ("data." + "k" * 25, "data.?"),
        ("data.13800138000.value", "data.?.value"),
        ("data.张三.value", "data.?.value"),
        ("data.thing1x.value", "data.?.value"),
        ("data.thing1\n.value", "data.?.value"),
        ("data.a@b.value", "data.?.value"),
        ("data.a b.value", "data.?.value"),
        ("data..value", "data.?.value"),
        ("data.zhang.san", "data.?"),
        ("data.zhang.wei@x.com.value", "data.?"),
        ("", "message"),
    ],
)
def test_a_log_names_no_field_that_does_not_look_like_wechats(path: str, logged: str) -> None:
    assert violation(path).for_log() == f"{logged}: missing"
    assert violation(path).as_dict()["path"] == path


@pytest.mark.parametrize(
    ("path", "logged"),
    [("zhangsan", "?"), ("data.thing1.zhangsan", "data.?"), (f"{OPENID}.thing1", "?"), ("zhang.san", "?")],
)
def test_a_log_never_names_a_field_that_nobody_knows(path: str, logged: str) -> None:
    assert violation(path, "unknown_field").for_log() == f"{logged}: unknown_field"


def test_a_rule_of_the_whole_message_is_told_as_one() -> None:
    with pytest.raises(InvalidMessageError) as refused:
        parse_message(None)
    (wrong,) = refused.value.violations
    assert wrong.told() == Bilingual("the message must be a JSON object", "消息 必须是 JSON 对象")


def test_the_text_of_a_refusal_is_what_a_log_may_hold() -> None:
    error = InvalidMessageError([violation("touser"), violation(f"data.{OPENID}", "object")])
    assert str(error) == "touser: missing, data.?: object"
    assert [wrong.path for wrong in error.violations] == ["touser", f"data.{OPENID}"]


@pytest.mark.parametrize(
    "message",
    [
        {OPENID: body()},
        body() | {OPENID: 1},
        body(data={OPENID: "text"}),
        body(data={OPENID: {"value": None}}),
        body(data={OPENID: {"value": "x", OPENID: 1}}),
        body(data={"thing1": {OPENID: "x"}}),
        body(data={f"{OPENID}.DATA": {"value": "x"}}),
        body(miniprogram={"appid": "wx1", "pagepath": "p", OPENID: 1}),
        body(kind="template") | {"kind": OPENID},
    ],
)
def test_a_message_keyed_by_an_openid_is_refused_without_naming_it(message: object) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        parse_message(message)
    assert OPENID not in repr(refused.value.args) + str(refused.value)
    assert not [wrong for wrong in refused.value.violations if OPENID in wrong.for_log()]


@pytest.mark.parametrize(
    "outcome", [*map(answer, ERRCODES), lost(), unreachable(), misdirected()], ids=lambda o: str(o.errcode)
)
def test_an_outcome_survives_its_way_from_function_to_function(outcome: Outcome) -> None:
    assert outcome_from_dict(json.loads(json.dumps(outcome_to_dict(outcome)))) == outcome


def test_an_outcome_of_an_older_function_speaks_about_its_message_only() -> None:
    fields = outcome_to_dict(answer(45009))
    del fields["holds"], fields["repeats"]
    assert outcome_from_dict(fields).holds is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (START, "2026-03-01T07:04:05.000Z"),
        (START + 0.25, "2026-03-01T07:04:05.250Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (253402300799.0, "9999-12-31T23:59:59.000Z"),
        (253402351199.0, "9999-12-31T23:59:59.000Z"),  # 9999-12-31T23:59:59-14:00, an expiry that is one
        (-62135647200.0, "0001-01-01T00:00:00.000Z"),  # 0001-01-01T00:00:00+14:00
    ],
)
def test_a_time_for_people_and_programs(seconds: float, text: str) -> None:
    assert iso_time(seconds) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (IllegalTransitionError(Status.SENT, Status.QUEUED), "sent -> queued"),
        (IllegalTransitionError(None, Status.SENT), "None -> sent"),
        (StartedError(Status.SENDING), "sending"),
        (StorageError("write it", "ThrottlingException"), "write it: ThrottlingException"),
    ],
)
def test_an_error_says_what_a_log_needs(error: WeChatNotifyError, text: str) -> None:
    assert str(error) == text
