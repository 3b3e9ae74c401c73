"""The route of quotas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from openapi import examples
from openapi.operation import Answer, Operation
from openapi.values import Account, Class, Kind, Text, Time


class Quota(TypedDict):
    """WeChat's numbers of one endpoint."""

    daily_limit: Annotated[int, Field(description="0 where WeChat says nothing of a limit")]
    used: int
    remain: int
    rate_limit: NotRequired[Annotated[int, Field(description="calls in `rate_seconds`")]]
    rate_seconds: NotRequired[int]


class QuotaRefusal(TypedDict):
    """The reason why WeChat did not tell the numbers."""

    error_class: Class
    errcode: NotRequired[int]
    errmsg: NotRequired[str]
    rid: NotRequired[str]
    hint: Text


class KindQuota(TypedDict):
    """The quota of one kind, beside what this service sent."""

    kind: Kind
    endpoint: str
    wechat: NotRequired[Quota]
    refused: NotRequired[QuotaRefusal]
    sent_today: NotRequired[
        Annotated[int, Field(description="since the last reset; not where sent messages are not listed")]
    ]
    held_until: NotRequired[Annotated[Time, Field(description="the kind is held")]]


class Quotas(TypedDict):
    """The quotas of the account's kinds."""

    account: Account
    since: Annotated[Time, Field(description="the last reset")]
    counted_all: Annotated[bool, Field(description="false: more was sent than was counted")]
    kinds: list[KindQuota]


OPERATIONS: Mapping[str, Operation] = {
    "GET /v1/accounts/{account}/quota": Operation(
        id="getQuota",
        tag="quotas",
        summary="WeChat's quotas, and what was sent today",
        text="Asks WeChat for each kind; an account has the endpoints of its own sort.",
        answers={200: Answer("The quotas by kind.", (Quotas,))},
        problems=("unknown-account",),
        example=examples.GET_QUOTA,
    ),
}
