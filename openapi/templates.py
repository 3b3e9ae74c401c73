"""The routes of templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from openapi import examples
from openapi.operation import Answer, Operation
from openapi.schemas import ref
from openapi.values import Account, Text, Time
from wechat_notify.core.templates.template import Family


class Keyword(TypedDict):
    """A keyword of a template, with the rule of its value."""

    key: str
    type: NotRequired[Annotated[str, Field(description="the key without its number")]]
    rule: Text
    max_length: NotRequired[int]
    values: NotRequired[Annotated[list[str], Field(description="the only values that it can have")]]


class ListedTemplate(TypedDict):
    """A template, as WeChat lists it."""

    id: str
    family: Family
    title: str
    long_term: NotRequired[Annotated[bool, Field(description="a subscription to it lasts")]]
    keywords: list[Keyword]
    synced_at: Annotated[Time | None, Field(description="when it was read, RFC 3339")]


class FullTemplate(ListedTemplate):
    """A template with its text and a filled message of each kind that may use it."""

    content: Annotated[str, Field(description="the text with its placeholders")]
    example: Annotated[str, Field(description="the text as WeChat fills it")]
    messages: list[Annotated[Any, Field(json_schema_extra=ref("Message"))]]


class SyncedAt(TypedDict):
    """The time at which each family was read last; null where it never was."""

    subscription: Time | None
    template: Time | None


class Templates(TypedDict):
    """The templates of an account."""

    account: Account
    synced_at: SyncedAt
    templates: list[ListedTemplate]


OPERATIONS: Mapping[str, Operation] = {
    "GET /v1/accounts/{account}/templates": Operation(
        id="listTemplates",
        tag="templates",
        summary="List the account's templates",
        answers={200: Answer("The templates, as they were read from WeChat last.", (Templates,))},
        example=examples.LIST_TEMPLATES,
    ),
    "GET /v1/accounts/{account}/templates/{id}": Operation(
        id="getTemplate",
        tag="templates",
        summary="Look a template up",
        parameters={"id": "WeChat's id of the template."},
        answers={200: Answer("The template, with filled messages.", (FullTemplate,))},
        problems=("unknown-template",),
        example=examples.GET_TEMPLATE,
    ),
}
