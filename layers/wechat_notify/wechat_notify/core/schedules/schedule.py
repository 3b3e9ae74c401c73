"""A schedule: what is sent to the queue, and when; kept by EventBridge Scheduler and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from wechat_notify.core.broadcasts.scheduled import creation_body
from wechat_notify.core.broadcasts.spec import parse_spec
from wechat_notify.core.errors import InvalidFieldsError, InvalidMessageError
from wechat_notify.core.messages.envelope import SendRequest, queue_body
from wechat_notify.core.messages.field_types import NOT_A_FIELD, REQUIRED, TimeZone
from wechat_notify.core.messages.findings import Finding, pydantic_error, rule_error
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.messages.validation import NOT_AN_OBJECT, broken_rule, violations
from wechat_notify.core.schedules import timing
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

_MAX_NAME = 64
"""Characters of a name in Scheduler, which has the account's in front of the schedule's own."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FIRING = "<aws.scheduler.scheduled-time>"
"""Scheduler puts the time for which it fires in place of this: a firing that comes twice is one message.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
"""
_ESCAPED = r"\u003c"
"""A ``<`` in JSON."""
_TIMINGS = ("at", "cron", "rate")


class Content(StrEnum):
    """The field of a schedule that holds what it sends."""

    MESSAGE = "message"
    BROADCAST = "broadcast"


class Schedule(NamedTuple):
    """A schedule in Scheduler's terms.

    ``expression`` is ``at(…)`` (UTC), ``cron(…)`` (in ``time_zone``) or ``rate(…)``; ``body`` is that of the
    queue of its ``content``.
    """

    account: str
    name: str
    expression: str
    time_zone: str
    enabled: bool
    content: Content
    body: str

    @property
    def once(self) -> bool:
        """Return whether it fires once, and removes itself."""
        return self.expression.startswith("at(")

    def as_dict(self) -> dict[str, Any]:
        """Return the schedule as it may be put again."""
        kind, _, rest = self.expression.partition("(")
        when = rest.removesuffix(")")
        return {
            "account": self.account,
            "name": self.name,
            kind: f"{when}Z" if self.once else when,
            **({"time_zone": self.time_zone} if kind == "cron" else {}),
            "enabled": self.enabled,
            self.content.value: parse_json(self.body)[self.content.value],
        }


class SchedulePage(NamedTuple):
    """Some of an account's schedules by name, and Scheduler's token of the next page."""

    names: Sequence[str]
    token: str | None


class ScheduleStore(Protocol):
    """EventBridge Scheduler; every method raises ``StorageError``."""

    def put(self, schedule: Schedule) -> bool:
        """Create or replace a schedule; return whether it is new. Raises ``TimingRefusedError``."""

    def read(self, account: str, name: str) -> Schedule | None:
        """Return a schedule, None where there is none."""

    def delete(self, account: str, name: str) -> bool:
        """Delete a schedule; return whether there was one."""

    def page(self, account: str, token: str | None, limit: int) -> SchedulePage:
        """The names of an account's schedules."""


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise pydantic_error(NOT_AN_OBJECT)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise rule_error("boolean", "must be true or false", "必须是 true 或 false")
    return value


class ScheduleSpec(BaseModel):
    """A schedule as it is asked for; exactly one of ``at``, ``cron`` and ``rate`` is set.

    It sends a ``message`` or a ``broadcast``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    message: Annotated[dict[str, Any] | None, PlainValidator(_object)] = None
    broadcast: Annotated[dict[str, Any] | None, PlainValidator(_object)] = None
    at: str | None = None
    cron: str | None = None
    rate: str | None = None
    time_zone: TimeZone = "Asia/Shanghai"
    enabled: Annotated[bool, PlainValidator(_boolean)] = True


def parse_schedule(account: str, name: str, asked: object, now: float) -> Schedule:
    """The schedule that a decoded JSON body asks for; ``now`` is seconds since the epoch.

    Raises
    ------
    InvalidFieldsError
        It breaks rules; the error lists every violation, the message's too.
    """
    if not isinstance(asked, dict):
        raise InvalidFieldsError([broken_rule(NOT_AN_OBJECT, "", asked)])
    broken = list(_name_violations(account, name))
    fields = ScheduleSpec.model_fields
    given = {key: value for key, value in asked.items() if value is not None or key not in fields}
    broken += _one_of(given, _TIMINGS, _NO_TIMING, _TWO_TIMINGS)
    broken += _one_of(given, tuple(Content), _NO_CONTENT, _TWO_CONTENTS)
    try:
        spec = ScheduleSpec.model_validate(given)
    except ValidationError as error:
        spec = None
        broken += violations(error, ScheduleSpec, _UNKNOWN_FIELD)
    expression = ""
    if spec is not None:
        broken += _content_violations(spec, now)
        try:
            expression = _expression(spec, now)
        except PydanticCustomError as error:
            broken.append(_violation(error, _timing_of(given)))
    if broken or spec is None:
        raise InvalidFieldsError(broken)
    time_zone = "UTC" if expression.startswith("at(") else spec.time_zone
    content = Content.BROADCAST if spec.message is None else Content.MESSAGE
    body = _body(account, name, spec)
    return Schedule(account, name, expression, time_zone, spec.enabled, content, body)


def is_schedule_name(account: str, name: str) -> bool:
    """Return whether an account's schedule may have this name."""
    return _NAME.fullmatch(name) is not None and len(name) <= max_name(account)


