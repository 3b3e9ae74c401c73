"""Checks of one WeChat account by the service's own API: quotas, holds, messages, templates, broadcasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from wxn.api import hint_of, part
from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.doctor.tokens import refused_token
from wxn.language import text
from wxn.times import duration, local_time

_OTHER_KIND_OF_ACCOUNT: Final = frozenset({40200, 76022})
"""WeChat's answers to the token of an account whose kind does not have the API."""
_UNKNOWN_TEMPLATE: Final = 40037
_KINDS_OF: Final = {
    "subscription": ("subscription", "mini_program_subscription"),
    "template": ("template",),
}
"""The kinds of message that a family of templates is for."""
_FAMILY_OF: Final = {kind: family for family, kinds in _KINDS_OF.items() for kind in kinds}
_MAX_TEMPLATE_AGE: Final = timedelta(hours=13)
"""Two runs of template_sync, and an hour."""
_MAX_CHECKING: Final = timedelta(hours=1)
_MAX_LATE: Final = timedelta(minutes=15)
"""A step that fails is done again after a quarter of an hour at most."""


def quota(context: Context, account: str) -> Iterator[Finding]:
    """Look for quotas that are used up, and for an account that has no token."""
    for kind in context.of(account).quota()["kinds"]:
        numbers = kind.get("wechat") or {}
        if numbers.get("daily_limit") and not numbers["remain"]:
            yield Finding(
                "quota-used-up",
                text(
                    f"{numbers['used']:,} of {numbers['daily_limit']:,} {kind['kind']} messages of today are used.",
                    f"{kind['kind']} 今日额度已用完：{numbers['used']:,}/{numbers['daily_limit']:,}。",
                ),
                account,
                kind["kind"],
            )
        refused = kind.get("refused") or {}
        # What the token endpoint answered: the API about quotas itself has no such errors.
        if refused.get("class") in {"config", "banned"}:
            yield refused_token(context, account, refused)


def holds(context: Context, account: str) -> Iterator[Finding]:
    """Tell what is held."""
    for hold in context.of(account).holds():
        hint = hint_of(hold) or ""
        cause, until = hold.get("errcode", hold["class"]), local_time(hold["held_until"])
        yield Finding(
            "hold-open",
            text(
                f"{hold['id']} is held until {until} because of {cause}. {hint}".rstrip(),
                f"{hold['id']} 已暂停发送，至 {until}，原因：{cause}。{hint}",
            ),
            account,
            hold["id"],
            errcode=hold.get("errcode"),
        )
        if hold["class"] == "quota" and hold.get("kind"):
            seen = text(f"WeChat answered {cause}.", f"微信返回 {cause}。")
            yield Finding("quota-used-up", seen, account, hold["kind"], errcode=hold.get("errcode"))


def messages(context: Context, account: str) -> Iterator[Finding]:
    """Find the causes of the messages that failed in the last 24 hours."""
    unsent = context.of(account).unsent()
    causes = Counter(_cause(message) for message in unsent)
    newest: dict[tuple[str, ...], dict[str, Any]] = {}
    for message in unsent:  # the newest come first
        newest.setdefault(_cause(message), message)
    for cause, count in causes.most_common():
        message = newest[cause]
        seen = _seen(message, count)
        if message["status"] == "unknown":
            yield Finding("outcome-unknown", seen, account)
        else:
            yield _failed(context, account, message, seen)
    for hold in context.of(account).holds():
        if hold["class"] == "permission" and hold.get("kind"):
            seen = text(
                f"WeChat answers {hold.get('errcode')} to {hold['kind']}.",
                f"微信对 {hold['kind']} 返回 {hold.get('errcode')}。",
            )
            yield _not_permitted(context, account, hold["kind"], hold.get("errcode"), seen)


def templates(context: Context, account: str) -> Iterator[Finding]:
    """Look for templates that have not been read for long."""
    times = [_time(at) for at in context.of(account).templates()["synced_at"].values() if at]
    if times and (age := context.now() - max(times)) > _MAX_TEMPLATE_AGE:
        shown = duration(age.total_seconds())
        yield Finding(
            "templates-old",
            text(f"Its templates were read {shown} ago.", f"该账号的模板是 {shown}前同步的。"),
            account,
            facts={"log": context.log("TemplateSyncFunction")},
        )


