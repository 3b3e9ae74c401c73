"""``wxn messages``, ``wxn status`` and ``wxn cancel``: look messages up, and call one back."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wxn.api import ApiError, explain, hint_of, part
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.options import Limit, Since
from wxn.output import print_fields, print_outcome, print_table
from wxn.run import Run, command
from wxn.suggestions import did_you_mean
from wxn.times import duration, local_time, seconds_between, seconds_since_1970, utc

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()

STATUSES: Final = ("queued", "sent", "delivered", "undelivered", "failed", "expired", "cancelled", "unknown")
"""The states that a list can have; ``sending`` is found by its id alone."""
_COLOURS: Final = {"sent": "green", "delivered": "green", "queued": "yellow", "sending": "yellow"}
_MessageId = Annotated[str, typer.Argument(metavar="ID", help=text("The message's id.", "消息 ID。"))]


@command(app, "messages", help=text("List messages, the newest first.", "列出消息，最新的在前。"))
def list_messages(
    run: Run,
    *,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="NAMES",
            help=text(
                f"Only these states, with commas: {', '.join(STATUSES)}.",
                f"状态，用逗号分隔：{'、 '.join(STATUSES)}。",
            ),
        ),
    ] = None,
    since: Since = None,
    broadcast: Annotated[
        str | None,
        typer.Option(
            "--broadcast", metavar="ID", help=text("Only those of this broadcast.", "只看此群发的消息。")
        ),
    ] = None,
    limit: Limit = 50,
) -> None:
    """List the messages of an account.

    ``--json`` prints the API's answer, with the messages of all pages that were read; its ``next`` is the
    cursor of the page behind them.
    """
    query: dict[str, object] = {"status": _statuses(status), "since": _utc(since), "broadcast": broadcast}
    answer = run.api.listed("messages", "messages", limit=limit, query=query)
    found = answer["messages"]

    def render(console: Console) -> None:
        if not found:
            console.print(text("No messages.", "没有消息。"))
            return
        columns = (
            text("Time", "时间"),
            "ID",
            text("Kind", "类型"),
            text("Status", "状态"),
            text("Errcode", "错误码"),
            text("Reason", "原因"),
        )
        print_table(console, columns, [_row(message) for message in found])

    run.output.show(answer, render)
    run.output.note_more(answer)


def _statuses(given: str | None) -> str | None:
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in STATUSES:
            raise CommandError(
                text(f"{name} is no status of a list.", f"{name} 不是可筛选的状态。"),
                did_you_mean(name, STATUSES),
            )
    return ",".join(names)


def _utc(given: str | None) -> str | None:
    if given is None:
        return None
    since = max(0.0, seconds_since_1970(given, now=time.time()))
    return utc(since)


def _row(message: dict[str, Any]) -> tuple[object, ...]:
    return (
        local_time(message["created_at"]),
        message["id"],
        message.get("kind"),
        message["status"],
        _errcode(message.get("wechat") or {}),
        message.get("reason") or message.get("class"),
    )


def _errcode(wechat: dict[str, Any]) -> int | None:
    """WeChat's errcode; None where it is 0 too."""
    return wechat.get("errcode") or None


@command(app, help=text("Show a message, and all that happened to it.", "查看一条消息及其全部经过。"))
def status(run: Run, message_id: _MessageId) -> None:
    """Look a message up."""
    try:
        message: dict[str, Any] = run.api.call("GET", f"messages/{part(message_id)}")
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND and _is_broadcast(run, message_id):
            raise CommandError(
                text(f"{message_id} is a broadcast, not a message.", f"{message_id} 是群发，不是消息。"),
                text(
                    f"Its messages: wxn messages --broadcast {message_id}; itself: wxn broadcast --help",
                    f"查看其中的消息：wxn messages --broadcast {message_id}；查看群发：wxn broadcast --help",
                ),
            ) from None
        raise
    run.output.show(message, lambda console: _render(console, message))


def _is_broadcast(run: Run, name: str) -> bool:
    try:
        run.api.call("GET", f"broadcasts/{part(name)}")
    except CommandError:  # not found, or not to be seen: then it is a message that is not there
        return False
    return True


@command(app, help=text("Cancel a message that waits.", "取消等待中的消息。"))
def cancel(run: Run, message_id: _MessageId) -> None:
    """Cancel a message that is queued."""
    try:
        message: dict[str, Any] = run.api.call("DELETE", f"messages/{part(message_id)}")
    except ApiError as error:
        now = error.problem.get("message_status")
        if now is None:
            raise
        raise CommandError(
            text(f"{message_id} cannot be cancelled: it is {now}.", f"{message_id} 无法取消：状态为 {now}。"),
            f"wxn status {message_id}",
            ExitCode.FAILED,
            error.problem,
        ) from None
    run.output.show(message, lambda console: _render(console, message))


def _render(console: Console, message: dict[str, Any]) -> None:
    state = message["status"]
    print_outcome(console, state, message["id"], _COLOURS.get(state, "red"))
    wechat = message.get("wechat") or {}
    times = {
        name: local_time(message[name])
        for name in ("created_at", "updated_at", "next_attempt_at", "expires_at")
        if name in message
    }
    fields = [
        (text("Kind", "类型"), message.get("kind")),
        (text("Template", "模板"), message.get("template_id")),
        (text("Attempts", "尝试次数"), message.get("attempts")),
        (text("Created", "创建时间"), times.get("created_at")),
        (text("Changed", "最近变化"), times.get("updated_at")),
        (text("Next attempt", "下次尝试"), times.get("next_attempt_at")),
        (text("Expires", "过期时间"), times.get("expires_at")),
        (text("Reason", "原因"), message.get("reason")),
        (text("Class", "错误类别"), message.get("class")),
        *wechat.items(),
        (text("Cause", "说明"), hint_of(message)),
    ]
    print_fields(console, fields)
    if timeline := message.get("timeline"):
        console.print()
        _render_timeline(console, timeline)
    if errcode := _errcode(wechat):
        console.print(f"→ {explain(errcode)}", markup=False)


def _render_timeline(console: Console, timeline: list[dict[str, Any]]) -> None:
    rows, before = [], timeline[0]["at"]
    for change in timeline:
        waited = seconds_between(before, change["at"])
        rows.append(
            (
                local_time(change["at"], milliseconds=True),
                f"+{duration(waited)}",
                change["status"],
                change.get("errcode"),
                change.get("reason"),
            )
        )
        before = change["at"]
    columns = (
        text("Time", "时间"),
        text("After", "间隔"),
        text("Status", "状态"),
        text("Errcode", "错误码"),
        text("Reason", "原因"),
    )
    print_table(console, columns, rows)
