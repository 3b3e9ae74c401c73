"""Checks of what was deployed: the stack, its functions, its table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wxn.aws_errors import code_of
from wxn.doctor.context import Context
from wxn.doctor.findings import Finding
from wxn.language import text

REFRESHER: Final = "TokenRefreshFunction"


def stack(context: Context) -> Iterator[Finding]:
    """Read the stack; without it nothing else can be looked at."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    name = context.stack.name
    try:
        description = context.read_stack()
    except ClientError as error:
        if code_of(error) != "ValidationError":
            raise
        region = context.stack.region
        yield Finding(
            "stack-not-found",
            text(f"There is no stack {name} in {region}.", f"{region} 中没有名为 {name} 的环境。"),
            subject=name,
        )
        return
    if "ParameterPath" not in context.stack.outputs or REFRESHER not in context.stack.resources:
        seen = text(f"{name} is no stack of WeChat Notify.", f"{name} 不是 WeChat Notify 的环境。")
        yield Finding("other-stack", seen, subject=name)
        return
    status, reason = description["StackStatus"], description.get("StackStatusReason", "")
    if status == "UPDATE_ROLLBACK_COMPLETE":
        yield Finding(
            "deployment-rolled-back",
            text("The last deployment was rolled back.", "最近一次部署已回滚。"),
            subject=name,
        )
    elif status.endswith("_FAILED") or "ROLLBACK" in status:
        yield Finding("deployment-failed", f"{status} {reason}".rstrip(), subject=name)


def functions(context: Context) -> Iterator[Finding]:
    """Look for functions that may not run; token_refresh has checks of its own."""
    for function in context.functions:
        if function == REFRESHER:
            continue
        name = context.resource(function)
        answer = context.call("lambda", "get_function_concurrency", FunctionName=name)
        if answer.get("ReservedConcurrentExecutions") == 0:
            seen = text(
                f"{function} may not run: its concurrency is 0.", f"{function} 的并发为 0，无法运行。"
            )
            yield Finding("function-disabled", seen, subject=function, facts={"function": name})


def function_errors(context: Context) -> Iterator[Finding]:
    """Look for errors and throttles of the last hour."""
    series = context.metrics()
    for function in context.functions:
        failed = round(series.total(function, "Errors"))
        if failed:
            yield Finding(
                "function-errors",
                text(
                    f"{function} failed {failed} times in the last hour.",
                    f"{function} 最近一小时失败 {failed} 次。",
                ),
                subject=function,
                facts={"log": context.log(function)},
            )
        throttled = round(series.total(function, "Throttles"))
        # Senders that ask token_refresh together are throttled by design: one runs, the others ask again.
        if throttled and function != REFRESHER:
            yield Finding(
                "function-throttled",
                text(
                    f"{function} was throttled {throttled} times in the last hour.",
                    f"{function} 最近一小时被限流 {throttled} 次。",
                ),
                subject=function,
            )


def table(context: Context) -> Iterator[Finding]:
    """Look at the state of the ledger's table."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    name = context.resource("Ledger")
    try:
        status = context.call("dynamodb", "describe_table", TableName=name)["Table"]["TableStatus"]
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        status = "MISSING"
    # A table that is updated works.
    if status not in {"ACTIVE", "UPDATING"}:
        yield Finding(
            "table-not-active", text(f"The table is {status}.", f"表的状态为 {status}。"), subject=name
        )


def table_throttles(context: Context) -> Iterator[Finding]:
    """Look for throttled reads and writes of the last hour."""
    series = context.metrics()
    for part in ("Ledger", "Ledger/listed"):
        reads, writes = (round(series.total(part, f"{kind}ThrottleEvents")) for kind in ("Read", "Write"))
        if reads or writes:
            yield Finding(
                "table-throttled",
                text(
                    f"{reads} reads and {writes} writes were throttled in the last hour.",
                    f"最近一小时有 {reads} 次读取和 {writes} 次写入被限流。",
                ),
                subject=part,
            )
