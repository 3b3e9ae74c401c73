"""The problem documents: which there are, with which statuses, and what to do about each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from openapi.operation import Json
from openapi.problems_zh import PROBLEMS_ZH
from openapi.values import Account, Class, Kind, MessageId, Text, Violation
from wechat_notify.core.broadcasts.broadcast import State
from wechat_notify.core.outcomes import Status
from wechat_notify.http.problems import TYPES


class Problem(TypedDict):
    """The fields of every refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="the English hint")]
    error_class: Class
    retryable: Annotated[bool, Field(description="the same request can work later")]
    hint: Annotated[Text, Field(description="what happened, and what to do")]
    rid: Annotated[str | None, Field(description="WeChat's id of the call, which it keeps for 7 days")]
    request_id: Annotated[str, Field(description="API Gateway's id of the request, as in the log")]


class OfRequest(TypedDict):
    """A refusal in which WeChat had no part."""

    errcode: None
    errmsg: None


class WithErrors(OfRequest):
    """With every rule that is broken."""

    errors: list[Violation]


class OfMessage(OfRequest):
    """About a message that was read."""

    id: MessageId
    account: Account
    kind: NotRequired[Kind]


class Started(OfRequest):
    """With the message's state."""

    message_status: Status


class OfBroadcast(OfRequest):
    """With the broadcast's state."""

    state: State


class OfPlatform(TypedDict):
    """With WeChat's answer, null where there is none."""

    errcode: int | None
    errmsg: str | None


class OfAttempt(TypedDict):
    """With WeChat's answer, null where there is none. In the Cloud Call spelling it is errCode and errMsg."""

    id: MessageId
    account: Account
    kind: NotRequired[Kind]
    errcode: NotRequired[int | None]
    errmsg: NotRequired[str | None]
    errCode: NotRequired[int | None]
    errMsg: NotRequired[str | None]
    field: NotRequired[Annotated[str, Field(description="the field that a 47003 names")]]
    reason: NotRequired[Annotated[str, Field(description="why the queue refused the message before")]]


@dataclass(frozen=True)
class Named:
    """One problem; ``fields`` are those beside a problem's own.

    ``retries`` are the statuses with which Retry-After may come.
    """

    statuses: tuple[int, ...]
    text: str
    remedy: str
    fields: type = OfRequest
    retries: tuple[int, ...] = ()


