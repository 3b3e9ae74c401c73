"""The requests to token_refresh, which alone calls WeChat for platforms, and writes tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from wechat_notify.core.clocks import Jitter
from wechat_notify.core.errors import RefresherBusyError, TokenUnavailableError
from wechat_notify.core.platform.ports import PreAuthCode
from wechat_notify.core.tokens.access_tokens import BUSY


class PlatformFunction(Protocol):
    """The function token_refresh."""

    def ask_platform(self, component: str, request: str, **fields: str | int) -> Mapping[str, Any]:
        """Its answer to a request for a platform.

        Raises ``RefresherBusyError``, ``UnknownAccountError``, ``NotAPlatformError``,
        ``AccountTakenError``, ``TokenUnavailableError`` or ``StorageError``.
        """


class PlatformRequests:
    """Asks, and asks again while another invocation runs.

    Every method raises what the function's answers say but ``RefresherBusyError``, and waits for ``max_wait``
    seconds at most.
    """

    def __init__(
        self,
        function: PlatformFunction,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Jitter,
    ) -> None:
        self._function = function
        self._now = now
        self._sleep = sleep
        self._jitter = jitter

    def pre_auth_code(self, component: str, max_wait: float) -> PreAuthCode:
        """The code of an authorization page."""
        answer = self._ask(max_wait, component, "pre_auth_code")
        return PreAuthCode(answer["app_id"], answer["pre_auth_code"], answer["expires_in"])

    def authorize(
        self, component: str, account: str, app_id: str, *, code: str, at: int, max_wait: float
    ) -> str:
        """Make a merchant an account, and say what was changed."""
        return self._change(
            max_wait, component, "authorize", account=account, app_id=app_id, authorization_code=code, at=at
        )

    def revoke(self, component: str, account: str, app_id: str, *, at: int, max_wait: float) -> str:
        """End a merchant's authorization; as ``authorize``."""
        return self._change(max_wait, component, "revoke", account=account, app_id=app_id, at=at)

    def answer_release_test(
        self, component: str, account: str, *, code: str, openid: str, max_wait: float
    ) -> str:
        """Send the message that WeChat's release test waits for."""
        return self._change(
            max_wait, component, "release_test", account=account, authorization_code=code, openid=openid
        )

    def _change(self, max_wait: float, component: str, request: str, **fields: str | int) -> str:
        return str(self._ask(max_wait, component, request, **fields)["result"])

    def _ask(self, max_wait: float, component: str, request: str, **fields: str | int) -> Mapping[str, Any]:
        deadline = self._now() + max_wait
        while True:
            try:
                return self._function.ask_platform(component, request, **fields)
            except RefresherBusyError:
                left = deadline - self._now()
                if left <= 0:
                    raise TokenUnavailableError(BUSY) from None
                self._sleep(min(left, self._jitter(0.2, 1.0)))
