"""What the schemas forbid is refused: whatever the service accepts is of its schema."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
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
NOW = 1_772_348_645.0
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
    "甲" * 15,
    "甲" * 16,
    "甲" * 200,
    "甲" * 201,
    "keyword1.DATA",
]
CHOICES = ["10000", "00001", "formal", "zh_CN", "at_least_once", 0, 1, 10_000, 10_001, -1, 1.5, True]
TIMES = ["2026-12-01T10:00:00+08:00", "2026-12-01 10:00Z", "2026-12-01T10:00:00"]
MINI_PROGRAMS = [{"appid": ""}, {"appid": "wx1"}, {"appid": "wx1", "pagepath": "p"}, {"appid": None, "x": ""}]
DATA: list[object] = [
    {"content": {"value": "甲", "color": 5}},
    {"content": {"value": "甲" * 200}},
    {"content": {"value": "甲" * 201}},
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
ODD: list[Any] = [*TEXTS, *CHOICES, *TIMES, *MINI_PROGRAMS, *DATA]
ABSENT = object()
FIELDS = {
    kind: sorted({each for name, field in model.model_fields.items() for each in spellings(name, field)})
    for kind, model in MODELS.items()
}
VALUES = st.text(max_size=35) | st.from_regex(r"[0-9A-Za-z:\-./~ +元¥年月日甲乙\n]{0,34}", fullmatch=True)


@pytest.mark.parametrize("kind", KINDS)
def test_accepted_messages_are_of_their_schema(kind: str) -> None:
    accepted = 0
    for name, value in itertools.product(FIELDS[kind], [*ODD, ABSENT]):
        message = {**body(kind), name: value}
        for variant in (message, {key: each for key, each in message.items() if key != "template_id"}):
            sent = {key: each for key, each in variant.items() if each is not ABSENT}
            with contextlib.suppress(InvalidMessageError):
                parse_message(sent)
                contract.validate(MESSAGE, sent)
                accepted += 1
    assert accepted > 50


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


SCHEDULES: dict[str, list[Any]] = {
    "at": ["2026-12-01T10:00:00", "2026-12-01T10:00", "2026-12-01T10:00:00Z", None, 5],
    "cron": ["0 9 ? * MON *", " 0  9 ? * MON *\n", "0 9 * * *", None],
    "rate": ["5 minutes", "1 hour", "0 days", "5  minutes", None],
    "time_zone": ["UTC", "Asia/Shanghai", "Mars/Base", "", None],
    "enabled": [True, False, None, 1],
    "message": [body(), body(touser=""), None, "m"],
    "broadcast": [BROADCAST, {**BROADCAST, "starts_at": None}, None],
    "every": [None],
}
BROADCASTS: dict[str, list[Any]] = {
    "message": [body(touser="{{openid}}"), body(), {"kind": "{{kind}}"}, None, []],
    "recipients": [["o1"], [" "], [], [{"OpenID": "o1", "n": 5}], [{"openid": "o1", "n": None}], [{}], None],
    "upload": ["u-1", "u/1", "", None],
    "name": ["甲" * 64, "甲" * 65, "", "a\n", None],
    "duplicates": ["once", "send", "twice", None],
    "on_invalid": ["skip", "abort", "", None],
    "messages_per_second": [0, 0.001, 1, 10_000, 10_001, True, "1", None],
    "send_window": ["09:00-21:00", "21:00-09:00", "9:00-21:00", "09:00-09:00", None],
    "time_zone": ["UTC", "Mars/Base", None],
    "starts_at": ["2026-12-01T10:00:00Z", "2026-12-01", None],
    "expires_at": ["2026-12-02T10:00:00Z", "2020-12-01T10:00:00Z", None],
    "max_failures_percent": [1, 100, 0, 101, 1.0, True, None],
}


def varied(valid: dict[str, Any], values: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """A body with every two of its fields changed."""
    for names in itertools.combinations(values, 2):
        for pair in itertools.product(*(values[name] for name in names)):
            yield {**valid, **dict(zip(names, pair, strict=True))}


def test_accepted_schedules_are_of_their_schema() -> None:
    accepted = 0
    for schedule in varied({"message": body(), "cron": "0 9 ? * MON *"}, SCHEDULES):
        with contextlib.suppress(InvalidFieldsError):
            parse_schedule("shop", "news", schedule, NOW)
            contract.validate(SCHEDULE, schedule)
            accepted += 1
    assert accepted > 50


def test_accepted_broadcasts_are_of_their_schema() -> None:
    accepted = 0
    for broadcast in varied(BROADCAST, BROADCASTS):
        with contextlib.suppress(InvalidFieldsError):
            parse_spec(broadcast, NOW)
            contract.validate({"$ref": "#/components/schemas/BroadcastRequest"}, broadcast)
            accepted += 1
    assert accepted > 200
