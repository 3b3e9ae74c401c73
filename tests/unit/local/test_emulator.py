import asyncio
import json
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ministack.services import apigateway

from local import emulator

ARN = "arn:aws:scheduler:us-east-1:000000000000:schedule/teams/reminder"
FIRED_AT = datetime(2026, 11, 21, 20, 55, 0, 431_000, UTC).timestamp()


def schedule(expression: str) -> dict[str, Any]:
    return {"ScheduleExpression": expression, "Arn": ARN, "GroupName": "teams"}


@pytest.mark.parametrize(
    ("expression", "fired_at"),
    [
        ("at(2026-11-21T20:55:00)", FIRED_AT),
        ("at(2026-11-21T20:55:00)", FIRED_AT + 60),  # a late sweep does not change what was planned
        ("cron(55 20 * * ? *)", FIRED_AT + 1),
        ("rate(5 minutes)", FIRED_AT),
    ],
)
def test_scheduled_time_is_the_planned_one(expression: str, fired_at: float) -> None:
    attributes = emulator.context_attributes(schedule(expression), fired_at)
    assert attributes["scheduled-time"] == "2026-11-21T20:55:00Z"


def test_context_attributes_are_filled_in() -> None:
    given = {
        "id": "demo-<aws.scheduler.scheduled-time>",
        "arn": "<aws.scheduler.schedule-arn>",
        "execution": "<aws.scheduler.execution-id>",
        "attempt": "<aws.scheduler.attempt-number>",
        "unknown": "<aws.scheduler.colour>",
        "text": "1 < 2 > 1",
    }

    def filled_in() -> dict[str, str]:
        attributes = emulator.context_attributes(schedule("rate(1 minute)"), FIRED_AT)
        return dict(json.loads(emulator.fill_in(json.dumps(given), attributes)))

    filled = filled_in()
    assert len(filled["execution"]) == 16
    assert filled["execution"] != filled_in()["execution"]
    told = {"id": "demo-2026-11-21T20:55:00Z", "arn": ARN, "attempt": "1", "execution": filled["execution"]}
    assert filled == given | told


def test_only_inputs_of_schedules_are_filled() -> None:
    delivered: list[str] = []
    eventbridge = SimpleNamespace(_invoke_target=lambda target, *_: delivered.append(target["Input"]))
    emulator.patch_context_attributes(eventbridge)
    target = {"Input": "<aws.scheduler.scheduled-time>"}
    eventbridge._invoke_target(target, {"Time": FIRED_AT}, schedule("rate(1 minute)"))
    eventbridge._invoke_target(target, {"Time": FIRED_AT}, {"EventPattern": "{}"})
    assert delivered == ["2026-11-21T20:55:00Z", "<aws.scheduler.scheduled-time>"]
    assert target["Input"] == "<aws.scheduler.scheduled-time>"


def test_events_reach_log_groups() -> None:
    """As they are; what goes to other targets is left to the emulator."""
    elsewhere: list[str] = []
    streams: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    eventbridge = SimpleNamespace(
        _invoke_target=lambda target, *_: elsewhere.append(target["Arn"]),
        _pattern_event_view=lambda event: SimpleNamespace(event_with_detail=lambda: event),
    )
    logs = SimpleNamespace(
        _log_group_name_from_identifier_arn=lambda arn: "/aws/events/stack" if ":logs:" in arn else None,
        _create_log_stream=streams.append,
        _put_log_events=written.append,
    )
    emulator.patch_log_targets(eventbridge, logs)
    event = {"detail-type": "token.failed"}
    for arn in ("arn:aws:logs:us-east-1:1:log-group:/aws/events/stack:*", "arn:aws:sqs:us-east-1:1:queue"):
        eventbridge._invoke_target({"Arn": arn}, event, {"Name": "rule"})
    stream = {"logGroupName": "/aws/events/stack", "logStreamName": "rule"}
    assert elsewhere == ["arn:aws:sqs:us-east-1:1:queue"]
    assert streams == [stream]
    assert written == [{**stream, "logEvents": [{"message": json.dumps(event)}]}]


class SqsError(Exception):
    """The emulator's error of a queue."""

    def __init__(self, code: str, _message: str) -> None:
        super().__init__(code)


SEND, CHANGE = ("SendMessage", "_act_send_message"), ("ChangeMessageVisibility", "_act_change_visibility")


