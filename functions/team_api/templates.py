"""Templates: what the account has at WeChat, with the rules of its keywords and filled examples."""

from __future__ import annotations

from typing import Any

from wechat_notify.bootstrap import teams
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import UnknownTemplateError
from wechat_notify.core.templates.keywords import filled_messages, keywords_of
from wechat_notify.core.templates.template import AccountTemplates, Family, Template
from wechat_notify.core.texts import iso_time_if_any, without_none
from wechat_notify.http import requests
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse


def list_templates(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/templates``."""
    account = requests.account(http)
    known = _known(account)
    body = {
        "account": account,
        "synced_at": {family.value: iso_time_if_any(known.synced_at(family)) for family in Family},
        "templates": [_listed(template, known) for template in known.templates],
    }
    return ApiResponse(200, body)


def get_template(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/templates/{id}``: with its text and filled examples."""
    known = _known(requests.account(http))
    template = next(iter(known.named(http["pathParameters"]["id"])), None)
    if template is None:
        raise UnknownTemplateError
    body = {
        **_listed(template, known),
        "content": template.content,
        "example": template.example,
        "messages": filled_messages(template),
    }
    return ApiResponse(200, body)


def _known(account: str) -> AccountTemplates:
    return teams.template_store().read_templates(account) or AccountTemplates(account)


def _listed(template: Template, known: AccountTemplates) -> dict[str, Any]:
    return {
        "id": template.id,
        "family": template.family.value,
        "title": template.title,
        **without_none(long_term=template.long_term),
        "keywords": [keyword.as_dict() for keyword in keywords_of(template)],
        "synced_at": iso_time_if_any(known.synced_at(template.family)),
    }
