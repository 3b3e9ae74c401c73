"""The AWS emulator as the local stack needs it: ministack, with its few deviations mended.

Runs as ``python -m local.processes local.emulator --fd FD --worker-python PATH``. ministack reads its
settings from the environment when it is imported (``local.stack`` sets them), so it is imported late.
Every patch below names the deviation from AWS that it is for; they are tied to one version, and a
version or an attribute that is not as expected ends the process with a message.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib.metadata
import json
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from local import kept_state, permissions, worker_faults
from local.docs import with_docs
from local.orders import Order, with_orders

VERSION: Final = "1.5.33"
API_CONCURRENCY: Final = 16
LOG_STREAMS: Final = 1_000
"""Invocations of a function whose log lines are kept: some 15 MB where each sends ten messages."""
LOG_EVENTS: Final = 10_000
"""Lines of another log, such as that of the events, that are kept."""
MAX_FILTERED_EVENTS: Final = 10_000
"""Of a page of FilterLogEvents, as in AWS."""

_Scope = dict[str, Any]
_Application = Callable[[_Scope, Any, Any], Awaitable[None]]


def patch_worker_interpreter(lambda_runtime: Any, worker_python: str) -> None:
    """Run functions with their own interpreter; ministack would use its own, and its packages with it."""
    original = lambda_runtime._detect_runtime_binary  # noqa: SLF001

    def detect_runtime_binary(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return (worker_python if binary == sys.executable else binary), script

    lambda_runtime._detect_runtime_binary = detect_runtime_binary  # noqa: SLF001


def patch_schedule_sweep(scheduler: Any) -> None:
    """Look for due schedules twice a second; every 10 s is too seldom for somebody who watches."""
    _expect(scheduler._SCHEDULE_TICK_INTERVAL == 10, "scheduler._SCHEDULE_TICK_INTERVAL")  # noqa: SLF001, PLR2004
    scheduler._SCHEDULE_TICK_INTERVAL = 0.5  # noqa: SLF001


def patch_context_attributes(eventbridge: Any) -> None:
    """Fill in Scheduler's context attributes, which ministack delivers as they stand in the Input."""
    original = eventbridge._invoke_target  # noqa: SLF001

    def invoke_target(
        target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any], view: Any = None
    ) -> None:
        # Rules come this way too; only a schedule has a group.
        if "GroupName" in rule and target.get("Input"):
            attributes = context_attributes(rule, event["Time"])
            target = {**target, "Input": fill_in(target["Input"], attributes)}
        original(target, event, rule, view)

    eventbridge._invoke_target = invoke_target  # noqa: SLF001


def patch_log_targets(eventbridge: Any, cloudwatch_logs: Any) -> None:
    """Write events into log groups, each as it is; ministack takes no log group for a rule's target."""
    original = eventbridge._invoke_target  # noqa: SLF001
    view_of = eventbridge._pattern_event_view  # noqa: SLF001
    group_of = cloudwatch_logs._log_group_name_from_identifier_arn  # noqa: SLF001
    create_stream = cloudwatch_logs._create_log_stream  # noqa: SLF001
    put_events = cloudwatch_logs._put_log_events  # noqa: SLF001
    creating = threading.Lock()

    def invoke_target(
        target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any], view: Any = None
    ) -> None:
        group = group_of(target["Arn"])
        if group is None:
            original(target, event, rule, view)
            return
        stream = {"logGroupName": group, "logStreamName": rule["Name"]}
        with creating:
            create_stream(stream)  # refused where it exists
        message = json.dumps((view or view_of(event)).event_with_detail())
        put_events({**stream, "logEvents": [{"message": message}]})

    eventbridge._invoke_target = invoke_target  # noqa: SLF001


