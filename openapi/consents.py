"""The routes of consents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from functions.team_api.consents import ConfirmQuery, LinkQuery, PersonQuery
from openapi import examples
from openapi.operation import Answer, Operation
from openapi.values import Account, Time


class TemplateConsents(TypedDict):
    """The consents to one template, or to one scene of it."""

    template_id: str
    scene: NotRequired[Annotated[str, Field(description="of a one-time subscription message")]]
    unused: Annotated[int, Field(description="messages that can still be sent, by this service's count")]
    long_term: NotRequired[
        Annotated[bool, Field(description="the template is a long-term one: whether the consent stands")]
    ]
    granted_at: NotRequired[Annotated[Time, Field(description="the last grant")]]
    refused_at: NotRequired[
        Annotated[Time, Field(description="the last refusal in a popup; it ends nothing")]
    ]
    ended_at: NotRequired[Annotated[Time, Field(description="the last withdrawal")]]
    corrected_at: NotRequired[
        Annotated[
            Time, Field(description="WeChat answered 43101 to a message sent then: older grants are gone")
        ]
    ]


class PersonConsents(TypedDict):
    """All that is known of a person's consents to the account's messages."""

    account: Account
    openid_hash: Annotated[str, Field(description="a keyed hash of the openid, as messages have it")]
    policy: Annotated[
        Literal["off", "warn", "enforce"], Field(description="what the account does without a consent")
    ]
    left_at: NotRequired[Annotated[Time, Field(description="the person unsubscribed from the account")]]
    templates: list[TemplateConsents]


class ConsentLink(TypedDict):
    """A one-time link to WeChat's confirmation page."""

    url: Annotated[str, Field(description="the page, to be opened inside of WeChat")]
    reserved: Annotated[str, Field(description="what WeChat brings back; it can be confirmed once")]
    expires_at: Annotated[Time, Field(description="from then on it is not confirmed any more")]


class Confirmation(TypedDict):
    """A decision that was recorded."""

    action: Literal["confirm", "cancel"]
    template_id: str
    scene: str
    is_new: Annotated[bool, Field(description="false: it was recorded before")]


_TEMPLATE_ID = "The template: the account's one fixed template of one-time subscription messages."
_SCENE = "A whole number that stands for what the messages are about: a consent is to a template and a scene."
OPERATIONS: Mapping[str, Operation] = {
    "GET /v1/accounts/{account}/consents": Operation(
        id="getConsents",
        tag="consents",
        summary="What is left of a person's consents",
        text="WeChat tells nobody; this is the service's own count, and WeChat's 43101 corrects it.",
        query=PersonQuery,
        parameters={"openid": "The person's openid."},
        answers={200: Answer("The consents, by template and scene.", (PersonConsents,))},
        problems=("invalid-fields",),
        example=examples.GET_CONSENTS,
    ),
    "GET /v1/accounts/{account}/consents/links": Operation(
        id="makeConsentLink",
        tag="consents",
        summary="A link to WeChat's page on which a person confirms one message",
        text="Make one for each confirmation. It is valid for 24 hours.",
        query=LinkQuery,
        parameters={
            "scene": _SCENE,
            "template_id": _TEMPLATE_ID,
            "redirect_url": "Where WeChat leads back to: `/v1/consents/confirm` or a page of your own that hands the "
            "parameters over. Its host is a registered business domain of the account.",
        },
        answers={200: Answer("The link.", (ConsentLink,))},
        problems=("unknown-account", "invalid-fields", "token-unavailable"),
        example=examples.MAKE_CONSENT_LINK,
    ),
    "GET /v1/consents/confirm": Operation(
        id="confirmConsent",
        tag="consents",
        summary="Record what a person decided on WeChat's page",
        text="Public: the signature in `reserved` lets in. With `Accept: application/json` it answers a program, "
        "otherwise with a page in Chinese and English.",
        query=ConfirmQuery,
        parameters={
            "action": "`confirm` or `cancel`.",
            "template_id": "The template of the link.",
            "scene": "The scene of the link.",
            "reserved": "The `reserved` of the link.",
            "openid": "The person; WeChat leaves it out of a `cancel`, where an empty one counts as absent.",
        },
        answers={200: Answer("It is recorded.", (Confirmation,), headers=("Cache-Control",))},
        problems=("invalid-fields", "consent-link"),
        example=examples.CONFIRM_CONSENT,
        public=True,
    ),
}