def broadcasts(context: Context, account: str) -> Iterator[Finding]:
    """Look for broadcasts that stand still; the newest 50 are looked at."""
    facts, now = context.of(account), context.now()
    for broadcast in facts.call("GET", "broadcasts")["broadcasts"]:
        name = broadcast["id"]
        if broadcast["state"] == "paused" and broadcast.get("reason"):
            seen = text(
                f"{name} paused by itself: {broadcast['reason']}.",
                f"群发 {name} 已自动暂停：{broadcast['reason']}。",
            )
            yield Finding("broadcast-paused", seen, account, name)
        elif broadcast["state"] == "checking" and now - _time(broadcast["created_at"]) > _MAX_CHECKING:
            since = local_time(broadcast["created_at"])
            seen = text(
                f"{name} has been checked since {since}.", f"群发 {name} 自 {since} 起一直处于检查中。"
            )
            yield Finding("broadcast-stalled", seen, account, name)
        elif broadcast["state"] == "running":
            details = facts.call("GET", f"broadcasts/{part(name)}")
            due = details.get("next_release_at")
            if due and not details.get("waits_for") and now - _time(due) > _MAX_LATE:
                seen = text(
                    f"{name} should have released messages at {local_time(due)}.",
                    f"群发 {name} 本应在 {local_time(due)} 继续发送。",
                )
                yield Finding("broadcast-stalled", seen, account, name)


def _cause(message: Mapping[str, Any]) -> tuple[str, ...]:
    """The cause of a failure: equal for messages that failed for one reason."""
    errcode = (message.get("wechat") or {}).get("errcode")
    fields = (message["status"], message["kind"], message.get("template_id"), errcode, message.get("reason"))
    return tuple(map(str, fields))


def _failed(context: Context, account: str, message: Mapping[str, Any], seen: str) -> Finding:
    errcode, kind = (message.get("wechat") or {}).get("errcode"), message["kind"]
    error_class = message.get("class")
    if error_class == "permission":
        return _not_permitted(context, account, kind, errcode, seen)
    template = str(message.get("template_id"))
    if right_kinds := _other_kinds(context, account, template, kind):
        told = text(f"It is a template for {right_kinds}.", f"该模板适用于 {right_kinds}。")
        facts = {"right_kinds": right_kinds}
        return Finding("template-of-other-family", f"{seen} {told}", account, template, facts, errcode)
    if errcode == _UNKNOWN_TEMPLATE:
        return Finding("unknown-template", seen, account, template, errcode=errcode)
    if errcode is None:
        return Finding("messages-failing", seen, account, message.get("reason") or error_class)
    names = {"other": "unknown-errcode", "recipient": "recipients-refused"}
    name = names.get(str(error_class), "messages-failing")
    return Finding(name, seen, account, str(errcode), errcode=errcode)


def _not_permitted(context: Context, account: str, kind: str, errcode: int | None, seen: str) -> Finding:
    """A kind that accounts of this kind cannot send, or the permission for it alone is missing."""
    quotas = {each["kind"]: each for each in context.of(account).quota()["kinds"]}
    refused = (quotas.get(kind, {}).get("refused") or {}).get("errcode")
    if not _OTHER_KIND_OF_ACCOUNT.isdisjoint({errcode, refused}):
        told = text("The endpoint belongs to another kind of account.", "该接口属于其他类型的账号。")
        return Finding("wrong-account-kind", f"{seen} {told}", account, kind, errcode=errcode)
    return Finding("api-not-permitted", seen, account, kind, errcode=errcode)


def _other_kinds(context: Context, account: str, template: str, kind: str) -> str:
    """The kinds of message that a template is for; empty where it is for this one, or is not listed."""
    listed = context.of(account).templates()["templates"]
    families = {each["family"] for each in listed if each["id"] == template}
    if _FAMILY_OF.get(kind) in {None, *families}:
        return ""
    return " / ".join(right for family in sorted(families) for right in _KINDS_OF[family])


def _seen(message: Mapping[str, Any], count: int) -> str:
    answer = message.get("wechat") or {}
    what = answer.get("errcode", message.get("reason", message.get("class")))
    hint = hint_of(message) or ""
    at, kind, template = local_time(message["created_at"]), message["kind"], message.get("template_id")
    return text(
        f"{what}: {kind} with {template}, {count} × in 24 hours, the last at {at}. {hint}",
        f"{what}：{kind} 消息（模板 {template}），24 小时内 {count} 条，最近一条在 {at}。{hint}",
    ).rstrip()


def _time(iso: str) -> datetime:
    return datetime.fromisoformat(iso)
