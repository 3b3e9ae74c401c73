"""Schedules of accounts in EventBridge Scheduler, in the stack's group."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import MalformedBodyError, StorageError
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.schedules.schedule import Content, Schedule, SchedulePage, timing_refused

RETRY_FOR = 2.5
_MAX_AGE = 3600
"""Seconds for which Scheduler tries to deliver a firing; after them it goes to the dead letter queue."""
_MAX_RETRIES = 100
_EXISTS, _MISSING, _INVALID = "ConflictException", "ResourceNotFoundException", "ValidationException"


class Schedules:
    """The schedules of a group; a schedule's name there is its account's, a dot, and its own.

    No account's name has a dot, so that its schedules are those whose names begin so.

    Parameters
    ----------
    aws : Clients
        boto3's clients.
    group : str
        The schedule group's name.
    role_arn, dead_letter_arn : str
        The role under which Scheduler delivers, and the queue of what could not be delivered.
    queue_arns : Mapping
        The queue for each content: the send queue, and that of broadcasts' steps.
    """

    def __init__(
        self,
        aws: Clients,
        *,
        group: str,
        role_arn: str,
        queue_arns: Mapping[Content, str],
        dead_letter_arn: str,
    ) -> None:
        self._aws = aws
        self._group = group
        self._role_arn = role_arn
        self._queue_arns = queue_arns
        self._dead_letter_arn = dead_letter_arn

    def put(self, schedule: Schedule) -> bool:
        """Create or replace a schedule; return whether it is new.

        Raises
        ------
        InvalidFieldsError
            Scheduler refuses the schedule's time.
        StorageError
            Scheduler did not do it.
        """
        request = self._request(schedule)
        try:
            try:
                self._call("create the schedule", "create_schedule", **request)
            except StorageError as error:
                if error.code != _EXISTS:
                    raise
            else:
                return True
            self._call("replace the schedule", "update_schedule", **request)
        except StorageError as error:
            if error.code != _INVALID:
                raise
        else:
            return False
        raise timing_refused(schedule)

    def read(self, account: str, name: str) -> Schedule | None:
        """Return a schedule, None where there is none; raises ``StorageError``."""
        try:
            found = self._call("read the schedule", "get_schedule", Name=f"{account}.{name}")
        except StorageError as error:
            if error.code == _MISSING:
                return None
            raise
        target = found["Target"]
        content = next((each for each, arn in self._queue_arns.items() if arn == target["Arn"]), None)
        body = target.get("Input", "")
        if content is None or not _is_of(content, body):  # somebody has made it by hand
            raise StorageError("read the schedule", "UnreadableSchedule")
        return Schedule(
            account=account,
            name=name,
            expression=found["ScheduleExpression"],
            time_zone=found.get("ScheduleExpressionTimezone", "UTC"),
            enabled=found["State"] == "ENABLED",
            content=content,
            body=body,
        )

    def delete(self, account: str, name: str) -> bool:
        """Delete a schedule; return whether there was one. Raises ``StorageError``."""
        try:
            self._call("delete the schedule", "delete_schedule", Name=f"{account}.{name}")
        except StorageError as error:
            if error.code == _MISSING:
                return False
            raise
        return True

    def page(self, account: str, token: str | None, limit: int) -> SchedulePage:
        """The names of an account's schedules; raises ``StorageError``."""
        prefix = f"{account}."
        more = {"NextToken": token} if token else {}
        found = self._call(
            "list the schedules", "list_schedules", NamePrefix=prefix, MaxResults=limit, **more
        )
        names = [each["Name"].removeprefix(prefix) for each in found["Schedules"]]
        return SchedulePage(names, found.get("NextToken"))

    def _request(self, schedule: Schedule) -> dict[str, Any]:
        return {
            "Name": f"{schedule.account}.{schedule.name}",
            "ScheduleExpression": schedule.expression,
            "ScheduleExpressionTimezone": schedule.time_zone,
            "State": "ENABLED" if schedule.enabled else "DISABLED",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE" if schedule.once else "NONE",
            "Target": {
                "Arn": self._queue_arns[schedule.content],
                "RoleArn": self._role_arn,
                "Input": schedule.body,
                "RetryPolicy": {"MaximumEventAgeInSeconds": _MAX_AGE, "MaximumRetryAttempts": _MAX_RETRIES},
                "DeadLetterConfig": {"Arn": self._dead_letter_arn},
            },
        }

    def _call(self, action: str, operation: str, **request: Any) -> Any:
        method = getattr(self._aws.scheduler, operation)
        return self._aws.call(action, partial(method, GroupName=self._group, **request), retry_for=RETRY_FOR)


def _is_of(content: Content, body: str) -> bool:
    try:
        value = parse_json(body)
    except MalformedBodyError:
        return False
    return isinstance(value, dict) and content.value in value
