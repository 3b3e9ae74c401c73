"""Broadcasts: one message to many recipients, from a request or from a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import Field

from functions.team_api.accounts import known_account
from wechat_notify import bootstrap
from wechat_notify.bootstrap import broadcasts, teams
from wechat_notify.core.broadcasts.broadcast import Broadcast, State, is_broadcast_id
from wechat_notify.core.broadcasts.counts import Counts
from wechat_notify.core.broadcasts.overview import Overview, summary
from wechat_notify.core.broadcasts.spec import parse_spec
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import (
    InvalidFieldsError,
    StorageError,
    UnknownAccountError,
    UnknownBroadcastError,
)
from wechat_notify.core.messages.strict_json import parse_json
from wechat_notify.core.texts import Bilingual, iso_time, without_none
from wechat_notify.core.violations import Violation
from wechat_notify.http import requests
from wechat_notify.http.queries import Query, read_query, whole_number
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse
from wechat_notify.http.router import Route

_MAX_BODY_BYTES = 1024 * 1024
"""A thousand recipients with a kilobyte each."""
_MAX_STEPS = 5
_TIME_FOR_A_STEP = 8.0
"""Seconds that a step of a check takes at most, for recipients that came in the request."""


class CreateQuery(Query):
    """The query of a new broadcast."""

    dry_run: Literal["true", "false"] = "false"


class RetryQuery(CreateQuery):
    """The query of a retry."""

    include_unknown: Literal["true", "false"] = "false"


class ListQuery(Query):
    """The query of a list of broadcasts."""

    limit: Annotated[int, whole_number(1, 100)] = 20
    cursor: Annotated[str, Field(min_length=1)] | None = None


def create_upload(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``POST …/uploads``: a URL to PUT a recipients' file to."""
    account = known_account(http)
    upload = broadcasts.new_broadcasts().new_upload(account)
    expires_at = iso_time(upload.expires_at)
    return ApiResponse(
        201, {"id": upload.id, "account": account, "url": upload.url, "expires_at": expires_at}
    )


def create_broadcast(http: HttpEvent, seconds_left: SecondsLeft) -> ApiResponse:
    """``POST …/broadcasts?dry_run=``: recipients that came in the request are checked in it."""
    account, query = known_account(http), read_query(http, CreateQuery)
    broadcast_id, now = _new_id(http), broadcasts.services().now()
    spec = parse_spec(parse_json(requests.json_body(http, max_bytes=_MAX_BODY_BYTES)), now)
    created = broadcasts.new_broadcasts().create(account, broadcast_id, spec, dry_run=query.dry_run == "true")
    if spec.upload is None:
        _check(created, seconds_left)
    return _created(created)


def retry_broadcast(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``POST …/broadcasts/{id}/retry?include_unknown=&dry_run=``: a new one of what failed and can pass."""
    account, query = known_account(http), read_query(http, RetryQuery)
    created = broadcasts.new_broadcasts().retry(
        account,
        _path_id(http),
        _new_id(http),
        include_unknown=query.include_unknown == "true",
        dry_run=query.dry_run == "true",
    )
    return _created(created)


def get_broadcast(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/broadcasts/{id}``: its state, counts, rate and end."""
    found = broadcasts.broadcasts().look_up(requests.account(http), _path_id(http))
    # WeChat is asked before the start alone, and not by everybody who looks how it goes.
    waits = found.broadcast.state is State.CHECKED
    return ApiResponse(200, _with_quota(found) if waits else found.as_dict())


def list_broadcasts(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/broadcasts?limit=&cursor=``."""
    account, query = requests.account(http), read_query(http, ListQuery)
    page = broadcasts.broadcasts().list_page(account, cursor=query.cursor, limit=query.limit)
    found = [summary(broadcast) for broadcast in page.broadcasts]
    return ApiResponse(200, {"account": account, "broadcasts": found, "next": page.cursor})


def get_results(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/broadcasts/{id}/results``: a URL of the CSV."""
    account, broadcast_id = requests.account(http), _path_id(http)
    url = broadcasts.broadcasts().results(account, broadcast_id)
    return ApiResponse(200, {"id": broadcast_id, "account": account, "url": url})


def _change(name: Literal["start", "pause", "resume", "cancel"]) -> Route:
    def route(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
        change: Callable[[str, str], Broadcast] = getattr(broadcasts.broadcasts(), name)
        changed = change(requests.account(http), _path_id(http))
        bootstrap.telemetry().logger.info(
            "broadcast changed by request", change=name, account=changed.account, broadcast=changed.id
        )
        return ApiResponse(200, summary(changed))

    return route


start_broadcast, pause_broadcast = _change("start"), _change("pause")
resume_broadcast, cancel_broadcast = _change("resume"), _change("cancel")


def _path_id(http: HttpEvent) -> str:
    """The broadcast in the path; raises ``UnknownBroadcastError`` for what is no id of any."""
    broadcast_id: str = http["pathParameters"]["id"]
    if not is_broadcast_id(broadcast_id):
        raise UnknownBroadcastError
    return broadcast_id


def _new_id(http: HttpEvent) -> str:
    given = requests.headers(http).get("idempotency-key")
    if given is None:
        return bootstrap.id_factory()()
    if not is_broadcast_id(given):
        raise InvalidFieldsError([Violation("Idempotency-Key", "format", _KEY_RULE, 32)])
    return given


def _check(created: Broadcast, seconds_left: SecondsLeft) -> None:
    """Do the steps of the check; the queue has them too, and finds them done."""
    try:
        for _ in range(_MAX_STEPS):
            if created.state is not State.CHECKING or seconds_left() < _TIME_FOR_A_STEP:
                return
            broadcasts.engine().run(created.account, created.id, created.step)
            created = broadcasts.services().store.read(created.account, created.id) or created
    except StorageError as error:
        bootstrap.telemetry().logger.warning("check left to the queue", detail=str(error))


def _created(created: Broadcast) -> ApiResponse:
    """The answer to a new broadcast: never an error, after which a caller would create a second one."""
    try:
        found = broadcasts.broadcasts().look_up(created.account, created.id)
    except StorageError as error:
        bootstrap.telemetry().logger.warning("broadcast not looked up", detail=str(error))
        found = Overview(created, Counts())
    location = f"/v1/accounts/{created.account}/broadcasts/{created.id}"
    status = 202 if found.broadcast.state is State.CHECKING else 201
    return ApiResponse(status, _with_quota(found), {"Location": location})


def _with_quota(found: Overview) -> dict[str, Any]:
    """Return a broadcast; where it has an estimate, also how far the account's quota at WeChat reaches."""
    content = found.as_dict()
    if found.estimate and found.kind:
        quota = None
        with suppress(StorageError, UnknownAccountError):  # the broadcast is told without it
            quota = teams.quotas().of_kind(found.broadcast.account, found.kind)
        if quota:
            days = quota.days_for(found.counts.unreleased)
            told = without_none(daily_limit=quota.daily_limit, remain=quota.remain, days=days)
            content["estimate"]["quota"] = told
    return content


_KEY_RULE = Bilingual(
    "must be 1 to 32 characters of A-Z, a-z, 0-9, - and _",
    "必须为 1 到 32 个字符，只能含 A-Z、a-z、0-9、- 和 _",
)
