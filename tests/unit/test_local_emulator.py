from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

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
        ("cron(55 20 * * ? *)", FIRED_AT),
        ("cron(55 20 * * ? *)", FIRED_AT + 1),
        ("rate(5 minutes)", FIRED_AT),
    ],
)
def test_scheduled_time_has_the_form_that_aws_gives_it(expression: str, fired_at: float) -> None:
    attributes = emulator.context_attributes(schedule(expression), fired_at)
    assert attributes["scheduled-time"] == "2026-11-21T20:55:00Z"


def test_fills_in_the_context_attributes() -> None:
    text = json.dumps(
        {
            "id": "demo-<aws.scheduler.scheduled-time>",
            "arn": "<aws.scheduler.schedule-arn>",
            "execution": "<aws.scheduler.execution-id>",
            "attempt": "<aws.scheduler.attempt-number>",
            "unknown": "<aws.scheduler.colour>",
            "text": "1 < 2 > 1",
        }
    )
    attributes = emulator.context_attributes(schedule("at(2026-11-21T20:55:00)"), FIRED_AT)
    filled = json.loads(emulator.fill_in(text, attributes))
    assert len(filled.pop("execution")) == 16
    assert filled == {
        "id": "demo-2026-11-21T20:55:00Z",
        "arn": ARN,
        "attempt": "1",
        "unknown": "<aws.scheduler.colour>",
        "text": "1 < 2 > 1",
    }


def test_every_execution_has_its_own_id() -> None:
    both = [emulator.context_attributes(schedule("rate(1 minute)"), FIRED_AT) for _ in range(2)]
    assert both[0]["execution-id"] != both[1]["execution-id"]


def test_only_the_input_of_schedules_is_filled_in() -> None:
    delivered: list[str] = []
    eventbridge = SimpleNamespace(_invoke_target=lambda target, *_: delivered.append(target["Input"]))
    emulator.patch_context_attributes(eventbridge)
    target = {"Input": "<aws.scheduler.scheduled-time>"}
    eventbridge._invoke_target(target, {"Time": FIRED_AT}, schedule("rate(1 minute)"))
    eventbridge._invoke_target(target, {"Time": FIRED_AT}, {"EventPattern": "{}"})
    assert delivered == ["2026-11-21T20:55:00Z", "<aws.scheduler.scheduled-time>"]
    assert target["Input"] == "<aws.scheduler.scheduled-time>"


def authorised(target: str, body: object) -> list[str]:
    """The ARNs that policies are asked about."""
    asked: list[str] = []

    def enforce(*_: Any, resource_arn: str = "*", **__: Any) -> str | None:
        asked.append(resource_arn)
        return "denied" if resource_arn.endswith("secret") else None

    actions = SimpleNamespace(extract_resource_arn=lambda *_: "*")
    evaluator = SimpleNamespace(enforce=enforce)
    emulator.patch_parameter_arns(actions, evaluator)
    arn = actions.extract_resource_arn(
        "ssm", "POST", "/", {"x-amz-target": target}, json.dumps(body).encode(), {}, "us-east-1", "1"
    )
    denied = evaluator.enforce("key", "ssm:Any", "ssm", "us-east-1", resource_arn=arn, service_context={})
    assert (denied == "denied") == any(one.endswith("secret") for one in asked)
    return asked


@pytest.mark.parametrize(
    ("target", "body", "names"),
    [
        ("AmazonSSM.GetParametersByPath", {"Path": "/a/b/"}, ["a/b"]),
        ("AmazonSSM.GetParameters", {"Names": ["/a/b", "c"]}, ["a/b", "c"]),
        ("AmazonSSM.GetParameters", {"Names": ["/a/b", "/a/secret"]}, ["a/b", "a/secret"]),
    ],
)
def test_every_parameter_is_authorised(target: str, body: object, names: list[str]) -> None:
    assert authorised(target, body) == [f"arn:aws:ssm:us-east-1:1:parameter/{name}" for name in names]


def test_other_requests_are_authorised_as_before() -> None:
    assert authorised("AmazonSSM.DescribeParameters", {}) == ["*"]


