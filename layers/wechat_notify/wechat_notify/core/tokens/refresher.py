"""Keeps the stored tokens fresh: one at a time may run, the only one that asks WeChat and that writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

from wechat_notify.core.clocks import SecondsLeft
from wechat_notify.core.errors import NotAPlatformError, StorageError, TokenUnavailableError
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.access_tokens import BUSY, STORE_DOWN, unavailable
from wechat_notify.core.tokens.token import AccessToken, Account, Grant

FORCED_A_DAY = 20
FORCED_APART = 30.0
"""Seconds between two forced refreshes."""
_FORCED_APART_MARGIN = 10.0
"""Seconds on top: the use is written down before WeChat hears of it, and SSM may take seconds for that."""
BEIJING = timezone(timedelta(hours=8))
_EXPIRY_DRIFT = 60.0
"""``expires_in`` counts whole seconds and the answer travels; a difference below this is no change."""
_IN_VAIN_FOR = 5.0
"""Seconds for which WeChat is not asked again about a token that it hands out and rejects."""
_COMPONENT_FAILED_FOR = 60.0
"""The same of a third-party platform's token, for which all its merchants ask; such calls are limited."""
_CONCURRENT_ACCOUNTS = 16
_NEXT_RUN = 420.0
"""Seconds until the next run of the schedule has ended: it begins in 300, and takes 120 at most."""
TIME_FOR_A_REFRESH = 58.0
"""Seconds that one account may take at worst: two calls to WeChat, a write before and one after the second
that SSM throttles, and the events at the end."""


class AccountStore(Protocol):
    """The refresher's side of the parameter store; every method raises ``StorageError``."""

    def load(self, account: str) -> Account:
        """One account; raises ``UnknownAccountError``."""

    def load_all(self) -> Iterator[Account]:
        """Every account that has credentials."""

    def save(self, account: str, token: AccessToken, *, sends: bool = True) -> None:
        """Replace the stored token; ``sends`` as in the account."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The refresher's result for one account.

    ``failure`` is None where there is a token; ``calls`` counts calls to WeChat's token endpoint;
    ``stored`` is False where the store refused a token that is good all the same. ``kept`` is the token that
    was in the store before, whatever it is still good for.
    """

    account: str
    token: AccessToken | None = None
    failure: Outcome | None = None
    calls: int = 0
    forced: bool = False
    changed: bool = False
    stored: bool = True
    kept: AccessToken | None = field(default=None, compare=False)  # what was found, and no result

    @property
    def best(self) -> AccessToken | None:
        """The newest token that is known, None where the account never had one."""
        return self.token or self.kept