PROBLEMS: Mapping[str, Named] = {
    "malformed-body": Named(
        (400,),
        "The body cannot be read: it is empty, not JSON in UTF-8, or has a key twice, NaN or a lone "
        "surrogate.",
        "Send one JSON value. `detail` says what is wrong with it.",
    ),
    "invalid-idempotency-key": Named(
        (400,),
        "The `Idempotency-Key` is not 1 to 64 visible ASCII characters without a comma, or was given twice.",
        "Send the header once, with a shorter or plainer value.",
    ),
    "invalid-cursor": Named(
        (400,),
        "The cursor is not one of this list: it was changed, or the account or a filter differs.",
        "Ask for the first page, without a cursor, and follow `next` with the same filters.",
    ),
    "account-name": Named(
        (404,),
        "No account can have this name: it is 1 to 64 characters of `a-z`, `0-9` and `-`.",
        "Correct the account in the path.",
    ),
    "unknown-account": Named(
        (404,),
        "No credentials are stored under this name.",
        "Store the account's credentials, or correct the account in the path.",
    ),
    "not-a-platform": Named(
        (409,),
        "The account is no third-party platform: its credentials are of another type.",
        "Name the account whose credentials have the type `component`.",
    ),
    "platform-refused": Named(
        (502, 503),
        "WeChat does not let the third-party platform act, or did not answer. `errcode` is WeChat's.",
        "`hint` says what to do. With `retryable` repeat it after `Retry-After` seconds.",
        OfPlatform,
        retries=(503,),
    ),
    "unknown-message": Named(
        (404,),
        "The account has no message under this id, or it has not been taken from the queue yet.",
        "Check the id. A message that came by SQS or EventBridge is found once it was taken from the queue.",
    ),
    "unknown-broadcast": Named(
        (404,),
        "The account has no broadcast under this id.",
        "List the broadcasts.",
    ),
    "unknown-upload": Named(
        (404,),
        "Nothing was uploaded under this id, or it has expired or was replaced.",
        "Make a new upload and PUT the file to its URL first.",
    ),
    "broadcast-state": Named(
        (409,),
        "The broadcast's state does not allow that; `state` is what it is.",
        "Look the broadcast up, and decide by its state.",
        OfBroadcast,
    ),
    "broadcast-id-reused": Named(
        (422,),
        "The `Idempotency-Key` belongs to another broadcast.",
        "Use a new key for a new broadcast.",
    ),
    "unknown-schedule": Named(
        (404,),
        "The account has no schedule of this name. A schedule that fires once removes itself.",
        "List the schedules.",
    ),
    "unknown-template": Named(
        (404,),
        "The account has no template under this id, as far as its templates were read.",
        "List the templates: `synced_at` says when they were read.",
    ),
    "unknown-hold": Named(
        (404,),
        "Nothing of the account is held under this id; the hold may have ended by itself.",
        "List the holds.",
    ),
    "in-flight": Named(
        (409,),
        "Another request with the same `Idempotency-Key` is in progress.",
        "Repeat the request after `Retry-After` seconds.",
        OfMessage,
        retries=(409,),
    ),
    "already-started": Named(
        (409,),
        "The message has been started or has come to its end; `message_status` is its state.",
        "It cannot be cancelled any more.",
        Started,
    ),
    "expired": Named(
        (410,),
        "The message's `expires_at` passed before it could be sent.",
        "Send it under a new id with a later expiry, if it is still wanted.",
        OfMessage,
    ),
    "cancelled": Named(
        (410,),
        "The message was cancelled and was not sent.",
        "Send it under a new id, if it is wanted after all.",
        OfMessage,
    ),
    "body-too-large": Named(
        (413,), "The body is too large; `detail` says how large it may be.", "Send less."
    ),
    "unsupported-media-type": Named(
        (415,),
        "The body is not said to be JSON in UTF-8.",
        "Send `Content-Type: application/json`, or a type that ends in `+json`.",
    ),
    "invalid-message": Named(
        (422,),
        "The message breaks rules for which WeChat would refuse it. It was not sent.",
        "Correct the fields under `errors`, each with its rule in English and Chinese.",
        WithErrors,
    ),
    "invalid-fields": Named(
        (422,),
        "The body or the query has wrong fields. Nothing was done.",
        "Correct the fields under `errors`, each with its rule in English and Chinese.",
        WithErrors,
    ),
    "idempotency-key-reused": Named(
        (422,),
        "The `Idempotency-Key` belongs to another message.",
        "Use a new key for a new message.",
        OfMessage,
    ),
    "not-sent": Named(
        (422, 429, 502, 503),
        "WeChat refused the message, or it could not be attempted. `errcode` is WeChat's.",
        "`hint` says what to do. With `retryable` repeat it after `Retry-After` seconds, with the same key.",
        OfAttempt,
        retries=(422, 429, 502, 503),
    ),
    "outcome-unknown": Named(
        (504,),
        "WeChat's answer was lost: the message may have been sent.",
        "With `retryable` the same key repeats it without harm. Otherwise a repeat can be a second message.",
        OfAttempt,
        retries=(504,),
    ),
    "internal-error": Named(
        (500,),
        "An unforeseen error in this service.",
        "Find it in the log by `request_id`.",
    ),
    "storage": Named(
        (503,),
        "The ledger, the queue or another store did not answer.",
        "Repeat the request after `Retry-After` seconds, with the same `Idempotency-Key` if it had one.",
        retries=(503,),
    ),
}
COMMON = ("account-name", "internal-error", "storage")
"""Every route can be answered so."""


def schema_name(name: str) -> str:
    """The name of a problem's schema."""
    return "".join(part.capitalize() for part in name.split("-")) + "Problem"


def schema(name: str, fields: Json) -> Json:
    """The schema of a problem; ``fields`` is that of its own fields."""
    return {
        "description": PROBLEMS[name].text,
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"type": "object", "properties": {"type": {"const": TYPES + name}}, "required": ["type"]},
            fields,
        ],
    }


def as_json() -> str:
    """The data of ``wxn explain``: each problem's statuses, what it means and what to do, in two languages."""
    told = {}
    for name, problem in sorted(PROBLEMS.items()):
        meaning, remedy = PROBLEMS_ZH[name]
        told[name] = {
            "statuses": problem.statuses,
            "meaning": {"en": problem.text, "zh": meaning},
            "remedy": {"en": problem.remedy, "zh": remedy},
        }
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def page() -> str:
    """docs/problems.md: a section for each name, to which its type leads."""
    parts = [_HEAD]
    for name, problem in sorted(PROBLEMS.items()):
        statuses = ", ".join(map(str, problem.statuses))
        parts.append(f"## {name}\n\nStatus {statuses}. {problem.text}\n\n{problem.remedy}\n")
    return "\n".join(parts)


_HEAD = """\
# Problems

Every refusal is a problem document; [api.md](api.md#problem-documents) describes its fields. Its `type` is
`/docs/problems.md#` and one of these names. [error-codes.md](error-codes.md) explains WeChat's `errcode`.
"""
