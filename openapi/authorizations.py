"""The route of authorization pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from functions.team_api.authorizations import LinkQuery
from openapi import examples
from openapi.operation import Answer, Operation
from openapi.values import Account, Time


class AuthorizationLink(TypedDict):
    """The addresses of one authorization page."""

    account: Account
    desktop: Annotated[str, Field(description="for a browser: the administrator scans its code")]
    mobile: Annotated[str, Field(description="to be opened inside of WeChat")]
    expires_at: Annotated[Time, Field(description="from then on the page is refused; ask for another")]


OPERATIONS: Mapping[str, Operation] = {
    "GET /v1/accounts/{account}/authorization-link": Operation(
        id="getAuthorizationLink",
        tag="platforms",
        summary="The page on which a merchant authorizes a third-party platform",
        text="The account is the platform's. A merchant who authorizes it becomes an account of its own.",
        query=LinkQuery,
        parameters={
            "redirect_uri": "Where WeChat leads back to; its host is registered with the platform.",
            "auth_type": "The kinds of accounts that are shown: 1 official accounts, 2 mini programs, 3 both.",
            "biz_appid": "The appid of the one account that may authorize.",
        },
        answers={200: Answer("The page.", (AuthorizationLink,))},
        problems=("unknown-account", "not-a-platform", "invalid-fields", "platform-refused"),
        example=examples.GET_AUTHORIZATION_LINK,
    ),
}
