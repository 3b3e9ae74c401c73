"""The token refresher as a sender calls it: a synchronous invocation of that function.

It runs with a reserved concurrency of one, so being throttled means that a refresh is running.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import (
    AccountTakenError,
    NotAPlatformError,
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.outcomes import outcome_from_dict
from wechat_notify.core.tokens.token import AccessToken, token_from_dict

_ACTION = "ask for a token"
_BUSY = frozenset({"TooManyRequestsException", "ReadTimeoutError"})
"""Another refresh is running, or this one still is."""


class RefreshFunction:
    """The token_refresh function, by its name."""

    def __init__(self, aws: Clients, function_name: str) -> None:
        self._aws = aws
        self._function_name = function_name

    def ask(self, account: str, rejected: str | None) -> AccessToken:
        """A usable token that is not the one whose digest was ``rejected``.

        Raises
        ------
        RefresherBusyError
            Another refresh is running.
        UnknownAccountError
            The account has no credentials.
        TokenUnavailableError
            WeChat gave no token.
        StorageError
            The function could not be invoked, or failed.
        """
        answer = self._ask(account, {"account": account, "rejected": rejected})
        with suppress(ValueError, KeyError, TypeError):
            return _token(account, json.loads(answer))
        raise StorageError(_ACTION, "UnreadableAnswer")

    def ask_platform(self, component: str, request: str, **fields: str | int) -> dict[str, Any]:
        """The answer to a request for a third-party platform.

        Raises
        ------
        RefresherBusyError, UnknownAccountError, StorageError
            As ``ask`` does.
        NotAPlatformError
            The account is none.
        AccountTakenError
            The merchant's account is somebody else's.
        TokenUnavailableError
            WeChat refused the call.
        """
        answer = self._ask(component, {"component": component, "request": request, **fields})
        with suppress(ValueError, KeyError, TypeError):
            return _of_platform(component, json.loads(answer))
        raise StorageError(_ACTION, "UnreadableAnswer")

    def _ask(self, account: str, event: dict[str, Any]) -> bytes:
        request = json.dumps(event)
        try:
            return self._aws.call(_ACTION, lambda: self._invoke(request))  # once: it may be running
        except StorageError as error:
            if error.code in _BUSY:
                raise RefresherBusyError(account) from None
            raise

    def _invoke(self, request: str) -> bytes:
        answer = self._aws.lambda_.invoke(FunctionName=self._function_name, Payload=request)
        payload = answer["Payload"].read()
        if answer.get("FunctionError"):  # its text and traceback are in the payload
            raise StorageError(_ACTION, "FunctionError")
        return payload


def _of_platform(component: str, result: dict[str, Any]) -> dict[str, Any]:
    match result["result"]:
        case "unknown_account":
            raise UnknownAccountError(component)
        case "not_a_platform":
            raise NotAPlatformError(component)
        case "account_taken":
            raise AccountTakenError(component)
        case "failed":
            raise TokenUnavailableError(outcome_from_dict(result["failure"]))
        case "bad_request":
            raise StorageError(_ACTION, "BadRequest")
    return result


def _token(account: str, result: dict[str, Any]) -> AccessToken:
    if result["result"] == "unknown_account":
        raise UnknownAccountError(account)
    if result["result"] == "failed":
        raise TokenUnavailableError(outcome_from_dict(result["failure"]))
    return token_from_dict(result["token"])
