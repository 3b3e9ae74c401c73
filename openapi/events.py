"""The schemas of events, for EventBridge's schema registry: an OpenAPI 3.0 document for each detail-type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from openapi import bodies, schemas
from openapi.broadcasts import BroadcastCounts, BroadcastId
from openapi.openapi_30 import openapi_30
from openapi.operation import Json
from openapi.schemas import PREFIX
from openapi.values import Account, Kind, MessageId, Text, Time
from wechat_notify.core.broadcasts.broadcast import State
from wechat_notify.core.outcomes import ErrorClass

SOURCE = "wechat-notify"
REQUESTED = "WeChat Message Requested"
FOLDER = Path(__file__).parents[1] / "events/schemas"

Class = Annotated[ErrorClass, Field(alias="class")]
Errcode = Annotated[int, Field(description="WeChat's errcode")]
Errmsg = Annotated[str, Field(description="WeChat's errmsg")]
Rid = Annotated[str, Field(description="WeChat's id of the call, for a question to WeChat")]
Hint = Annotated[Text, Field(description="what to do about it")]
At = Annotated[Time, Field(description="when it came to this: RFC 3339, UTC, milliseconds")]
Reason = Annotated[str, Field(description="why, where no errcode says it: see docs/api.md, Message states")]
Scope = Annotated[
    str, Field(description="the part of the account: `account`, `kind:<kind>` or `template:<template id>`")
]
OpenedAt = Annotated[Time, Field(description="when the hold began: RFC 3339, UTC, milliseconds")]


class _Message(TypedDict):
    id: MessageId
    account: Account
    kind: NotRequired[Kind]
    template_id: NotRequired[Annotated[str, Field(description="WeChat's id of the template")]]
    openid_hash: NotRequired[
        Annotated[str, Field(description="a keyed hash of the receiver's openid, 16 hex digits")]
    ]
    attempts: Annotated[int, Field(description="attempts that WeChat could judge, a count")]
    at: At


class MessageFailed(_Message):
    """A message was not sent, and is not repeated by itself."""

    status: Annotated[Literal["failed"], Field(description="the state of the message")]
    reason: NotRequired[Reason]
    error_class: NotRequired[Class]
    hint: NotRequired[Hint]
    errcode: NotRequired[Errcode]
    errmsg: NotRequired[Errmsg]
    rid: NotRequired[Rid]
    field: NotRequired[Annotated[str, Field(description="the key of `data` that WeChat refused")]]


class MessageUnknown(_Message):
    """A message may have been sent: WeChat's answer was lost."""

    status: Annotated[Literal["unknown"], Field(description="the state of the message")]
    reason: NotRequired[Reason]
    error_class: NotRequired[Class]
    hint: NotRequired[Hint]


class MessageDelivered(_Message):
    """A message reached its receiver, as WeChat's receipt says."""

    status: Annotated[Literal["delivered"], Field(description="the state of the message")]


class MessageUndelivered(_Message):
    """WeChat had accepted a message and did not deliver it, as its receipt says."""

    status: Annotated[Literal["undelivered"], Field(description="the state of the message")]
    reason: Annotated[str, Field(description="WeChat's text, such as `user block`")]


class CircuitClosed(TypedDict):
    """A part of an account works again: its messages are sent."""

    account: Account
    scope: Scope
    error_class: Class
    errcode: NotRequired[Errcode]
    opened_at: OpenedAt


class CircuitOpened(CircuitClosed):
    """A part of an account stopped working: its messages wait."""

    held_until: Annotated[
        Time, Field(description="when one message is tried again: RFC 3339, UTC, milliseconds")
    ]
    errmsg: NotRequired[Errmsg]
    rid: NotRequired[Rid]
    hint: Hint


class QuotaReached(CircuitOpened):
    """A daily quota is used up: the messages that need it wait until it is reset."""


class TokenFailed(TypedDict):
    """An account's access token could not be refreshed; published at each failure, every 5 minutes."""

    account: Account
    error_class: Class
    errcode: NotRequired[Errcode]
    errmsg: NotRequired[Errmsg]
    rid: NotRequired[Rid]
    hint: Hint


class _Broadcast(TypedDict):
    account: Account
    id: BroadcastId
    name: NotRequired[Annotated[str, Field(description="the label that its creator gave it")]]
    errcode: NotRequired[
        Annotated[int, Field(description="the errcode with which most of its messages failed")]
    ]
    counts: Annotated[BroadcastCounts, Field(description="rows by what became of them")]
    at: At


