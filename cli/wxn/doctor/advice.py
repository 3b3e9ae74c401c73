"""The names of all findings: their severity, the thing to do, and the page that says more.

docs/doctor.md lists them with their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from wxn.language import text


class Severity(IntEnum):
    """The order in which findings are told."""

    CRITICAL = 0
    """Nothing is sent, of an account or at all, or it will stop within two hours."""
    PROBLEM = 1
    """A part does not work."""
    NOTE = 2
    """Worth knowing; it may be meant. It does not change the exit code."""


class Advice(NamedTuple):
    """The thing to do about a finding; ``next_step`` has placeholders for the finding's facts."""

    severity: Severity
    next_step: str
    docs: str


_CRITICAL, _PROBLEM, _NOTE = Severity.CRITICAL, Severity.PROBLEM, Severity.NOTE
_ACCOUNTS: Final = text("docs/operations.md#accounts", "docs/zh/operations.md#账号")
_REFRESH: Final = text("docs/operations.md#token-refresh", "docs/zh/operations.md#access_token-的刷新")
_PLATFORM: Final = text("docs/platform.md#set-a-platform-up", "docs/zh/platform.md#配置第三方平台")
_CALLBACK: Final = text("docs/callbacks.md#set-it-up", "docs/zh/callbacks.md#设置")
_ALARMS: Final = text("docs/operations.md#alarms", "docs/zh/operations.md#告警")
_MENDED: Final = text("docs/operations.md#when-an-account-works-again", "docs/zh/operations.md#账号恢复之后")

