"""Merchants come and go: a page on which they authorize a platform, and the events that say that they did.

Events come twice and out of order, and an invocation can end anywhere: ``CreateTime`` decides what is newer,
and what was done already is done again without harm.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from wechat_notify.core.errors import AccountTakenError, TokenUnavailableError
from wechat_notify.core.platform import refusals
from wechat_notify.core.platform.ports import (
    Authorization,
    AuthorizerGrant,
    Component,
    Merchant,
    PlatformApi,
    PlatformStore,
    PreAuthCode,
)
from wechat_notify.core.platform.sources import ComponentCalls
from wechat_notify.core.tokens.refresher import AccountStore
from wechat_notify.core.tokens.token import AccessToken

USED_CODE: Final = frozenset({61009, 61010})
"""The errcodes by which WeChat says that an authorization code works no more."""


class Change(StrEnum):
    """The change that an event made."""

    AUTHORIZED = "authorized"
    REVOKED = "revoked"
    UNCHANGED = "unchanged"


class Authorizations:
    """Acts on the authorizations of platforms. One at a time may run: it writes tokens."""

    def __init__(
        self,
        store: PlatformStore,
        accounts: AccountStore,
        api: PlatformApi,
        calls: ComponentCalls,
        *,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._api = api
        self._calls = calls
        self._now = now

    def pre_auth_code(self, component: str) -> PreAuthCode:
        """The code of an authorization page; raises ``NotAPlatformError`` and what the others do."""
        self._store.read_component(component)
        return self._calls.make(component, self._api.pre_auth_code)

    def authorize(self, component: str, account: str, app_id: str, code: str, at: int) -> Change:
        """Exchange an authorization code, and make the merchant an account.

        The order is that of what cannot be had again: refresh token, credentials, access token.

        Parameters
        ----------
        component, account, app_id
            The platform's account, the merchant's, and its appid.
        code
            The authorization code of the event.
        at
            The event's ``CreateTime``.

        Raises
        ------
        UnknownAccountError, NotAPlatformError
            There are no credentials of a third-party platform under this name.
        AccountTakenError
            The account exists, and is not this merchant's under this platform.
        TokenUnavailableError
            WeChat did not answer as it must.
        StorageError
            The event is to come again.
        """
        self._store.read_component(component)
        known = self._known(component, account, app_id)
        if at <= known.authorized_at or at < (known.revoked_at or 0):
            return Change.UNCHANGED
        policy = self._accounts.load(component).consents
        tokens, permissions = self._bought(known, code)
        self._store.save_refresh_token(account, tokens.refresh_token)
        self._store.save_merchant(Merchant(account, app_id, component, permissions, at))
        now, grant = self._now(), tokens.grant
        token = AccessToken(
            grant.value,
            now + grant.expires_in,
            now,
            permissions=permissions,
            app_id=app_id,
            consents=policy,
        )
        self._accounts.save(account, token)
        return Change.AUTHORIZED

    def revoke(self, component: str, account: str, app_id: str, at: int) -> Change:
        """End a merchant's authorization: its sends are refused from now on. Raises as ``authorize`` does."""
        self._store.read_component(component)
        known = self._known(component, account, app_id)
        if at < known.authorized_at or at < (known.revoked_at or 0):
            return Change.UNCHANGED
        revoked = Merchant(account, app_id, component, known.permissions, known.authorized_at, at)
        self._store.save_merchant(revoked)
        self._store.delete_tokens(account)
        return Change.REVOKED

    def answer_release_test(self, component: str, account: str, code: str, openid: str) -> None:
        """Send what WeChat's release test waits for, with the token that its code buys.

        The code makes no account. One that the merchant has goes on with the refresh token that came with it.
        """
        authorization = self._query(component, code)
        known = self._store.read_merchant(account)
        of_code = (component, authorization.app_id)
        if known and known.revoked_at is None and (known.component, known.app_id) == of_code:
            self._store.save_refresh_token(account, authorization.tokens.refresh_token)
        self._api.send_text(authorization.tokens.grant.value, openid, f"{code}_from_api")

    def _bought(self, merchant: Merchant, code: str) -> tuple[AuthorizerGrant, tuple[int, ...] | None]:
        """The merchant's tokens and permission sets."""
        try:
            authorization = self._query(merchant.component, code)
        except TokenUnavailableError as error:
            if error.outcome.errcode not in USED_CODE:
                raise
            # It was exchanged, and what it bought was not stored; or the event came too late.
            return self._listed(merchant), None
        if authorization.app_id != merchant.app_id:
            raise TokenUnavailableError(refusals.OTHER_ACCOUNT)
        return authorization.tokens, authorization.permissions

    def _query(self, component: str, code: str) -> Authorization:
        return self._calls.make(
            component, lambda credentials, token: self._api.query_auth(credentials, token, code)
        )

    def _known(self, component: str, account: str, app_id: str) -> Merchant:
        known = self._store.read_merchant(account)
        if known is None:
            return Merchant(account, app_id, component)
        if (known.component, known.app_id) != (component, app_id):
            raise AccountTakenError(account)
        return known

    def _listed(self, merchant: Merchant) -> AuthorizerGrant:
        """The tokens of a merchant whose code works no more, by WeChat's list of all."""

        def listed(component: Component, token: str) -> str | None:
            return self._api.listed_refresh_token(component, token, merchant.app_id)

        refresh_token = self._calls.make(merchant.component, listed)
        if refresh_token is None:
            raise TokenUnavailableError(refusals.NOT_LISTED)

        def exchange(component: Component, token: str) -> AuthorizerGrant:
            return self._api.authorizer_token(component, token, merchant.app_id, refresh_token)

        return self._calls.make(merchant.component, exchange)
