"""Keeps every account's access token fresh: by schedule, by hand, and for a sender that was rejected.

One invocation at a time runs (reserved concurrency 1): it is the only writer of tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from functions.token_refresh import platform
from wechat_notify import bootstrap
from wechat_notify.bootstrap import token_refresh
from wechat_notify.core.errors import AccountNameError, UnknownAccountError
from wechat_notify.core.messages.identifiers import ACCOUNT_NAME, is_account_name
from wechat_notify.core.outcomes import DomainEvent, Outcome, outcome_to_dict
from wechat_notify.core.texts import without_none
from wechat_notify.core.tokens.refresher import Refreshed


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Refresh tokens.

    ``{}`` (and any scheduled event)
        every account; answers which were refreshed, unchanged and failed.
    ``{"account": "shop"}``
        that account; the same answer.
    ``{"account": "shop", "rejected": "<SHA-256 of the token that failed>" | null}``
        a sender asks; the answer carries the token.

    ``{"component": "platform", "request": …}``
        a request for a third-party platform, see ``functions.token_refresh.platform``.

    Anything else is refused: ``bad_request``, or ``account_name`` where no account can have the name.
    """
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        if isinstance(event, dict) and "component" in event and "detail-type" not in event:
            answer = platform.answer(event, line)
            line.update(result=answer["result"])
            return answer
        problem = _problem(event)
        if problem:
            line.update(result=problem["result"])
            return problem
        account = event.get("account") if "detail-type" not in event else None
        try:
            if account is None:
                results = token_refresh.token_refresher().refresh_all(
                    lambda: context.get_remaining_time_in_millis() / 1000
                )
            elif "rejected" in event:
                results = [token_refresh.token_refresher().replace(account, event["rejected"])]
            else:
                results = [token_refresh.token_refresher().refresh(account)]
        except UnknownAccountError:
            line.update(result="unknown_account")
            return {"result": "unknown_account"}
        telemetry.refreshed(results, time.time(), of_all=account is None)
        events = [
            DomainEvent("token.failed", without_none(**_failure(result.account, result.failure)))
            for result in results
            if result.failure
        ]
        telemetry.publish(events, bootstrap.event_bus)
        report = _report(results)
        line.update({name: len(accounts) for name, accounts in report.items()})
        return _for_sender(results[0]) if account is not None and "rejected" in event else report


_FIELDS = ("account", "rejected")
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
# A replay names its archive.
_EVENT_FIELDS = frozenset(
    {
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
        "replay-name",
    }
)


def _problem(event: Any) -> dict[str, Any] | None:  # noqa: PLR0911 - one for each
    """Return the error of a malformed event, or None. A misspelt account must not refresh everybody."""
    if not isinstance(event, dict):
        return _bad_request("no JSON object")
    if "detail-type" in event:
        is_scheduled = "source" in event and event.keys() <= _EVENT_FIELDS
        return None if is_scheduled else _bad_request("no event as EventBridge sends it")
    for name in event:
        if name not in _FIELDS:
            close = get_close_matches(str(name), _FIELDS, 1)
            return _bad_request(f"unknown field, did you mean {close[0]}?" if close else "unknown field")
    account, rejected = event.get("account"), event.get("rejected")
    if ("account" in event or "rejected" in event) and not isinstance(account, str):
        return _bad_request("account must be text")
    if not isinstance(rejected, str | None):
        return _bad_request("rejected must be text or null")
    if account is not None and not is_account_name(account):
        return {"result": AccountNameError.reason, "detail": f"account {ACCOUNT_NAME.text.en}"}
    return None


def _bad_request(problem: str) -> dict[str, Any]:
    return {"result": "bad_request", "detail": f'{problem}; send {{}} or {{"account": "<name>"}}'}


def _report(results: Sequence[Refreshed]) -> dict[str, Any]:
    return {
        "refreshed": [result.account for result in results if result.token and result.changed],
        "unchanged": [result.account for result in results if result.token and not result.changed],
        "not_stored": [result.account for result in results if not result.stored],
        "failed": [_failure(result.account, result.failure) for result in results if result.failure],
    }


def _failure(account: str, failure: Outcome) -> dict[str, Any]:
    return {
        "account": account,
        "class": failure.error_class.value,
        "errcode": failure.errcode,
        "errmsg": failure.errmsg,
        "rid": failure.rid,
        "hint": failure.hint.as_dict(),
    }


def _for_sender(result: Refreshed) -> dict[str, Any]:
    if result.failure:
        return {"result": "failed", "failure": outcome_to_dict(result.failure)}
    assert result.token  # noqa: S101 # nosec B101 # there is no failure
    return {"result": "token", "token": result.token.as_dict()}
