"""Every alarm of the template: raised by its fault, ended after it, and silent while nothing is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from math import ceil
from pathlib import Path

import pytest

from benchmarks.prices import PRICES
from functions.broadcast.handler import MAX_AGAIN_AFTER
from tests.fakes import Service, highest, misdirected
from tests.unit.alarms.cases import AGES, CASES, Case
from tests.unit.alarms.cloudwatch import ALARM, OK, AlarmClock, MetricAlarm, metrics_of
from tests.unit.alarms.service_metrics import Functions
from tests.unit.alarms.timeline import (
    HOUR,
    MINUTE,
    QUEUES,
    Sources,
    Timeline,
    day,
    night,
    nothing,
    of_api,
    of_function,
    of_queue,
    service_of,
    written,
)
from tests.unit.template.conftest import FUNCTIONS, SOURCE, Stack, deployed
from wechat_notify.core.delivery.retry_policy import queue_wait

ROOT = Path(__file__).parents[3]
Capture = pytest.CaptureFixture[str]
BEGIN = 30
"""Minutes of calm before a fault."""


@cache
def stack() -> Stack:
    """The stack with all its alarms."""
    return deployed(CanarySchedule="rate(10 minutes)")


def clock(*names: str, fills_empty: bool = True) -> AlarmClock:
    """The alarms of these names, with what a composite of them asks for; all without names."""
    metric = stack().of_type("AWS::CloudWatch::Alarm")
    rules = {
        name: properties["AlarmRule"]
        for name, properties in stack().of_type("AWS::CloudWatch::CompositeAlarm").items()
        if not names or name in names
    }
    wanted = [name for name in metric if not names or name in names or f"<{name}>" in str(rules)]
    return AlarmClock({name: MetricAlarm(metric[name], fills_empty) for name in wanted}, rules)


@pytest.fixture
def functions(service: Service, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Functions:
    return Functions(service, capsys, monkeypatch)


@pytest.fixture
def own(functions: Functions) -> Sources:
    """What the functions write on a day."""
    return {
        "sent": written(functions.messages_sent()),
        "tokens": written(functions.tokens_refreshed(), 5),
        "templates": written(functions.templates_synced(), 360),
    }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault_raises_alarm(case: Case, functions: Functions, own: Sources) -> None:
    """In time, whatever CloudWatch fills into a series without values; and it ends after the fault."""
    calm = day(own)
    if case.alarm == "MoreAccountsFailAlarm":  # one is broken all the time
        calm = {**calm, "tokens": written(functions.tokens_refused("bank"), 5)}
    ends = BEGIN + case.lasts
    timeline = Timeline(calm, service_of(stack()))
    timeline = timeline.with_fault(BEGIN * MINUTE, ends * MINUTE, case.sources(functions))
    stream = timeline.stream((ends + case.recovers) / 60, clock(case.alarm).metrics)
    step = MINUTE if case.lasts < 600 else 10 * MINUTE
    for fills_empty in (True, False):
        alarms = clock(case.alarm, fills_empty=fills_empty)
        alarms.run(stream, (BEGIN - 5) * MINUTE, (ends + case.recovers) * MINUTE, step)
        noted = [each for each in alarms.raised[case.alarm] if each[1] == ALARM or each[0] > BEGIN * MINUTE]
        raised_at, state = noted[0]
        assert state == ALARM
        assert BEGIN * MINUTE < raised_at <= (BEGIN + case.within) * MINUTE
        assert noted[-1][1] == OK


def test_every_alarm_has_a_case() -> None:
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    assert {case.alarm for case in CASES} == {name for kind in kinds for name in stack().of_type(kind)}


# Calm


def raised(calm: Sources, *, hours: float, step: float = 5 * MINUTE) -> set[str]:
    """The alarms that are raised in these hours."""
    alarms = clock()
    stream = Timeline(calm, service_of(stack())).stream(hours, alarms.metrics)
    alarms.run(stream, 20 * MINUTE, hours * HOUR, step)
    return {name for name, noted in alarms.raised.items() if any(state == ALARM for _, state in noted)}


def test_busy_day(own: Sources) -> None:
    assert raised(day(own), hours=3, step=MINUTE) == set()


@pytest.mark.parametrize("queues", [(), QUEUES], ids=["forgotten", "polled"])
def test_quiet_night(own: Sources, queues: Sequence[str]) -> None:
    """SQS has forgotten its queues, or says that they are empty; no function but the scheduled ones runs."""
    empty = {name: of_queue(name) for name in queues}
    assert raised({**night(own, ["tokens", "templates"]), **empty}, hours=8) == set()


@pytest.mark.parametrize("fills_empty", [True, False])
def test_dead_consumer_at_night(own: Sources, *, fills_empty: bool) -> None:
    """One message waits for a function that has not run for hours: of its runs there is no value at all."""
    calm = night(own, ["tokens", "templates"])
    waiting = {"BroadcastQueue": of_queue("BroadcastQueue", waiting=1.0)}
    timeline = Timeline(calm, service_of(stack())).with_fault(HOUR, 3 * HOUR, waiting)
    alarms = clock("MessagesDoNotFlowAlarm", fills_empty=fills_empty)
    alarms.run(timeline.stream(3.0, alarms.metrics), HOUR / 2, 3 * HOUR)
    (raised_at, state) = alarms.raised["MessagesDoNotFlowAlarm"][-1]
    assert state == ALARM
    assert raised_at <= HOUR + 20 * MINUTE


LONGEST_PAUSE = max(queue_wait(misdirected(), 1000, highest), MAX_AGAIN_AFTER)
"""Seconds at most until a message or a step that was given back is received again."""


def test_lone_message_with_long_pauses(functions: Functions, own: Sources) -> None:
    """What comes by this seldom keeps the alarm raised, and is not taken for a function that does not run."""
    every = ceil(LONGEST_PAUSE / MINUTE)
    waits = {
        "age": written(functions.message_returned(), every),
        "SendQueue": of_queue("SendQueue", in_flight=1.0),
        "SendQueueFunction": of_function("SendQueueFunction", every=every),
    }
    timeline = Timeline(night(own, ["tokens", "templates"]), service_of(stack()))
    alarms = clock("OldestMessageAlarm", "NotInvokedAlarm")
    alarms.run(timeline.with_fault(HOUR, 8 * HOUR, waits).stream(8, alarms.metrics), HOUR / 2, 8 * HOUR)
    states = {name: [state for _, state in noted] for name, noted in alarms.raised.items()}
    assert states == {"OldestMessageAlarm": [OK, ALARM], "NotInvokedAlarm": [OK]}


def test_few_messages_that_all_fail(functions: Functions, own: Sources) -> None:
    """One every six hours: no process sees twenty, and the third of a day is told."""
    failing = {"sent": written(functions.message_failed(), 360)}
    timeline = Timeline(night(own, ["tokens", "templates"]), service_of(stack()))
    alarms = clock("FailedDayAlarm")
    alarms.run(timeline.with_fault(0, 24 * HOUR, failing).stream(24, alarms.metrics), HOUR, 24 * HOUR)
    ((_, ok), (raised_at, state)) = alarms.raised["FailedDayAlarm"]
    assert (ok, state) == (OK, ALARM)
    assert 12 * HOUR < raised_at <= 12 * HOUR + 5 * MINUTE


def test_first_message_of_a_morning(own: Sources) -> None:
    """A message that waits for a function that starts is no queue that stands still."""
    calm = night(own, ["tokens", "templates"])
    awake = {"SendQueue": of_queue("SendQueue", waiting=1.0)}
    timeline = Timeline(calm, service_of(stack())).with_fault(HOUR, HOUR + 4 * MINUTE, awake)
    alarms = clock("QueueStalledAlarm")
    alarms.run(timeline.stream(2.0, alarms.metrics), HOUR / 2, 2 * HOUR)
    assert [state for _, state in alarms.raised["QueueStalledAlarm"]] == [OK]


def test_single_poison_message(functions: Functions, own: Sources) -> None:
    """It is a dead letter, and nothing else."""
    calm = {**day(own), "DeadLetterQueue": of_queue("DeadLetterQueue", waiting=1.0)}
    assert raised({**calm, "poison": written(functions.poison(), 30)}, hours=2) == {"DeadLetterAlarm"}


def test_message_that_a_bug_stops(functions: Functions, own: Sources) -> None:
    """It is given up before it is half an hour old."""
    assert raised({**day(own), "bug": written(functions.unforeseen(), 60)}, hours=2) == {"UnforeseenAlarm"}


def test_account_that_used_up_its_quota(functions: Functions, own: Sources) -> None:
    """Its messages wait until midnight; others do not."""
    held = written(functions.held_by_a_quota(), 15)
    assert raised({**day(own), "held": held}, hours=3) == set()


def test_one_broken_account_among_many(functions: Functions, own: Sources) -> None:
    """Two alarms tell, and go on telling; its callers' errors are too few to look like everybody's."""
    tokens = written(functions.tokens_run_out("bank"), 5)
    calm = {**day(own), "tokens": tokens, "api": of_api(200.0, 4.0)}
    assert raised(calm, hours=4) == {"TokenRefreshAlarm", "NoTokenAlarm"}


def test_account_that_fails_once(functions: Functions, own: Sources) -> None:
    """One refresh in between, while another account is broken."""
    before = written(functions.tokens_refused("bank"), 5)
    both = {"tokens": written(functions.tokens_refused("cafe"), 5)}
    timeline = Timeline({**day(own), "tokens": before}, service_of(stack()))
    alarms = clock("MoreAccountsFailAlarm")
    stream = timeline.with_fault(2 * HOUR, 2 * HOUR + 5 * MINUTE, both).stream(4, alarms.metrics)
    alarms.run(stream, HOUR, 4 * HOUR)
    assert [state for _, state in alarms.raised["MoreAccountsFailAlarm"]] == [OK]


def test_each_further_account_is_told(functions: Functions, own: Sources) -> None:
    """While others are broken, and stay so."""
    broken = [written(functions.tokens_refused(account), 5) for account in ("bank", "cafe", "gym")]
    timeline = Timeline({**day(own), "tokens": broken[0]}, service_of(stack()))
    for hour, tokens in ((2, broken[1]), (4, broken[2])):
        timeline = timeline.with_fault(hour * HOUR, 6 * HOUR, {"tokens": tokens})
    alarms = clock("MoreAccountsFailAlarm")
    alarms.run(timeline.stream(6, alarms.metrics), HOUR, 6 * HOUR)
    assert [state for _, state in alarms.raised["MoreAccountsFailAlarm"]] == [OK, ALARM, OK, ALARM, OK]


def test_backlog_that_is_worked_off(own: Sources) -> None:
    """Many messages that wait are no queue that stands still."""
    assert raised({**day(own), "SendQueue": of_queue("SendQueue", waiting=50_000.0)}, hours=2) == set()


def test_tokens_that_nobody_looks_at(own: Sources) -> None:
    """Without a run for all accounts nothing is known of them, and one alarm says so."""
    timeline = Timeline(day(own), service_of(stack())).with_fault(HOUR, 3 * HOUR, {"tokens": nothing})
    alarms = clock()
    alarms.run(timeline.stream(3, alarms.metrics), HOUR, 3 * HOUR, 5 * MINUTE)
    found = {name for name, noted in alarms.raised.items() if noted[-1][1] == ALARM}
    assert found == {"TokenRefreshMissingAlarm"}


# What is watched


def watched(namespace: str, metric: str) -> set[str]:
    """The values of the dimension of a metric that alarms look at."""
    keys = [key for its in stack().of_type("AWS::CloudWatch::Alarm").values() for key in metrics_of(its)]
    return {value for space, name, its in keys if (space, name) == (namespace, metric) for _, value in its}


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_is_watched(metric: str) -> None:
    functions = stack().of_type("AWS::Lambda::Function")
    assert set(FUNCTIONS) == functions.keys()
    assert watched("AWS/Lambda", metric) == {f"<{name}>" for name in functions}


def test_every_queue_is_watched() -> None:
    """Those that a function takes from for standing still, the others for having anything."""
    mappings = stack().of_type("AWS::Lambda::EventSourceMapping").values()
    taken = {mapping["EventSourceArn"].replace(".Arn", ".QueueName") for mapping in mappings}
    queues = {f"<{name}.QueueName>" for name in stack().of_type("AWS::SQS::Queue")}
    assert watched("AWS/SQS", "ApproximateNumberOfMessagesVisible") == queues
    stalled = {key[2] for key in metrics_of(stack()["QueueStalledAlarm"]) if key[0] == "AWS/SQS"}
    assert {value for its in stalled for _, value in its} == taken
    alone = {
        str(alarm["Dimensions"][0]["Value"])
        for alarm in stack().of_type("AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
    }
    assert alone == queues - taken


def test_every_queue_has_dead_letters_and_ages() -> None:
    """What cannot be worked off goes to a queue with an alarm; each function that takes measures ages."""
    redriven = [queue.get("RedrivePolicy") for queue in stack().of_type("AWS::SQS::Queue").values()]
    targets = {policy["deadLetterTargetArn"].replace(".Arn", ".QueueName") for policy in redriven if policy}
    assert targets <= watched("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    mappings = stack().of_type("AWS::Lambda::EventSourceMapping").values()
    names = [mapping["FunctionName"].strip("<>").removesuffix("Aliaslive") for mapping in mappings]
    folders = {SOURCE["Resources"][name]["Properties"]["CodeUri"] for name in names}
    assert folders == {f"functions/{name}" for name in AGES}


def test_own_metrics_are_under_service_alone() -> None:
    for alarm in stack().of_type("AWS::CloudWatch::Alarm").values():
        for namespace, _, dimensions in metrics_of(alarm):
            if namespace == "WeChatNotify":
                assert dimensions == {("service", service_of(stack()))}


def test_alarms_are_what_cloudwatch_takes() -> None:
    """At most ten metrics, one period, and a day at most; one result."""
    for alarm in stack().of_type("AWS::CloudWatch::Alarm").values():
        stats = [query["MetricStat"] for query in alarm.get("Metrics", []) if "MetricStat" in query] or [
            alarm
        ]
        (period,) = {int(stat["Period"]) for stat in stats}
        assert len(stats) <= 10
        assert period * int(alarm["EvaluationPeriods"]) <= 86400
        assert [query["Id"] for query in alarm.get("Metrics", []) if query.get("ReturnData", True)] in (
            [],
            ["result"],
        )


# The documents


LABELS = {
    "docs/operations.md": ("- **Meaning:** ", "- **First look:** ", "- **Remedy:** "),
    "docs/zh/operations.md": ("- **含义：**", "- **首先查看：**", "- **处理：**"),
}


@pytest.mark.parametrize("page", LABELS)
def test_every_alarm_has_a_section(page: str) -> None:
    """With a meaning, a first look with a command, and a remedy; and a line with what it costs a month."""
    text = (ROOT / page).read_text("utf-8")
    for name, dollars in costs().items():
        told = section(text, name)
        meaning, look, remedy = (told.partition(label)[2].partition("\n- **")[0] for label in LABELS[page])
        assert meaning
        assert "`" in look
        assert remedy
        assert re.search(rf"^\| `{name}` \|.* \| {dollars:.2f} \|$", text, re.MULTILINE)
    assert f"{sum(costs().values()) - costs()['CanaryAlarm']:.2f}" in text


OF_AN_ACCOUNT = re.compile(r"wxn (messages|holds|templates)\b")
"""Only on this machine have they an account without its being named."""


@pytest.mark.parametrize("page", LABELS)
def test_first_looks_are_commands(page: str) -> None:
    """Of wxn, with options that it has and the arguments that it asks for."""
    reference = (ROOT / "docs/wxn.md").read_text("utf-8")
    everywhere, *commands = reference.split("\n### ")
    for name in costs():
        told = re.sub(r"\s+", " ", section((ROOT / page).read_text("utf-8"), name))
        for line in re.findall(r"`(wxn [^`]+)`", told):
            words = line.split()
            known = [
                each for each in commands if words[: len(title := each.partition("\n")[0].split())] == title
            ]
            assert known, line
            usage = known[0].split("`")[1].split()
            assert len(words) >= sum(not word.startswith("[") for word in usage), line
            assert not OF_AN_ACCOUNT.match(line) or {"--account", "--all"} & set(words), line
            options = [word for word in words if word.startswith("--")]
            assert all(f"`{option}" in known[0] or f"`{option}" in everywhere for option in options), line


def section(text: str, alarm: str) -> str:
    """What stands below the heading that names an alarm."""
    parts = (part.partition("\n") for part in text.split("\n### ")[1:])
    (told,) = (below for title, _, below in parts if f"`{alarm}`" in title)
    return told.partition("\n## ")[0]


def costs() -> dict[str, float]:
    """Dollars a month of each alarm: https://aws.amazon.com/cloudwatch/pricing/."""
    metric = stack().of_type("AWS::CloudWatch::Alarm").items()
    composites = stack().of_type("AWS::CloudWatch::CompositeAlarm")
    prices = {name: len(metrics_of(alarm)) * PRICES["alarm"].dollars for name, alarm in metric}
    return prices | dict.fromkeys(composites, PRICES["composite"].dollars)
