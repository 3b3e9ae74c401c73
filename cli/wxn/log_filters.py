"""Kinds of log lines, and the lines that a person wants to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from wxn.log_lines import LogLine

_FIRST_ERROR: Final = 400
"""The lowest HTTP status of an error."""
_REMEMBERED: Final = 10_000
"""Invocations whose own lines are counted; older ones have ended."""


class Kind(StrEnum):
    """Kinds of lines, by their subject."""

    REQUEST = "request"
    MESSAGE = "message"
    EVENT = "event"
    LOG = "log"


@dataclass(frozen=True)
class Filter:
    """The lines that are wanted; a part that is empty or None wants all."""

    kinds: frozenset[Kind] = frozenset()
    account: str | None = None
    message_id: str | None = None
    problems_only: bool = False

    def wants(self, line: LogLine) -> bool:
        """True if each part of the filter wants it."""
        fields = detail(line)
        return (
            (not self.kinds or kind_of(line) in self.kinds)
            and self.account in {None, fields.get("account")}
            and self.message_id in {None, fields.get("message_id"), fields.get("id")}
            and (not self.problems_only or is_problem(line))
        )


def detail(line: LogLine) -> Mapping[str, Any]:
    """The fields that tell about the message or the account; of an event, its ``detail``."""
    told = line.fields.get("detail") if line.source == "events" else line.fields
    return told if isinstance(told, dict) else line.fields


def kind_of(line: LogLine) -> Kind:
    """The kind of a line."""
    if line.source == "events":
        return Kind.EVENT
    if "route" in line.fields:
        return Kind.REQUEST
    return Kind.MESSAGE if "message_id" in line.fields else Kind.LOG


def is_problem(line: LogLine) -> bool:
    """True of warnings, errors, requests that were refused, and events of failures."""
    if line.source == "events":
        return not str(line.fields.get("detail-type", "")).endswith((".closed", ".finished"))
    return (
        line.fields.get("level") in {"WARNING", "ERROR", "CRITICAL"}
        or line.fields.get("status_code", 0) >= _FIRST_ERROR
    )


def without_summaries(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Leave out the line of an invocation whose messages had a line each: it would tell them twice."""
    own_lines = Counter[str]()
    for line in lines:
        request_id = str(line.fields.get("function_request_id"))
        if kind_of(line) is Kind.MESSAGE:
            own_lines[request_id] += 1
            if len(own_lines) > _REMEMBERED:
                own_lines.clear()
        elif "messages" in line.fields and own_lines.pop(request_id, 0) >= line.fields["messages"]:
            continue
        yield line
