"""Schedules, against EventBridge Scheduler as moto has it."""

from __future__ import annotations

import pytest

from tests.fakes import START, body
from tests.integration.conftest import ClientsAt
from tests.integration.contracts.samples import Aws
from tests.integration.raw_server import RawServer, always, in_turn, json_answer, refused
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.schedules import Schedules
from wechat_notify.core.errors import InvalidFieldsError, StorageError
from wechat_notify.core.schedules.schedule import Content, Schedule, parse_schedule

WEEKLY = parse_schedule("shop", "news", {"cron": "0 9 ? * MON *", "message": body()}, START)
ONCE = parse_schedule("shop", "once", {"at": "2098-03-01T18:00:00", "message": body()}, START)
CAMPAIGN = parse_schedule(
    "shop",
    "campaign",
    {
        "rate": "1 day",
        "broadcast": {"message": {**body(), "touser": "{{openid}}"}, "recipients": ["o-1", "o-2"]},
    },
    START,
)
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:send"
STEPS = "arn:aws:sqs:eu-central-1:123456789012:steps"
ASIDE = "arn:aws:sqs:eu-central-1:123456789012:events-dead"
ROLE = "arn:aws:iam::123456789012:role/schedule"


def of(clients: Clients) -> Schedules:
    return Schedules(
        clients,
        group="stack",
        role_arn=ROLE,
        queue_arns={Content.MESSAGE: QUEUE, Content.BROADCAST: STEPS},
        dead_letter_arn=ASIDE,
    )


@pytest.fixture
def schedules(aws: Aws, clients: Clients) -> Schedules:
    aws("scheduler").create_schedule_group(Name="stack")
    return of(clients)


def test_schedule_as_scheduler_has_it(aws: Aws, schedules: Schedules) -> None:
    assert schedules.put(WEEKLY)
    assert schedules.put(ONCE)
    stored = aws("scheduler").get_schedule(GroupName="stack", Name="shop.news")
    assert stored["Target"] == {
        "Arn": QUEUE,
        "RoleArn": ROLE,
        "Input": WEEKLY.body,
        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 100},
        "DeadLetterConfig": {"Arn": ASIDE},
    }
    assert stored["ActionAfterCompletion"] == "NONE"
    assert schedules.put(CAMPAIGN)
    assert aws("scheduler").get_schedule(GroupName="stack", Name="shop.campaign")["Target"]["Arn"] == STEPS
    once = aws("scheduler").get_schedule(GroupName="stack", Name="shop.once")
    assert (once["ActionAfterCompletion"], once["ScheduleExpressionTimezone"]) == ("DELETE", "UTC")


@pytest.mark.parametrize("schedule", [WEEKLY, ONCE, CAMPAIGN, WEEKLY._replace(enabled=False)])
def test_schedule_comes_back(schedules: Schedules, schedule: Schedule) -> None:
    assert schedules.put(WEEKLY._replace(name=schedule.name))
    assert not schedules.put(schedule)
    assert schedules.read("shop", schedule.name) == schedule
    assert schedules.delete("shop", schedule.name)
    assert schedules.read("shop", schedule.name) is None
    assert not schedules.delete("shop", schedule.name)


@pytest.mark.parametrize(
    "target",
    [
        {"Arn": "arn:aws:lambda:eu-central-1:123456789012:function:other", "Input": WEEKLY.body},
        {"Arn": QUEUE, "Input": "hello"},
        {"Arn": QUEUE, "Input": "[]"},
        {"Arn": STEPS, "Input": WEEKLY.body},
        {"Arn": QUEUE},
    ],
)
def test_schedule_that_was_made_by_hand(aws: Aws, schedules: Schedules, target: dict[str, str]) -> None:
    """It cannot be shown, but it can be replaced."""
    aws("scheduler").create_schedule(
        Name="shop.news",
        GroupName="stack",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"RoleArn": ROLE, **target},
    )
    with pytest.raises(StorageError) as refused:
        schedules.read("shop", "news")
    assert refused.value.code == "UnreadableSchedule"
    assert not schedules.put(WEEKLY)
    assert schedules.read("shop", "news") == WEEKLY


def test_list_of_one_account(schedules: Schedules) -> None:
    for account in ("shop", "shop-2", "sho"):
        for number in range(3):
            schedules.put(WEEKLY._replace(account=account, name=f"n-{number}"))
    page = schedules.page("shop", None, 100)
    assert (sorted(page.names), page.token) == (["n-0", "n-1", "n-2"], None)


def test_list_in_pages(clients_at: ClientsAt) -> None:
    pages = [json_answer(Schedules=[{"Name": "shop.a"}], NextToken="more"), json_answer(Schedules=[])]
    with RawServer(in_turn(*pages)) as server:
        schedules = of(clients_at(server.url))
        assert schedules.page("shop", None, 1) == (["a"], "more")
        assert schedules.page("shop", "more", 1) == ([], None)
    first, second = (request.target for request in server.requests)
    assert "NamePrefix=shop." in first
    assert "NextToken" not in first
    assert "NextToken=more" in second


def test_scheduler_refuses_the_time(clients_at: ClientsAt) -> None:
    with (
        RawServer(always(refused("ValidationException"))) as server,
        pytest.raises(InvalidFieldsError) as raised,
    ):
        of(clients_at(server.url)).put(WEEKLY)
    assert [(each.path, each.rule) for each in raised.value.violations] == [("cron", "cron")]
    assert raised.value.__context__ is None


def test_scheduler_fails(clients_at: ClientsAt) -> None:
    with RawServer(always(refused("AccessDeniedException"))) as server:
        schedules = of(clients_at(server.url))
        for call in (
            lambda: schedules.put(WEEKLY),
            lambda: schedules.read("shop", "news"),
            lambda: schedules.delete("shop", "news"),
            lambda: schedules.page("shop", None, 1),
        ):
            with pytest.raises(StorageError, match="AccessDenied"):
                call()