class TokenRefresher:
    """Keeps the stored tokens fresh. One at a time may run: it is the only writer."""

    def __init__(self, store: AccountStore, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._forced: dict[str, AccessToken] = {}
        self._failures: dict[str, tuple[str | None, Outcome, float]] = {}
        self._component_lock = threading.Lock()

    def refresh_all(self, seconds_left: SecondsLeft) -> list[Refreshed]:
        """Every account, concurrently; one account's failure stops no other. In order of name.

        WeChat is asked each time, though a token lives for two hours: a wrong secret or a missing IP
        address shows within minutes, and a token that WeChat replaced by itself is noticed.

        Parameters
        ----------
        seconds_left : Callable
            Seconds until the function is stopped. Accounts that it has no time for are reported as failed,
            but for those whose tokens last beyond the next run.
        """

        def renew(account: Account) -> Refreshed:
            if seconds_left() < TIME_FOR_A_REFRESH:
                if account.token and account.token.usable(self._now() + _NEXT_RUN):
                    return Refreshed(account.name, account.token)
                return Refreshed(account.name, failure=_NO_TIME, kept=account.token)
            try:
                return self._renew(account)
            except Exception as error:  # noqa: BLE001 - the other accounts' results are to be reported too
                failure = _on_unexpected_error(type(error).__name__)
                return Refreshed(account.name, failure=failure, kept=account.token)

        # Where the time does not suffice for all, it is spent on those whose tokens end first.
        accounts = sorted(
            self._store.load_all(), key=lambda account: account.token.expires_at if account.token else 0.0
        )
        # Third-party platforms first: their merchants' tokens are had with theirs.
        results: list[Refreshed] = []
        for sends in (False, True):
            if stage := [account for account in accounts if account.sends is sends]:
                with ThreadPoolExecutor(min(_CONCURRENT_ACCOUNTS, len(stage))) as pool:
                    results += pool.map(renew, stage)
        return sorted(results, key=lambda result: result.account)

    def refresh(self, account: str) -> Refreshed:
        """One account on demand, as the schedule would; raises ``UnknownAccountError``, ``StorageError``."""
        return self._renew(self._store.load(account))

    def replace(self, account: str, rejected: str | None) -> Refreshed:
        """Answer a sender that has no usable token, or whose token WeChat rejected.

        WeChat is asked only if the stored token is still the rejected one, so that many senders
        that were rejected together cause one call.

        Parameters
        ----------
        account : str
            The account's name.
        rejected : str or None
            The digest of the token that failed, None where the sender found none to use.

        Raises
        ------
        UnknownAccountError, StorageError
            As the store does.
        """
        stored = self._store.load(account)
        if not stored.sends:
            return Refreshed(account, failure=_SENDS_NOTHING)
        return self._replace(stored, rejected)

    def component_token(self, component: str, rejected: str | None = None) -> AccessToken:
        """The token of a third-party platform, for the calls that its merchants' tokens need.

        Of several threads that were rejected together the first one has it replaced. A refusal of WeChat's
        answers all that ask the same for a minute. So does a new token that cannot be stored: each merchant
        would have another one made, only to get a refresh token that cannot be stored either.

        Parameters
        ----------
        component, rejected
            As ``account`` and ``rejected`` of ``replace``.

        Raises
        ------
        UnknownAccountError, NotAPlatformError
            There are no credentials of a third-party platform under this name.
        TokenUnavailableError, StorageError
            As elsewhere.
        """
        with self._component_lock:
            stored = self._store.load(component)
            if stored.sends and stored.source:
                raise NotAPlatformError(component)
            result = self._replace(stored, rejected)
            if failure := result.failure or (None if result.stored else STORE_DOWN):
                if failure.errcode is not None or failure.cause or not result.stored:
                    # It cost a call; a missing ticket costs none.
                    until = self._now() + _COMPONENT_FAILED_FOR
                    self._failures.setdefault(component, (rejected, failure, until))
                raise TokenUnavailableError(failure)
        self._failures.pop(component, None)
        assert result.token  # noqa: S101 # nosec B101 # there is no failure
        return result.token

    def _replace(self, stored: Account, rejected: str | None) -> Refreshed:
        if stored.token and stored.token.usable(self._now()) and stored.token.digest != rejected:
            return Refreshed(stored.name, stored.token)
        question, failure, until = self._failures.get(stored.name, (None, BUSY, 0.0))
        if question == rejected and self._now() < until:
            return Refreshed(stored.name, failure=failure)
        self._failures.pop(stored.name, None)
        return self._renew(stored, rejected)

    def _renew(self, account: Account, rejected: str | None = None) -> Refreshed:
        """Fetch in normal mode; force only if that hands back the very token that was rejected."""
        if account.source is None:
            problem = _unusable_credentials(account.problem)
            return Refreshed(account.name, failure=problem, kept=account.token)
        calls, forced, kept = 1, False, account.token
        try:
            token = self._token(account, account.source.fetch(force=False), kept)
            if token.digest == rejected:
                try:
                    kept = self._reserve_forced(account, token)
                except TokenUnavailableError as error:
                    # Until another may be forced, everybody who was rejected would cost one call.
                    pause = min(_IN_VAIN_FOR, error.outcome.retry_after or _IN_VAIN_FOR)
                    self._failures[account.name] = (rejected, error.outcome, self._now() + pause)
                    raise
                calls, forced = 2, True
                token = self._token(account, account.source.fetch(force=True), kept)
        except TokenUnavailableError as error:
            return Refreshed(account.name, None, error.outcome, calls, forced, kept=account.token)
        if token.digest == rejected:
            return Refreshed(account.name, None, _NOT_REPLACED, calls, forced, kept=account.token)
        changed = kept is None or (
            _of_account(token) != _of_account(kept) or abs(token.expires_at - kept.expires_at) > _EXPIRY_DRIFT
        )
        stored = True
        if changed:
            try:
                self._store.save(account.name, token, sends=account.sends)
            except StorageError:
                stored = False  # the token is good: whoever asked gets it, the next run stores it
        return Refreshed(account.name, token, None, calls, forced, changed, stored)

    def _token(self, account: Account, grant: Grant, kept: AccessToken | None) -> AccessToken:
        now = self._now()
        token = AccessToken(
            grant.value,
            now + grant.expires_in,
            now,
            permissions=grant.permissions,
            app_id=account.app_id,
            consents=account.consents,
        )
        if kept is not None:
            obtained_at = kept.obtained_at if grant.value == kept.value else now
            token = replace(
                kept,
                value=token.value,
                expires_at=token.expires_at,
                obtained_at=obtained_at,
                permissions=grant.permissions,
                app_id=account.app_id,
                consents=account.consents,
            )
        # The store may show an older version for a moment; this process wrote the newest itself.
        return _with_newest_use(token, self._forced.get(account.name))

    def _reserve_forced(self, account: Account, token: AccessToken) -> AccessToken:
        """Write down the use of one forced refresh before it is used, so that no crash loses it."""
        now = self._now()
        today = datetime.fromtimestamp(now, BEIJING).date().isoformat()
        count = token.forced_count if token.forced_day == today else 0
        wait = token.forced_at + FORCED_APART + _FORCED_APART_MARGIN - now
        if wait > 0:
            raise TokenUnavailableError(_forced_too_soon(wait))
        if count >= FORCED_A_DAY:
            raise TokenUnavailableError(_FORCED_USED_UP)
        reserved = replace(token, forced_day=today, forced_count=count + 1, forced_at=now)
        try:
            self._store.save(account.name, reserved, sends=account.sends)
        except StorageError:
            raise TokenUnavailableError(_FORCED_NOT_COUNTED) from None
        self._forced[account.name] = reserved
        return reserved


def _of_account(token: AccessToken) -> tuple[object, ...]:
    """The fields that are stored anew where they differ, whatever is left of the token's time."""
    return token.value, token.permissions, token.app_id, token.consents


def _with_newest_use(token: AccessToken, known: AccessToken | None) -> AccessToken:
    if known is None or known.forced_at <= token.forced_at:
        return token
    return replace(
        token, forced_day=known.forced_day, forced_count=known.forced_count, forced_at=known.forced_at
    )


def _unusable_credentials(problem: Bilingual | None) -> Outcome:
    assert problem  # noqa: S101 # nosec B101 # an account without a source has one
    return unavailable(
        ErrorClass.CONFIG,
        f"The account's credentials parameter cannot be used: {problem.en}.",
        f"该账号的凭证参数无法使用：{problem.zh}。",
        retryable=False,
        holds=HoldScope.ACCOUNT,
    )


def _on_unexpected_error(error: str) -> Outcome:
    return unavailable(
        ErrorClass.OTHER,
        f"The refresh failed with an unexpected error ({error}).",
        f"刷新时发生未预料的错误（{error}）。",
    )


def _forced_too_soon(wait: float) -> Outcome:
    return unavailable(
        ErrorClass.TOKEN,
        "WeChat rejects the account's token and it was replaced less than 30 s ago.",
        "微信拒绝了该账号的 access_token，而距上次强制刷新不足 30 秒。",
        wait,
    )


_NO_TIME = unavailable(
    ErrorClass.TRANSIENT,
    "The refresh of all accounts ran out of time before this one; the next run comes in 5 minutes.",
    "刷新全部账号时超时，未轮到该账号，下次刷新在 5 分钟后。",
)
_SENDS_NOTHING = unavailable(
    ErrorClass.CONFIG,
    "The account is a third-party platform, which sends no messages: name the merchant's account.",
    "该账号是第三方平台，不能发送消息：请使用授权商家的账号名。",
    retryable=False,
)
_NOT_REPLACED = unavailable(
    ErrorClass.TOKEN,
    "WeChat hands out the token that it rejects, even after a forced refresh.",
    "强制刷新后微信仍返回被拒绝的 access_token。",
    FORCED_APART,
    holds=HoldScope.ACCOUNT,
)
_FORCED_USED_UP = unavailable(
    ErrorClass.TOKEN,
    "WeChat rejects the account's token and today's 20 forced refreshes are used up.",
    "微信拒绝了该账号的 access_token，且今天的 20 次强制刷新已用完。",
    600.0,
    holds=HoldScope.ACCOUNT,
)
_FORCED_NOT_COUNTED = unavailable(
    ErrorClass.TRANSIENT,
    "WeChat rejects the account's token; it is not replaced while the store cannot count that.",
    "微信拒绝了该账号的 access_token；存储不可用、无法计数时不强制刷新。",
    2.0,
)
