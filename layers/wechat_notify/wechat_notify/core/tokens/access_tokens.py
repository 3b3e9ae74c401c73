"""The senders' access tokens: read, cached, replaced where WeChat rejected one.

Two sides share one stored token an account: ``AccessTokens`` here (every sender: reads, caches, asks) and
``core.tokens.refresher`` (the only one that calls WeChat's token endpoint and writes).

WeChat's rules that shape this: in normal mode ``stable_token`` gives the same token again with
the seconds that remain, and renews it by itself in the last 5 minutes; a forced refresh voids the
old token at once, and is allowed 20 times a day, at least 30 seconds apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wechat_notify.core.clocks import Jitter
from wechat_notify.core.errors import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.token import AccessToken, Refresher, TokenReader

_MAX_AGE = 60.0
"""Seconds after which a cached token is read again (WeChat's own advice: about a minute)."""
_UNKNOWN_FOR = 10.0
"""Seconds for which a sender does not ask the refresher again about an account nobody knows."""
_FAILED_FOR = 2.0
"""Seconds for which a failure answers everyone who asks the same, without waiting for it again."""
MAX_LOCK_WAIT = 5.0
"""Seconds for which a thread without a token waits while another one gets the account's."""
_MAX_CACHED = 10_000
"""Accounts whose tokens are remembered: any name can stand in a message of the queue."""


class _Cached:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.token: AccessToken | None = None
        self.fresh_until = 0.0
        self.unknown_until = 0.0
        self.failure: Outcome | None = None
        self.failed_digest: str | None = None
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
        jitter: Jitter,
    ) -> None:
        self._reader = reader
        self._refresher = refresher
        self._now = now
        self._sleep = sleep
        self._jitter = jitter
        self._cache: dict[str, _Cached] = {}

    def get(self, account: str, max_wait: float = 0.0) -> AccessToken:
        """The account's token.

        Parameters
        ----------
        account : str
            The account's name.
        max_wait : float
            Seconds for which another thread and a busy refresher are waited for, the thread for
            ``MAX_LOCK_WAIT`` in any case.

        Raises
        ------
        UnknownAccountError
            There are no credentials under this name.
        TokenUnavailableError
            WeChat gives no token, or the stores do not answer.
        """
        deadline = self._now() + max_wait  # the wait for another thread counts
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
                return self._obtain_unless_just_failed(account, cached, None, deadline)
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
            return self._obtain_unless_just_failed(account, cached, None, deadline)
        is_newer = stored.usable(self._now()) and stored.obtained_at >= good.obtained_at
        return self._keep(cached, stored if is_newer else good)

    def replace(self, account: str, rejected: AccessToken, max_wait: float) -> AccessToken:
        """Another token than the one that WeChat just rejected; waits and raises as ``get`` does.

        A message is claimed meanwhile, so another thread is waited for no longer than ``max_wait`` either.
        """
        deadline = self._now() + max_wait
        with self._locked(account, min(MAX_LOCK_WAIT, max_wait)) as cached:
            if cached.token and cached.token.value != rejected.value and cached.token.usable(self._now()):
                return cached.token  # another thread was here first
            cached.token = None
            return self._obtain_unless_just_failed(account, cached, rejected.digest, deadline)

    def has_credentials(self, account: str) -> bool:
        """Return whether something could be sent for the account, now or once its token is fresh again.

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

    def stored(self, account: str) -> AccessToken | None:
        """The account's token as it is stored, usable or not, for what stands beside it; None without any.

        It may be as old as one that ``get`` returns. Raises ``StorageError``.
        """
        known = self._cache.get(account)
        token = known.fresh(self._now()) if known else None
        return token or self._reader.read(account)

    @contextmanager
    def _locked(self, account: str, timeout: float | None = None) -> Iterator[_Cached]:
        """The account's entry, for one thread at a time: the others find there what the first one got."""
        cached = self._cache.get(account) or self._new(account)
        if not cached.lock.acquire(timeout=MAX_LOCK_WAIT if timeout is None else timeout):
            raise TokenUnavailableError(BUSY)
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

    def _obtain_unless_just_failed(
        self, account: str, cached: _Cached, digest: str | None, deadline: float
    ) -> AccessToken:
        # Threads queue for the lock: each waiting out the same trouble in turn would outlast the function.
        if cached.failure and cached.failed_digest == digest and self._now() < cached.failed_until:
            raise TokenUnavailableError(cached.failure)
        try:
            return self._obtain(account, cached, digest, deadline)
        except UnknownAccountError:
            cached.token = None  # or those who do not wait for the lock would go on with it
            raise
        except TokenUnavailableError as error:
            cached.failure, cached.failed_digest = error.outcome, digest
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
                    raise TokenUnavailableError(BUSY) from None
                self._sleep(min(left, self._jitter(0.1, longest)))
                longest = min(2.0, longest * 1.5)
            except StorageError:
                raise TokenUnavailableError(STORE_DOWN) from None

    def _keep(self, cached: _Cached, token: AccessToken) -> AccessToken:
        cached.token = token
        cached.fresh_until = self._now() + self._jitter(_MAX_AGE / 2, _MAX_AGE)
        return token


def unavailable(
    error_class: ErrorClass,
    en: str,
    zh: str,
    retry_after: float | None = None,
    *,
    retryable: bool = True,
    holds: HoldScope | None = None,
) -> Outcome:
    """Return the outcome where there is no token; ``retry_after`` in seconds."""
    hint = Bilingual(en, zh)
    return Outcome(
        Status.FAILED, error_class, hint, retryable=retryable, retry_after=retry_after, holds=holds
    )


STORE_DOWN = unavailable(
    ErrorClass.TRANSIENT,
    "The token store did not answer; try again shortly.",
    "令牌存储暂时不可用，请稍后重试。",
    2.0,
)
BUSY = unavailable(
    ErrorClass.TRANSIENT,
    "The token is being refreshed; try again shortly.",
    "access_token 正在刷新，请稍后重试。",
    2.0,
)
