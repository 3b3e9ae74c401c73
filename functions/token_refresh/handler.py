"""Keeps every account's access token fresh: by schedule, by hand, and for a sender that was rejected.

One invocation at a time runs (reserved concurrency 1): it is the only writer of tokens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wechat_notify import bootstrap
from wechat_notify.core.outcomes import Notice, Outcome, UnknownAccountError, outcome_to_dict
from wechat_notify.core.tokens import Refreshed


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Refresh tokens.

    ``{}`` (and any scheduled event)
        every account; answers which were refreshed, unchanged and failed.
    ``{"account": "shop"}``
        that account; the same answer.
    ``{"account": "shop", "rejected": "<SHA-256 of the token that failed>" | null}``
        a sender asks; the answer carries the token.
    """
    if not isinstance(event, dict) or not isinstance(event.get("account", ""), str):
        return {"result": "bad_request", "detail": 'send {} or {"account": "<name>"}'}
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        account = event.get("account") if "detail-type" not in event else None
        try:
            if account is None:
                results = bootstrap.token_refresher().refresh_all(
                    lambda: context.get_remaining_time_in_millis() / 1000
                )
            elif "rejected" in event:
                results = [bootstrap.token_refresher().replace(account, event["rejected"])]
            else:
                results = [bootstrap.token_refresher().refresh(account)]
        except UnknownAccountError:
            line.update(result="unknown_account")
            return {"result": "unknown_account"}
        telemetry.refreshed(results, time.time())
        notices = [
            Notice("token.failed", _given(_failure(result.account, result.failure)))
            for result in results
            if result.failure
        ]
        telemetry.announce(notices, bootstrap.event_bus)
        report = _report(results)
        line.update({name: len(accounts) for name, accounts in report.items()})
        return _for_sender(results[0]) if account is not None and "rejected" in event else report


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
        "hint": asdict(failure.hint),
    }


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _for_sender(result: Refreshed) -> dict[str, Any]:
    if result.failure:
        return {"result": "failed", "failure": outcome_to_dict(result.failure)}
    return {"result": "token", "token": asdict(result.token)}  # type: ignore[arg-type] # no failure: a token
