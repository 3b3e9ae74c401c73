"""A third-party platform as the core meets it: WeChat's side of it, and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.errors import (
    AccountTakenError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.platform.ports import (
    Authorization,
    AuthorizerGrant,
    Component,
    Merchant,
    PreAuthCode,
)
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import Grant

T = TypeVar("T")
APP_ID = "wxplatform"


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Steps:
    """Counts every call to WeChat and to the store; the process can end before or after any of them."""

    kill_at: int | None = None
    taken: int = 0

    def step(self, effect: Callable[[], T]) -> T:
        self._point()
        result = effect()
        self._point()
        return result

    def _point(self) -> None:
        self.taken += 1
        if self.taken == self.kill_at:
            raise Killed


class FakePlatform:
    """WeChat's side: a call for a token makes a new one, and voids the refresh token that came with it."""

    def __init__(self, steps: Steps | None = None) -> None:
        self.steps = steps or Steps()
        self.calls: list[str] = []
        self.component_token_now = ""
        self.refresh_tokens: dict[str, str] = {}
        self.access_tokens: dict[str, str] = {}
        self.codes: dict[str, str] = {}
        self.permissions: tuple[int, ...] = (7, 89)
        self.refuse_ticket: int | None = None
        self.refuse_push: int | None = None
        self.listed: dict[str, str | None] | None = None
        self.texts: list[tuple[str, str, str]] = []
        self._issued = 0

    def start_ticket_push(self, component: Component) -> None:
        assert component.app_secret
        self._call("start_ticket_push")
        if self.refuse_push:
            raise refused(self.refuse_push)

    def component_token(self, component: Component, ticket: str) -> Grant:
        def issue() -> Grant:
            assert (component.app_id, ticket[:7]) == (APP_ID, "ticket-")
            if self.refuse_ticket:
                raise refused(self.refuse_ticket)
            self.component_token_now = self._new("component")
            return Grant(self.component_token_now, 7200.0)

        return self._call("component_token", issue)

    def pre_auth_code(self, component: Component, token: str) -> PreAuthCode:
        def issue() -> PreAuthCode:
            self._check(component, token)
            return PreAuthCode(component.app_id, self._new("code"), 1800.0)

        return self._call("pre_auth_code", issue)

    def query_auth(self, component: Component, token: str, code: str) -> Authorization:
        def exchange() -> Authorization:
            self._check(component, token)
            if code not in self.codes:
                raise refused(61010)
            app_id = self.codes.pop(code)
            return Authorization(app_id, self._renew(app_id), self.permissions)

        return self._call("query_auth", exchange)

    def authorizer_token(
        self, component: Component, token: str, app_id: str, refresh_token: str
    ) -> AuthorizerGrant:
        def exchange() -> AuthorizerGrant:
            self._check(component, token)
            if self.refresh_tokens.get(app_id) != refresh_token:
                raise refused(61023)
            return self._renew(app_id)

        return self._call("authorizer_token", exchange)

    def listed_refresh_token(self, component: Component, token: str, app_id: str) -> str | None:
        def look() -> str | None:
            self._check(component, token)
            return (self.refresh_tokens if self.listed is None else self.listed).get(app_id)

        return self._call("listed_refresh_token", look)

    def send_text(self, token: str, openid: str, text: str) -> None:
        self._call("send_text", lambda: self.texts.append((token, openid, text)))

    def authorize(self, app_id: str, code: str) -> None:
        """A merchant's administrator confirms the page."""
        self.codes[code] = app_id

    def lose(self, app_id: str) -> None:
        """The merchant's refresh token becomes another one, which nobody was told."""
        self._renew(app_id)

    def _renew(self, app_id: str) -> AuthorizerGrant:
        self.refresh_tokens[app_id] = self._new("refresh")
        self.access_tokens[app_id] = self._new("access")
        return AuthorizerGrant(Grant(self.access_tokens[app_id], 7200.0), self.refresh_tokens[app_id])

    def _check(self, component: Component, token: str) -> None:
        assert component.app_id == APP_ID
        if token != self.component_token_now:
            raise refused(42001)

    def _new(self, name: str) -> str:
        self._issued += 1
        return f"{name}-{self._issued}"

    def _call(self, name: str, effect: Callable[[], T] | None = None) -> T:
        self.calls.append(name)
        return self.steps.step(effect or (lambda: None))  # type: ignore[return-value]


def refused(errcode: int) -> TokenUnavailableError:
    hint = Bilingual(f"What to do about {errcode}.", f"如何处理 {errcode}。")
    return TokenUnavailableError(Outcome(Status.FAILED, ErrorClass.PLATFORM, hint, errcode=errcode))


@dataclass
class FakePlatformStore:
    """What is stored; ``failing`` are the names of methods that do not answer."""

    steps: Steps = field(default_factory=Steps)
    components: dict[str, Component] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    ticket_requests: dict[str, float] = field(default_factory=dict)
    merchants: dict[str, Merchant] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    access_tokens: dict[str, object] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)

    def read_component(self, component: str) -> Component:
        if component not in self.components:
            raise UnknownAccountError(component)
        return self.components[component]

    def read_ticket(self, component: str) -> Ticket | None:
        self._fail("read_ticket")
        return self.tickets.get(component)

    def read_ticket_request(self, component: str) -> float:
        return self.ticket_requests.get(component, 0.0)

    def save_ticket_request(self, component: str, at: float) -> None:
        self.steps.step(lambda: self.ticket_requests.update({component: at}))

    def read_merchant(self, account: str) -> Merchant | None:
        if account in self.others:
            raise AccountTakenError(account)
        return self.merchants.get(account)

    def save_merchant(self, merchant: Merchant) -> None:
        self.writes.append("merchant")
        self.steps.step(lambda: self.merchants.update({merchant.account: merchant}))

    def read_refresh_token(self, account: str) -> str | None:
        self._fail("read_refresh_token")
        return self.refresh_tokens.get(account)

    def save_refresh_token(self, account: str, refresh_token: str) -> None:
        self._fail("save_refresh_token")
        self.writes.append("refresh token")
        self.steps.step(lambda: self.refresh_tokens.update({account: refresh_token}))

    def delete_tokens(self, account: str) -> None:
        self.writes.append("deleted")
        self.refresh_tokens.pop(account, None)
        self.access_tokens.pop(account, None)

    def _fail(self, method: str) -> None:
        if method in self.failing:
            raise StorageError(method, "ThrottlingException")
