from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.fakes import START, body
from wechat_notify.core.broadcasts.scheduled import is_creation, scheduled_id
from wechat_notify.core.errors import InvalidFieldsError
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.schedules.schedule import Content, parse_schedule

WEEKLY = {"cron": "0 9 ? * MON *", "message": body()}
SALE = {"message": {**body(), "touser": "{{openid}}"}, "recipients": ["o-1", "o-2"]}
KEYWORDS = "<aws.scheduler.scheduled-time> <aws.scheduler.schedule-arn> \\u003c"
ONCE = {"at": "2026-03-01T18:00:00", "message": body()}


def test_body_is_the_queues() -> None:
    """The id has Scheduler's keyword in it, which becomes the time for which it fires."""
    schedule = parse_schedule("shop", "monday-news", WEEKLY, START)
    request = parse_queue_body(
        schedule.body.replace("<aws.scheduler.scheduled-time>", "2026-03-02T01:00:00Z"), ""
    )
    assert (request.id, request.account) == ("monday-news-2026-03-02T01:00:00Z", "shop")
    assert request.message == body()


def test_broadcast_of_a_schedule() -> None:
    """A firing that comes twice creates the same broadcast."""
    schedule = parse_schedule("shop", "sale", {"rate": "1 day", "broadcast": SALE}, START)
    body = json.loads(schedule.body)
    assert schedule.content is Content.BROADCAST
    assert is_creation(body)
    assert (body["account"], body["id"]) == ("shop", "sale-<aws.scheduler.scheduled-time>")
    assert body["broadcast"] == SALE
    assert scheduled_id("a") == scheduled_id("a") != scheduled_id("b")
    assert re.fullmatch("[0-9a-f]{32}", scheduled_id("sale-2026-03-02T01:00:00Z"))
    assert schedule.as_dict()["broadcast"] == SALE


@pytest.mark.parametrize(
    "content",
    [
        {"message": body("one_time_subscription", text=KEYWORDS)},
        {"broadcast": {**SALE, "recipients": [{"openid": "o-1", "name": KEYWORDS}]}},
    ],
)
def test_keywords_of_the_caller_stay(content: dict[str, Any]) -> None:
    """Scheduler would put the time, or its own ARN, in place of them."""
    schedule = parse_schedule("shop", "news", {"rate": "1 day", **content}, START)
    assert re.findall("<aws.scheduler.[a-z-]+>", schedule.body) == ["<aws.scheduler.scheduled-time>"]
    assert json.loads(schedule.body)["id"] == "news-<aws.scheduler.scheduled-time>"
    assert schedule.as_dict().items() >= content.items()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (WEEKLY, {"cron": "0 9 ? * MON *", "time_zone": "Asia/Shanghai", "enabled": True}),
        (WEEKLY | {"time_zone": "Europe/Berlin"}, {"cron": "0 9 ? * MON *", "time_zone": "Europe/Berlin"}),
        (WEEKLY | {"at": None, "enabled": False}, {"cron": "0 9 ? * MON *", "enabled": False}),
        (ONCE, {"at": "2026-03-01T10:00:00Z", "enabled": True}),
        ({"rate": "90 minutes", "message": body()}, {"rate": "90 minutes"}),
    ],
)
def test_schedule_can_be_put_again(given: dict[str, Any], expected: dict[str, Any]) -> None:
    shown = parse_schedule("shop", "news", given, START).as_dict()
    assert shown.items() >= {"account": "shop", "name": "news", "message": body(), **expected}.items()
    again = {name: value for name, value in shown.items() if name not in {"account", "name"}}
    assert parse_schedule("shop", "news", again, START).as_dict() == shown


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ([], [("", "object")]),
        ({}, [("at", "missing"), ("message", "missing")]),
        (WEEKLY | {"rate": "1 day"}, [("rate", "exclusive")]),
        (WEEKLY | {"cron": "0 9 * * MON *"}, [("cron", "cron")]),
        (WEEKLY | {"cron": 9}, [("cron", "text")]),
        ({"rate": "5 seconds", "message": body()}, [("rate", "rate")]),
        (ONCE | {"at": "2026-03-01T15:04:05"}, [("at", "past")]),
        (WEEKLY | {"time_zone": "Mars/Olympus"}, [("time_zone", "time_zone")]),
        (WEEKLY | {"enabled": "yes"}, [("enabled", "boolean")]),
        (WEEKLY | {"message": "hello"}, [("message", "object")]),
        (WEEKLY | {"message": body(touser="")}, [("message.touser", "empty")]),
        (WEEKLY | {"mesage": 1}, [("mesage", "unknown_field")]),
        (WEEKLY | {"broadcast": SALE}, [("broadcast", "exclusive")]),
        ({"rate": "1 day", "broadcast": {**SALE, "recipients": []}}, [("broadcast.recipients", "empty")]),
        (
            {"rate": "1 day", "broadcast": {**SALE, "starts_at": "2027-01-01T00:00:00Z"}},
            [("broadcast.starts_at", "unknown_field")],
        ),
    ],
)
def test_wrong_fields(given: object, broken: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidFieldsError) as raised:
        parse_schedule("shop", "news", given, START)
    assert [(each.path, each.rule) for each in raised.value.violations] == broken
    assert raised.value.__context__ is None


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "a b", "é", "n" * 60])
def test_wrong_name(name: str) -> None:
    with pytest.raises(InvalidFieldsError) as raised:
        parse_schedule("shop", name, WEEKLY, START)
    assert [(each.path, each.limit) for each in raised.value.violations] == [("name", 59)]


def test_longest_name() -> None:
    schedule = parse_schedule("shop", "n" * 59, WEEKLY, START)
    assert len(f"{schedule.account}.{schedule.name}") == 64
