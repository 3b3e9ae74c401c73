"""All checks, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from wxn.doctor import accounts, alarms, deployment, machine, platforms, queues, schedules, tokens
from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.language import text

_MACHINE: Final = text("This machine", "本机")
_STACK: Final = text("Stack", "环境")
_TOKENS: Final = text("Tokens and accounts", "凭证与账号")
_QUEUES: Final = text("Queues", "队列")
_SCHEDULES: Final = text("Schedules", "定时任务")
_ALARMS: Final = text("Alarms", "告警")


class Check(NamedTuple):
    """A look at one part of the stack; ``examine`` yields what it finds, and may raise."""

    name: str
    group: str
    title: str
    examine: Callable[[Context], Iterable[Finding]]


class AccountCheck(NamedTuple):
    """A look at one account; ``examine`` gets its name too."""

    name: str
    group: str
    title: str
    examine: Callable[[Context, str], Iterable[Finding]]


FIRST: Final = (
    Check("identity", _MACHINE, text("keys, clock and network", "身份、时钟与网络"), machine.identity),
    Check("stack", _STACK, text("the stack", "环境"), deployment.stack),
)
"""If one of these finds something that nothing works without, no other check is made."""

STACK_CHECKS: Final = (
    Check("functions", _STACK, text("functions may run", "函数可以运行"), deployment.functions),
    Check(
        "function-errors", _STACK, text("functions' last hour", "函数最近一小时"), deployment.function_errors
    ),
    Check("table", _STACK, text("the table", "数据表"), deployment.table),
    Check(
        "table-throttles",
        _STACK,
        text("the table's last hour", "数据表最近一小时"),
        deployment.table_throttles,
    ),
    Check("refresher", _TOKENS, text("token_refresh", "token_refresh"), tokens.refresher),
    Check(
        "refresher-throttles",
        _TOKENS,
        text("token_refresh's last hour", "token_refresh 最近一小时"),
        tokens.refresher_throttles,
    ),
    Check("stored-tokens", _TOKENS, text("stored tokens", "已存储的 token"), tokens.stored_tokens),
    Check("platforms", _TOKENS, text("third-party platforms", "第三方平台"), platforms.platforms),
    Check("callback-keys", _TOKENS, text("keys of callbacks", "回调密钥"), platforms.callback_keys),
    Check("mappings", _QUEUES, text("queues are read", "队列有消费者"), queues.mappings),
    Check("dead-letters", _QUEUES, text("dead letters", "死信"), queues.dead_letters),
    Check("backlogs", _QUEUES, text("messages in flight", "处理中的消息"), queues.backlogs),
    Check("ages", _QUEUES, text("the oldest messages", "最早的消息"), queues.ages),
    Check(
        "stack-schedules", _SCHEDULES, text("the stack's schedules", "环境自身的定时任务"), schedules.of_stack
    ),
    Check("schedules", _SCHEDULES, text("accounts' schedules", "账号的定时任务"), schedules.of_accounts),
    Check("alarms", _ALARMS, text("alarms", "告警状态"), alarms.raised),
    Check("alarm-topic", _ALARMS, text("their subscribers", "告警订阅"), alarms.topic),
)

REFRESH: Final = Check("refresh", _TOKENS, text("a refresh now", "立即刷新一次"), tokens.refresh)
"""Made when the stored tokens were looked at: it may replace them."""

CALLBACKS: Final = Check(
    "callback-addresses", _TOKENS, text("callback addresses", "回调地址"), platforms.callback_addresses
)
"""Made after a refresh: it asks the same function."""

ACCOUNT_CHECKS: Final = (
    AccountCheck("quota", _TOKENS, text("quotas", "额度"), accounts.quota),
    AccountCheck("holds", _TOKENS, text("holds", "暂停"), accounts.holds),
    AccountCheck("messages", _TOKENS, text("messages of the last day", "最近一天的消息"), accounts.messages),
    AccountCheck("templates", _TOKENS, text("templates", "模板"), accounts.templates),
    AccountCheck("broadcasts", _TOKENS, text("broadcasts", "群发"), accounts.broadcasts),
)
"""Made after a refresh: senders without a token ask for one too, and one refresh runs at a time."""