def context_attributes(schedule: Mapping[str, Any], fired_at: float) -> dict[str, str]:
    """The values that Scheduler puts in place of the keywords in a target's Input.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    expression = schedule["ScheduleExpression"]
    at = re.fullmatch(r"\s*at\((.+)\)\s*", expression)
    if at:
        scheduled = datetime.fromisoformat(at[1].strip()).replace(tzinfo=UTC)
    else:
        # The sweep comes up to half a second late. A cron expression means whole minutes.
        scheduled = datetime.fromtimestamp(fired_at, UTC).replace(microsecond=0)
        if expression.lstrip().startswith("cron"):
            scheduled = scheduled.replace(second=0)
    return {
        "scheduled-time": scheduled.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "schedule-arn": schedule["Arn"],
        "execution-id": secrets.token_hex(8),
        "attempt-number": "1",
    }


def fill_in(text: str, attributes: Mapping[str, str]) -> str:
    """``text`` with every ``<aws.scheduler.…>`` keyword replaced; an unknown one stays, as in AWS."""
    return re.sub(r"<aws\.scheduler\.([a-z-]+)>", lambda m: attributes.get(m[1], m[0]), text)


def patch_throttle_metrics(lambda_svc: Any, record: Callable[..., None]) -> None:
    """Count a throttled invocation as that alone; ministack counts it twice, and as an error too.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    original = lambda_svc._emit_lambda_metrics  # noqa: SLF001

    def emit(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:  # noqa: FBT001
        if not throttle:
            original(function_name, duration_ms, error, throttle)
        elif not error:  # with an error it comes a second time
            record("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})

    lambda_svc._emit_lambda_metrics = emit  # noqa: SLF001


def patch_reservations(lambda_svc: Any) -> None:
    """Bound all of a function's versions by its reservation; ministack knows none of a version.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    original = lambda_svc._reserved_concurrency  # noqa: SLF001

    def reserved_concurrency(function: dict[str, Any], config: dict[str, Any]) -> Any:
        unqualified = lambda_svc._functions.get(config["FunctionName"])  # noqa: SLF001
        return original(unqualified or function, config)

    lambda_svc._reserved_concurrency = reserved_concurrency  # noqa: SLF001


def patch_queue_times(sqs: Any) -> None:
    """Refuse the times that SQS refuses; ministack hides a message for as long as it is told to.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
    """
    for name, parameter, most in (
        ("_act_send_message", "DelaySeconds", 900),
        ("_act_change_visibility", "VisibilityTimeout", 43_200),
    ):
        _limit(sqs, name, parameter, most)


def _limit(sqs: Any, name: str, parameter: str, most: int) -> None:
    original = getattr(sqs, name)

    def limited(data: Mapping[str, Any], url: str) -> Any:
        if not 0 <= int(data.get(parameter) or 0) <= most:
            raise sqs._Err("InvalidParameterValue", f"{parameter} must be 0 to {most} seconds")  # noqa: SLF001
        return original(data, url)

    setattr(sqs, name, limited)  # batches call it by its name
    handlers = sqs._HANDLERS  # noqa: SLF001
    handlers.update({action: limited for action, handler in handlers.items() if handler is original})


def patch_log_retention(lambda_svc: Any, cloudwatch_logs: Any) -> None:
    """Keep the log lines of each function's last invocations, and the last lines of each other log.

    CloudWatch removes lines when their time is over. ministack removes none, and has a stream for each
    invocation, so that a stack that is up for days grows and slows down.
    """
    emit = lambda_svc._emit_lambda_logs  # noqa: SLF001
    append = cloudwatch_logs._append_log_events  # noqa: SLF001
    groups, records = cloudwatch_logs._log_groups, cloudwatch_logs._log_records._data  # noqa: SLF001

    def emit_lambda_logs(*args: Any, **kwargs: Any) -> None:
        emit(*args, **kwargs)
        for group in list(groups.values()):
            _drop_oldest(group["streams"], LOG_STREAMS)

    def append_log_events(stream: dict[str, Any], events: Any) -> None:
        append(stream, events)
        with cloudwatch_logs._log_events_lock:  # noqa: SLF001
            if len(stream["events"]) > LOG_EVENTS:
                # Another list: a reader may go through this one.
                stream["events"] = stream["events"][-LOG_EVENTS:]
        _drop_oldest(records, LOG_EVENTS)

    lambda_svc._emit_lambda_logs = emit_lambda_logs  # noqa: SLF001
    cloudwatch_logs._append_log_events = append_log_events  # noqa: SLF001


def _drop_oldest(entries: dict[Any, Any], count: int) -> None:
    """Leave the last ``count`` entries."""
    for key in list(entries)[: max(0, len(entries) - count)]:
        entries.pop(key, None)


def patch_filtered_events(cloudwatch_logs: Any) -> None:
    """Give FilterLogEvents its pages and its events their ids.

    ministack takes no token and gives none: what is beyond the first 10,000 events cannot be read.
    """
    original = cloudwatch_logs._filter_log_events  # noqa: SLF001

    def filter_log_events(data: Mapping[str, Any]) -> Any:
        # A page begins at the time at which the last one ended, behind the events that were in it.
        start, skipped = (
            int(part) for part in data.get("nextToken", f"{data.get('startTime', 0)}-0").split("-")
        )
        wanted = min(int(data.get("limit", MAX_FILTERED_EVENTS)), MAX_FILTERED_EVENTS)
        status, headers, body = original({**data, "startTime": start, "limit": wanted + skipped})
        content = json.loads(body)
        if "events" not in content:
            return status, headers, body
        events = content["events"][skipped:]
        for event in events:
            told = f"{event['logStreamName']}{event['timestamp']}{event['message']}"
            event["eventId"] = hashlib.sha256(told.encode()).hexdigest()
        content["events"] = events
        if events and skipped + len(events) >= min(wanted + skipped, MAX_FILTERED_EVENTS):
            last = events[-1]["timestamp"]
            behind = sum(event["timestamp"] == last for event in events) + (skipped if last == start else 0)
            content["nextToken"] = f"{last}-{behind}"
        return status, headers, json.dumps(content).encode()

    cloudwatch_logs._filter_log_events = filter_log_events  # noqa: SLF001


def behind_tls(application: _Application) -> _Application:
    """Tell the emulator that requests came over TLS, as every request to AWS does.

    The queues' policies refuse everything else. On the loopback interface there is no TLS to speak of.
    """

    async def application_behind_tls(scope: _Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        await application(scope, receive, send)

    return application_behind_tls


def patch_api_concurrency(apigateway: Any) -> None:
    """Let requests to the API wait for a worker when many run already.

    Every concurrent invocation is a process here. Two hundred requests at once would start two hundred
    interpreters, and on a few cores all of them would be late.
    """
    original = apigateway._invoke_lambda_proxy  # noqa: SLF001
    running = asyncio.Semaphore(API_CONCURRENCY)

    async def invoke_lambda_proxy(*args: Any, **kwargs: Any) -> Any:
        async with running:
            return await original(*args, **kwargs)

    apigateway._invoke_lambda_proxy = invoke_lambda_proxy  # noqa: SLF001


def patch_api_slashes(apigateway: Any) -> None:
    """Let a greedy variable be empty behind a slash, as at API Gateway: ``/a/{rest+}`` matches ``/a/``."""
    original = apigateway._extract_path_params  # noqa: SLF001

    def extract_path_params(route_path: str, request_path: str) -> dict[str, str] | None:
        found: dict[str, str] | None = original(route_path, request_path)
        if found is None and request_path.endswith("/") and route_path.endswith("+}"):
            found = original(route_path, f"{request_path}-")
            if found is not None:
                found[list(found)[-1]] = ""
        return found

    apigateway._extract_path_params = extract_path_params  # noqa: SLF001


def _expect(condition: bool, what: str) -> None:  # noqa: FBT001
    if not condition:
        sys.exit(f"ministack is not as expected: {what}; see the patches in local/emulator.py")


async def _serve(application: _Application, descriptor: int) -> None:
    from hypercorn.asyncio import serve  # noqa: PLC0415 - a second of imports that the unit tests do without
    from hypercorn.config import Config  # noqa: PLC0415

    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    await serve(application, config, shutdown_trigger=end.wait)  # type: ignore[arg-type]


def main() -> None:
    """Serve until SIGTERM or SIGINT, then end the workers, keep the data and remove the temp folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--worker-python", required=True, help="the interpreter for the functions")
    parser.add_argument("--temp", required=True, help="folder for temporary files, removed at the end")
    parser.add_argument("--state-file", type=Path, help="file with the stack's addresses, removed at the end")
    parser.add_argument("--keep", type=Path, help="file that keeps the stack's data while it is down")
    arguments = parser.parse_args()

    tempfile.tempdir = arguments.temp
    version = importlib.metadata.version("ministack")
    _expect(version == VERSION, f"version {version} instead of {VERSION}")
    from ministack import app  # noqa: PLC0415 - reads the environment and takes its time
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime, persistence  # noqa: PLC0415
    from ministack.services import (  # noqa: PLC0415
        apigateway,
        cloudformation,
        cloudwatch,
        cloudwatch_logs,
        dynamodb,
        eventbridge,
        lambda_svc,
        s3,
        scheduler,
        secretsmanager,
        sqs,
        ssm,
    )

    try:
        patch_worker_interpreter(lambda_runtime, arguments.worker_python)
        patch_schedule_sweep(scheduler)
        patch_context_attributes(eventbridge)
        patch_log_targets(eventbridge, cloudwatch_logs)
        decisions = permissions.patch(iam_actions, iam_evaluator)
        patch_throttle_metrics(lambda_svc, cloudwatch.record_metric)
        patch_reservations(lambda_svc)
        patch_queue_times(sqs)
        patch_log_retention(lambda_svc, cloudwatch_logs)
        patch_filtered_events(cloudwatch_logs)
        patch_api_concurrency(apigateway)
        patch_api_slashes(apigateway)
    except AttributeError as error:
        _expect(condition=False, what=str(error))

    orders: dict[str, Order] = {
        worker_faults.PATH: lambda order: {
            "killed": worker_faults.kill_running(lambda_runtime, order["function"])
        },
        permissions.PATH: lambda _: {"decisions": decisions.told()},
    }
    kept = None
    if arguments.keep is not None:
        services = kept_state.Services(
            cloudformation, dynamodb, persistence, s3, scheduler, secretsmanager, sqs, ssm
        )
        kept = kept_state.KeptState(arguments.keep, VERSION, services)
        orders[kept_state.PATH] = lambda _: kept.restore()
    try:
        application = with_docs(behind_tls(app.app), Path(arguments.temp))
        asyncio.run(_serve(with_orders(application, orders), arguments.fd))
    finally:
        lambda_runtime.reset()
        try:
            if kept is not None:
                kept.save()
        finally:
            if arguments.state_file is not None:
                # Of a parent that was killed; no other stack starts before this process has ended.
                arguments.state_file.unlink(missing_ok=True)
            # ministack leaves its workers' folders behind.
            shutil.rmtree(arguments.temp, ignore_errors=True)


if __name__ == "__main__":
    main()
