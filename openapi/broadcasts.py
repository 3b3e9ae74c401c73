"""The routes of broadcasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from functions.team_api.broadcasts import CreateQuery, ListQuery, RetryQuery
from openapi import examples
from openapi.operation import Answer, Example, Header, Operation
from openapi.values import Account, Cursor, Text, Time
from wechat_notify.core.broadcasts.broadcast import State, WaitsFor

BroadcastId = Annotated[str, Field(description="the broadcast's id")]


class Upload(TypedDict):
    """A file that is to come."""

    id: Annotated[str, Field(description="the `upload` of a broadcast")]
    account: Account
    url: Annotated[str, Field(description="PUT the file to this URL")]
    expires_at: Time


class BroadcastSummary(TypedDict):
    """A broadcast; what is not known is left out."""

    id: BroadcastId
    account: Account
    name: NotRequired[str]
    state: State
    reason: NotRequired[Annotated[str, Field(description="why it was refused, paused or failed")]]
    retry_of: NotRequired[Annotated[str, Field(description="the broadcast whose failed rows it repeats")]]
    rows: NotRequired[int]
    created_at: Time
    started_at: NotRequired[Time]
    finished_at: NotRequired[Time]
    expires_at: NotRequired[Time]


class BroadcastCounts(TypedDict):
    """Rows by what became of them. Their sum is the number of rows, as soon as that is known."""

    waiting: Annotated[int, Field(description="on the queue, or being sent")]
    sent: Annotated[int, Field(description="accepted by WeChat")]
    delivered: Annotated[int, Field(description="by WeChat's receipt; of those, none is counted as sent")]
    undelivered: Annotated[int, Field(description="accepted by WeChat, and not delivered by its receipt")]
    failed: Annotated[int, Field(description="not sent, for good")]
    expired: Annotated[int, Field(description="not sent: their time was over")]
    cancelled: Annotated[int, Field(description="not sent: cancelled while they waited")]
    unknown: Annotated[int, Field(description="perhaps sent: WeChat's answer was lost")]
    invalid: Annotated[int, Field(description="not sent: they break a rule")]
    duplicate: Annotated[int, Field(description="not sent: the recipient is listed before")]
    unreleased: Annotated[int, Field(description="to come; or left when the broadcast ended")]
    errcodes: Annotated[dict[str, int], Field(description="rows by WeChat's errcode")]


class BroadcastHold(TypedDict):
    """The holds that the broadcast's messages wait for."""

    hold: str
    until: Time
    errcode: NotRequired[int]


class EstimatedQuota(TypedDict):
    """The reach of WeChat's quota of the kind."""

    daily_limit: int
    remain: int
    days: NotRequired[Annotated[int, Field(description="days that the quota needs for the rows")]]


class Estimate(TypedDict):
    """The time at which the last row is released."""

    seconds: int
    finishes_at: Time
    quota: NotRequired[EstimatedQuota]


class BrokenRule(TypedDict):
    """A rule that a row breaks."""

    field: str
    rule: str
    en: str
    zh: str


class InvalidRow(TypedDict):
    """A row that cannot be sent."""

    row: int
    errors: list[BrokenRule]


class InvalidRows(TypedDict):
    """Rows that cannot be sent, the first 20 by number."""

    count: int
    first: list[InvalidRow]


class DuplicateRows(TypedDict):
    """Rows whose recipient an earlier row has."""

    count: int
    first_rows: list[int]


class Columns(TypedDict):
    """The columns of the recipients and the placeholders of the message."""

    found: list[str]
    placeholders: list[str]
    missing: list[str]
    unused: list[str]


class RenderedMessage(TypedDict):
    """A message as it is sent."""

    row: int
    message: dict[str, Any]


class CountedWarning(BrokenRule):
    """A warning, with the number of rows that deserve it."""

    count: int


class CheckReport(TypedDict):
    """The findings of the check of the rows so far."""

    rows: int
    valid: int
    invalid: InvalidRows
    duplicates: DuplicateRows
    columns: Columns
    messages: Annotated[list[RenderedMessage], Field(description="the first three")]
    warnings: list[CountedWarning]


class Broadcast(BroadcastSummary):
    """A broadcast with its counts and the report of its check."""

    counts: BroadcastCounts
    messages_per_second: NotRequired[float]
    next_release_at: NotRequired[Time]
    waits_for: NotRequired[WaitsFor]
    held: NotRequired[list[BroadcastHold]]
    estimate: NotRequired[Estimate]
    problem: NotRequired[Annotated[Text, Field(description="why it cannot be sent, or failed")]]
    has_results: bool
    report: NotRequired[CheckReport]


class BroadcastPage(TypedDict):
    """Broadcasts, the newest first."""

    account: Account
    broadcasts: list[BroadcastSummary]
    next: Cursor


class Results(TypedDict):
    """The address of the results."""

    id: BroadcastId
    account: Account
    url: Annotated[str, Field(description="a CSV file: row, id, openid, status, errcode, reason, time")]


