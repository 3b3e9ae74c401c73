"""Events of third-party platforms: tickets are stored, authorizations are token_refresh's to act on."""

from __future__ import annotations

from typing import Any, Final

from wechat_notify.bootstrap import callback_events, platform
from wechat_notify.core.callbacks.events import AuthorizationChange, CallbackEvent, Ticket
from wechat_notify.core.errors import (
    AccountTakenError,
    NotAPlatformError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.outcomes import ErrorClass

_MAX_WAIT: Final = 10.0
"""Seconds for which a busy token_refresh is waited for."""


def act(component: str, body: dict[str, Any], event: CallbackEvent) -> str | None:
    """Act on an event of a platform, and say what came of it; None of any other event.

    Raises
    ------
    StorageError
        The event is to come again.
    """
    try:
        if isinstance(event, Ticket):
            return "ticket" if callback_events.tickets().save(component, event) else "unchanged"
        if isinstance(event, AuthorizationChange):
            return _change(component, body["merchant"], event)
    except (UnknownAccountError, NotAPlatformError, AccountTakenError) as error:
        return error.reason
    except TokenUnavailableError as error:
        outcome = error.outcome
        if outcome.error_class is ErrorClass.PLATFORM and not outcome.retryable:
            return "failed"  # the code is no good, and no repeat makes it better
        # A missing address on WeChat's whitelist is mended by somebody while the code still works.
        raise StorageError("ask for a merchant's tokens", outcome.error_class.value) from None
    return None


def answer_release_test(component: str, asked: dict[str, str]) -> str:
    """Have the message sent that WeChat's release test waits for; it is not repeated."""
    try:
        requests = platform.platform_requests()
        return requests.answer_release_test(
            component, asked["account"], code=asked["code"], openid=asked["openid"], max_wait=_MAX_WAIT
        )
    except (UnknownAccountError, NotAPlatformError, AccountTakenError, TokenUnavailableError):
        return "failed"


def _change(component: str, merchant: str, event: AuthorizationChange) -> str:
    requests = platform.platform_requests()
    app_id, at = event.authorizer_appid, event.at
    if event.code is None:
        return requests.revoke(component, merchant, app_id, at=at, max_wait=_MAX_WAIT)
    return requests.authorize(component, merchant, app_id, code=event.code, at=at, max_wait=_MAX_WAIT)
