"""The emulator's log groups, as ``aws logs`` and ``wxn tail`` read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ministack.services import cloudwatch_logs, lambda_svc

from local import emulator

GROUP = "/aws/lambda/stack/send_api"
FUNCTION = {"config": {"FunctionName": "stack-send", "LoggingConfig": {"LogGroup": GROUP}}}
Page = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("_filter_log_events", "_append_log_events"):
        monkeypatch.setattr(cloudwatch_logs, name, getattr(cloudwatch_logs, name))  # put back at the end
    monkeypatch.setattr(lambda_svc, "_emit_lambda_logs", lambda_svc._emit_lambda_logs)
    emulator.patch_log_retention(lambda_svc, cloudwatch_logs)
    emulator.patch_filtered_events(cloudwatch_logs)
    yield
    cloudwatch_logs._log_groups.clear()
    cloudwatch_logs._log_records.clear()


def emit(number: int) -> None:
    lambda_svc._emit_lambda_logs(FUNCTION, f"request-{number}", f"line {number}", error=False, duration_ms=1)


def page(**request: Any) -> dict[str, Any]:
    _status, _headers, body = cloudwatch_logs._filter_log_events({"logGroupName": GROUP, **request})
    found: dict[str, Any] = json.loads(body)
    return found


def test_functions_write_to_their_own_group() -> None:
    emit(1)
    assert [event["message"].split()[0] for event in page()["events"]] == ["START", "line", "END", "REPORT"]


@pytest.mark.parametrize("limit", [1, 3, 4, 1000])
def test_pages_have_each_event_once(limit: int) -> None:
    """Many lines have the same time."""
    for number in range(5):
        emit(number)
    ids: list[str] = []
    token: dict[str, str] = {}
    for _ in range(30):
        found = page(limit=limit, **token)
        assert len(found["events"]) <= limit
        ids += [event["eventId"] for event in found["events"]]
        if "nextToken" not in found:
            break
        token = {"nextToken": found["nextToken"]}
    assert len(ids) == len(set(ids)) == 20


def test_more_than_largest_page_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "MAX_FILTERED_EVENTS", 10)
    for number in range(4):
        emit(number)
    events = cloudwatch_logs._log_groups[GROUP]["streams"].values()
    for at, stream in enumerate(events):
        for event in stream["events"]:
            event["timestamp"] = at
    first = page()
    second = page(nextToken=first["nextToken"])
    assert (len(first["events"]), len(second["events"])) == (10, 6)
    assert "nextToken" not in second


def test_unknown_group_is_an_error() -> None:
    assert "does not exist" in page()["message"]


def test_old_invocations_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "LOG_STREAMS", 3)
    for number in range(5):
        emit(number)
    lines = [event["message"] for event in page()["events"] if event["message"].startswith("line")]
    assert lines == ["line 2", "line 3", "line 4"]


def test_old_lines_of_other_logs_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "LOG_EVENTS", 3)
    stream = {"logGroupName": GROUP, "logStreamName": "events"}
    cloudwatch_logs._create_log_group({"logGroupName": GROUP})
    cloudwatch_logs._create_log_stream(stream)
    for number in range(5):
        event = {"timestamp": number, "message": f"event {number}"}
        cloudwatch_logs._put_log_events({**stream, "logEvents": [event]})
    assert [event["message"] for event in page()["events"]] == ["event 2", "event 3", "event 4"]
    assert len(cloudwatch_logs._log_records) <= 3
