"""Values that several answers have in common."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from wechat_notify.core.outcomes import ErrorClass

Time = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC, milliseconds")
]
Account = Annotated[str, Field(description="the account's name")]
MessageId = Annotated[str, Field(description="the message's id")]
Kind = Annotated[str, Field(description="the kind of the message")]
Class = Annotated[ErrorClass, Field(alias="class")]
Cursor = Annotated[str | None, Field(description="the cursor of the next page, null on the last one")]


class Text(TypedDict):
    """A text for people, in English and Chinese."""

    en: Annotated[str, Field(description="in English")]
    zh: Annotated[str, Field(description="in Chinese")]


class Violation(TypedDict):
    """A rule that a field breaks. The value itself is never repeated."""

    path: Annotated[str, Field(description="the field, such as `data.thing1.value`; empty for all of it")]
    rule: Annotated[str, Field(description="the name of the rule")]
    limit: Annotated[int | str | None, Field(description="what the rule allows")]
    length: Annotated[int | None, Field(description="the value's length in characters")]
    en: str
    zh: str


class Hold(TypedDict):
    """Part of an account whose messages wait."""

    id: Annotated[str, Field(description="`account`, `kind:<kind>` or `template:<template id>`")]
    scope: Annotated[str, Field(json_schema_extra={"enum": ["account", "kind", "template"]})]
    kind: NotRequired[Kind]
    template_id: NotRequired[str]
    errcode: NotRequired[Annotated[int, Field(description="WeChat's errcode that began it")]]
    error_class: Class
    hint: NotRequired[Text]
    opened_at: Time
    held_until: Annotated[Time, Field(description="when one message is tried again")]
    failed_probes: Annotated[int, Field(description="messages that were tried since, in vain")]
