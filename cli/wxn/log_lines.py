"""The log lines of a stack, read from CloudWatch Logs by polling.

Live Tail would need no polling, but the China regions and the emulator do not have it, and it is billed by
the minute.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wxn.aws_errors import reason_to_wait
from wxn.stacks import Stack

_PLATFORM: Final = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START ")
"""Lambda's own lines, one of each for an invocation."""
_LATE_MS: Final = 10_000
"""A line can be found this long after its time: functions hand lines over in batches, and CloudWatch takes a
few seconds to index them. Each poll begins this long before the newest line."""
_EVENTS: Final = "EventLogGroup"
_ACCESS_LOG: Final = "ApiLogGroup"
"""API Gateway's log: each request is a line of its function too."""


@dataclass(frozen=True)
class LogLine:
    """One line.

    Parameters
    ----------
    at
        Its time in seconds since 1970.
    source
        The function that wrote it, such as ``send_api``; ``events`` for an event of the bus.
    fields
        The fields of a JSON line; of another line, its text as ``message``.
    """

    at: float
    source: str
    fields: Mapping[str, Any]


@dataclass
class _Group:
    """The state of reading one log group."""

    name: str
    newest: int
    seen: dict[str, int] = field(default_factory=dict)
    """The times of the lines that were read lately, by their ids."""


class LogLines:
    """The lines of the functions and the events of a stack.

    Parameters
    ----------
    stack
        The stack.
    sources
        Read these alone, such as ``send_api`` and ``events``; none of them reads all.
    since
        The time to begin at, in seconds since 1970.
    """

    def __init__(self, stack: Stack, sources: Sequence[str], since: float) -> None:
        self._logs = stack.client("logs")
        groups = log_groups(stack)
        self._since = int(since * 1000)
        self._groups = {
            source: _Group(group, self._since)
            for source, group in groups.items()
            if not sources or source in sources
        }
        self._read: list[LogLine] = []

    def poll(self) -> list[LogLine]:
        """The lines that were not read before, by their time; after an error the next poll has them all."""
        for source, group in self._groups.items():
            for line in self._of_group(source, group):
                self._read.append(line)
        lines, self._read = sorted(self._read, key=lambda line: line.at), []
        return lines

    def _of_group(self, source: str, group: _Group) -> Iterator[LogLine]:
        start = max(self._since, group.newest - _LATE_MS)
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=group.name, startTime=start
        )
        try:
            for page in pages:
                for event in page["events"]:
                    if event["eventId"] in group.seen:
                        continue
                    group.seen[event["eventId"]] = event["timestamp"]
                    group.newest = max(group.newest, event["timestamp"])
                    if fields := _fields(event["message"]):
                        yield LogLine(event["timestamp"] / 1000, source, fields)
        except self._logs.exceptions.ResourceNotFoundException:
            return  # the group was deleted, or nothing has written to it
        oldest = group.newest - _LATE_MS
        group.seen = {event_id: at for event_id, at in group.seen.items() if at >= oldest}


def log_groups(stack: Stack) -> dict[str, str]:
    """The stack's log groups by the function that writes to them; ``events`` is that of the bus."""
    return {
        "events" if logical_id == _EVENTS else name.rsplit("/", 1)[-1]: name
        for logical_id, name in stack.resources.items()
        if logical_id.endswith("LogGroup") and logical_id != _ACCESS_LOG
    }


def follow(
    lines: LogLines,
    *,
    seconds: float,
    patience: float,
    silent: Callable[[str], None],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LogLine]:
    """Lines as they come, without end.

    Parameters
    ----------
    lines
        The lines.
    seconds
        The pause between two polls.
    patience
        Seconds without an answer, or of throttling, after which the error is raised.
    silent
        Is told the reason of each poll without an answer.
    """
    answered_at = now()
    while True:
        try:
            found = lines.poll()
        except Exception as error:
            reason = reason_to_wait(error)
            if now() - answered_at >= patience:
                raise
            silent(reason)
        else:
            answered_at = now()
            yield from found
        sleep(seconds)


def _fields(message: str) -> Mapping[str, Any] | None:
    """The fields of a line; None of a line that says nothing to people (metrics, Lambda's own lines)."""
    text = message.strip()
    if not text or text.startswith(_PLATFORM):
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return {"level": "ERROR", "message": text}  # a crash: the functions themselves write JSON alone
    return None if "_aws" in fields else fields
