"""The routes of messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from functions.team_api.messages import ListQuery
from openapi import examples
from openapi.operation import Answer, Header, Operation
from openapi.values import Account, Class, Cursor, Kind, MessageId, Text, Time, Violation
from wechat_notify.core.delivery.dry_run import Would
from wechat_notify.core.outcomes import ErrorClass, Status
from wechat_notify.http.queries import Query


class WeChat(TypedDict):
    """WeChat's answer to a message that it accepted; in the Cloud Call spelling errCode and errMsg."""

    errcode: NotRequired[int]
    errmsg: NotRequired[str]
    errCode: NotRequired[int]
    errMsg: NotRequired[str]
    msgid: NotRequired[int]


class _Accepted(TypedDict):
    id: MessageId
    account: Account
    kind: Kind
    warnings: NotRequired[list[Violation]]


class SentMessage(_Accepted):
    """WeChat accepted the message."""

    status: Literal["sent"]
    wechat: WeChat


class QueuedMessage(_Accepted):
    """The message waits on the queue, which sends and repeats it."""

    status: Literal["queued"]


class DryRunHold(TypedDict):
    """The hold that the message would wait for."""

    id: str
    held_until: Time
    error_class: Class
    errcode: NotRequired[int]
    hint: NotRequired[Text]


class Opened(TypedDict):
    """The target of a tap."""

    miniprogram: NotRequired[dict[str, str]]
    page: NotRequired[str]
    url: NotRequired[str]


class ShownKeyword(TypedDict):
    """A keyword as the reader sees it."""

    key: str
    shown: str


class Preview(TypedDict):
    """The message as its reader would see it, as far as the template is known."""

    template_known: bool
    title: NotRequired[str]
    text: NotRequired[str]
    opens: NotRequired[Opened]
    keywords: list[ShownKeyword]


class DryRunRefusal(TypedDict):
    """The reason why the message would be refused."""

    error_class: Class
    hint: Text


class DryRun(TypedDict):
    """The fate that the message would have. Nothing was sent or written."""

    id: MessageId
    account: Account
    kind: Kind
    dry_run: Literal[True]
    would: Would
    status: NotRequired[Status]
    expires_at: NotRequired[Time]
    hold: NotRequired[DryRunHold]
    refusal: NotRequired[DryRunRefusal]
    warnings: list[Violation]
    preview: Preview


class LastAnswer(TypedDict):
    """WeChat's last answer."""

    errcode: NotRequired[int]
    errmsg: NotRequired[str]
    rid: NotRequired[str]
    msgid: NotRequired[int]


class ListedMessage(TypedDict):
    """A message's state; what is not known is left out."""

    id: MessageId
    account: Account
    kind: NotRequired[Kind]
    template_id: NotRequired[str]
    openid_hash: NotRequired[Annotated[str, Field(description="a keyed hash of the receiver's openid")]]
    status: Status
    reason: NotRequired[Annotated[str, Field(description="what no errcode says of the state")]]
    attempts: Annotated[int, Field(description="attempts that WeChat could judge")]
    created_at: Time
    updated_at: Time
    expires_at: NotRequired[Time]
    next_attempt_at: NotRequired[Annotated[Time, Field(description="no copy is attempted before that")]]
    wechat: NotRequired[LastAnswer]
    error_class: NotRequired[Annotated[ErrorClass, Field(alias="class")]]
    retryable: NotRequired[Annotated[bool, Field(description="its caller is to try again")]]
    hint: NotRequired[Text]


class Change(TypedDict):
    """A change of a message's state."""

    status: Status
    at: Time
    errcode: NotRequired[int]
    reason: NotRequired[str]


class MessageState(ListedMessage):
    """A message's state and its last 40 changes."""

    timeline: list[Change]


class MessagePage(TypedDict):
    """Messages, the newest first."""

    account: Account
    messages: list[ListedMessage]
    next: Cursor


class _SendQuery(Query):
    dry_run: Literal["true", "false"] = "false"


_KEY = Header(
    "Idempotency-Key",
    "The message's id: 1 to 64 visible ASCII characters without a comma. The same key with the same body is one message.",
    {"type": "string", "pattern": r"^[\x21-\x2b\x2d-\x7e]{1,64}$"},
)
_PREFER = Header("Prefer", "`respond-async`: put the message on the queue (RFC 7240).", {"type": "string"})
_ID = "The message's id: 1 to 64 visible ASCII characters."
OPERATIONS: Mapping[str, Operation] = {
    "POST /v1/accounts/{account}/messages": Operation(
        id="sendMessage",
        tag="messages",
        summary="Send or queue a message",
        text="Checks the message and sends it in the call. With `Prefer: respond-async` it is put on the queue. "
        "Repeat a request with the same `Idempotency-Key`: the message is sent once.",
        body="Message",
        query=_SendQuery,
        parameters={"dry_run": "true: say what would become of the message; send and write nothing."},
        headers=(_KEY, _PREFER),
        answers={
            200: Answer("Sent; or the answer to a dry run.", (SentMessage, DryRun)),
            202: Answer(
                "Queued: by `respond-async`, or because the message waits already.",
                (QueuedMessage,),
                headers=("Location", "Preference-Applied"),
            ),
        },
        problems=(
            "malformed-body",
            "invalid-idempotency-key",
            "unknown-account",
            "in-flight",
            "expired",
            "cancelled",
            "body-too-large",
            "unsupported-media-type",
            "invalid-message",
            "invalid-fields",
            "idempotency-key-reused",
            "not-sent",
            "outcome-unknown",
        ),
        replays=True,
        example=examples.SEND,
    ),
    "GET /v1/accounts/{account}/messages": Operation(
        id="listMessages",
        tag="messages",
        summary="List messages, the newest first",
        query=ListQuery,
        parameters={
            "status": "Messages in these states; several are joined by commas. All of them by default.",
            "since": "Messages that came at or after this time: a date and a time with its zone.",
            "broadcast": "Messages of this broadcast.",
            "limit": "Messages on a page.",
            "cursor": "The `next` of the page before.",
        },
        answers={200: Answer("A page of the list.", (MessagePage,))},
        problems=("invalid-cursor", "invalid-fields"),
        example=examples.LIST_MESSAGES,
    ),
    "GET /v1/accounts/{account}/messages/{id}": Operation(
        id="getMessage",
        tag="messages",
        summary="Look a message up",
        text="Answers for 30 days after the last change (the parameter LedgerRetentionDays).",
        parameters={"id": _ID},
        answers={200: Answer("The message's state.", (MessageState,))},
        problems=("unknown-message",),
        example=examples.GET_MESSAGE,
    ),
    "DELETE /v1/accounts/{account}/messages/{id}": Operation(
        id="cancelMessage",
        tag="messages",
        summary="Cancel a message that waits",
        parameters={"id": _ID},
        answers={200: Answer("The message, cancelled.", (MessageState,))},
        problems=("unknown-message", "already-started"),
        example=examples.CANCEL_MESSAGE,
    ),
}
