"""Schedules: messages and broadcasts that are sent at a time, or again and again."""

from __future__ import annotations

import time
from typing import Annotated, Any

from functions.team_api.accounts import known_account
from wechat_notify.bootstrap import teams
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import UnknownScheduleError
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.schedules.schedule import is_schedule_name, parse_schedule
from wechat_notify.http import requests
from wechat_notify.http.queries import Query, read_query, whole_number
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse


class ListQuery(Query):
    """The query of a list of schedules."""

    limit: Annotated[int, whole_number(1, 100)] = 50
    cursor: str | None = None


def put_schedule(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``PUT …/schedules/{name}``: 201 where it is new, 200 where it replaces one."""
    account = known_account(http)
    body = parse_json(requests.json_body(http))
    schedule = parse_schedule(account, http["pathParameters"]["name"], body, time.time())
    created = teams.schedules().put(schedule)
    return ApiResponse(201 if created else 200, schedule.as_dict())


def get_schedule(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/schedules/{name}``."""
    schedule = teams.schedules().read(*_path_names(http))
    if schedule is None:
        raise UnknownScheduleError
    return ApiResponse(200, schedule.as_dict())


def delete_schedule(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``DELETE …/schedules/{name}``."""
    account, name = _path_names(http)
    if not teams.schedules().delete(account, name):
        raise UnknownScheduleError
    return ApiResponse(200, {"account": account, "name": name})


def list_schedules(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/schedules?limit=&cursor=``."""
    account = requests.account(http)
    query = read_query(http, ListQuery)
    this_list = ["schedules", account]
    cursors = teams.cursors()
    token: Any = cursors.read(this_list, query.cursor)[0] if query.cursor is not None else None
    page = teams.schedules().page(account, token, query.limit)
    content = {
        "account": account,
        "schedules": [{"name": name} for name in page.names],
        "next": cursors.write(this_list, [page.token]) if page.token else None,
    }
    return ApiResponse(200, content)


def _path_names(http: HttpEvent) -> tuple[str, str]:
    account, name = requests.account(http), http["pathParameters"]["name"]
    if not is_schedule_name(account, name):
        raise UnknownScheduleError
    return account, name
