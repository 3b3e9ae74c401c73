"""Bugs of the access tokens: what is refreshed, when it is forced and what is used again."""

from __future__ import annotations

from datetime import timezone
from typing import Any

from tests.simulation.planted_bugs.bug import Patches, bug, in_place_of
from wechat_notify.core.delivery import sender
from wechat_notify.core.tokens import refresher
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.wechat.client import WeChatClient


@in_place_of(TokenRefresher, "replace", breaks="one rejected token, one refresh")
def refresh_without_compare(_right: Any, self: TokenRefresher, account: str, rejected: str | None) -> Any:
    """Every rejected sender makes the refresher call WeChat."""
    return self._renew(self._store.load(account), rejected)


@in_place_of(WeChatClient, "fetch_token", breaks="forced refreshes are half a minute apart")
def force_always(right: Any, *args: Any, force: bool) -> Any:  # noqa: ARG001 - the bug
    """The refresher always asks by force, and does not count it."""
    return right(*args, force=True)


@bug(breaks="a rejected token fails no message")
def rejected_token_kept() -> Patches:
    """A rejected token is used again."""
    return [(AccessTokens, "replace", lambda _self, _account, rejected, _max_wait: rejected)]


@bug(breaks="a rejected token fails no message")
def rejected_by_one_code() -> Patches:
    """Not every code that rejects a token is known."""
    return [(sender, "REJECTED_TOKEN", frozenset({40001, 40014, 42001}))]


@bug(breaks="a token is forced as soon as a new day allows it")
def forced_by_utc_day() -> Patches:
    """Forced refreshes are counted by the day in UTC."""
    return [(refresher, "BEIJING", timezone.utc)]  # noqa: UP017 - beside the other time zones


@bug(breaks="forced refreshes are half a minute apart")
def forced_count_forgotten() -> Patches:
    """A stale read loses the count of forced refreshes."""
    return [(refresher, "_with_newest_use", lambda token, _known: token)]
