"""How a sender asks the token refresher: a synchronous invocation of that function.

It runs with a reserved concurrency of one, so being throttled means that a refresh is running.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from wechat_notify.aws.clients import client, error_code
from wechat_notify.core.outcomes import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
    outcome_from_dict,
)
from wechat_notify.core.tokens import AccessToken

_BUSY = frozenset({"TooManyRequestsException", "ReadTimeoutError"})


class RefreshFunction:
    """The token_refresh function, by its name."""

    def __init__(self, function_name: str) -> None:
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
        request = json.dumps({"account": account, "rejected": rejected})
        try:
            answer = client("lambda").invoke(FunctionName=self._function_name, Payload=request)
            payload = answer["Payload"].read()
            if not answer.get("FunctionError"):
                return _token(account, json.loads(payload))
            code = "FunctionError"  # its payload is an error's text and traceback: left where it is
        except (BotoCoreError, ClientError) as error:
            code = error_code(error)
        except (ValueError, KeyError, TypeError):
            code = "UnreadableAnswer"
        if code in _BUSY:
            raise RefresherBusyError(account)
        raise StorageError("ask for a token", code)


def _token(account: str, result: dict[str, Any]) -> AccessToken:
    if result["result"] == "unknown_account":
        raise UnknownAccountError(account)
    if result["result"] == "failed":
        raise TokenUnavailableError(outcome_from_dict(result["failure"]))
    return AccessToken(**result["token"])
