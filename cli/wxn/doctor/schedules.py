"""Checks of schedules: the two of the stack, and those of the accounts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wxn.aws_errors import code_of
from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.language import text

STACK_SCHEDULES: Final = {
    "RefreshSchedule": "refresher-disabled",
    "TemplateSyncSchedule": "template-sync-disabled",
}
"""The stack's own schedules, and the finding where one does not run."""


def of_stack(context: Context) -> Iterator[Finding]:
    """Look whether the stack's own schedules run."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    for schedule, name in STACK_SCHEDULES.items():
        physical = context.resource(schedule)
        try:
            found = context.call("scheduler", "get_schedule", Name=physical)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            seen = text(f"{schedule} is gone.", f"{schedule} 已不存在。")
            repair = text(
                f"create {physical} again as template.yaml has {schedule}",
                f"按 template.yaml 中的 {schedule} 重新创建 {physical}",
            )
            yield Finding(name, seen, subject=schedule, facts={"repair": repair})
            continue
        if found["State"] != "ENABLED":
            seen = text(f"{schedule} is disabled.", f"{schedule} 已停用。")
            yield Finding(name, seen, subject=schedule, facts={"repair": _enable(physical, found)})


def of_accounts(context: Context) -> Iterator[Finding]:
    """Tell the accounts' schedules that do not fire."""
    prefix = {} if context.account is None else {"NamePrefix": f"{context.account}."}
    group = context.resource("ScheduleGroup")
    for page in context.pages("scheduler", "list_schedules", GroupName=group, **prefix):
        for schedule in page["Schedules"]:
            if schedule["State"] != "ENABLED":
                account, _, name = schedule["Name"].partition(".")
                seen = text(f"The schedule {name} does not fire.", f"定时任务 {name} 已停用。")
                yield Finding("schedule-disabled", seen, account, name)


def _enable(name: str, schedule: Mapping[str, Any]) -> str:
    """The command that enables a schedule; Scheduler replaces what is not repeated by its defaults."""
    parts = {
        "name": name,
        "state": "ENABLED",
        "schedule-expression": schedule["ScheduleExpression"],
        "flexible-time-window": json.dumps(schedule["FlexibleTimeWindow"]),
        "target": json.dumps(schedule["Target"]),
    }
    return "aws scheduler update-schedule " + " ".join(f"--{k} {shlex.quote(v)}" for k, v in parts.items())
