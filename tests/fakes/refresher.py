"""The refresher's function as the core meets it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wechat_notify.core.errors import RefresherBusyError, StorageError, TokenUnavailableError
from wechat_notify.core.tokens.refresher import TokenRefresher
from wechat_notify.core.tokens.token import AccessToken


class FakeRefresher:
    """The refresher as senders reach it: one at a time, whoever comes meanwhile is turned away.

    ``busy`` asks are turned away before any is let in; ``down`` is AWS's error code of an
    invocation that does not come about; ``while_running`` happens inside of the one that runs.
    """

    def __init__(self, refresher: TokenRefresher) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.try_again_count = 0
        self.busy: float = 0
        self.down: str | None = None
        self.while_running: Callable[[], None] = lambda: None
        self._refresher = refresher
        self._running = threading.Lock()
        self._counting = threading.Lock()

    def ask(self, account: str, rejected: str | None) -> AccessToken:
        with self._counting:
            self.asked.append((account, rejected))
            if self.down:
                raise StorageError("ask for a token", self.down)
            if self.busy > 0 or not self._running.acquire(blocking=False):
                self.busy -= self.busy > 0
                self.try_again_count += 1
                raise RefresherBusyError(account)
        try:
            self.while_running()
            result = self._refresher.replace(account, rejected)
        except StorageError:
            raise StorageError("ask for a token", "FunctionError") from None
        finally:
            self._running.release()
        if result.failure:
            raise TokenUnavailableError(result.failure)
        assert result.token is not None
        return result.token
