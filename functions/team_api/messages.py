"""Lists of messages, the newest first."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from wechat_notify.bootstrap import teams
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.delivery.listing import MessageFilter, Position
from wechat_notify.core.messages.field_types import Expiry
from wechat_notify.core.messages.findings import pydantic_error
from wechat_notify.core.messages.validation import one_of
from wechat_notify.core.outcomes import Status
from wechat_notify.http import messages, requests
from wechat_notify.http.queries import Query, read_query, whole_number
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse

_LISTED = tuple(status for status in Status if status is not Status.SENDING)


def _statuses(value: object) -> object:
    names = str(value).split(",")
    if not set(names) <= set(_LISTED):
        raise pydantic_error(one_of(_LISTED))
    return tuple(status for status in _LISTED if status in names)


def _with_plus(value: object) -> object:
    # An offset's + that was not escaped arrives as a blank.
    return value.replace(" ", "+") if isinstance(value, str) else value


class ListQuery(Query):
    """The query of a list of messages."""

    status: Annotated[tuple[Status, ...], BeforeValidator(_statuses)] = _LISTED
    since: Annotated[Expiry | None, BeforeValidator(_with_plus)] = None
    broadcast: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    limit: Annotated[int, whole_number(1, 100)] = 50
    cursor: str | None = None


def list_messages(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/messages?status=&since=&broadcast=&limit=&cursor=``."""
    account = requests.account(http)
    query = read_query(http, ListQuery)
    wanted = MessageFilter(query.status, query.since.timestamp() if query.since else None, query.broadcast)
    this_list = ["messages", account, *wanted]
    cursors = teams.cursors()
    before = Position(*cursors.read(this_list, query.cursor)) if query.cursor is not None else None  # type: ignore[arg-type] # as it was written below
    page = teams.message_list().page(account, wanted, before, query.limit)
    return ApiResponse(
        200,
        {
            "account": account,
            "messages": [messages.message(entry) for entry in page.entries],
            "next": cursors.write(this_list, page.last) if page.last else None,
        },
    )