@pytest.mark.parametrize(
    ("action", "sources", "context"),
    [
        ("events:PutEvents", ["wechat-notify"] * 3, {"events:source": "wechat-notify"}),
        ("events:PutEvents", ["wechat-notify", "other"], {"events:source": "other wechat-notify"}),
        ("events:PutRule", ["wechat-notify"], {}),
    ],
)
def test_policies_hear_of_the_source_of_events(
    action: str, sources: list[str], context: dict[str, str]
) -> None:
    actions = SimpleNamespace(request_tag_context=lambda *_: {"aws:TagKeys": []})
    emulator.patch_event_sources(actions)
    body = json.dumps({"Entries": [{"Source": source} for source in sources]}).encode()
    assert actions.request_tag_context("events", action, body, {}) == {"aws:TagKeys": [], **context}


@pytest.mark.parametrize(
    ("service", "action", "authorised_as"),
    [
        ("sqs", "sqs:SendMessageBatch", "sqs:SendMessage"),
        ("sqs", "sqs:ReceiveMessage", "sqs:ReceiveMessage"),
        ("sns", "sns:PublishBatch", "sns:PublishBatch"),
        ("sqs", None, None),
    ],
)
def test_a_batch_is_authorised_as_what_it_is_a_batch_of(
    service: str, action: str | None, authorised_as: str | None
) -> None:
    actions = SimpleNamespace(extract_iam_action=lambda *_: action)
    emulator.patch_batch_actions(actions)
    assert actions.extract_iam_action(service, "POST", "/", {}, b"{}", {}) == authorised_as


def test_times_that_sqs_refuses_are_refused() -> None:
    done: list[dict[str, Any]] = []

    class Error(Exception):
        def __init__(self, code: str, _message: str) -> None:
            super().__init__(code)

    def act(data: dict[str, Any], _url: str) -> None:
        done.append(data)

    def change(data: dict[str, Any], _url: str) -> None:
        done.append(data)

    sqs = SimpleNamespace(
        _act_send_message=act,
        _act_change_visibility=change,
        _Err=Error,
        _HANDLERS={"SendMessage": act, "ChangeMessageVisibility": change, "ListQueues": done.append},
    )
    emulator.patch_queue_times(sqs)
    allowed = [
        (sqs._act_send_message, {"DelaySeconds": 900}),
        (sqs._HANDLERS["SendMessage"], {"DelaySeconds": None}),
        (sqs._HANDLERS["ChangeMessageVisibility"], {"VisibilityTimeout": "43200"}),
    ]
    for handler, data in allowed:
        handler(data, "url")
    assert done == [data for _, data in allowed]
    refused = [
        (sqs._act_send_message, {"DelaySeconds": 901}),
        (sqs._HANDLERS["SendMessage"], {"DelaySeconds": "-1"}),
        (sqs._HANDLERS["ChangeMessageVisibility"], {"VisibilityTimeout": 43_201}),
    ]
    for handler, data in refused:
        with pytest.raises(Error, match="InvalidParameterValue"):
            handler(data, "url")
    assert len(done) == len(allowed)


def test_functions_run_with_their_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/emulators/python")
    runtime = SimpleNamespace(
        _detect_runtime_binary=lambda name: {"python3.13": ("/emulators/python", "s")}[name]
    )
    emulator.patch_worker_interpreter(runtime, "/functions/python")
    assert runtime._detect_runtime_binary("python3.13") == ("/functions/python", "s")


def test_a_changed_emulator_is_told_of() -> None:
    scheduler = SimpleNamespace(_SCHEDULE_TICK_INTERVAL=10)
    emulator.patch_schedule_sweep(scheduler)
    assert scheduler._SCHEDULE_TICK_INTERVAL <= 1
    with pytest.raises(SystemExit, match="_SCHEDULE_TICK_INTERVAL"):
        emulator.patch_schedule_sweep(scheduler)


def test_requests_to_the_api_wait_where_many_run_already() -> None:
    running, most = 0, 0

    async def invoke(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    async def all_at_once() -> list[int]:
        module: Any = SimpleNamespace(_invoke_lambda_proxy=invoke)
        emulator.patch_api_concurrency(module)
        invocations: list[int] = await asyncio.gather(
            *(module._invoke_lambda_proxy(number) for number in range(200))
        )
        return invocations

    assert asyncio.run(all_at_once()) == list(range(200))
    assert most == emulator.API_CONCURRENCY
