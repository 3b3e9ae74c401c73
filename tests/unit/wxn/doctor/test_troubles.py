"""Each trouble is told by its name, and no other is told beside it."""

from collections.abc import Iterator

import pytest

from tests.unit.wxn.doctor.troubles import TROUBLES, Trouble, failure, starved_refresher, unusable_keys
from tests.unit.wxn.doctor.world import RefusedError, World, hours_ago, quota, schedule
from wxn.doctor.advice import ADVICE
from wxn.doctor.examination import STAGE_SECONDS, examine, findings
from wxn.doctor.findings import Finding


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.released.set()


def told(world: World, account: str | None = None, seconds: float = STAGE_SECONDS) -> list[Finding]:
    return findings(examine(world.context(account), seconds))


def test_healthy_stack(world: World) -> None:
    assert [finding.as_dict() for finding in told(world)] == []


@pytest.mark.parametrize(
    "trouble", TROUBLES, ids=[f"{number}-{trouble.name}" for number, trouble in enumerate(TROUBLES)]
)
def test_planted_trouble_is_told(world: World, trouble: Trouble) -> None:
    trouble.plant(world)

    found = told(world, seconds=0.5 if trouble.name == "check-timed-out" else STAGE_SECONDS)

    assert {finding.name for finding in found} == {trouble.name, *trouble.along}
    (first, *_) = [finding.as_dict() for finding in found if finding.name == trouble.name]
    assert trouble.told in f"{first['seen']} {first['next']} {first.get('subject')}"


def test_every_finding_is_planted() -> None:
    assert {trouble.name for trouble in TROUBLES} == ADVICE.keys()


ACTIONS = sorted(World().answers)


@pytest.mark.parametrize("action", ACTIONS)
def test_denied_action_is_named(world: World, action: str) -> None:
    world.answers[action] = RefusedError("AccessDeniedException")

    found = told(world)

    named = "lambda:InvokeFunction" if action == "lambda:Invoke" else action
    assert {(finding.name, finding.subject) for finding in found} == {("missing-permission", named)}


def test_denial_stops_no_other_check(world: World) -> None:
    world.answers["dynamodb:DescribeTable"] = RefusedError("AccessDeniedException")
    world.api["GET quota"] = {"kinds": [quota("template", used=1000)]}

    assert {finding.name for finding in told(world)} == {"missing-permission", "quota-used-up"}


def test_named_account_alone(world: World) -> None:
    world.stored["other"] = {"credentials": hours_ago(1)}
    world.schedules.append(schedule("other.news", "DISABLED"))
    world.answers["scheduler:ListSchedules"] = lambda asked: {
        "Schedules": [each for each in world.schedules if each["Name"].startswith(asked["NamePrefix"])]
    }

    assert told(world, "shop") == []


def test_platforms_and_addresses_in_order(world: World) -> None:
    """A platform sends nothing: neither its quotas nor an access token of its own are looked for."""
    fresh = {"ticket": hours_ago(0.1), "component-access-token": hours_ago(1), "callback": hours_ago(900)}
    world.stored["platform"] = {"credentials": hours_ago(900), **fresh}
    world.stored["shop"]["callback"] = hours_ago(900)
    world.stored["merchant"] = {
        name: hours_ago(1) for name in ("credentials", "refresh-token", "access-token")
    }

    assert told(world) == []
    assert told(world, "platform") == []
    assert world.actions.count("lambda:Invoke") == 3


def test_keys_that_were_stored_again(world: World) -> None:
    unusable_keys(0.25)(world)

    assert told(world) == []


def test_merchant_waits_for_its_platform(world: World) -> None:
    """It has a refresh token: the platform's missing ticket is the cause."""
    failure(None, "platform", "")(world)
    world.stored["shop"]["refresh-token"] = hours_ago(900)

    assert [finding.name for finding in told(world)] == ["token-refresh-failed"]


def test_account_without_a_token_is_asked_nothing(world: World) -> None:
    failure(40125)(world)
    world.stored["shop"]["callback"] = hours_ago(900)
    world.callback = {"result": "failed", "failure": {}}

    assert [finding.name for finding in told(world)] == ["wrong-secret"]


def test_one_trouble_is_told_once(world: World) -> None:
    """The refresher and the quota of each kind meet the same wrong secret."""
    failure(40125)(world)
    refused = {
        "class": "config",
        "errcode": 40125,
        "errmsg": "refused rid: 4-5-6",
        "hint": {"en": "", "zh": ""},
    }
    world.api["GET quota"] = {
        "kinds": [{"kind": kind, "refused": refused} for kind in ("template", "subscription")]
    }

    assert [(finding.name, finding.account) for finding in told(world)] == [("wrong-secret", "shop")]


def test_consequence_is_not_told(world: World) -> None:
    """Of an account whose secret is wrong nothing new is said by its missing token."""
    failure(40125)(world)
    del world.stored["shop"]["access-token"]

    assert [finding.name for finding in told(world)] == ["wrong-secret"]


def test_errcode_leads_to_its_section(world: World) -> None:
    failure(40125)(world)

    (finding,) = told(world)

    assert finding.docs.startswith("docs/error-codes.md#40125")


def test_refresher_that_runs_may_be_throttled(world: World) -> None:
    """Of 200 senders that ask for a token together one is answered at once."""
    starved_refresher(world)
    world.metrics["id-TokenRefreshFunction", "Invocations"] = [1.0]

    assert told(world) == []


def test_stack_comes_before_accounts(world: World) -> None:
    failure(40125)(world)
    world.stack_schedules["RefreshSchedule"] = "DISABLED"

    assert [finding.name for finding in told(world)] == ["refresher-disabled", "wrong-secret"]


def test_most_severe_first(world: World) -> None:
    world.schedules.append(schedule("shop.old", "DISABLED"))
    world.queue_counts["DeadLetterQueue"][""] = 1
    world.concurrency["SendQueueFunction"] = 0

    assert [finding.name for finding in told(world)] == [
        "function-disabled",
        "dead-letters",
        "schedule-disabled",
    ]


def test_no_check_without_a_stack(world: World) -> None:
    world.answers["cloudformation:DescribeStacks"] = RefusedError("ValidationError")

    statuses = [report.status for report in examine(world.context())]

    assert statuses[:2] == ["ok", "problem"]
    assert set(statuses[2:]) == {"skipped"}


def test_secrets_are_not_read(world: World) -> None:
    examine(world.context())

    assert {action for action in world.actions if action.startswith("ssm:")} == {"ssm:DescribeParameters"}


def test_shared_facts_are_asked_once(world: World) -> None:
    examine(world.context())

    shared = ("cloudwatch:GetMetricData", "ssm:DescribeParameters", "cloudformation:ListStackResources")
    assert [world.actions.count(action) for action in shared] == [1, 1, 1]
