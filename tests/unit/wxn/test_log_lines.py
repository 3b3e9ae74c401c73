"""Lines are read once, in their order, also those that arrive late."""

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from wxn.log_lines import LogLines, follow
from wxn.stacks import Stack

GROUPS = {
    "SendApiLogGroup": "/aws/lambda/wechat-notify/send_api",
    "EventLogGroup": "/aws/events/wechat-notify",
    "ApiLogGroup": "/aws/vendedlogs/wechat-notify/api",
    "SendQueue": "a queue",
}


THROTTLED: Any = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}


class FakeLogs:
    """CloudWatch Logs: two events a page."""

    class exceptions:  # noqa: N801 - as boto3 spells it
        class ResourceNotFoundException(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.starts: list[int] = []
        self.throttled: set[str] = set()

    def write(self, group: str, at: int, message: str | Mapping[str, Any]) -> None:
        line = message if isinstance(message, str) else json.dumps(message)
        events = self.events.setdefault(GROUPS[group], [])
        events.append({"eventId": str(len(events)), "timestamp": at, "message": line})

    def get_paginator(self, _name: str) -> Any:
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, *, logGroupName: str, startTime: int) -> Iterator[dict[str, Any]]:  # noqa: N803
        self.starts.append(startTime)
        if logGroupName in self.throttled:
            self.throttled.clear()
            raise ClientError(THROTTLED, "FilterLogEvents")
        if logGroupName not in self.events:
            raise self.exceptions.ResourceNotFoundException
        found = [event for event in self.events[logGroupName] if event["timestamp"] >= startTime]
        yield from ({"events": found[n : n + 2]} for n in range(0, len(found), 2))


class FakeStack(Stack):
    def __init__(self, logs: FakeLogs) -> None:
        super().__init__("fake")
        self.logs = logs
        self.resources = GROUPS

    def client(self, service: str, **_: Any) -> Any:
        assert service == "logs"
        return self.logs


@pytest.fixture
def logs() -> FakeLogs:
    return FakeLogs()


def told(lines: LogLines) -> list[tuple[str, object]]:
    return [(line.source, line.fields.get("n") or line.fields.get("message")) for line in lines.poll()]


def test_each_line_once_and_sorted(logs: FakeLogs) -> None:
    lines = LogLines(FakeStack(logs), [], since=10)
    logs.write("SendApiLogGroup", 9_000, {"n": "before"})
    logs.write("SendApiLogGroup", 12_000, {"n": 2})
    logs.write("EventLogGroup", 11_000, {"n": 1})
    logs.write("SendApiLogGroup", 13_000, {"n": 3})

    assert told(lines) == [("events", 1), ("send_api", 2), ("send_api", 3)]
    assert told(lines) == []


def test_equal_lines_are_two(logs: FakeLogs) -> None:
    """Such as two events of one millisecond."""
    lines = LogLines(FakeStack(logs), ["send_api"], since=0)
    logs.write("SendApiLogGroup", 1_000, {"n": 1})
    first = told(lines)
    logs.write("SendApiLogGroup", 1_000, {"n": 1})

    assert (first, told(lines)) == ([("send_api", 1)], [("send_api", 1)])


def test_late_line_is_found(logs: FakeLogs) -> None:
    lines = LogLines(FakeStack(logs), ["send_api"], since=0)
    logs.write("SendApiLogGroup", 30_000, {"n": "new"})
    told(lines)
    logs.write("SendApiLogGroup", 21_000, {"n": "late"})

    assert told(lines) == [("send_api", "late")]


def test_polls_begin_near_the_newest(logs: FakeLogs) -> None:
    lines = LogLines(FakeStack(logs), ["send_api"], since=1)
    logs.write("SendApiLogGroup", 60_000, {"n": 1})
    for _ in range(3):
        lines.poll()

    assert logs.starts == [1_000, 50_000, 50_000]


def test_what_is_read_is_forgotten(logs: FakeLogs) -> None:
    """The memory of a long run holds the last seconds alone."""
    lines = LogLines(FakeStack(logs), ["send_api"], since=0)
    for second in range(100):
        logs.write("SendApiLogGroup", second * 1000, {"n": second + 1})
        lines.poll()

    assert len(lines._groups["send_api"].seen) == 11


def test_lines_that_say_nothing(logs: FakeLogs) -> None:
    for message in (
        "START RequestId: 1",
        "END RequestId: 1",
        "REPORT RequestId: 1",
        "INIT_START Runtime",
        " ",
        '{"_aws": {}}',
    ):
        logs.write("SendApiLogGroup", 1, message)

    assert told(LogLines(FakeStack(logs), [], since=0)) == []


@pytest.mark.parametrize("message", ["Task timed out after 30.00 seconds", "[1, 2]", '{"half":'])
def test_other_text_is_an_error(logs: FakeLogs, message: str) -> None:
    logs.write("SendApiLogGroup", 1, message)

    (line,) = LogLines(FakeStack(logs), [], since=0).poll()

    assert line.fields == {"level": "ERROR", "message": message}


def test_access_log_is_left_out(logs: FakeLogs) -> None:
    logs.write("ApiLogGroup", 1, {"n": 1})

    assert told(LogLines(FakeStack(logs), [], since=0)) == []


def test_follow_polls_on(logs: FakeLogs) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        logs.write("SendApiLogGroup", len(pauses), {"n": len(pauses)})

    lines = follow(LogLines(FakeStack(logs), [], since=0), seconds=2, patience=0, silent=print, sleep=sleep)

    assert [next(lines).fields["n"] for _ in range(3)] == [1, 2, 3]
    assert pauses == [2, 2, 2]


def test_no_line_is_lost_to_throttling(logs: FakeLogs) -> None:
    """The second of two log groups is throttled: the lines of the first come with the next poll."""
    logs.write("SendApiLogGroup", 1_000, {"n": 1})
    logs.write("EventLogGroup", 2_000, {"n": 2})
    logs.throttled.add(GROUPS["EventLogGroup"])
    notes: list[str] = []
    lines = follow(
        LogLines(FakeStack(logs), [], since=0),
        seconds=2,
        patience=60,
        silent=notes.append,
        now=lambda: 0.0,
        sleep=lambda _: None,
    )

    assert [next(lines).fields["n"] for _ in range(2)] == [1, 2]
    assert notes == ["FilterLogEvents: ThrottlingException: Rate exceeded"]


def test_throttling_without_end(logs: FakeLogs) -> None:
    logs.throttled.add(GROUPS["SendApiLogGroup"])
    lines = follow(LogLines(FakeStack(logs), [], since=0), seconds=2, patience=0, silent=print)

    with pytest.raises(ClientError):
        next(lines)
