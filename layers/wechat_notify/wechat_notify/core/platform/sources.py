"""The token sources of a platform and of its merchants.

Unlike ``stable_token``, both calls make a new token each time, and their number is limited: WeChat is asked
where the stored token is missing, was rejected, or ends soon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.errors import (
    NotAPlatformError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.platform import refusals
from wechat_notify.core.platform.ports import (
    AuthorizerGrant,
    Component,
    Merchant,
    PlatformApi,
    PlatformStore,
)
from wechat_notify.core.tokens.access_tokens import STORE_DOWN
from wechat_notify.core.tokens.token import AccessToken, Grant

T = TypeVar("T")

RENEWED_BEFORE: Final = 900.0
"""Seconds before its end from which a token is renewed: three scheduled runs."""
TICKET_OVERDUE: Final = 1800.0
"""Seconds without a ticket, which comes every 10 minutes, after which WeChat is asked to push; and seconds
between two such requests that it granted."""
TICKET_LIFE: Final = 12 * 3600.0
"""Seconds for which WeChat accepts a ticket."""
REJECTED_COMPONENT_TOKEN: Final = frozenset({40001, 40014, 40094, 42001, 42006, 48012})
"""The errcodes by which a call of a platform says that its token is not good."""
INVALID_REFRESH_TOKEN: Final = frozenset({40030, 42002, 61023})
"""The errcodes by which it says so of a merchant's refresh token."""


class ComponentTokens:
    """The token source of a third-party platform; ``stored`` is the token that it has."""

    def __init__(
        self,
        component: Component,
        stored: AccessToken | None,
        store: PlatformStore,
        api: PlatformApi,
        *,
        now: Callable[[], float],
    ) -> None:
        self._component = component
        self._stored = stored
        self._store = store
        self._api = api
        self._now = now

    def fetch(self, *, force: bool) -> Grant:
        """The stored token while it lasts, or a new one; raises ``TokenUnavailableError``."""
        try:
            ticket = self._store.read_ticket(self._component.account)
            if ticket and ticket.component_appid != self._component.app_id:
                ticket = None
            refused = self._request_ticket(ticket)
        except StorageError:
            raise TokenUnavailableError(STORE_DOWN) from None
        if not force and (grant := _still_good(self._stored, self._component.app_id, self._now())):
            return grant
        if ticket is None or ticket.at < self._now() - TICKET_LIFE:
            raise refused or TokenUnavailableError(refusals.NO_TICKET)
        return self._api.component_token(self._component, ticket.ticket)

    def _request_ticket(self, ticket: Ticket | None) -> TokenUnavailableError | None:
        """Ask WeChat to push tickets where none came; the reason where it does not."""
        now, account = self._now(), self._component.account
        if ticket and ticket.at > now - TICKET_OVERDUE:
            return None
        if self._store.read_ticket_request(account) > now - TICKET_OVERDUE:
            return None
        try:
            self._api.start_ticket_push(self._component)
        except TokenUnavailableError as error:
            return error  # the next run asks again, and says again why there is no ticket
        self._store.save_ticket_request(account, now)
        return None


class TokenOfComponent(Protocol):
    """The refresher, as the calls of a platform need it."""

    def component_token(self, component: str, rejected: str | None = None) -> AccessToken:
        """A token that is not the one whose digest was ``rejected``."""


class ComponentCalls:
    """Makes the calls of platforms, each with its platform's stored token."""

    def __init__(self, store: PlatformStore, tokens: TokenOfComponent) -> None:
        self._store = store
        self._tokens = tokens

    def make(self, component: str, call: Callable[[Component, str], T]) -> T:
        """Make a call; where WeChat rejects the platform's token, once more with another one.

        Raises ``TokenUnavailableError``.
        """
        try:
            credentials = self._store.read_component(component)
            token = self._tokens.component_token(component)
            try:
                return call(credentials, token.value)
            except TokenUnavailableError as error:
                if error.outcome.errcode not in REJECTED_COMPONENT_TOKEN:
                    raise
            token = self._tokens.component_token(component, token.digest)
            return call(credentials, token.value)
        except (UnknownAccountError, NotAPlatformError):
            raise TokenUnavailableError(refusals.no_component(component)) from None
        except StorageError:
            raise TokenUnavailableError(STORE_DOWN) from None


class MerchantTokens:
    """The token source of a merchant; ``stored`` is the token that it has."""

    def __init__(
        self,
        merchant: Merchant,
        stored: AccessToken | None,
        store: PlatformStore,
        api: PlatformApi,
        calls: ComponentCalls,
        *,
        now: Callable[[], float],
    ) -> None:
        self._merchant = merchant
        self._stored = stored
        self._store = store
        self._api = api
        self._calls = calls
        self._now = now

    def fetch(self, *, force: bool) -> Grant:
        """The stored token while it lasts, or a new one; raises ``TokenUnavailableError``.

        A refresh token that WeChat does not know is looked up once in its list of all.
        """
        if self._merchant.revoked_at is not None:
            raise TokenUnavailableError(refusals.REVOKED)
        app_id = self._merchant.app_id
        grant = None if force else _still_good(self._stored, app_id, self._now())
        if grant is None:
            try:
                grant = self._renewed()
            except StorageError:
                raise TokenUnavailableError(STORE_DOWN) from None
        return Grant(grant.value, grant.expires_in, self._merchant.permissions)

    def _renewed(self) -> Grant:
        refresh_token = self._store.read_refresh_token(self._merchant.account)
        if refresh_token is not None:
            try:
                return self._exchanged(refresh_token)
            except TokenUnavailableError as error:
                if error.outcome.errcode not in INVALID_REFRESH_TOKEN:
                    raise
        listed = self._calls.make(
            self._merchant.component,
            lambda component, token: self._api.listed_refresh_token(component, token, self._merchant.app_id),
        )
        if listed is None or listed == refresh_token:
            raise TokenUnavailableError(refusals.LOST)
        self._store.save_refresh_token(self._merchant.account, listed)
        try:
            return self._exchanged(listed)
        except TokenUnavailableError as error:
            if error.outcome.errcode in INVALID_REFRESH_TOKEN:
                raise TokenUnavailableError(refusals.LOST) from None
            raise

    def _exchanged(self, refresh_token: str) -> Grant:
        """An access token; the refresh token that comes with it is stored first, or the merchant is lost."""

        def exchange(component: Component, token: str) -> AuthorizerGrant:
            return self._api.authorizer_token(component, token, self._merchant.app_id, refresh_token)

        answer = self._calls.make(self._merchant.component, exchange)
        if answer.refresh_token != refresh_token:
            self._store.save_refresh_token(self._merchant.account, answer.refresh_token)
        return answer.grant


def _still_good(stored: AccessToken | None, app_id: str, now: float) -> Grant | None:
    """The stored token; None where it ends soon, or is of an app that stood there before."""
    if stored is None or stored.expires_at - now <= RENEWED_BEFORE or stored.app_id not in {app_id, None}:
        return None
    return Grant(stored.value, stored.expires_at - now)