class BroadcastPaused(_Broadcast):
    """A broadcast paused by itself: too many of its messages failed."""

    state: Annotated[
        State,
        Field(description="its state at the time of the event: `paused`, or what a person made of it since"),
    ]
    reason: NotRequired[Annotated[str, Field(description="why it is in this state: `too_many_failures`")]]


class BroadcastFinished(_Broadcast):
    """A broadcast is over; its counts are final."""

    state: Annotated[Literal["finished", "cancelled", "failed"], Field(description="its last state")]
    reason: NotRequired[Annotated[str, Field(description="why it failed, such as `upload_changed`")]]


PUBLISHED: Mapping[str, type] = {
    "message.failed": MessageFailed,
    "message.unknown": MessageUnknown,
    "message.delivered": MessageDelivered,
    "message.undelivered": MessageUndelivered,
    "circuit.opened": CircuitOpened,
    "circuit.closed": CircuitClosed,
    "quota.reached": QuotaReached,
    "token.failed": TokenFailed,
    "broadcast.paused": BroadcastPaused,
    "broadcast.finished": BroadcastFinished,
}
"""The published events: the types of the details, by the detail-type."""

_TEXT: Json = {"type": "string"}
_ENVELOPE: Json = {
    "version": {**_TEXT, "description": "The version of this envelope, 0."},
    "id": {
        **_TEXT,
        "description": "The event's id, the same each time that it is delivered: drop doubles by it.",
    },
    "detail-type": {**_TEXT, "description": "The kind of the event."},
    "source": {**_TEXT, "description": "The publisher."},
    "account": {**_TEXT, "description": "The number of the AWS account, 12 digits."},
    "time": {**_TEXT, "format": "date-time", "description": "When it was published: RFC 3339, UTC, seconds."},
    "region": {**_TEXT, "description": "The AWS region."},
    "resources": {"type": "array", "items": _TEXT, "description": "ARNs of resources; empty."},
}
"""https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html"""
_REPLAYED: Json = {
    "replay-name": {**_TEXT, "description": "The name of the replay, of an event that comes from an archive."}
}


def published(detail_type: str) -> Json:
    """The document of an event that the service publishes."""
    kind = PUBLISHED[detail_type]
    detail, components = schemas.of(kind)
    return _document(detail_type, SOURCE, kind.__name__, detail, components)


def requested() -> Json:
    """The document of the event with which senders request a message."""
    detail = bodies.queue_body()
    return _document(REQUESTED, None, "MessageRequested", detail, bodies.schemas_of_bodies())


def _document(
    detail_type: str, source: str | None, name: str, detail: Json, components: Mapping[str, Json]
) -> Json:
    properties = {
        **_ENVELOPE,
        "detail-type": {**_ENVELOPE["detail-type"], "enum": [detail_type]},
        "detail": {"$ref": PREFIX + name},
    }
    known_by = {"x-amazon-events-detail-type": detail_type}
    if source:
        properties["source"] = {**_ENVELOPE["source"], "enum": [source]}
        known_by["x-amazon-events-source"] = source
    event = {
        "type": "object",
        "description": detail["description"],
        **known_by,
        "required": list(properties),
        "properties": {**properties, **_REPLAYED},
    }
    known = {"AWSEvent": event, name: detail, **components}
    used = {each: openapi_30(known[each]) for each in _referred_to("AWSEvent", known)}
    return {
        "openapi": "3.0.0",
        "info": {"title": name, "version": "1.0.0", "description": detail["description"]},
        "paths": {},
        "components": {"schemas": used},
    }


def _referred_to(name: str, known: Mapping[str, Json]) -> list[str]:
    """The schema of this name and all that it leads to."""
    found = [name]
    for each in found:
        references = re.findall(rf'"{PREFIX}(\w+)"', json.dumps(known[each]))
        found += [other for other in dict.fromkeys(references) if other not in found]
    return found


def _text(document: Callable[[], Json]) -> str:
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


def file_of(detail_type: str) -> Path:
    """The file of an event's schema."""
    return FOLDER / f"{re.sub(r'[. ]', '_', detail_type).lower()}.json"


FILES: Mapping[Path, Callable[[], str]] = {
    **{file_of(each): partial(_text, partial(published, each)) for each in PUBLISHED},
    file_of(REQUESTED): partial(_text, requested),
}
"""The files that are made here, with their contents."""
