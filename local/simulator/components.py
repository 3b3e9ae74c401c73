"""Third-party platforms: tickets, codes and tokens, their merchants, and the events of all that."""

import random
import string
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import urlencode

from local.simulator import errcodes
from local.simulator.errcodes import Refusal
from local.simulator.receipts import Callback, PushRequest, encrypt, sign, xml
from local.simulator.tokens import Token, Tokens

PREFIX = "/cgi-bin/component/"
START_PUSH = f"{PREFIX}api_start_push_ticket"
TOKEN = f"{PREFIX}api_component_token"
PRE_AUTH_CODE = f"{PREFIX}api_create_preauthcode"
QUERY_AUTH = f"{PREFIX}api_query_auth"
AUTHORIZER_TOKEN = f"{PREFIX}api_authorizer_token"
AUTHORIZER_LIST = f"{PREFIX}api_get_authorizer_list"
CUSTOM_SEND = "/cgi-bin/message/custom/send"
PATHS = (START_PUSH, TOKEN, PRE_AUTH_CODE, QUERY_AUTH, AUTHORIZER_TOKEN, AUTHORIZER_LIST, CUSTOM_SEND)

TICKET_LIFE = 12 * 3600
CODE_LIFE = 3600
PRE_AUTH_CODE_LIFE = 1800
_LARGEST_PAGE = 500
_ALPHABET = string.ascii_letters + string.digits + "_-"


class Pushing(NamedTuple):
    """The way of an event: pushed so often, late (events of later come before it), or malformed.

    A malformed one ends as WeChat's own example does, with a second opening tag.
    """

    events: int = 1
    late: bool = False
    malformed: bool = False


_SOON = Pushing()


@dataclass(slots=True)
class Merchant:
    """An account that authorized a platform: its refresh token, and the ids of its permission sets."""

    refresh_token: str
    func_info: tuple[int, ...]
    auth_time: int


@dataclass(slots=True)
class Component:
    """A platform.

    Attributes
    ----------
    ip_whitelist
        Addresses and networks that may call its endpoints; empty means all.
    token_parameter
        The query parameter in which its token is looked for.
    tickets
        The time of each ticket.
    codes
        The merchant, its permission sets and the end of each authorization code.
    """

    app_id: str
    secret: str
    callback: Callback
    ip_whitelist: tuple[str, ...] = ()
    token_parameter: str = "component_access_token"
    tickets: dict[str, float] = field(default_factory=dict)
    token: Token | None = None
    pre_auth_codes: dict[str, float] = field(default_factory=dict)
    codes: dict[str, tuple[str, tuple[int, ...], float]] = field(default_factory=dict)
    merchants: dict[str, Merchant] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)


