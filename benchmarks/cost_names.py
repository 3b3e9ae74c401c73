"""Chinese names of what the page on costs counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAMES_ZH: Final[Mapping[str, str]] = {
    # What a message costs, by door.
    "HTTP, the caller waits": "HTTP，调用方等待结果",
    "HTTP, respond-async": "HTTP，respond-async",
    "SQS, producer sends ten at a time": "SQS，生产者每次提交十条",
    "SQS, producer sends one at a time": "SQS，生产者每次提交一条",
    "event bus": "事件总线",
    "Scheduler": "Scheduler",
    "door": "入口",
    "SQS": "SQS",
    "Lambda": "Lambda",
    "ledger": "账本",
    "lists": "列表",
    "people": "收件人",
    "logs": "日志",
    "data out": "出站流量",
    "**$ a million**": "**每百万条（美元）**",
    # By batch and memory.
    "batches of {batch}": "每批 {batch} 条",
    "HTTP": "HTTP",
    # Whether anything is sent or not.
    "$ a month": "每月（美元）",
    "pollers of {queues} idle queues": "{queues} 个空闲队列的轮询",
    "{metrics} metrics ({accounts} accounts)": "{metrics} 个指标（{accounts} 个账号）",
    "{alarms} alarms": "{alarms} 个告警",
    "the openid hash key": "openid 哈希密钥",
    "token_refresh, every 5 minutes": "token_refresh，每 5 分钟一次",  # nosec B105 # a name, not a secret
    "**together**": "**合计**",
    # By messages a day.
    "WeChat calls a second": "每秒调用微信次数",
    "concurrent executions": "并发执行数",
    "SSM reads a second": "每秒读取 SSM 次数",
    "DynamoDB write units a second": "每秒 DynamoDB 写入单位",
    "DynamoDB read units a second": "每秒 DynamoDB 读取单位",
    "dollars a month": "每月费用（美元）",
    "the quota that bites first": "最先达到的配额",
    "{quota}: {used:.3g} % of {most:,.0f} {unit}": "{quota}：{most:,.0f} {unit}的 {used:.3g}%",
    # Prices.
    "what ({region}, {stated})": "项目（{region}，{stated}）",
    "$": "美元",
    "for one": "计价单位",
    "page": "价格页面",
    "Lambda, arm64": "Lambda，arm64",
    "Lambda, invocations": "Lambda，调用次数",
    "SQS, standard queue (64 KB a request)": "SQS，标准队列（每次请求 64 KB）",
    "SQS, more for messages with a group (fair queue)": "SQS，带消息组的附加费（公平队列）",
    "DynamoDB on demand, writes of 1 KB": "DynamoDB 按需模式，写入（1 KB）",
    "DynamoDB on demand, reads of 4 KB": "DynamoDB 按需模式，读取（4 KB）",
    "DynamoDB, storage": "DynamoDB，存储",
    "HTTP API": "HTTP API",
    "EventBridge, custom events": "EventBridge，自定义事件",
    "EventBridge Scheduler": "EventBridge Scheduler",
    "CloudWatch Logs, taken in": "CloudWatch Logs，写入",
    "CloudWatch Logs, kept": "CloudWatch Logs，存储",
    "CloudWatch, metrics of one's own": "CloudWatch，自定义指标",
    "CloudWatch, alarms": "CloudWatch，告警",
    "data to the internet": "到互联网的流量",
    "KMS, requests (each read of a SecureString)": "KMS，请求（每次读取 SecureString）",
    "Secrets Manager": "Secrets Manager",
    "GB-second": "GB-秒",
    "million": "百万次",
    "million requests": "百万次请求",
    "million invocations": "百万次调用",
    "GB-month": "GB-月",
    "GB": "GB",
    "metric-month": "指标-月",
    "alarm-month": "告警-月",
    "secret-month": "密钥-月",
    # Quotas, and CPU by batch.
    "; ": "；",
    ", ": "，",
    "{batch}: {cpu:.0f}": "{batch} 条 {cpu:.0f}",
    "{quota} {most:,.0f} {unit}": "{quota}：{most:,.0f} {unit}",
    "Parameter Store, default throughput": "Parameter Store 默认吞吐量",
    "Lambda, concurrent executions": "Lambda 并发执行",
    "DynamoDB, a new table's writes (40,000 once it has grown)": "DynamoDB 新表的写入（增长后为 40,000）",
    "DynamoDB, a new table's reads": "DynamoDB 新表的读取",
    "reads/s": "次读取/秒",
    "executions": "个",
    "units/s": "单位/秒",
}
"""By the English name. In braces stand the figures that are filled in."""
