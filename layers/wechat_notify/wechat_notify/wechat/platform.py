"""WeChat's calls of a third-party platform.

https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/creat_token.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from wechat_notify.core.errors import TokenUnavailableError
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.platform.ports import Authorization, AuthorizerGrant, Component, PreAuthCode
from wechat_notify.core.tokens.token import Grant
from wechat_notify.wechat.answers import UnreadableAnswerError, parse_answer, parse_json
from wechat_notify.wechat.client import body_by_status, read_grant, refused_token
from wechat_notify.wechat.outcomes import UNREADABLE, hint_for, outcome_of, outcome_of_platform
from wechat_notify.wechat.session import HttpSession, NoAnswer

_PREFIX: Final = "/cgi-bin/component/"
_PAGE: Final = 500
"""Merchants of one page of the list, WeChat's maximum."""
_MAX_PAGES: Final = 200
_TOKEN_MISSING: Final = 41001
_COMPONENT_TOKEN_MISSING: Final = 41021


class PlatformClient:
    """The endpoints of third-party platforms; every method raises ``TokenUnavailableError``.

    Parameters
    ----------
    session
        The connections to WeChat.
    """

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def start_ticket_push(self, component: Component) -> None:
        """Ask WeChat to push tickets (``api_start_push_ticket``)."""
        request = {"component_appid": component.app_id, "component_secret": component.app_secret}
        secrets = (component.app_secret,)
        body = self._post(f"{_PREFIX}api_start_push_ticket", request)
        if not _says_ok(body):
            raise TokenUnavailableError(refused_token(body, secrets))

    def component_token(self, component: Component, ticket: str) -> Grant:
        """A new token of the platform (``api_component_token``)."""
        request = {
            "component_appid": component.app_id,
            "component_appsecret": component.app_secret,
            "component_verify_ticket": ticket,
        }
        body = self._post(f"{_PREFIX}api_component_token", request)
        if grant := read_grant(_fields(body), "component_access_token"):
            return grant
        raise TokenUnavailableError(refused_token(body, (component.app_secret, ticket)))

    def pre_auth_code(self, component: Component, token: str) -> PreAuthCode:
        """The code of an authorization page (``api_create_preauthcode``)."""
        fields, refusal = self._ask(component, token, "api_create_preauthcode", {})
        if code := read_grant(fields, "pre_auth_code"):
            return PreAuthCode(component.app_id, code.value, code.expires_in)
        raise refusal

    def query_auth(self, component: Component, token: str, code: str) -> Authorization:
        """The grant of a merchant (``api_query_auth``)."""
        fields, refusal = self._ask(
            component, token, "api_query_auth", {"authorization_code": code}, secrets=(code,)
        )
        granted = fields.get("authorization_info")
        if not isinstance(granted, dict):
            raise refusal
        tokens, app_id = _authorizer_grant(granted), granted.get("authorizer_appid")
        if tokens is None or not isinstance(app_id, str) or not app_id:
            raise refusal
        return Authorization(app_id, tokens, _permission_sets(granted.get("func_info")))

    def authorizer_token(
        self, component: Component, token: str, app_id: str, refresh_token: str
    ) -> AuthorizerGrant:
        """A merchant's tokens (``api_authorizer_token``)."""
        request = {"authorizer_appid": app_id, "authorizer_refresh_token": refresh_token}
        fields, refusal = self._ask(
            component, token, "api_authorizer_token", request, secrets=(refresh_token,)
        )
        if tokens := _authorizer_grant(fields):
            return tokens
        raise refusal

    def listed_refresh_token(self, component: Component, token: str, app_id: str) -> str | None:
        """A merchant's refresh token from the list of all (``api_get_authorizer_list``)."""
        offset = 0
        for _ in range(_MAX_PAGES):
            request = {"offset": offset, "count": _PAGE}
            fields, refusal = self._ask(component, token, "api_get_authorizer_list", request)
            listed = fields.get("list")
            if not isinstance(listed, list):
                raise refusal
            for each in listed:
                if isinstance(each, dict) and each.get("authorizer_appid") == app_id:
                    found = each.get("refresh_token")  # reported to be absent now and then
                    return found if isinstance(found, str) and found else None
            offset, total = offset + len(listed), fields.get("total_count")
            if not listed or (isinstance(total, int) and offset >= total):
                break
        return None

    def send_text(self, token: str, openid: str, text: str) -> None:
        """Send a customer-service text (``custom/send``)."""
        request = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        body = self._post(f"/cgi-bin/message/custom/send?access_token={quote(token, safe='')}", request)
        if not _says_ok(body):
            raise TokenUnavailableError(_refused(body, (token, openid)))

    def _ask(
        self,
        component: Component,
        token: str,
        name: str,
        request: Mapping[str, object],
        *,
        secrets: tuple[str, ...] = (),
    ) -> tuple[dict[str, Any], TokenUnavailableError]:
        """The fields of an answer, and the error to raise where they are not what was asked for."""
        path = f"{_PREFIX}{name}?{component.token_parameter}={quote(token, safe='')}"
        body = self._post(path, {"component_appid": component.app_id, **request})
        refused = _refused(body, (token, *secrets))
        if refused.errcode == _TOKEN_MISSING:  # by its other name, where nothing on the way dropped it
            refused = refused._replace(hint=hint_for(_COMPONENT_TOKEN_MISSING))
        return _fields(body), TokenUnavailableError(refused)

    def _post(self, path: str, request: Mapping[str, object]) -> bytes:
        answer = self._session.post(path, json.dumps(request, ensure_ascii=False).encode())
        body = answer if isinstance(answer, NoAnswer) else body_by_status(*answer)
        if isinstance(body, NoAnswer):
            raise TokenUnavailableError(outcome_of_platform(body.reason))
        return body


def _fields(body: bytes) -> dict[str, Any]:
    try:
        return parse_json(body)
    except UnreadableAnswerError:
        return {}


def _says_ok(body: bytes) -> bool:
    return _fields(body).get("errcode") in {0, "0"}


def _authorizer_grant(fields: Mapping[str, object]) -> AuthorizerGrant | None:
    grant, refresh_token = (
        read_grant(fields, "authorizer_access_token"),
        fields.get("authorizer_refresh_token"),
    )
    if grant is None or not isinstance(refresh_token, str) or not refresh_token:
        return None
    return AuthorizerGrant(grant, refresh_token)


def _permission_sets(func_info: object) -> tuple[int, ...] | None:
    if not isinstance(func_info, list):
        return None
    numbers = [_permission_set(each) for each in func_info]
    known = {number for number in numbers if number is not None}
    return None if None in numbers else tuple(sorted(known))


def _permission_set(told: object) -> int | None:
    """The id in ``{"funcscope_category": {"id": 89}}``, or an id that stands for itself."""
    category = told.get("funcscope_category") if isinstance(told, dict) else told
    number = category.get("id") if isinstance(category, dict) else category
    if isinstance(number, str) and re.fullmatch(r"[0-9]{1,9}", number):
        return int(number)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _refused(body: bytes, secrets: tuple[str, ...]) -> Outcome:
    """The outcome of an answer that does not have what was asked for."""
    try:
        outcome = outcome_of(parse_answer(body, secrets))
    except UnreadableAnswerError:
        return outcome_of_platform(UNREADABLE)
    if outcome.error_class is ErrorClass.SUCCESS:
        return outcome_of_platform(UNREADABLE)
    return outcome._replace(
        status=Status.FAILED, holds=outcome.holds and HoldScope.ACCOUNT, until_reset=False
    )
