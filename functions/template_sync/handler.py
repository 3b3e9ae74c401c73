"""Copies the accounts' templates from WeChat, by schedule and by hand, with the tokens that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wechat_notify import bootstrap
from wechat_notify.bootstrap import template_sync
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.templates.sync import Synced


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Read templates.

    ``{}``
        of every account that has a token; answers which were read, and what failed.
    ``{"account": "shop"}``
        of that account; the same answer.

    Anything else is refused as ``bad_request``.
    """
    telemetry = bootstrap.telemetry()
    with telemetry.invocation(context) as line:
        if not _is_request(event):
            line.update(result="bad_request")
            return {"result": "bad_request", "detail": 'send {} or {"account": "<name>"}'}
        sync = template_sync.template_sync()
        if "account" in event:
            results = [sync.sync(event["account"])]
        else:
            results = sync.sync_all(lambda: context.get_remaining_time_in_millis() / 1000)
        telemetry.synced(results, of_all="account" not in event)
        report = _report(results)
        line.update(synced=len(report["synced"]), failed=len(report["failed"]))
        return report


def _is_request(event: Any) -> bool:
    if not isinstance(event, dict) or event.keys() - {"account"}:
        return False
    account = event.get("account", "a")
    return isinstance(account, str) and is_account_name(account)


def _report(results: Sequence[Synced]) -> dict[str, Any]:
    return {
        "synced": {result.account: result.templates for result in results if not result.error},
        "failed": [
            *({"account": result.account, "error": result.error} for result in results if result.error),
            *(
                {"account": result.account, "family": family.value, **failure.as_dict()}
                for result in results
                for family, failure in result.failures
            ),
        ],
    }
