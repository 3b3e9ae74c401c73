"""Checks of third-party platforms, of callback addresses and of their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wxn.accounts import CALLBACK
from wxn.doctor.context import Context, MissingResourceError
from wxn.doctor.findings import Finding
from wxn.doctor.tokens import RefresherBusyError, run_refresher
from wxn.language import text
from wxn.times import duration

_TICKET_LIFE: Final = timedelta(hours=12)
"""WeChat pushes another one every 10 minutes."""
_LOOKED_BACK: Final = timedelta(hours=1)
_UNUSABLE_KEYS: Final = "unusable_keys"
"""The reason of the refusal in the log."""
_MAX_PAGES: Final = 5
"""Of the log. Each is up to a second, and what is refused once is refused with every push."""


def platforms(context: Context) -> Iterator[Finding]:
    """Look for platforms without keys or a ticket."""
    for name, account in sorted(context.stored().items()):
        if not account.is_platform or context.account not in {None, name}:
            continue
        facts = {"path": context.parameter_path, "log": context.log("CallbackFunction")}
        ticket = account.changed("ticket")
        if not account.has_callback:
            seen = text("It has no keys for its callbacks.", "没有存储该平台的回调密钥。")
            yield Finding("platform-keys-missing", seen, name, facts=facts)
        elif ticket is None:
            seen = text("WeChat has pushed no ticket.", "尚未收到微信推送的 ticket。")
            yield Finding("platform-ticket-missing", seen, name, facts=facts)
        elif (age := context.now() - ticket) > _TICKET_LIFE:
            shown = duration(age.total_seconds())
            seen = text(f"The last ticket came {shown} ago.", f"最近一次收到 ticket 是在 {shown}前。")
            yield Finding("platform-ticket-missing", seen, name, facts=facts)


def callback_keys(context: Context) -> Iterator[Finding]:
    """Look for accounts whose callbacks are refused because their keys cannot be read.

    The function callback tells that in its log. No key is read, and a line that is older than the parameter's
    last change counts no more.
    """
    for name, refused in sorted(_unusable_keys(context).items()):
        account = context.stored().get(name)
        changed = account.changed(CALLBACK) if account is not None else None
        if context.account not in {None, name} or changed is None or refused < changed:
            continue
        shown = duration((context.now() - refused).total_seconds())
        seen = text(
            f"callback could not read its keys {shown} ago, and refused a request.",
            f"callback 在 {shown}前无法读取其密钥，拒绝了一次请求。",
        )
        facts = {"path": context.parameter_path}
        yield Finding("callback-keys-unusable", seen, name, facts=facts)


def _unusable_keys(context: Context) -> dict[str, datetime]:
    """The time of the last refusal, by account."""
    since = context.now() - _LOOKED_BACK
    request: dict[str, Any] = {
        "logGroupName": context.resource("CallbackLogGroup"),
        "startTime": round(since.timestamp() * 1000),
        "filterPattern": f'"{_UNUSABLE_KEYS}"',
    }
    found: dict[str, datetime] = {}
    for _ in range(_MAX_PAGES):
        page = context.call("logs", "filter_log_events", **request)
        for event in page["events"]:
            fields = _json(event["message"])
            if fields.get("reason") == _UNUSABLE_KEYS and "account" in fields:
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                found[fields["account"]] = max(at, found.get(fields["account"], at))
        if not page.get("nextToken"):
            break
        request["nextToken"] = page["nextToken"]
    return found


def _json(line: str) -> dict[str, Any]:
    """The fields of a log line; none where it is Lambda's own text."""
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def callback_addresses(context: Context) -> Iterator[Finding]:
    """Ask WeChat, through token_refresh, where it pushes the events of the accounts that have callback keys.

    One after the other: one invocation of token_refresh runs at a time.
    """
    for name in context.accounts:
        account = context.stored().get(name)
        if account is None or not account.has_callback or account.token is None:
            continue
        try:
            answer = run_refresher(context, {"account": name, "request": "callback_check"})
        except RefresherBusyError:
            return  # the refresh before has told it
        if answer is None:
            return
        if answer["result"] == "bad_request":
            raise MissingResourceError(text("the check of callback addresses", "回调地址检测"))
        facts = {"url": context.stack.outputs.get("CallbackUrl", "") + name}
        if answer["result"] == "refused":
            refused = answer["refused"]
            what = refused["errcode"] if refused["errcode"] is not None else refused["class"]
            told = (refused.get("errmsg") or "").partition(" rid:")[0]
            seen = text(f"WeChat answers {what} {told}".rstrip(), f"微信返回 {what} {told}".rstrip())
            yield Finding("callback-check-refused", f"{seen}.", name, facts=facts)
        elif answer["result"] == "callback_check" and not answer["addresses"]:
            seen = text(
                "WeChat finds no IP address for the host of its callback address.",
                "微信无法解析该账号回调地址中的域名。",
            )
            yield Finding("callback-unresolved", seen, name, facts=facts)
