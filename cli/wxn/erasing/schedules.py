"""Schedules that address the person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
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
            body = schedule["Target"].get("Input", "") if schedule else ""
            if account_of(body) in {None, self._account} and self._person.is_named_in(body):
                yield self._found(listed["Name"], body)

    def erase(self, found: Sequence[Found]) -> None:
        """Delete those that send to the person alone; take the person out of the others' recipients."""
        for each in found:
            schedule = self._read(each.name)
            if schedule is None:
                continue
            recipients = _recipients(schedule["Target"].get("Input", ""))
            rest = [row for row in recipients or [] if not self._names(row)]
            if not rest:
                self._scheduler.delete_schedule(Name=each.name, GroupName=self._group)
                continue
            body = json.loads(schedule["Target"]["Input"])
            body["broadcast"]["recipients"] = rest
            written = _written(body)
            kept = {name: value for name, value in schedule.items() if name not in _NOT_PUT}
            self._scheduler.update_schedule(**kept | {"Target": {**schedule["Target"], "Input": written}})

    def _found(self, name: str, body: str) -> Found:
        recipients = _recipients(body)
        rest = [row for row in recipients or [] if not self._names(row)]
        value = decoded(body)
        message = value.get("message") if isinstance(value, dict) else None
        blocked = again = ""
        does = text("delete it", "删除")
        if isinstance(message, dict) and message.get("touser") != self._person.openid:
            blocked = text(
                "it is a message to somebody else that names the openid",
                "是发给他人的消息，内容中含有该 openid",
            )
            again = text("after you have changed it", "修改之后")
        elif recipients is not None and rest:
            does = text("take the person out of its recipients", "从收件人中移除")
            if self._names({**value["broadcast"], "recipients": None}):
                blocked = text("its message names the openid", "群发的消息内容中含有该 openid")
                again = text("after you have changed it", "修改之后")
        return Found(self.name, name, does, blocked, again)

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


def _recipients(body: str) -> list[Any] | None:
    """The recipients of a scheduled broadcast; None where it has none of its own."""
    value = decoded(body)
    broadcast = value.get("broadcast") if isinstance(value, dict) else None
    recipients = broadcast.get("recipients") if isinstance(broadcast, dict) else None
    return recipients if isinstance(recipients, list) else None