_BROADCASTS = "/v1/accounts/{account}/broadcasts"
_KEY = Header(
    "Idempotency-Key",
    "The broadcast's id: the same request under the same key is the same broadcast.",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}$"},
)
_ID = {"id": "The broadcast's id."}
_DRY_RUN = {"dry_run": "true: check the rows and wait for the start."}
_CREATED = {
    201: Answer("The rows are checked; the report says what was found.", (Broadcast,), ("Location",)),
    202: Answer("The rows are being checked.", (Broadcast,), ("Location",)),
}


def _control(verb: str, summary: str, text: str, example: Example) -> Operation:
    return Operation(
        id=f"{verb}Broadcast",
        tag="broadcasts",
        summary=summary,
        text=text,
        parameters=_ID,
        answers={200: Answer("The broadcast.", (BroadcastSummary,))},
        problems=("unknown-broadcast", "broadcast-state"),
        example=example,
    )


OPERATIONS: Mapping[str, Operation] = {
    "POST /v1/accounts/{account}/uploads": Operation(
        id="createUpload",
        tag="broadcasts",
        summary="Upload a recipients' file",
        text="Answers a URL. PUT a CSV file with a header, or JSON Lines, to it within the hour.",
        answers={201: Answer("The upload.", (Upload,))},
        problems=("unknown-account",),
        example=examples.CREATE_UPLOAD,
    ),
    f"POST {_BROADCASTS}": Operation(
        id="createBroadcast",
        tag="broadcasts",
        summary="Send one message to many recipients",
        text="All rows are checked before the first is sent. Recipients that come in the request are checked in it, "
        "a file afterwards.",
        body="BroadcastRequest",
        query=CreateQuery,
        parameters=_DRY_RUN,
        headers=(_KEY,),
        answers=_CREATED,
        problems=(
            "malformed-body",
            "unknown-account",
            "unknown-upload",
            "body-too-large",
            "unsupported-media-type",
            "invalid-fields",
            "broadcast-id-reused",
        ),
        example=examples.CREATE_BROADCAST,
    ),
    f"GET {_BROADCASTS}": Operation(
        id="listBroadcasts",
        tag="broadcasts",
        summary="List broadcasts, the newest first",
        query=ListQuery,
        parameters={"limit": "Broadcasts on a page.", "cursor": "The `next` of the page before."},
        answers={200: Answer("A page of the list.", (BroadcastPage,))},
        problems=("invalid-cursor", "invalid-fields"),
        example=examples.LIST_BROADCASTS,
    ),
    f"GET {_BROADCASTS}/{{id}}": Operation(
        id="getBroadcast",
        tag="broadcasts",
        summary="Look a broadcast up",
        parameters=_ID,
        answers={200: Answer("State, counts, pace and report.", (Broadcast,))},
        problems=("unknown-broadcast",),
        example=examples.GET_BROADCAST,
    ),
    f"GET {_BROADCASTS}/{{id}}/results": Operation(
        id="getBroadcastResults",
        tag="broadcasts",
        summary="What became of each recipient, as CSV",
        parameters=_ID,
        answers={200: Answer("A URL, for 15 minutes.", (Results,))},
        problems=("unknown-broadcast", "broadcast-state"),
        example=examples.GET_RESULTS,
    ),
    f"POST {_BROADCASTS}/{{id}}/start": _control(
        "start", "Start a checked broadcast", "A second start changes nothing.", examples.START_BROADCAST
    ),
    f"POST {_BROADCASTS}/{{id}}/pause": _control(
        "pause",
        "Pause a broadcast",
        "Releases no more rows. Messages that are on the queue, up to a minute's, are still sent.",
        examples.PAUSE_BROADCAST,
    ),
    f"POST {_BROADCASTS}/{{id}}/resume": _control(
        "resume",
        "Resume a paused broadcast",
        "Failures so far do not pause it again.",
        examples.RESUME_BROADCAST,
    ),
    f"POST {_BROADCASTS}/{{id}}/cancel": _control(
        "cancel", "Cancel a broadcast", "Releases no more rows, for good.", examples.CANCEL_BROADCAST
    ),
    f"POST {_BROADCASTS}/{{id}}/retry": Operation(
        id="retryBroadcast",
        tag="broadcasts",
        summary="Send again what failed and can pass",
        text="Makes a new broadcast of those rows. Messages that may have been sent are part of it only with "
        "`include_unknown`.",
        query=RetryQuery,
        parameters={
            **_ID,
            **_DRY_RUN,
            "include_unknown": "true: also messages that may have been sent.",
        },
        headers=(_KEY,),
        answers=_CREATED,
        problems=(
            "unknown-account",
            "unknown-broadcast",
            "unknown-upload",
            "broadcast-state",
            "invalid-fields",
            "broadcast-id-reused",
        ),
        example=examples.RETRY_BROADCAST,
    ),
}
