"""Consents: what a person allowed, links to a confirmation, and the confirmation itself.

The confirmation is public. WeChat's page leads people to it with parameters that nothing signs but
``reserved``; none of them stands in its page or in a log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from functions.team_api import consent_page
from functions.team_api.accounts import known_account
from wechat_notify import bootstrap
from wechat_notify.bootstrap import teams
from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.consents.links import page_url
from wechat_notify.core.consents.record import PersonConsents, TemplateConsents
from wechat_notify.core.errors import InvalidFieldsError, TokenUnavailableError
from wechat_notify.core.messages.field_types import REQUIRED
from wechat_notify.core.messages.findings import rule_error
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import iso_time, iso_time_if_any, without_none
from wechat_notify.core.tokens.access_tokens import unavailable
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.core.violations import Violation
from wechat_notify.http import problems, queries, requests
from wechat_notify.http.requests import HttpEvent
from wechat_notify.http.responses import ApiResponse, HtmlPage

CONFIRM: Final = "GET /v1/consents/confirm"
WITH_SLASH: Final = "GET /v1/consents/confirm/{rest+}"
"""WeChat documents that its page leads to ``redirect_url/?openid=…``. API Gateway matches no slash at the end
of a route, and lets none be made that ends with one; a greedy variable matches it."""
_MAX_SCENE: Final = 10_000
_MAX_WAIT: Final = 10.0
"""Seconds for which a busy token_refresh is waited for."""
_NOT_REFRESHED: Final = unavailable(
    ErrorClass.TRANSIENT,
    "The account's appid is not known here yet: token_refresh stores it within 5 minutes.",
    "尚未获得该账号的 appid，令牌刷新任务将在 5 分钟内写入，请稍后重试。",
    300.0,
)


def letters(most: int) -> AfterValidator:
    """Return a validator of an id of WeChat's: letters, digits, ``_`` and ``-``."""

    def check(value: str) -> str:
        if not (len(value) <= most and re.fullmatch(r"[A-Za-z0-9_-]+", value)):
            raise rule_error(
                "format",
                f"must be 1 to {most} letters, digits, _ and -, and be given once",
                f"必须是 1 到 {most} 个字母、数字、_ 或 -，且只能出现一次",
                limit=most,
            )
        return value

    return AfterValidator(check)


def _absent_if_empty(value: str) -> str | None:
    return value or None


Openid = Annotated[str, letters(128)]
TemplateId = Annotated[str, letters(128)]
Scene = Annotated[int, queries.whole_number(0, _MAX_SCENE)]


class PersonQuery(queries.Query):
    """The person whose consents are asked for."""

    openid: Openid


class LinkQuery(queries.Query):
    """The query of a link."""

    scene: Scene
    template_id: TemplateId
    redirect_url: queries.Address


class ConfirmQuery(queries.Query):
    """The parameters with which WeChat's page leads back; it may have more of them."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    action: Literal["confirm", "cancel"]
    template_id: TemplateId
    scene: Scene
    reserved: Annotated[str, letters(128)]
    openid: Annotated[Openid | None, BeforeValidator(_absent_if_empty)] = None


def get_consents(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/consents``."""
    account = requests.account(http)
    query = queries.read_query(http, PersonQuery)
    person = bootstrap.consents().of(account, query.openid)
    token = bootstrap.access_tokens().stored(account)
    content = {
        "account": account,
        "openid_hash": person.openid_hash,
        "policy": (token.consents if token else None) or "off",
        **without_none(left_at=iso_time_if_any(person.left_at)),
        "templates": [_template(person, each) for each in _sorted(person.templates)],
    }
    return ApiResponse(200, content)


def make_link(http: HttpEvent, seconds_left: SecondsLeft) -> ApiResponse:
    """``GET …/consents/links``."""
    account = known_account(http)
    query = queries.read_query(http, LinkQuery)
    try:
        app_id = _token(account, min(_MAX_WAIT, seconds_left() / 2)).app_id
    except TokenUnavailableError as error:
        return problems.unavailable("token-unavailable", error.outcome)
    if app_id is None:
        return problems.unavailable("token-unavailable", _NOT_REFRESHED)
    scene = str(query.scene)
    link, reserved = teams.consent_links().new(account, query.template_id, scene)
    url = page_url(
        bootstrap.settings().wechat_pages_base,
        app_id,
        scene=scene,
        template_id=query.template_id,
        redirect_url=query.redirect_url,
        reserved=reserved,
    )
    return ApiResponse(200, {"url": url, "reserved": reserved, "expires_at": iso_time(link.expires_at)})


def confirm(http: HttpEvent, _seconds_left: SecondsLeft) -> ApiResponse | HtmlPage:
    """``GET /v1/consents/confirm``: JSON for a program, a page for a person."""
    confirmed = _confirmed(http)
    if _is_program(http):
        # Its address is public: no cache between may answer for the link, or keep the openid.
        return ApiResponse(200, confirmed, {"Cache-Control": "no-store"})
    return consent_page.recorded(confirmed["action"])


def shown(http: HttpEvent, problem: ApiResponse) -> ApiResponse | HtmlPage:
    """A problem as its reader can use it: a page where a person has opened the confirmation."""
    if http.get("routeKey") not in {CONFIRM, WITH_SLASH} or _is_program(http):
        return problem
    # What only a program can mend is not told; the link's own problems have a "reason".
    return consent_page.failed(problem.status, problem.body["hint"] if "reason" in problem.body else None)


def _is_program(http: HttpEvent) -> bool:
    return "application/json" in requests.headers(http).get("accept", "")


def _confirmed(http: HttpEvent) -> dict[str, Any]:
    query = queries.read_query(http, ConfirmQuery)
    links, scene = teams.consent_links(), str(query.scene)
    if query.action == "cancel":
        is_new = links.refuse(query.reserved, query.template_id, scene)
    else:
        if query.openid is None:
            raise InvalidFieldsError([Violation("openid", REQUIRED.rule, REQUIRED.text)])
        confirmed = links.confirm(query.reserved, query.template_id, scene, query.openid)
        is_new = confirmed.granted > 0
        if is_new:
            metrics = bootstrap.telemetry().metrics
            metrics.count("ConsentsGranted", confirmed.granted, account=confirmed.account)
    return {"action": query.action, "template_id": query.template_id, "scene": scene, "is_new": is_new}


def _token(account: str, max_wait: float) -> AccessToken:
    tokens = bootstrap.access_tokens()
    return tokens.stored(account) or tokens.get(account, max_wait)


def _sorted(templates: Sequence[TemplateConsents]) -> list[TemplateConsents]:
    return sorted(templates, key=lambda each: (each.template_id, int(each.scene or -1)))


def _template(person: PersonConsents, known: TemplateConsents) -> dict[str, Any]:
    registry = bootstrap.template_registry()
    lasts = known.scene is None and registry.is_long_term(person.account, known.template_id)
    return {
        "template_id": known.template_id,
        **without_none(scene=known.scene, long_term=person.lasts(known.template_id) if lasts else None),
        "unused": 0 if lasts else len(known.unused),
        **without_none(
            granted_at=iso_time_if_any(known.granted_at),
            refused_at=iso_time_if_any(known.refused_at),
            ended_at=iso_time_if_any(known.ended_at),
            corrected_at=iso_time_if_any(known.corrected_at),
        ),
    }
