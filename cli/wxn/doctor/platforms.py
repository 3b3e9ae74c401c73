"""Checks of third-party platforms and of callback addresses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from wxn.doctor.context import Context, MissingResourceError
from wxn.doctor.findings import Finding
from wxn.doctor.tokens import RefresherBusyError, run_refresher
from wxn.language import text
from wxn.times import duration

_TICKET_LIFE: Final = timedelta(hours=12)
"""WeChat pushes another one every 10 minutes."""


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
