"""The parts of the function token_refresh.

Where a token comes from belongs to the type of the account's credentials, and to nothing else.
"""

from __future__ import annotations

import time
from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.parameters import Accounts, AppCredentials, ComponentCredentials, Credentials
from wechat_notify.aws.platform_parameters import PlatformParameters
from wechat_notify.core.platform.authorizations import Authorizations
from wechat_notify.core.platform.sources import ComponentCalls, ComponentTokens, MerchantTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken, Grant, TokenSource
from wechat_notify.wechat.platform import PlatformClient


class _AppTokens:
    """The token source of credentials of the type ``app``: WeChat's ``stable_token``."""

    def __init__(self, credentials: AppCredentials) -> None:
        self._credentials = credentials

    def fetch(self, *, force: bool) -> Grant:
        app_id, app_secret = self._credentials.app_id, self._credentials.app_secret
        return bootstrap.wechat().fetch_token(app_id, app_secret, force=force)


def _source(account: str, credentials: Credentials, stored: AccessToken | None) -> TokenSource:
    if isinstance(credentials, AppCredentials):
        return _AppTokens(credentials)
    store, api = _platform_store(), _platform_api()
    if isinstance(credentials, ComponentCredentials):
        return ComponentTokens(credentials.component(account), stored, store, api, now=time.time)
    return MerchantTokens(
        credentials.merchant(account), stored, store, api, _component_calls(), now=time.time
    )


@cache
def _accounts() -> Accounts:
    return Accounts(bootstrap.aws(), bootstrap.settings().parameter_path, _source)


@cache
def _platform_store() -> PlatformParameters:
    return PlatformParameters(bootstrap.aws(), bootstrap.settings().parameter_path)


@cache
def _platform_api() -> PlatformClient:
    return PlatformClient(bootstrap.wechat_session())


@cache
def _component_calls() -> ComponentCalls:
    return ComponentCalls(_platform_store(), token_refresher())


@cache
def token_refresher() -> TokenRefresher:
    """The refresher of the stored tokens."""
    return TokenRefresher(_accounts(), now=time.time)


@cache
def authorizations() -> Authorizations:
    """The authorizations of third-party platforms."""
    return Authorizations(_platform_store(), _accounts(), _platform_api(), _component_calls(), now=time.time)
