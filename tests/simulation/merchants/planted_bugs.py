"""Bugs of platforms to be put into the service one at a time, each of which the oracle must catch."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from tests.simulation.merchants.oracle import LEFT, NOT_CUT_OFF, PERMISSIONS, STORED_FIRST
from tests.simulation.planted_bugs.bug import Bug, in_place_of
from wechat_notify.aws.platform_parameters import PlatformParameters
from wechat_notify.core.platform.authorizations import Authorizations
from wechat_notify.core.platform.sources import MerchantTokens
from wechat_notify.wechat.platform import PlatformClient


@in_place_of(Authorizations, "_known", breaks=NOT_CUT_OFF)
def order_is_that_of_arrival(right: Any, self: Authorizations, *merchant: str) -> Any:
    """An event counts when it comes, whenever it was: an older ``unauthorized`` ends what came since."""
    return replace(right(self, *merchant), authorized_at=0, revoked_at=None)


@in_place_of(PlatformClient, "listed_refresh_token", breaks=NOT_CUT_OFF)
def nothing_is_looked_up(_right: Any, *_: Any) -> None:
    """What was lost between WeChat's answer and the store stays lost."""


@in_place_of(MerchantTokens, "_exchanged", breaks=STORED_FIRST)
def refresh_token_comes_later(right: Any, self: MerchantTokens, refresh_token: str) -> Any:
    """The access token is handed on before the refresh token that came with it is stored."""
    save, self._store.save_refresh_token = self._store.save_refresh_token, lambda *_: None  # type: ignore[method-assign]
    try:
        return right(self, refresh_token)
    finally:
        self._store.save_refresh_token = save  # type: ignore[method-assign]


@in_place_of(Authorizations, "_bought", breaks=PERMISSIONS)
def first_permissions_stay(right: Any, self: Authorizations, merchant: Any, code: str) -> Any:
    """An update brings tokens, and the permission sets of before."""
    tokens, permissions = right(self, merchant, code)
    return tokens, merchant.permissions or permissions


@in_place_of(PlatformParameters, "delete_tokens", breaks=LEFT)
def tokens_are_kept(_right: Any, *_: Any) -> None:
    """Who left is noted, and sent for as before."""


BUGS = {name: found for name, found in list(vars().items()) if isinstance(found, Bug)}


def plant(name: str) -> AbstractContextManager[None]:
    """Have the bug of this name for a while."""
    return BUGS[name].planted()
