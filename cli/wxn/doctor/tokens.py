"""Checks of access tokens: the refresher, what it stored, and what WeChat answers it now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from wxn.accounts import Cause, Checked
from wxn.api import hint_of
from wxn.aws_errors import code_of
from wxn.doctor.context import Context
from wxn.doctor.deployment import REFRESHER
from wxn.doctor.findings import Finding
from wxn.language import text
from wxn.times import duration

_MAX_AGE: Final = timedelta(hours=2, minutes=10)
"""WeChat's tokens live for two hours."""
_RECENT: Final = timedelta(minutes=15)
"""Three runs of the schedule."""
_PAUSES: Final = (1.0, 2.0, 4.0)
"""Seconds after an invocation that was throttled: another refresh may run."""
_BY_CAUSE: Final[Mapping[Cause | None, str]] = {
    Cause.WRONG_SECRET: "wrong-secret",
    Cause.SECRET_FROZEN: "frozen-secret",
    Cause.IP_NOT_WHITELISTED: "ip-not-whitelisted",
    Cause.WRONG_APP_ID: "wrong-app-id",
    Cause.NO_PERMISSION: "account-blocked",
}
NO_TOKEN: Final = frozenset(
    {
        *_BY_CAUSE.values(),
        *("malformed-credentials", "token-refresh-failed"),
        *("platform-keys-missing", "platform-ticket-missing", "merchant-not-authorized"),
    }
)
"""The findings about an account for which WeChat gives no token."""
_NO_CREDENTIALS: Final = text("There is no parameter with its credentials.", "没有存储该账号凭证的参数。")


class RefresherBusyError(Exception):
    """Lambda does not run token_refresh now."""


def refresher(context: Context) -> Iterator[Finding]:
    """Look at the reservation that lets one refresh run at a time."""
    reserved, name = context.refresher_concurrency(), context.resource(REFRESHER)
    repair = f"aws lambda put-function-concurrency --function-name {name} --reserved-concurrent-executions 1"
    facts = {"function": name, "repair": repair}
    if reserved == 0:
        seen = text(
            "token_refresh may not run: its concurrency is 0.", "token_refresh 的预留并发为 0，无法运行。"
        )
        yield Finding("refresher-disabled", seen, subject=REFRESHER, facts=facts)
    elif reserved != 1:
        seen = text(
            f"token_refresh reserves {reserved or 'nothing'} and not 1: two runs can void each other's token.",
            f"token_refresh 的预留并发为 {reserved or '未设置'}，应为 1：同时运行的两次刷新会使对方的 token 失效。",
        )
        yield Finding("refresher-lock-missing", seen, facts=facts)


def refresher_throttles(context: Context) -> Iterator[Finding]:
    """Look for a refresher that is called and never runs."""
    series, since = context.metrics(), context.now() - _RECENT
    throttled = round(series.total(REFRESHER, "Throttles", since))
    if throttled and not series.total(REFRESHER, "Invocations", since):
        yield _throttled(
            context,
            text(
                f"token_refresh was throttled {throttled} times in a quarter of an hour, and did not run.",
                f"token_refresh 最近 15 分钟被限流 {throttled} 次，一次也没有运行。",
            ),
        )


def stored_tokens(context: Context) -> Iterator[Finding]:
    """Look for accounts without credentials, without a token, or with an old one."""
    stored = context.stored()
    if not stored and context.account is None:
        seen = text("No account is stored.", "还没有任何账号。")
        yield Finding("no-accounts", seen, facts={"path": context.parameter_path})
    names = [context.account] if context.account is not None else sorted(stored)
    for name in names:
        account = stored.get(name)
        facts = _facts(context)
        if account is None or account.credentials is None:
            yield Finding("credentials-missing", _NO_CREDENTIALS, name, facts=facts)
        elif account.token is None:
            seen = text(
                "It has credentials, and no token was stored before this run.",
                "该账号有凭证，但在本次检查之前没有存储 access_token。",
            )
            yield Finding("token-not-stored", seen, name, facts=facts)
        elif (age := context.now() - account.token) > _MAX_AGE:
            shown = duration(age.total_seconds())
            seen = text(
                f"Its token was written {shown} ago.",
                f"该账号的 access_token 是 {shown}前写入的。",
            )
            yield Finding("token-old", seen, name, facts=facts)


def refresh(context: Context) -> Iterator[Finding]:
    """Run token_refresh once, as the schedule does: WeChat's answer tells what is wrong with an account."""
    try:
        answer = run_refresher(context, {} if context.account is None else {"account": context.account})
    except RefresherBusyError:
        if context.refresher_concurrency() != 0:  # then that is told already
            seen = text(
                "Lambda refused to run token_refresh for 7 s.", "Lambda 连续 7 秒拒绝运行 token_refresh。"
            )
            yield _throttled(context, seen)
        return
    facts = _facts(context)
    if answer is None:
        seen = text("token_refresh ended with an error.", "token_refresh 运行出错。")
        yield Finding("refresher-fails", seen, facts=facts)
        return
    if "result" in answer:  # there are no credentials, or no account can have this name
        seen = answer.get("detail") or _NO_CREDENTIALS
        yield Finding("credentials-missing", seen, context.account, facts=facts)
    for name in answer.get("not_stored", ()):
        seen = text(
            "Parameter Store did not take its new token.", "Parameter Store 没有接受该账号的新 access_token。"
        )
        yield Finding("token-not-stored", seen, name, facts=facts)
    for failure in answer.get("failed", ()):
        yield refused_token(context, failure["account"], failure)


def run_refresher(context: Context, event: Mapping[str, str]) -> Any:
    """Its answer, None where it failed; `RefresherBusyError` where Lambda does not run it."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    for pause in (*_PAUSES, 0.0):
        try:
            return context.refresh(event)
        except ClientError as error:
            if code_of(error) != "TooManyRequestsException":
                raise
            context.sleep(pause)
    raise RefresherBusyError


def refused_token(context: Context, account: str, failure: Mapping[str, Any]) -> Finding:
    """The cause of a token that WeChat does not give; ``failure`` has WeChat's answer, its class and a hint."""
    checked, errcode, hint = Checked(account, failure), failure.get("errcode"), hint_of(failure) or ""
    facts = _facts(context) | {"ip": checked.address or text("the caller's address", "调用方的地址")}
    stored = context.stored().get(account)
    if errcode is None and failure["class"] == "platform" and stored is not None:
        # A merchant with a refresh token fails for want of its platform's ticket.
        if stored.is_platform:
            return Finding("platform-ticket-missing", hint, account, facts=facts)
        if not stored.is_merchant:
            return Finding("merchant-not-authorized", hint, account, facts=facts)
    if errcode is None and failure["class"] == "permission":
        return Finding("merchant-not-authorized", hint, account, facts=facts)
    if errcode is None and failure["class"] == "config":
        return Finding("malformed-credentials", hint, account, facts=facts)
    name = _BY_CAUSE.get(checked.cause, "token-refresh-failed")
    # The rid is another one in each answer.
    told = re.sub(r"\s*rid: \S+", "", failure.get("errmsg") or "")
    seen = f"{errcode}: {told}" if errcode is not None else hint
    if name == "token-refresh-failed" and errcode is not None:
        seen = f"{seen}. {hint}"
    return Finding(name, seen, account, facts=facts, errcode=errcode)


def _throttled(context: Context, seen: str) -> Finding:
    return Finding("refresher-throttled", seen, facts=_facts(context))


def _facts(context: Context) -> dict[str, str]:
    return {"path": context.parameter_path, "log": context.log(REFRESHER)}
