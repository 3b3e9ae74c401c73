"""Bugs of the access tokens: what is refreshed, when it is forced and what is used again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone
from typing import Any

from tests.simulation.planted_bugs.bug import Bug, Patch
from wechat_notify.core.delivery import sender
from wechat_notify.core.tokens import refresher
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken
from wechat_notify.wechat.client import WeChatClient


def _refresh_without_compare() -> Sequence[Patch]:
    def swap(self: TokenRefresher, account: str, rejected: str | None) -> Any:
        return self._renew(self._store.load(account), rejected)

    return [(TokenRefresher, "replace", swap)]


def _force_always() -> Sequence[Patch]:
    before = WeChatClient.fetch_token

    def fetch(self: WeChatClient, app_id: str, app_secret: str, *, force: bool) -> Any:  # noqa: ARG001 - the bug
        return before(self, app_id, app_secret, force=True)

    return [(WeChatClient, "fetch_token", fetch)]


def _rejected_token_kept() -> Sequence[Patch]:
    def keep(self: AccessTokens, account: str, rejected: AccessToken, max_wait: float) -> AccessToken:  # noqa: ARG001
        return rejected

    return [(AccessTokens, "replace", keep)]


def _rejected_by_one_code() -> Sequence[Patch]:
    return [(sender, "REJECTED_TOKEN", frozenset({40001, 40014, 42001}))]


def _forced_by_utc_day() -> Sequence[Patch]:
    return [(refresher, "BEIJING", timezone.utc)]  # noqa: UP017 - beside the other time zones


def _forced_count_forgotten() -> Sequence[Patch]:
    return [(refresher, "_with_newest_use", lambda token, _known: token)]


BUGS = (
    Bug(
        "refresh_without_compare",
        "every rejected sender makes the refresher call WeChat",
        "one rejected token, one refresh",
        _refresh_without_compare,
    ),
    Bug(
        "force_always",
        "the refresher always asks by force, and does not count it",
        "forced refreshes are half a minute apart",
        _force_always,
    ),
    Bug(
        "rejected_token_kept",
        "a rejected token is used again",
        "a rejected token fails no message",
        _rejected_token_kept,
    ),
    Bug(
        "rejected_by_one_code",
        "not every code that rejects a token is known",
        "a rejected token fails no message",
        _rejected_by_one_code,
    ),
    Bug(
        "forced_by_utc_day",
        "forced refreshes are counted by the day in UTC",
        "a token is forced as soon as a new day allows it",
        _forced_by_utc_day,
    ),
    Bug(
        "forced_count_forgotten",
        "a stale read loses the count of forced refreshes",
        "forced refreshes are half a minute apart",
        _forced_count_forgotten,
    ),
)