class Components:
    """All platforms. Not thread-safe: its owner holds a lock.

    Parameters
    ----------
    clock
        WeChat's time in epoch seconds.
    rng
        Where tickets, codes and tokens come from.
    tokens
        Issues the access tokens of merchants.
    notify
        Pushes an event.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        rng: random.Random,
        tokens: Tokens,
        notify: Callable[[PushRequest], object],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._tokens = tokens
        self._notify = notify
        self.all: dict[str, Component] = {}
        self.texts: list[dict[str, Any]] = []

    def answer(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any], client_ip: str
    ) -> dict[str, Any]:
        """Answer a call; raises ``Refusal``."""
        if path == CUSTOM_SEND:
            return self._custom_send(query, body)
        component = self.all.get(str(body.get("component_appid")))
        if component is None:
            raise Refusal(errcodes.INVALID_COMPONENT)
        component.calls[path.removeprefix(PREFIX)] += 1
        listed = component.ip_whitelist
        if listed and not any(ip_address(client_ip) in ip_network(each, strict=False) for each in listed):
            raise Refusal(
                errcodes.CLIENT_IP_NOT_REGISTERED, f"access clientip is not registered requestIP: {client_ip}"
            )
        match path:
            case p if p == START_PUSH:
                self._check_secret(component, body.get("component_secret"))
                self.push_ticket(component)
                return {"errcode": errcodes.OK, "errmsg": "ok"}
            case p if p == TOKEN:
                return self._component_token(component, body)
        self._check_token(component, query)
        answers = {
            PRE_AUTH_CODE: self._pre_auth_code,
            QUERY_AUTH: self._query_auth,
            AUTHORIZER_TOKEN: self._authorizer_token,
            AUTHORIZER_LIST: self._authorizer_list,
        }
        return answers[path](component, body)

    def callback_of(self, app_id: str) -> Callback | None:
        """The address for the events of a merchant: its platform's, under whose keys and appid they are."""
        for component in self.all.values():
            if app_id in component.merchants:
                own = component.callback
                return replace(own, url=f"{own.url}/{app_id}", app_id=component.app_id)
        return None

    # What happens to a platform

    def push_ticket(self, component: Component, pushing: Pushing = _SOON) -> None:
        """A new ticket, which is pushed. Older ones stay good for 12 hours."""
        ticket = f"ticket@@@{self._text(60)}"
        component.tickets[ticket] = self._clock()
        self._push(
            component,
            {"InfoType": "component_verify_ticket", "ComponentVerifyTicket": ticket},
            pushing,
        )

    def authorize(
        self,
        component: Component,
        app_id: str,
        func_info: tuple[int, ...],
        pre_auth_code: str,
        pushing: Pushing = _SOON,
    ) -> str:
        """A merchant's administrator confirms the page; returns the authorization code."""
        now = self._clock()
        if component.pre_auth_codes.pop(pre_auth_code, 0.0) <= now:
            raise Refusal(errcodes.AUTH_CODE_INVALID, "pre_auth_code is invalid")
        code = f"queryauthcode@@@{self._text(40)}"
        component.codes[code] = (app_id, func_info, now + CODE_LIFE)
        is_known = app_id in component.merchants
        event = {
            "InfoType": "updateauthorized" if is_known else "authorized",
            "AuthorizerAppid": app_id,
            "AuthorizationCode": code,
            "AuthorizationCodeExpiredTime": int(now + CODE_LIFE),
            "PreAuthCode": pre_auth_code,
        }
        self._push(component, event, pushing)
        return code

    def unauthorize(self, component: Component, app_id: str, pushing: Pushing = _SOON) -> None:
        """A merchant's administrator ends the authorization; a code that was not exchanged buys nothing."""
        component.merchants.pop(app_id, None)
        component.codes = {code: sold for code, sold in component.codes.items() if sold[0] != app_id}
        self._tokens.revoke(app_id, sticky=False)
        self._push(component, {"InfoType": "unauthorized", "AuthorizerAppid": app_id}, pushing)

    def lose(self, component: Component, app_id: str) -> None:
        """The merchant's refresh token becomes another one, of which nobody is told but by the list."""
        component.merchants[app_id].refresh_token = self._refresh_token()

    def message(self, component: Component, app_id: str, openid: str, content: str) -> PushRequest:
        """A person's text to a merchant, on its way to the platform."""
        fields = {
            "ToUserName": "gh_000000000000",
            "FromUserName": openid,
            "CreateTime": int(self._clock()),
            "MsgType": "text",
            "Content": content,
            "MsgId": self._rng.randrange(10**18, 10**19),
        }
        return self._request(component, xml(fields), f"{component.callback.url}/{app_id}", "ToUserName")

    # Calls

    def _component_token(self, component: Component, body: Mapping[str, Any]) -> dict[str, Any]:
        self._check_secret(component, body.get("component_appsecret"))
        pushed_at = component.tickets.get(str(body.get("component_verify_ticket")))
        if pushed_at is None:
            raise Refusal(errcodes.COMPONENT_TICKET_INVALID)
        if self._clock() - pushed_at >= TICKET_LIFE:
            raise Refusal(errcodes.COMPONENT_TICKET_EXPIRED)
        component.token = self._tokens.plain(component.app_id)
        return {
            "component_access_token": component.token.value,
            "expires_in": ceil(component.token.remaining(self._clock())),
        }

    def _pre_auth_code(self, component: Component, _body: Mapping[str, Any]) -> dict[str, Any]:
        code = f"preauthcode@@@{self._text(40)}"
        component.pre_auth_codes[code] = self._clock() + PRE_AUTH_CODE_LIFE
        return {"pre_auth_code": code, "expires_in": PRE_AUTH_CODE_LIFE}

    def _query_auth(self, component: Component, body: Mapping[str, Any]) -> dict[str, Any]:
        app_id, func_info, until = component.codes.pop(str(body.get("authorization_code")), ("", (), 0.0))
        if not app_id:
            raise Refusal(errcodes.AUTH_CODE_INVALID)
        if until <= self._clock():
            raise Refusal(errcodes.AUTH_CODE_EXPIRED)
        component.merchants[app_id] = Merchant("", func_info, int(self._clock()))
        granted = [{"funcscope_category": {"id": number}} for number in func_info]
        info = {"authorizer_appid": app_id, **self._renewed(component, app_id), "func_info": granted}
        return {"authorization_info": info}

    def _authorizer_token(self, component: Component, body: Mapping[str, Any]) -> dict[str, Any]:
        app_id = str(body.get("authorizer_appid"))
        merchant = component.merchants.get(app_id)
        if merchant is None:
            raise Refusal(61003)
        if body.get("authorizer_refresh_token") != merchant.refresh_token:
            raise Refusal(errcodes.REFRESH_TOKEN_INVALID)
        return self._renewed(component, app_id)

    def _renewed(self, component: Component, app_id: str) -> dict[str, Any]:
        """A merchant's tokens; the refresh token before this one is good no longer."""
        component.merchants[app_id].refresh_token = self._refresh_token()
        token = self._tokens.plain(app_id)
        return {
            "authorizer_access_token": token.value,
            "expires_in": ceil(token.remaining(self._clock())),
            "authorizer_refresh_token": component.merchants[app_id].refresh_token,
        }

    def _authorizer_list(self, component: Component, body: Mapping[str, Any]) -> dict[str, Any]:
        offset, count = body.get("offset"), body.get("count")
        if not isinstance(offset, int) or not isinstance(count, int) or not 0 < count <= _LARGEST_PAGE:
            raise Refusal(errcodes.INVALID_ARGS)
        listed = [
            {
                "authorizer_appid": app_id,
                "refresh_token": merchant.refresh_token,
                "auth_time": merchant.auth_time,
            }
            for app_id, merchant in component.merchants.items()
        ]
        return {"total_count": len(listed), "list": listed[offset : offset + count]}

    def _custom_send(self, query: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
        app_id = self._tokens.owner(query.get("access_token", ""))
        self.texts.append({"app_id": app_id, **body})
        return {"errcode": errcodes.OK, "errmsg": "ok"}

    def _check_secret(self, component: Component, secret: object) -> None:
        if secret != component.secret:
            raise Refusal(errcodes.INVALID_APPSECRET)

    def _check_token(self, component: Component, query: Mapping[str, str]) -> None:
        value = query.get(component.token_parameter)
        if not value:
            raise Refusal(errcodes.ACCESS_TOKEN_MISSING)
        if self._tokens.owner(value) != component.app_id:
            raise Refusal(errcodes.INVALID_CREDENTIAL)

    # Events

    def _push(self, component: Component, event: Mapping[str, Any], pushing: Pushing) -> None:
        fields = {"AppId": component.app_id, "CreateTime": int(self._clock()), **event}
        text = xml(fields)
        if pushing.malformed:
            text = text.removesuffix(b"</xml>") + b"<xml>"
        for _ in range(pushing.events):
            request = self._request(component, text, component.callback.url, "AppId")
            self._notify(replace(request, late=pushing.late))

    def _request(self, component: Component, text: bytes, url: str, receiver: str) -> PushRequest:
        """A request in secure mode, which is the only one of platforms."""
        callback = component.callback
        assert callback.encoding_aes_key is not None  # noqa: S101 # nosec B101 # the control API holds it
        encrypted = encrypt(callback.encoding_aes_key, text, component.app_id)
        timestamp, nonce = str(int(self._clock())), str(self._rng.randrange(10**8, 10**9))
        query = {
            "signature": sign(callback.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "encrypt_type": "aes",
            "msg_signature": sign(callback.token, timestamp, nonce, encrypted),
        }
        body = xml({receiver: component.app_id, "Encrypt": encrypted})
        return PushRequest(f"{url}?{urlencode(query)}", body, "text/xml")

    def _refresh_token(self) -> str:
        return f"refreshtoken@@@{self._text(43)}"

    def _text(self, length: int) -> str:
        return "".join(self._rng.choices(_ALPHABET, k=length))