@pytest.mark.parametrize(
    ("handler", "data", "allowed"),
    [
        (SEND, {"DelaySeconds": 900}, True),
        (SEND, {"DelaySeconds": None}, True),
        (CHANGE, {"VisibilityTimeout": "43200"}, True),
        (SEND, {"DelaySeconds": 901}, False),
        (SEND, {"DelaySeconds": "-1"}, False),
        (CHANGE, {"VisibilityTimeout": 43_201}, False),
    ],
)
def test_times_beyond_sqs_are_refused(handler: tuple[str, str], data: Any, *, allowed: bool) -> None:
    """Whether the handler is found by the action's name or by its own."""
    done: list[dict[str, Any]] = []
    functions = {name: lambda given, _url: done.append(given) for _, name in (SEND, CHANGE)}
    sqs = SimpleNamespace(_Err=SqsError, **functions)
    sqs._HANDLERS = {name: functions[its] for name, its in (SEND, CHANGE)} | {"ListQueues": done.append}
    emulator.patch_queue_times(sqs)
    action, function = handler
    for found in (sqs._HANDLERS[action], getattr(sqs, function)):
        with nullcontext() if allowed else pytest.raises(SqsError, match="InvalidParameterValue"):
            found(data, "url")
    assert done == [data, data] * allowed


def test_functions_have_their_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/emulators/python")
    runtime = SimpleNamespace(
        _detect_runtime_binary=lambda name: {"python3.13": ("/emulators/python", "s")}[name]
    )
    emulator.patch_worker_interpreter(runtime, "/functions/python")
    assert runtime._detect_runtime_binary("python3.13") == ("/functions/python", "s")


def test_changed_emulator_is_told() -> None:
    scheduler = SimpleNamespace(_SCHEDULE_TICK_INTERVAL=10)
    emulator.patch_schedule_sweep(scheduler)
    assert scheduler._SCHEDULE_TICK_INTERVAL <= 1
    with pytest.raises(SystemExit, match="_SCHEDULE_TICK_INTERVAL"):
        emulator.patch_schedule_sweep(scheduler)


def test_api_requests_wait_their_turn() -> None:
    running: list[int] = []
    most: list[int] = []

    async def invoke(number: int) -> int:
        running.append(number)
        most.append(len(running))
        await asyncio.sleep(0)
        running.remove(number)
        return number

    async def all_at_once() -> list[int]:
        module: Any = SimpleNamespace(_invoke_lambda_proxy=invoke)
        emulator.patch_api_concurrency(module)
        invoked: list[int] = await asyncio.gather(*map(module._invoke_lambda_proxy, range(200)))
        return invoked

    assert asyncio.run(all_at_once()) == list(range(200))
    assert max(most) == emulator.API_CONCURRENCY


@pytest.mark.parametrize(
    ("route", "path", "found"),
    [
        ("/a/{rest+}", "/a/", {"rest": ""}),
        ("/a/{rest+}", "/a/b/", {"rest": "b/"}),
        ("/{name}/{rest+}", "/a/", {"name": "a", "rest": ""}),
        ("/a/{rest+}", "/a", None),
        ("/a/{rest+}", "/b/", None),
        ("/a", "/a/", None),
        ("/a/{name}", "/a/", None),
    ],
)
def test_greedy_variable_matches_a_slash(route: str, path: str, found: dict[str, str] | None) -> None:
    module = SimpleNamespace(_extract_path_params=apigateway._extract_path_params)
    emulator.patch_api_slashes(module)
    assert module._extract_path_params(route, path) == found


def test_throttle_is_counted_once() -> None:
    emitted: list[Any] = []
    recorded: list[Any] = []
    module = SimpleNamespace(_emit_lambda_metrics=lambda *given: emitted.append(given))
    emulator.patch_throttle_metrics(module, lambda *given: recorded.append(given))

    module._emit_lambda_metrics("refresh", duration_ms=0.0, error=False, throttle=True)
    module._emit_lambda_metrics("refresh", duration_ms=0.1, error=True, throttle=True)
    module._emit_lambda_metrics("refresh", duration_ms=5.0, error=True, throttle=False)

    assert recorded == [("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": "refresh"})]
    assert emitted == [("refresh", 5.0, True, False)]


def test_versions_share_the_reservation() -> None:
    module = SimpleNamespace(
        _functions={"refresh": {"concurrency": 1}},
        _reserved_concurrency=lambda function, _config: function.get("concurrency"),
    )
    emulator.patch_reservations(module)
    version: dict[str, Any] = {}
    assert module._reserved_concurrency(version, {"FunctionName": "refresh"}) == 1
    assert module._reserved_concurrency(version, {"FunctionName": "another"}) is None
