"""Which access token a sender uses, and when WeChat is asked for a new one.

Two sides share one stored token an account: ``AccessTokens`` (every sender: reads, caches, asks)
and ``TokenRefresher`` (one at a time: the only one that calls WeChat's token endpoint and writes).

WeChat's rules that shape this: in normal mode ``stable_token`` gives the same token again with
the seconds that remain, and renews it by itself in the last 5 minutes; a forced refresh voids the
old token at once, and is allowed 20 times a day, at least 30 seconds apart.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

from wechat_notify.core.outcomes import (
    Bilingual,
    ErrorClass,
    Holds,
    Outcome,
    RefresherBusyError,
    Status,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)

FORCED_A_DAY = 20
FORCED_APART = 30.0
"""Seconds between two forced refreshes."""
_FORCED_APART_MARGIN = 10.0
"""Seconds on top: the use is written down before WeChat hears of it, and SSM may take seconds for that."""

BEIJING = timezone(timedelta(hours=8))
_EXPIRY_MARGIN = 10.0
"""Seconds before its expiry from which a token is not used for a new message."""
_EXPIRY_DRIFT = 60.0
"""``expires_in`` counts whole seconds and the answer travels; a difference below this is no change."""
_MAX_AGE = 60.0
"""Seconds after which a cached token is read again (WeChat's own advice: about a minute)."""
_UNKNOWN_FOR = 10.0
"""Seconds for which a sender does not ask the refresher again about an account nobody knows."""
_FAILED_FOR = 2.0
"""Seconds for which a failure answers everyone who asks the same, without waiting for it again."""
LONGEST_LOCK = 5.0
"""Seconds for which a thread without a token waits while another one gets the account's."""
_MAX_CACHED = 10_000
"""Accounts whose tokens are remembered: any name can stand in a message of the queue."""
_IN_VAIN_FOR = 5.0
"""Seconds for which WeChat is not asked again about a token that it hands out and rejects."""
_CONCURRENT_ACCOUNTS = 16
TIME_FOR_A_REFRESH = 58.0
"""Seconds that one account may take at worst: two calls to WeChat, a write before and one after the second
that SSM throttles, and the events at the end."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token; ``expires_at`` and ``obtained_at`` are seconds since the epoch.

    ``forced_day`` (a date in Beijing), ``forced_count`` and ``forced_at`` are the account's
    use of its forced refreshes, kept beside the token because that is written by the same hand.
    """

    value: str
    expires_at: float
    obtained_at: float
    forced_day: str = ""
    forced_count: int = 0
    forced_at: float = 0.0

    def __repr__(self) -> str:
        """Without the token: reprs end in logs and tracebacks."""
        return f"AccessToken(expires_at={self.expires_at:.0f})"

    def usable(self, now: float) -> bool:
        """Whether a message may still be sent with it."""
        return now < self.expires_at - _EXPIRY_MARGIN

    @property
    def digest(self) -> str:
        """How a sender names the token that was rejected without sending it about."""
        return hashlib.sha256(self.value.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Grant:
    """WeChat's answer on the token endpoint; ``expires_in`` is the time *remaining*, in seconds."""

    value: str
    expires_in: float

    def __repr__(self) -> str:
        """Without the token."""
        return f"Grant(expires_in={self.expires_in:.0f})"


class TokenSource(Protocol):
    """Where an account's token comes from: that belongs to its credentials and to nothing else."""

    def fetch(self, *, force: bool) -> Grant:
        """Ask WeChat; raises ``TokenUnavailableError``."""


@dataclass(frozen=True, slots=True)
class Account:
    """What is stored for one account.

    ``source`` is None where the credentials cannot be used; ``problem`` then says why.
    """

    name: str
    source: TokenSource | None
    token: AccessToken | None = None
    problem: Bilingual | None = None


class AccountStore(Protocol):
    """The refresher's side of the parameter store; every method raises ``StorageError``."""

    def load(self, account: str) -> Account:
        """One account; raises ``UnknownAccountError``."""

    def load_all(self) -> Iterator[Account]:
        """Every account that has credentials."""

    def save(self, account: str, token: AccessToken) -> None:
        """Replace the stored token."""


class TokenReader(Protocol):
    """The sender's side of the parameter store."""

    def read(self, account: str) -> AccessToken | None:
        """The stored token, None where there is none; raises ``StorageError``."""


class Refresher(Protocol):
    """How a sender reaches the token refresher."""

    def ask(self, account: str, rejected: str | None) -> AccessToken:
        """A usable token that is not the one whose digest was ``rejected``.

        Raises ``RefresherBusyError``, ``UnknownAccountError``, ``TokenUnavailableError`` or
        ``StorageError``.
        """


class _Cached:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.token: AccessToken | None = None
        self.fresh_until = 0.0
        self.unknown_until = 0.0
        self.failure: Outcome | None = None
        self.failed_question: str | None = None
        self.failed_until = 0.0

    def fresh(self, now: float) -> AccessToken | None:
        """The token, where it can be used and need not be read again."""
        token = self.usable(now)
        return token if token and now < self.fresh_until else None

    def usable(self, now: float) -> AccessToken | None:
        """The token, where it can be used."""
        token = self.token  # once: without the lock it may be gone a moment later
        return token if token and token.usable(now) else None


class AccessTokens:
    """The sender's cache: one token an account, read again before it is too old."""

    def __init__(
        self,
        reader: TokenReader,
        refresher: Refresher,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._reader = reader
        self._refresher = refresher
        self._now = now
        self._sleep = sleep
        self._jitter = jitter
        self._cache: dict[str, _Cached] = {}

    def get(self, account: str, patience: float = 0.0) -> AccessToken:
        """The account's token.

        Parameters
        ----------
        account : str
            The account's name.
        patience : float
            Seconds for which another thread and a busy refresher are waited for, the thread for
            ``LONGEST_LOCK`` in any case.

        Raises
        ------
        UnknownAccountError
            There are no credentials under this name.
        TokenUnavailableError
            WeChat gives no token, or the stores do not answer.
        """
        deadline = self._now() + patience  # the wait for another thread counts
        known = self._cache.get(account)
        # The lock is for those who have to do something about the token.
        token = known.fresh(self._now()) if known else None
        if token:
            return token
        good = known.usable(self._now()) if known else None
        try:
            # While one thread reads the token again, the others go on with the one that is good.
            with self._locked(account, 0.0 if good else None) as cached:
                if token := cached.fresh(self._now()):  # another thread was here first
                    return token
                good = cached.usable(self._now())  # it may have been rejected meanwhile
                if good:
                    return self._read_again(account, cached, good, deadline)
                return self._usable(account, cached, None, deadline)
        except TokenUnavailableError:
            if good and good.usable(self._now()):
                return good
            raise

    def _read_again(self, account: str, cached: _Cached, good: AccessToken, deadline: float) -> AccessToken:
        """The newer of a good token and the stored one; a store that is slow or down changes nothing."""
        try:
            stored = self._reader.read(account)
        except StorageError:
            return self._keep(cached, good)
        if stored is None:  # the account may have been removed
            return self._usable(account, cached, None, deadline)
        is_newer = stored.usable(self._now()) and stored.obtained_at >= good.obtained_at
        return self._keep(cached, stored if is_newer else good)

    def replace(self, account: str, rejected: AccessToken, patience: float) -> AccessToken:
        """Another token than the one that WeChat just rejected; waits and raises as ``get`` does.

        A message is claimed meanwhile, so another thread is waited for no longer than ``patience`` either.
        """
        deadline = self._now() + patience
        with self._locked(account, min(LONGEST_LOCK, patience)) as cached:
            if cached.token and cached.token.value != rejected.value and cached.token.usable(self._now()):
                return cached.token  # another thread was here first
            cached.token = None
            return self._usable(account, cached, rejected.digest, deadline)

    def known(self, account: str) -> bool:
        """Whether something could be sent for the account, now or once its token is fresh again.

        Any stored token says yes, and so does trouble with the stores: the queue will know better.
        """
        known = self._cache.get(account)
        if known and known.token:
            return True
        try:
            with self._locked(account) as cached:
                cached.token = cached.token or self._reader.read(account)
                if cached.token:
                    return True
            self.get(account)
        except UnknownAccountError:
            return False
        except (StorageError, TokenUnavailableError):
            return True
        return True

    @contextmanager
    def _locked(self, account: str, timeout: float | None = None) -> Iterator[_Cached]:
        """The account's entry, for one thread at a time: the others find there what the first one got."""
        cached = self._cache.get(account) or self._new(account)
        if not cached.lock.acquire(timeout=LONGEST_LOCK if timeout is None else timeout):
            raise TokenUnavailableError(_BUSY)
        try:
            yield cached
        finally:
            cached.lock.release()

    def _new(self, account: str) -> _Cached:
        """An account's entry; where there are too many, those without a token go, then the oldest."""
        if len(self._cache) >= _MAX_CACHED:
            known = list(self._cache.items())
            gone = [name for name, cached in known if cached.token is None]
            for name in gone or [name for name, _ in known[: _MAX_CACHED // 2]]:
                self._cache.pop(name, None)
        return self._cache.setdefault(account, _Cached())

    def _usable(self, account: str, cached: _Cached, digest: str | None, deadline: float) -> AccessToken:
        # Threads queue for the lock: each waiting out the same trouble in turn would outlast the function.
        if cached.failure and cached.failed_question == digest and self._now() < cached.failed_until:
            raise TokenUnavailableError(cached.failure)
        try:
            return self._obtain(account, cached, digest, deadline)
        except UnknownAccountError:
            cached.token = None  # or those who do not wait for the lock would go on with it
            raise
        except TokenUnavailableError as error:
            cached.failure, cached.failed_question = error.outcome, digest
            cached.failed_until = self._now() + _FAILED_FOR
            raise

    def _obtain(self, account: str, cached: _Cached, digest: str | None, deadline: float) -> AccessToken:
        longest = 0.4
        while True:
            try:
                stored = self._reader.read(account)
                if stored and stored.usable(self._now()) and stored.digest != digest:
                    return self._keep(cached, stored)
                unread = False
            except StorageError:
                unread = True  # the refresher may still answer
            if not unread and self._now() < cached.unknown_until:
                raise UnknownAccountError(account)
            try:
                return self._keep(cached, self._refresher.ask(account, digest))
            except UnknownAccountError:
                cached.unknown_until = self._now() + _UNKNOWN_FOR
                raise
            except RefresherBusyError:
                # Whoever holds the refresher is most likely renewing this very token.
                left = deadline - self._now()
                if left <= 0:
                    raise TokenUnavailableError(_BUSY) from None
                self._sleep(min(left, self._jitter(0.1, longest)))
                longest = min(2.0, longest * 1.5)
            except StorageError:
                raise TokenUnavailableError(_STORE_DOWN) from None

    def _keep(self, cached: _Cached, token: AccessToken) -> AccessToken:
        cached.token = token
        cached.fresh_until = self._now() + self._jitter(_MAX_AGE / 2, _MAX_AGE)
        return token


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What the refresher did for one account.

    ``failure`` is None where there is a token; ``calls`` counts calls to WeChat's token endpoint;
    ``stored`` is False where the store refused a token that is good all the same.
    """

    account: str
    token: AccessToken | None = None
    failure: Outcome | None = None
    calls: int = 0
    forced: bool = False
    changed: bool = False
    stored: bool = True


class TokenRefresher:
    """Keeps the stored tokens fresh. One at a time may run: it is the only writer."""

    def __init__(self, store: AccountStore, *, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._forced: dict[str, AccessToken] = {}
        self._in_vain: dict[str, tuple[str | None, Outcome, float]] = {}

    def refresh_all(self, seconds_left: Callable[[], float]) -> list[Refreshed]:
        """Every account, concurrently; one account's failure stops no other. In order of name.

        WeChat is asked each time, though a token lives for two hours: a wrong secret or a missing IP
        address shows within minutes, and a token that WeChat replaced by itself is noticed.

        Parameters
        ----------
        seconds_left : Callable
            Seconds until the function is stopped: accounts that it has no time for are reported as failed.
        """

        def renew(account: Account) -> Refreshed:
            if seconds_left() < TIME_FOR_A_REFRESH:
                return Refreshed(account.name, failure=_NO_TIME)
            try:
                return self._renew(account)
            except Exception as error:  # noqa: BLE001 - the other accounts' results are to be reported too
                return Refreshed(account.name, failure=_unforeseen(type(error).__name__))

        accounts = sorted(self._store.load_all(), key=lambda account: account.name)
        if not accounts:
            return []
        with ThreadPoolExecutor(min(_CONCURRENT_ACCOUNTS, len(accounts))) as pool:
            return list(pool.map(renew, accounts))

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
        if stored.token and stored.token.usable(self._now()) and stored.token.digest != rejected:
            return Refreshed(account, stored.token)
        question, failure, until = self._in_vain.get(account, (None, _BUSY, 0.0))
        if question == rejected and self._now() < until:
            return Refreshed(account, failure=failure)
        return self._renew(stored, rejected)

    def _renew(self, account: Account, rejected: str | None = None) -> Refreshed:
        """Fetch in normal mode; force only if that hands back the very token that was rejected."""
        if account.source is None:
            return Refreshed(account.name, failure=_unusable_credentials(account.problem))
        calls, forced, kept = 1, False, account.token
        try:
            token = self._token(account, account.source.fetch(force=False), kept)
            if token.digest == rejected:
                try:
                    kept = self._reserve_forced(account.name, token)
                except TokenUnavailableError as error:
                    # Until another may be forced, everybody who was rejected would cost one call.
                    pause = min(_IN_VAIN_FOR, error.outcome.retry_after or _IN_VAIN_FOR)
                    self._in_vain[account.name] = (rejected, error.outcome, self._now() + pause)
                    raise
                calls, forced = 2, True
                token = self._token(account, account.source.fetch(force=True), kept)
        except TokenUnavailableError as error:
            return Refreshed(account.name, failure=error.outcome, calls=calls, forced=forced)
        if token.digest == rejected:
            return Refreshed(account.name, failure=_NOT_REPLACED, calls=calls, forced=forced)
        changed = kept is None or (
            token.value != kept.value or abs(token.expires_at - kept.expires_at) > _EXPIRY_DRIFT
        )
        stored = True
        if changed:
            try:
                self._store.save(account.name, token)
            except StorageError:
                stored = False  # the token is good: whoever asked gets it, the next run stores it
        return Refreshed(account.name, token, None, calls, forced, changed, stored)

    def _token(self, account: Account, grant: Grant, kept: AccessToken | None) -> AccessToken:
        now = self._now()
        token = AccessToken(grant.value, now + grant.expires_in, now)
        if kept is not None:
            obtained_at = kept.obtained_at if grant.value == kept.value else now
            token = replace(kept, value=token.value, expires_at=token.expires_at, obtained_at=obtained_at)
        # The store may show an older version for a moment; this process wrote the newest itself.
        return _with_newest_use(token, self._forced.get(account.name))

    def _reserve_forced(self, account: str, token: AccessToken) -> AccessToken:
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
            self._store.save(account, reserved)
        except StorageError:
            raise TokenUnavailableError(_FORCED_NOT_COUNTED) from None
        self._forced[account] = reserved
        return reserved


def _with_newest_use(token: AccessToken, known: AccessToken | None) -> AccessToken:
    if known is None or known.forced_at <= token.forced_at:
        return token
    return replace(
        token, forced_day=known.forced_day, forced_count=known.forced_count, forced_at=known.forced_at
    )


def _unavailable(
    error_class: ErrorClass,
    en: str,
    zh: str,
    retry_after: float | None = None,
    *,
    retryable: bool = True,
    holds: Holds | None = None,
) -> Outcome:
    hint = Bilingual(en, zh)
    return Outcome(
        Status.FAILED, error_class, hint, retryable=retryable, retry_after=retry_after, holds=holds
    )


def _unusable_credentials(problem: Bilingual | None) -> Outcome:
    assert problem  # noqa: S101 - an account without a source has one
    return _unavailable(
        ErrorClass.CONFIG,
        f"The account's credentials parameter cannot be used: {problem.en}.",
        f"该账号的凭证参数无法使用：{problem.zh}。",
        retryable=False,
        holds=Holds.ACCOUNT,
    )


def _unforeseen(error: str) -> Outcome:
    return _unavailable(
        ErrorClass.OTHER,
        f"The refresh failed for a reason that nobody foresaw ({error}).",
        f"刷新时发生未预料的错误（{error}）。",
    )


def _forced_too_soon(wait: float) -> Outcome:
    return _unavailable(
        ErrorClass.TOKEN,
        "WeChat rejects the account's token and it was replaced less than 30 s ago.",
        "微信拒绝了该账号的 access_token，而距上次强制刷新不足 30 秒。",
        wait,
    )


_STORE_DOWN = _unavailable(
    ErrorClass.TRANSIENT,
    "The token store did not answer; try again shortly.",
    "令牌存储暂时不可用，请稍后重试。",
    2.0,
)
_BUSY = _unavailable(
    ErrorClass.TRANSIENT,
    "The token is being refreshed; try again shortly.",
    "access_token 正在刷新，请稍后重试。",
    2.0,
)
_NO_TIME = _unavailable(
    ErrorClass.TRANSIENT,
    "The refresh of all accounts ran out of time before this one; the next run comes in 5 minutes.",
    "刷新全部账号时超时，未轮到该账号，下次刷新在 5 分钟后。",
)
_NOT_REPLACED = _unavailable(
    ErrorClass.TOKEN,
    "WeChat hands out the token that it rejects, even after a forced refresh.",
    "强制刷新后微信仍返回被拒绝的 access_token。",
    FORCED_APART,
    holds=Holds.ACCOUNT,
)
_FORCED_USED_UP = _unavailable(
    ErrorClass.TOKEN,
    "WeChat rejects the account's token and today's 20 forced refreshes are used up.",
    "微信拒绝了该账号的 access_token，且今天的 20 次强制刷新已用完。",
    600.0,
    holds=Holds.ACCOUNT,
)
_FORCED_NOT_COUNTED = _unavailable(
    ErrorClass.TRANSIENT,
    "WeChat rejects the account's token; it is not replaced while the store cannot count that.",
    "微信拒绝了该账号的 access_token；存储不可用、无法计数时不强制刷新。",
    2.0,
)
