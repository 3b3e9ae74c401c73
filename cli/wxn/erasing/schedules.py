"""Schedules that address the person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wxn.dead_letters import account_of, decoded
from wxn.erasing.person import Person
from wxn.erasing.place import Count, Found
from wxn.language import text
from wxn.stacks import Stack

_FIRING: Final = "<aws.scheduler.scheduled-time>"
_NOT_PUT: Final = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
"""Fields of a schedule that cannot be written."""


class Schedules:
    """The schedules of the stack's group that send to one person of an account, whoever made them."""

    def __init__(self, stack: Stack, account: str, person: Person) -> None:
        self.name = text("schedules", "定时任务")
        self._scheduler = stack.client("scheduler")
        self._group = stack.outputs["ScheduleGroupName"]
        self._account = account
        self._person = person

    def find(self, count: Count) -> Iterator[Found]:
        """Read every schedule of the group."""
        pages = self._scheduler.get_paginator("list_schedules").paginate(GroupName=self._group)
        schedules = (each for page in pages for each in page["Schedules"])
        for searched, listed in enumerate(schedules, 1):
            count(searched, None)
            schedule = self._read(listed["Name"])
            if schedule and (found := self._found(schedule)):
                yield found

    def erase(self, found: Sequence[Found]) -> None:
        """Delete those that send to the person alone; take the person out of the others' recipients."""
        for each in found:
            schedule = self._read(each.name)
            now = schedule and self._found(schedule)
            if not schedule or not now or now.blocked:
                continue  # it has changed meanwhile: the next search tells
            rest = self._others(_body(schedule))
            if not rest:
                self._scheduler.delete_schedule(Name=each.name, GroupName=self._group)
                continue
            body = json.loads(_body(schedule))
            body["broadcast"]["recipients"] = rest
            written = _written(body)
            kept = {name: value for name, value in schedule.items() if name not in _NOT_PUT}
            self._scheduler.update_schedule(**kept | {"Target": {**schedule["Target"], "Input": written}})

    def _found(self, schedule: Mapping[str, Any]) -> Found | None:
        """The thing to do about a schedule; None where it does not name the person."""
        name, body = schedule["Name"], _body(schedule)
        if account_of(body) not in {None, self._account} or not self._person.is_named_in(body):
            return None
        broadcast, message = _part(body, "broadcast"), _part(body, "message")
        blocked = again = ""
        does = text("delete it", "删除")
        if message is not None and message.get("touser") != self._person.openid:
            blocked = text(
                "it is a message to somebody else that names the openid",
                "是发给他人的消息，内容中含有该 openid",
            )
        elif broadcast is not None and (self._others(body) or "upload" in broadcast):
            does = text("take the person out of its recipients", "从收件人中移除")
            if self._names({**broadcast, "recipients": None}):
                blocked = text("its message names the openid", "群发的消息内容中含有该 openid")
        if blocked:
            again = text("after you have changed it", "修改之后")
        return Found(self.name, name, does, blocked, again)

    def _others(self, body: str) -> list[Any]:
        """The recipients of a scheduled broadcast without the person."""
        recipients = (_part(body, "broadcast") or {}).get("recipients")
        return [row for row in recipients if not self._names(row)] if isinstance(recipients, list) else []

    def _names(self, value: object) -> bool:
        return self._person.is_named_in(json.dumps(value, ensure_ascii=False))

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._scheduler.get_schedule(Name=name, GroupName=self._group)
        except self._scheduler.exceptions.ResourceNotFoundException:
            return None
        return found


def _written(body: object) -> str:
    """A body in which Scheduler replaces the firing's time in the id, and no text of a caller's."""
    escaped = json.dumps(body).replace("<", r"\u003c")
    return escaped.replace(_FIRING.replace("<", r"\u003c"), _FIRING, 1)


def _body(schedule: Mapping[str, Any]) -> str:
    return str(schedule["Target"].get("Input", ""))


def _part(body: str, name: str) -> dict[str, Any] | None:
    """The message or the broadcast of a body; None where it has none."""
    value = decoded(body)
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else None
