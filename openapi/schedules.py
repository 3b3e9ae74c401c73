"""The routes of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from functions.team_api.schedules import ListQuery
from openapi import examples
from openapi.operation import Answer, Operation
from openapi.schemas import ref
from openapi.values import Account, Cursor


class Schedule(TypedDict):
    """A schedule, as it can be put again: one of `at`, `cron` and `rate`, and one of `message` and `broadcast`."""

    account: Account
    name: str
    at: NotRequired[Annotated[str, Field(description="UTC")]]
    cron: NotRequired[str]
    rate: NotRequired[str]
    time_zone: NotRequired[Annotated[str, Field(description="of `cron`")]]
    enabled: bool
    message: NotRequired[Annotated[Any, Field(json_schema_extra=ref("Message"))]]
    broadcast: NotRequired[Annotated[Any, Field(json_schema_extra=ref("BroadcastRequest"))]]


class ScheduleName(TypedDict):
    """A schedule's name."""

    name: str


class NamedSchedule(ScheduleName):
    """A schedule's name and account."""

    account: Account


class SchedulePage(TypedDict):
    """Names of schedules."""

    account: Account
    schedules: list[ScheduleName]
    next: Cursor


_NAME = {
    "name": "The schedule's name: `A-Z`, `a-z`, `0-9`, `-` and `_`; with the account's name 63 characters at "
    "most."
}
OPERATIONS: Mapping[str, Operation] = {
    "GET /v1/accounts/{account}/schedules": Operation(
        id="listSchedules",
        tag="schedules",
        summary="List schedules",
        query=ListQuery,
        parameters={"limit": "Schedules on a page.", "cursor": "The `next` of the page before."},
        answers={200: Answer("A page of the list.", (SchedulePage,))},
        problems=("invalid-cursor", "invalid-fields"),
        example=examples.LIST_SCHEDULES,
    ),
    "PUT /v1/accounts/{account}/schedules/{name}": Operation(
        id="putSchedule",
        tag="schedules",
        summary="Create or replace a schedule",
        text="The message or the broadcast is checked now. A schedule with `at` fires once and removes itself.",
        parameters=_NAME,
        body="ScheduleRequest",
        answers={200: Answer("Replaced.", (Schedule,)), 201: Answer("Created.", (Schedule,))},
        problems=("malformed-body", "body-too-large", "unsupported-media-type", "invalid-fields"),
        example=examples.PUT_SCHEDULE,
    ),
    "GET /v1/accounts/{account}/schedules/{name}": Operation(
        id="getSchedule",
        tag="schedules",
        summary="Look a schedule up",
        parameters=_NAME,
        answers={200: Answer("The schedule.", (Schedule,))},
        problems=("unknown-schedule",),
        example=examples.GET_SCHEDULE,
    ),
    "DELETE /v1/accounts/{account}/schedules/{name}": Operation(
        id="deleteSchedule",
        tag="schedules",
        summary="Delete a schedule",
        parameters=_NAME,
        answers={200: Answer("Deleted.", (NamedSchedule,))},
        problems=("unknown-schedule",),
        example=examples.DELETE_SCHEDULE,
    ),
}