def max_name(account: str) -> int:
    """Return how many characters the name of an account's schedule may have."""
    return _MAX_NAME - len(account) - 1


def timing_refused(schedule: Schedule) -> InvalidFieldsError:
    """Return the error for a time that Scheduler itself refuses."""
    kind = schedule.expression.partition("(")[0]
    return InvalidFieldsError([Violation(kind, kind, _REFUSED)])


def _expression(spec: ScheduleSpec, now: float) -> str:
    if spec.cron is not None:
        return timing.cron(spec.cron)
    if spec.rate is not None:
        return timing.rate(spec.rate)
    return timing.at(spec.at, spec.time_zone, now) if spec.at is not None else ""


def _name_violations(account: str, name: str) -> Sequence[Violation]:
    if is_schedule_name(account, name):
        return ()
    most = max_name(account)
    text = Bilingual(
        f"must be 1 to {most} characters of A-Z, a-z, 0-9, - and _ (64 with the account's name and a dot)",
        f"必须为 1 到 {most} 个字符，只能含 A-Z、a-z、0-9、- 和 _（连同账号名和一个点共 64 个）",
    )
    return (Violation("name", "name", text, most),)


def _timing_of(given: Mapping[str, Any]) -> str:
    return next((name for name in _TIMINGS if name in given), _TIMINGS[0])


def _one_of(
    given: Mapping[str, Any], names: Sequence[str], none: Bilingual, several: Bilingual
) -> Sequence[Violation]:
    found = [name for name in names if name in given]
    if not found:
        return (Violation(names[0], REQUIRED.rule, none),)
    return [Violation(name, "exclusive", several) for name in found[1:]]


def _content_violations(spec: ScheduleSpec, now: float) -> Sequence[Violation]:
    """The rules that the message or the broadcast breaks."""
    broken: Sequence[Violation] = ()
    try:
        if spec.message is not None:
            parse_message(spec.message)
        elif spec.broadcast is not None:
            if "starts_at" in spec.broadcast:
                return (Violation("broadcast.starts_at", NOT_A_FIELD.rule, _STARTS_BY_SCHEDULE),)
            parse_spec(spec.broadcast, now)
    except (InvalidMessageError, InvalidFieldsError) as error:
        broken = error.violations
    prefix = Content.BROADCAST if spec.message is None else Content.MESSAGE
    return [each._replace(path=f"{prefix}.{each.path}".rstrip(".")) for each in broken]


def _body(account: str, name: str, spec: ScheduleSpec) -> str:
    """The body for the queue; of Scheduler's keywords it has the one in the id, and none of its caller's."""
    firing = f"{name}-{_FIRING}"
    if spec.message is not None:
        body = queue_body(SendRequest(firing, account, spec.message))
    else:
        body = creation_body(account, firing, spec.broadcast)
    # The same JSON, whose texts are not Scheduler's keywords. The id comes first.
    return body.replace("<", _ESCAPED).replace(_FIRING.replace("<", _ESCAPED), _FIRING, 1)


def _violation(error: PydanticCustomError, path: str) -> Violation:
    context = error.context or {}
    return Violation(path, error.type, context["text"], context.get("limit"))


_UNKNOWN_FIELD = Finding("unknown_field", Bilingual("is not a field of a schedule", "定时任务没有此字段"))
_NO_TIMING = Bilingual("is required, or cron or rate instead of it", "缺少必填字段（或改填 cron、rate）")
_TWO_TIMINGS = Bilingual(
    "must not stand beside another one of at, cron and rate", "at、cron、rate 只能填一个"
)
_NO_CONTENT = Bilingual("is required, or broadcast instead of it", "缺少必填字段（或改填 broadcast）")
_TWO_CONTENTS = Bilingual("must not stand beside message", "不能与 message 同时填写")
_STARTS_BY_SCHEDULE = Bilingual(
    "must be left out: the schedule starts it", "请勿填写：由定时任务决定开始时间"
)
_REFUSED = Bilingual("is refused by EventBridge Scheduler", "EventBridge Scheduler 不接受此时间")
