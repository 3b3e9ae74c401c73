"""What the schemas forbid is refused: whatever the service accepts is of its schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openapi import keywords
from tests.fakes import body
from tests.unit.functions import contract
from wechat_notify.core.broadcasts.spec import parse_spec
from wechat_notify.core.errors import InvalidFieldsError, InvalidMessageError
from wechat_notify.core.messages.keyword_rules import check_keyword
from wechat_notify.core.messages.kinds import KINDS, MODELS
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.validation import spellings
from wechat_notify.core.schedules.schedule import parse_schedule
from wechat_notify.core.templates.keyword_types import KEYWORD_TYPES

BROADCAST = {"message": body(touser="{{openid}}"), "recipients": ["o1"]}
MESSAGE = {"$ref": "#/components/schemas/Message"}
SCHEDULE = {"$ref": "#/components/schemas/ScheduleRequest"}
TEXTS = [
    None,
    "",
    " ",
    "a",
    "a ",
    " 甲",
    "\t",
    "\ufeffa",
    "a\nb",
    "\ufffd",
    "甲" * 16,
    "甲" * 201,
    "keyword1.DATA",
]
CHOICES = ["10000", "00001", "formal", "zh_CN", "at_least_once", 0, 1, 10_000, 10_001, -1, 1.5, True]
TIMES = ["2026-12-01T10:00:00+08:00", "2026-12-01 10:00Z", "2026-12-01T10:00:00"]
MINI_PROGRAMS = [{"appid": ""}, {"appid": "wx1"}, {"appid": "wx1", "pagepath": "p"}, {"appid": None, "x": ""}]
DATA: list[object] = [
    {"content": {"value": "甲", "color": 5}},
    {"content": {}},
    {"content": {"value": ""}},
    {"content": []},
    {"thing1": {"value": "甲"}},
    {"thing1": {"value": 5, "color": {}}},
    {"a.DATA": {"value": "甲"}},
    {"": {"value": "甲"}},
    {"k" * 64: {"value": ""}},
    {"k" * 65: {"value": ""}},
    {"thing1": "甲"},
    [],
    {},
    [1],
]
ODD: st.SearchStrategy[Any] = st.sampled_from([*TEXTS, *CHOICES, *TIMES, *MINI_PROGRAMS, *DATA])
FIELDS = {
    kind: sorted({each for name, field in model.model_fields.items() for each in spellings(name, field)})
    for kind, model in MODELS.items()
}
VALUES = st.text(max_size=35) | st.from_regex(r"[0-9A-Za-z:\-./~ +元¥年月日甲乙\n]{0,34}", fullmatch=True)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.sampled_from(KINDS), st.data())
def test_accepted_message_is_of_its_schema(kind: str, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(FIELDS[kind]), max_size=3))
    message = body(kind) | {name: data.draw(ODD) for name in names if name != "kind"}
    for name in data.draw(st.lists(st.sampled_from(["template_id", "form_id"]), max_size=1)):
        message.pop(name, None)
    try:
        parse_message(message)
    except InvalidMessageError:
        return
    contract.validate(MESSAGE, message)


@pytest.mark.parametrize("official_account_template", [False, True])
@pytest.mark.parametrize("kind", KEYWORD_TYPES)
@settings(max_examples=60, derandomize=True, deadline=None)
@given(value=VALUES)
def test_accepted_keyword_is_of_its_schema(kind: str, value: str, *, official_account_template: bool) -> None:
    schema = jsonschema.Draft202012Validator(
        keywords.schema(official_account_template=official_account_template)
    )
    for key in (kind, f"{kind}1"):
        for given_value in (value, KEYWORD_TYPES[kind].sample):
            message = body("template" if official_account_template else "subscription")
            message["data"] = {key: {"value": given_value}}
            findings = check_keyword(key, given_value, official_account_template=official_account_template)
            try:
                parse_message(message)
            except InvalidMessageError:
                continue
            assert not any(finding.certain for finding in findings)
            schema.validate(message["data"])


@settings(max_examples=400, derandomize=True, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "at": st.sampled_from(
                ["2026-12-01T10:00:00", "2026-12-01T10:00", "2026-12-01T10:00:00Z", None, 5]
            ),
            "cron": st.sampled_from(["0 9 ? * MON *", " 0  9 ? * MON *\n", "0 9 * * *", None]),
            "rate": st.sampled_from(["5 minutes", "1 hour", "0 days", "5  minutes", None]),
            "time_zone": st.sampled_from(["UTC", "Asia/Shanghai", "Mars/Base", "", None]),
            "enabled": st.sampled_from([True, False, None, 1]),
            "message": st.sampled_from([body(), body(touser=""), None, "m"]),
            "broadcast": st.sampled_from([BROADCAST, {**BROADCAST, "starts_at": None}, None]),
            "every": st.none(),
        },
    )
)
def test_accepted_schedule_is_of_its_schema(schedule: dict[str, Any]) -> None:
    try:
        parse_schedule("shop", "news", schedule, 1_772_348_645.0)
    except InvalidFieldsError:
        return
    contract.validate(SCHEDULE, schedule)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "message": st.sampled_from([body(touser="{{openid}}"), body(), {"kind": "{{kind}}"}, None, []]),
            "recipients": st.sampled_from(
                [["o1"], [" "], [], [{"OpenID": "o1", "n": 5}], [{"openid": "o1", "n": None}], [{}], None]
            ),
            "upload": st.sampled_from(["u-1", "u/1", "", None]),
            "name": st.sampled_from(["甲" * 64, "甲" * 65, "", "a\n", None]),
            "duplicates": st.sampled_from(["once", "send", "twice", None]),
            "on_invalid": st.sampled_from(["skip", "abort", "", None]),
            "messages_per_second": st.sampled_from([0, 0.001, 1, 10_000, 10_001, True, "1", None]),
            "send_window": st.sampled_from(["09:00-21:00", "21:00-09:00", "9:00-21:00", "09:00-09:00", None]),
            "time_zone": st.sampled_from(["UTC", "Mars/Base", None]),
            "starts_at": st.sampled_from(["2026-12-01T10:00:00Z", "2026-12-01", None]),
            "expires_at": st.sampled_from(["2026-12-02T10:00:00Z", "2020-12-01T10:00:00Z", None]),
            "max_failures_percent": st.sampled_from([1, 100, 0, 101, 1.0, True, None]),
        },
    )
)
def test_accepted_broadcast_is_of_its_schema(fields: dict[str, Any]) -> None:
    broadcast = {**BROADCAST, **fields}
    try:
        parse_spec(broadcast, 1_772_348_645.0)
    except InvalidFieldsError:
        return
    contract.validate({"$ref": "#/components/schemas/BroadcastRequest"}, broadcast)