ADVICE: Final[Mapping[str, Advice]] = {
    # ------------------------------------------------------------------ this machine
    "state-file-stale": Advice(
        _CRITICAL,
        text(
            "Start the stack again (make up); if it is not meant to run, delete .local/stack.json.",
            "请重新运行 make up；若不再需要本机环境，请删除 .local/stack.json。",
        ),
        text("docs/doctor.md#this-machine", "docs/zh/doctor.md#本机"),
    ),
    "credentials-rejected": Advice(
        _CRITICAL,
        text(
            "Sign in again (aws sso login, aws configure), or choose another --profile.",
            "请重新登录（aws sso login 或 aws configure），或用 --profile 换一个身份。",
        ),
        text("docs/doctor.md#this-machine", "docs/zh/doctor.md#本机"),
    ),
    "aws-unreachable": Advice(
        _CRITICAL,
        text(
            "Check this machine's network, its proxy (HTTPS_PROXY) and --region.",
            "请检查本机网络、代理设置（HTTPS_PROXY）和 --region。",
        ),
        text("docs/deploy.md#how-aws-is-reached", "docs/zh/deploy.md#如何访问-aws"),
    ),
    "clock-skew": Advice(
        _CRITICAL,
        text(
            "Set this machine's clock (timedatectl set-ntp true, or the system settings): AWS refuses signatures that are 5 minutes off.",
            "请校准本机时钟（timedatectl set-ntp true 或系统设置）：时间相差 5 分钟以上的签名会被 AWS 拒绝。",
        ),
        text("docs/doctor.md#this-machine", "docs/zh/doctor.md#本机"),
    ),
    "missing-permission": Advice(
        _PROBLEM,
        text(
            "Ask for {subject} (the policy stands in docs/doctor.md), or choose another --profile; until then this part is not checked.",
            "请申请 {subject} 权限（策略见 docs/zh/doctor.md），或用 --profile 换一个身份；在此之前这一部分无法检查。",
        ),
        text("docs/doctor.md#permissions", "docs/zh/doctor.md#权限"),
    ),
    "check-timed-out": Advice(
        _PROBLEM,
        text(
            "Run wxn doctor again; if it stays, look at the service that the check asks.",
            "请重新运行 wxn doctor；若仍超时，请查看该检查所访问的服务。",
        ),
        text("docs/doctor.md#checks", "docs/zh/doctor.md#检查"),
    ),
    "check-failed": Advice(
        _PROBLEM,
        text(
            "Run wxn doctor again; if it stays, report it with this line.",
            "请重新运行 wxn doctor；若仍失败，请附上此行反馈。",
        ),
        text("docs/doctor.md#checks", "docs/zh/doctor.md#检查"),
    ),
    # ------------------------------------------------------------------ stack
    "stack-not-found": Advice(
        _CRITICAL,
        text(
            "Check --stack, --region and --profile; see what there is: aws cloudformation list-stacks",
            "请检查 --stack、--region 和 --profile；查看已有的：aws cloudformation list-stacks",
        ),
        text("docs/doctor.md#stack", "docs/zh/doctor.md#堆栈"),
    ),
    "other-stack": Advice(
        _CRITICAL,
        text(
            "Name the stack of this service (stack_name in samconfig.toml) with --stack or WXN_STACK.",
            "请用 --stack 或 WXN_STACK 指定本服务的环境（samconfig.toml 中的 stack_name）。",
        ),
        text("docs/doctor.md#stack", "docs/zh/doctor.md#堆栈"),
    ),
    "stack-outdated": Advice(
        _PROBLEM,
        text(
            "{subject} was deployed from an older version: deploy this one (make deploy).",
            "{subject} 部署的是旧版本：请用 make deploy 部署当前版本。",
        ),
        text("docs/deploy.md#build-and-deploy", "docs/zh/deploy.md#构建与部署"),
    ),
    "deployment-failed": Advice(
        _PROBLEM,
        text(
            "Read aws cloudformation describe-stack-events --stack-name {subject}, mend what it names, and deploy again.",
            "请查看 aws cloudformation describe-stack-events --stack-name {subject}，修正其中的错误后重新部署。",
        ),
        text("docs/deploy.md#build-and-deploy", "docs/zh/deploy.md#构建与部署"),
    ),
    "deployment-rolled-back": Advice(
        _NOTE,
        text(
            "The version before it runs. Read aws cloudformation describe-stack-events --stack-name {subject}, and deploy again.",
            "当前运行的是之前的版本。请查看 aws cloudformation describe-stack-events --stack-name {subject}，然后重新部署。",
        ),
        text("docs/deploy.md#build-and-deploy", "docs/zh/deploy.md#构建与部署"),
    ),
    "function-disabled": Advice(
        _CRITICAL,
        text(
            "Let it run again: aws lambda delete-function-concurrency --function-name {function}",
            "请恢复运行：aws lambda delete-function-concurrency --function-name {function}",
        ),
        text("docs/deploy.md#quotas-and-limits", "docs/zh/deploy.md#配额与限制"),
    ),
    "function-errors": Advice(
        _PROBLEM,
        text(
            "Read its log, lines invocation failed (error, raised_at): {log} --since 1h",
            "请查看日志中的 invocation failed 行（error、raised_at）：{log} --since 1h",
        ),
        text("docs/operations.md#log-lines", "docs/zh/operations.md#日志"),
    ),
    "function-throttled": Advice(
        _PROBLEM,
        text(
            "Raise the account's concurrency (aws lambda get-account-settings shows it), or lower MaximumConcurrency.",
            "请提高账户的 Lambda 并发上限（用 aws lambda get-account-settings 查看），或调低 MaximumConcurrency。",
        ),
        text("docs/deploy.md#quotas-and-limits", "docs/zh/deploy.md#配额与限制"),
    ),
    "table-not-active": Advice(
        _CRITICAL,
        text(
            "Look at the table: aws dynamodb describe-table --table-name {subject}",
            "请查看该表：aws dynamodb describe-table --table-name {subject}",
        ),
        "docs/design.md#what-is-stored",
    ),
    "table-throttled": Advice(
        _PROBLEM,
        text(
            "Lower the rate (BroadcastRateLimit, MaximumConcurrency), or ask AWS for a higher table quota; look for messages that became unknown meanwhile.",
            "请降低发送速率（BroadcastRateLimit、MaximumConcurrency），或向 AWS 申请提高表的限额；并检查这期间是否有状态为 unknown 的消息。",
        ),
        _ALARMS,
    ),
    # ------------------------------------------------------------------ tokens and accounts
    "no-accounts": Advice(
        _NOTE,
        text(
            "Add one, which is then stored under {path}: wxn account add <name>",
            "请添加账号（保存在 {path} 下）：wxn account add <账号名>",
        ),
        _ACCOUNTS,
    ),
    "refresher-disabled": Advice(
        _CRITICAL,
        text(
            "Put it back as the template has it: {repair}",
            "请恢复为模板中的设置：{repair}",
        ),
        _REFRESH,
    ),
    "refresher-throttled": Advice(
        _CRITICAL,
        text(
            "Check the region's free concurrency (aws lambda get-account-settings), and whether one refresh hangs: {log} --since 15m",
            "请检查该区域的可用并发（aws lambda get-account-settings），以及是否有刷新卡住：{log} --since 15m",
        ),
        _REFRESH,
    ),
    "refresher-lock-missing": Advice(
        _PROBLEM,
        text(
            "Reserve one execution: aws lambda put-function-concurrency --function-name {function} --reserved-concurrent-executions 1",
            "请将预留并发设为 1：aws lambda put-function-concurrency --function-name {function} --reserved-concurrent-executions 1",
        ),
        text("docs/deploy.md#quotas-and-limits", "docs/zh/deploy.md#配额与限制"),
    ),
    "refresher-fails": Advice(
        _CRITICAL,
        text(
            "Read its log, line invocation failed (error, raised_at): {log} --since 15m",
            "请查看日志中的 invocation failed 行（error、raised_at）：{log} --since 15m",
        ),
        _REFRESH,
    ),
    "wrong-secret": Advice(
        _CRITICAL,
        text(
            "Reset the AppSecret at mp.weixin.qq.com or take the present one, and store it: wxn account add {account} --replace",
            "请在 mp.weixin.qq.com 重置或获取当前的 AppSecret，并存入：wxn account add {account} --replace",
        ),
        _ACCOUNTS,
    ),
    "frozen-secret": Advice(
        _CRITICAL,
        text(
            "Unfreeze the AppSecret of {account} at mp.weixin.qq.com (development settings); nothing has to be changed here.",
            "请在 mp.weixin.qq.com 的开发设置中解冻 {account} 的 AppSecret，本服务无需改动。",
        ),
        _ACCOUNTS,
    ),
    "wrong-app-id": Advice(
        _CRITICAL,
        text(
            "Correct the app id, and store both again: wxn account add {account} --replace --app-id <AppID>",
            "请修正 AppID 并重新存入凭证：wxn account add {account} --replace --app-id <AppID>",
        ),
        _ACCOUNTS,
    ),
    "ip-not-whitelisted": Advice(
        _CRITICAL,
        text(
            "Put {ip} on the IP whitelist of {account} at mp.weixin.qq.com. If the address changes, give token_refresh a fixed one (SubnetIds, SecurityGroupIds).",
            "请在 mp.weixin.qq.com 将 {ip} 加入 {account} 的 IP 白名单。若该地址会变化，请为 token_refresh 配置固定地址（SubnetIds、SecurityGroupIds）。",
        ),
        _ACCOUNTS,
    ),
    "account-blocked": Advice(
        _CRITICAL,
        text(
            "Read the notice in the account's back end (mp.weixin.qq.com); its administrator has to lift the block.",
            "请登录账号后台（mp.weixin.qq.com）查看通知，由账号管理员解除限制。",
        ),
        _ACCOUNTS,
    ),
    "platform-keys-missing": Advice(
        _CRITICAL,
        text(
            "Store the token and the EncodingAESKey of {account} in {path}/{account}/callback: no ticket can be read without them.",
            "请将 {account} 的 Token 和 EncodingAESKey 存入 {path}/{account}/callback：没有密钥就无法读取 ticket。",
        ),
        _PLATFORM,
    ),
    "platform-ticket-missing": Advice(
        _CRITICAL,
        text(
            "Check the URL of authorization events of {account} at open.weixin.qq.com, and its keys here: {log}",
            "请检查 {account} 在 open.weixin.qq.com 的授权事件接收 URL 以及此处的密钥：{log}",
        ),
        _PLATFORM,
    ),
    "merchant-not-authorized": Advice(
        _PROBLEM,
        text(
            "Have the administrator of {account} authorize the platform again; if they left for good, delete its parameters under {path}/{account}.",
            "请让 {account} 的管理员重新授权第三方平台；若不再服务该商家，请删除 {path}/{account} 下的参数。",
        ),
        text("docs/platform.md#let-a-merchant-authorize", "docs/zh/platform.md#商家授权"),
    ),
    "callback-keys-unusable": Advice(
        _PROBLEM,
        text(
            "Store the token and the EncodingAESKey of {account} again in {path}/{account}/callback, as one JSON object.",
            "请将 {account} 的 Token 和 EncodingAESKey 以一个 JSON 对象重新存入 {path}/{account}/callback。",
        ),
        _CALLBACK,
    ),
    "callback-unresolved": Advice(
        _PROBLEM,
        text(
            "Correct the address at WeChat; the service's own is {url}",
            "请在微信后台修正回调地址；本服务的地址是 {url}",
        ),
        _CALLBACK,
    ),
    "callback-check-refused": Advice(
        _NOTE,
        text(
            "If no address was entered at WeChat, enter {url}; otherwise nothing has to be done.",
            "若微信后台尚未填写回调地址，请填写 {url}；否则无需处理。",
        ),
        _CALLBACK,
    ),
    "token-refresh-failed": Advice(
        _CRITICAL,
        text(
            "Do what the evidence says; the log has more: {log} --since 15m",
            "请按上面的提示处理，更多信息见日志：{log} --since 15m",
        ),
        _REFRESH,
    ),
    "malformed-credentials": Advice(
        _CRITICAL,
        text(
            "Store them again: wxn account add {account} --replace --app-id <AppID>",
            "请重新存入凭证：wxn account add {account} --replace --app-id <AppID>",
        ),
        _ACCOUNTS,
    ),
    "credentials-missing": Advice(
        _CRITICAL,
        text(
            "Check the account's name and the stage ({path}); store its credentials: wxn account add {account}",
            "请检查账号名和环境（{path}），并存入凭证：wxn account add {account}",
        ),
        _ACCOUNTS,
    ),
    "token-not-stored": Advice(
        _CRITICAL,
        text(
            "See whether token_refresh runs and may write {path}/{account}/access-token (throttling of Parameter Store, its role): {log} --since 15m",
            "请检查 token_refresh 是否在运行、能否写入 {path}/{account}/access-token（Parameter Store 限流或角色权限）：{log} --since 15m",
        ),
        _REFRESH,
    ),
    "token-old": Advice(
        _CRITICAL,
        text(
            "No refresh has replaced it. See whether token_refresh runs: {log} --since 15m",
            "access_token 一直没有更新。请检查 token_refresh 是否在运行：{log} --since 15m",
        ),
        _REFRESH,
    ),
    "api-fails": Advice(
        _PROBLEM,
        text(
            "Read the log of the function, lines of that time: {log} --since 15m",
            "请查看该时段的函数日志：{log} --since 15m",
        ),
        text("docs/operations.md#log-lines", "docs/zh/operations.md#日志"),
    ),
    "quota-used-up": Advice(
        _PROBLEM,
        text(
            "Messages wait for the daily reset. To go on now: clear_quota (10 a month) in the account's back end, then wxn holds release kind:{subject} --account {account}",
            "消息会等到每日重置后再发送。若要立即恢复：在账号后台用 clear_quota 清零（每月 10 次），再执行 wxn holds release kind:{subject} --account {account}",
        ),
        text("docs/teams-api.md#quotas", "docs/zh/teams-api.md#额度"),
    ),
    "hold-open": Advice(
        _PROBLEM,
        text(
            "Mend the cause that is named; then nothing has to be done, or at once: wxn holds release {subject} --account {account}",
            "请先排除上述原因；之后会自动恢复，也可立即解除：wxn holds release {subject} --account {account}",
        ),
        _MENDED,
    ),
    "wrong-account-kind": Advice(
        _PROBLEM,
        text(
            "Send {subject} with an account of the kind that has it (official account or mini program), or choose another kind of message.",
            "请改用支持 {subject} 的账号类型（公众号或小程序）发送，或换一种消息类型。",
        ),
        text("docs/messages.md#rules-for-every-kind", "docs/zh/messages.md#通用规则"),
    ),
    "api-not-permitted": Advice(
        _PROBLEM,
        text(
            "Apply for the API of {subject} in the back end of {account} (mp.weixin.qq.com; certification may be needed), then wxn holds release kind:{subject} --account {account}",
            "请在 {account} 的后台（mp.weixin.qq.com）申请 {subject} 的接口权限（可能需要先认证），然后执行 wxn holds release kind:{subject} --account {account}",
        ),
        text("docs/teams-api.md#holds", "docs/zh/teams-api.md#暂停发送"),
    ),
    "unknown-template": Advice(
        _PROBLEM,
        text(
            "Take a template id of this account (wxn templates list --account {account}), or add the template at mp.weixin.qq.com, then wxn templates sync --account {account}",
            "请使用该账号自己的模板 ID（wxn templates list --account {account}），或在 mp.weixin.qq.com 添加模板后执行 wxn templates sync --account {account}",
        ),
        text("docs/operations.md#templates", "docs/zh/operations.md#模板"),
    ),
    "template-of-other-family": Advice(
        _PROBLEM,
        text(
            "Send it as {right_kinds}, or take a template of the kind that is sent.",
            "请改用 {right_kinds} 类型发送，或换成与所发类型一致的模板。",
        ),
        text("docs/teams-api.md#templates", "docs/zh/teams-api.md#模板"),
    ),
    "unknown-errcode": Advice(
        _PROBLEM,
        text(
            "Look {subject} up in WeChat's documentation, and add it to the table of codes.",
            "请在微信官方文档中查询 {subject}，并补充到错误码表。",
        ),
        _ALARMS,
    ),
    "messages-failing": Advice(
        _PROBLEM,
        text(
            "Read what {subject} means, correct it, and send again. wxn messages --status failed --account {account} lists them.",
            "请查看 {subject} 的含义，修正后重新发送。可用 wxn messages --status failed --account {account} 列出。",
        ),
        text("docs/api.md#message-states", "docs/zh/api.md#消息状态"),
    ),
    "recipients-refused": Advice(
        _NOTE,
        text(
            "These users cannot be reached; leave them out until they subscribe or follow again.",
            "这些用户无法接收消息，在其重新订阅或关注之前请不要再发送。",
        ),
        text("docs/api.md#message-states", "docs/zh/api.md#消息状态"),
    ),
    "outcome-unknown": Advice(
        _NOTE,
        text(
            "They may have been sent: ask the receivers' side before you send again. wxn messages --status unknown --account {account} lists them.",
            "这些消息可能已经送达，重发前请先与接收方确认。可用 wxn messages --status unknown --account {account} 列出。",
        ),
        "docs/reliability.md#at-most-once-at-least-once",
    ),
    "templates-old": Advice(
        _NOTE,
        text(
            "See whether template_sync runs: {log} --since 12h",
            "请检查 template_sync 是否在运行：{log} --since 12h",
        ),
        text("docs/operations.md#templates", "docs/zh/operations.md#模板"),
    ),
    "broadcast-paused": Advice(
        _PROBLEM,
        text(
            "Look at its failures (wxn messages --status failed --broadcast {subject} --account {account}), mend the cause, then wxn broadcast --resume {subject} --account {account}",
            "请查看失败的消息（wxn messages --status failed --broadcast {subject} --account {account}），排除原因后执行 wxn broadcast --resume {subject} --account {account}",
        ),
        text("docs/broadcasts.md#states", "docs/zh/broadcasts.md#状态"),
    ),
    "broadcast-stalled": Advice(
        _PROBLEM,
        text(
            "Repeat what controlled it last (its creation, start, pause or resume), such as wxn broadcast --resume {subject} --account {account}: that sends its step anew. A step may be among the dead letters.",
            "请重复最后一次控制操作（创建、启动、暂停或恢复），如 wxn broadcast --resume {subject} --account {account}，以重新发出其步骤。该步骤可能已进入死信队列。",
        ),
        text("docs/operations.md#dead-letters", "docs/zh/operations.md#死信"),
    ),
    # ------------------------------------------------------------------ queues
    "queue-mapping-disabled": Advice(
        _CRITICAL,
        text(
            "Enable it again: aws lambda update-event-source-mapping --enabled --uuid {uuid}",
            "请重新启用：aws lambda update-event-source-mapping --enabled --uuid {uuid}",
        ),
        text("docs/doctor.md#queues", "docs/zh/doctor.md#队列"),
    ),
    "queue-mapping-fails": Advice(
        _PROBLEM,
        text(
            "Lambda cannot read the queue or call the function: check the function's role, and its log: {log} --since 1h",
            "Lambda 无法读取队列或调用函数：请检查函数的角色和日志：{log} --since 1h",
        ),
        text("docs/doctor.md#queues", "docs/zh/doctor.md#队列"),
    ),
    "dead-letters": Advice(
        _PROBLEM,
        text(
            "Read them (wxn dlq list), mend the cause, and send them again: wxn dlq redrive",
            "请查看死信（wxn dlq list），排除原因后重新投递：wxn dlq redrive",
        ),
        text("docs/operations.md#dead-letters", "docs/zh/operations.md#死信"),
    ),
    "undelivered-events": Advice(
        _PROBLEM,
        text(
            "The attributes of each message name the error: aws sqs receive-message --message-attribute-names All --queue-url {url}",
            "每条消息的属性中写有错误原因：aws sqs receive-message --message-attribute-names All --queue-url {url}",
        ),
        _ALARMS,
    ),
    "callback-dead-letters": Advice(
        _PROBLEM,
        text(
            "See the log of callback_events, mend the cause, and move them back: aws sqs start-message-move-task --source-arn <ARN of the queue>",
            "请查看 callback_events 的日志，排除原因后移回：aws sqs start-message-move-task --source-arn <队列的 ARN>",
        ),
        text("docs/callbacks.md#what-can-go-wrong", "docs/zh/callbacks.md#可能的问题"),
    ),
    "queue-lags": Advice(
        _PROBLEM,
        text(
            "See the other findings first; if there are none, WeChat throttles or MaximumConcurrency is too low for the load.",
            "请先处理其他问题；若没有其他问题，可能是微信限流，或 MaximumConcurrency 相对负载过低。",
        ),
        _ALARMS,
    ),
    "queue-in-flight-limit": Advice(
        _PROBLEM,
        text(
            "SQS hands out no more beyond 120,000: stop the producers until it falls, and see why messages are repeated.",
            "SQS 处理中的消息上限为 120,000：请先暂停生产者，并查明消息反复重试的原因。",
        ),
        text("docs/deploy.md#quotas-and-limits", "docs/zh/deploy.md#配额与限制"),
    ),
    # ------------------------------------------------------------------ schedules
    "template-sync-disabled": Advice(
        _PROBLEM,
        text(
            "Put it back as the template has it: {repair}",
            "请恢复为模板中的设置：{repair}",
        ),
        text("docs/operations.md#templates", "docs/zh/operations.md#模板"),
    ),
    "schedule-disabled": Advice(
        _NOTE,
        text(
            "If that is not meant, put the schedule again without enabled: false (wxn schedule show {subject} --account {account} shows it).",
            "若非有意停用，请重新提交该定时任务，不带 enabled: false（可用 wxn schedule show {subject} --account {account} 查看）。",
        ),
        text("docs/teams-api.md#schedules", "docs/zh/teams-api.md#定时任务"),
    ),
    # ------------------------------------------------------------------ alarms
    "alarm-raised": Advice(
        _PROBLEM,
        text(
            "Look {subject} up among the alarms: its section has the meaning, a first look and the remedy.",
            "请查看 {subject} 的告警说明：其中有含义、首先查看的内容和处理方法。",
        ),
        _ALARMS,
    ),
    "alarm-without-action": Advice(
        _PROBLEM,
        text(
            "Nobody hears of the alarms of this stage: deploy it with AlarmEmail or AlarmTopicArn.",
            "该环境的告警无人接收：请在部署时设置 AlarmEmail 或 AlarmTopicArn。",
        ),
        _ALARMS,
    ),
    "alarm-topic-unsubscribed": Advice(
        _PROBLEM,
        text(
            "Subscribe somebody, and have the subscription confirmed: aws sns subscribe --topic-arn {subject} --protocol email --notification-endpoint <address>",
            "请添加订阅并完成确认：aws sns subscribe --topic-arn {subject} --protocol email --notification-endpoint <邮箱>",
        ),
        _ALARMS,
    ),
}
