"""``wxn schedule``: messages and broadcasts that are sent at a time, or again and again."""

from __future__ import annotations

import json
import re
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wxn import message_options, messages
from wxn.api import ApiError
from wxn.cron_times import next_times
from wxn.errors import CommandError
from wxn.json_files import read_object
from wxn.language import text
from wxn.messages import MessageOptions
from wxn.options import Limit
from wxn.output import print_fields, print_outcome, print_table
from wxn.run import Run, command
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="schedule",
    help=text("Send at a time, or again and again.", "定时发送和周期发送。"),
    no_args_is_help=True,
)

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHOWN_TIMES: Final = 3
_Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help=text("The schedule's name: letters, digits, - and _.", "任务名：字母、数字、- 和 _。"),
    ),
]
_PANEL = text("The time", "时间")


@command(app, "list", help=text("List schedules.", "列出定时任务。"))
def list_schedules(
    run: Run,
    *,
    limit: Limit = 50,
) -> None:
    """List the account's schedules.

    ``--json`` prints the API's answer, which has the names alone, with those of all pages that were read.
    """
    answer = run.api.listed("schedules", "schedules", limit=limit)
    names = [schedule["name"] for schedule in answer["schedules"]]

    def render(console: Console) -> None:
        if not names:
            console.print(text("No schedules.", "没有定时任务。"))
            return
        columns = (
            text("Name", "名称"),
            text("When", "时间"),
            text("Sends", "发送"),
            text("Enabled", "启用"),
        )
        found = [schedule for name in names if (schedule := _read_if_there(run, name))]
        rows = [
            (s["name"], _when(s), _content(s), text("yes", "是") if s["enabled"] else text("no", "否"))
            for s in found
        ]
        print_table(console, columns, rows)

    run.output.show(answer, render)
    run.output.note_more(answer)


@command(app, help=text("Show a schedule, and when it fires next.", "查看定时任务及下次触发时间。"))
def show(run: Run, name: _Name) -> None:
    """Show one schedule as the API answers it, which can be put again."""
    schedule: dict[str, Any] = run.api.call("GET", _path(name))

    def render(console: Console) -> None:
        _render(console, schedule)
        content = schedule.get("message") or schedule["broadcast"]
        console.print(json.dumps(content, ensure_ascii=False, indent=2), markup=False)

    run.output.show(schedule, render)


@command(app, help=text("Create a schedule, or replace it.", "新建或替换定时任务。"))
def put(
    run: Run,
    name: _Name,
    file: message_options.OneFile = None,
    *,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help=text("Once, such as 2026-11-21T18:00:00.", "单次，如 2026-11-21T18:00:00。"),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option(
            "--cron",
            metavar="FIELDS",
            help=text(
                'Minute, hour, day, month, day of the week, year, such as "0 9 ? * MON *".',
                '分、 时、 日、 月、 周、 年，如 "0 9 ? * MON *"。',
            ),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            "--rate",
            metavar="INTERVAL",
            help=text('Again and again, such as "2 hours".', '周期，如 "2 hours"。'),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            "--time-zone",
            metavar="ZONE",
            help=text(
                "The zone of --at and --cron; Asia/Shanghai by default.",
                "--at 和 --cron 的时区，默认 Asia/Shanghai。",
            ),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    disabled: Annotated[
        bool,
        typer.Option(
            "--disabled",
            help=text("Keep it, and do not let it fire.", "只保存，不触发。"),
            rich_help_panel=_PANEL,
        ),
    ] = False,
    broadcast: Annotated[
        str | None,
        typer.Option(
            "--broadcast",
            metavar="FILE",
            help=text("A broadcast as JSON, in the place of a message.", "JSON 格式的群发，代替消息。"),
        ),
    ] = None,
    kind: message_options.Kind = None,
    to: message_options.To = None,
    template: message_options.Template = None,
    data: message_options.Data = None,
    page: message_options.Page = None,
    url: message_options.Url = None,
    fields: message_options.Fields = None,
) -> None:
    """Put a schedule of a message, given as for ``wxn send``, or of a broadcast."""
    options = MessageOptions(kind, to, template, page, url, data, fields)
    times = {"at": at, "cron": cron, "rate": rate}
    if sum(value is not None for value in times.values()) != 1:
        raise CommandError(
            text(
                "A schedule needs one of --at, --cron and --rate.", "请在 --at、--cron、--rate 中指定一个。"
            ),
            'wxn schedule put NAME message.json --cron "0 9 ? * MON *"',
        )
    if broadcast is not None and (file is not None or options != MessageOptions()):
        raise CommandError(
            text("--broadcast stands in the place of a message.", "--broadcast 与消息不能同时给出。"),
            text("Leave out one of them.", "请去掉其中之一。"),
        )
    content = (
        {"broadcast": read_object(broadcast)}
        if broadcast is not None
        else {"message": messages.read_message(file, options)}
    )
    given = {"time_zone": time_zone, **times}
    body: dict[str, Any] = {key: value for key, value in given.items() if value is not None} | content
    body |= {"enabled": False} if disabled else {}
    status, schedule = run.api.respond("PUT", _path(name), body)

    def render(console: Console) -> None:
        created = status == HTTPStatus.CREATED
        told = text("created", "已创建") if created else text("replaced", "已替换")
        print_outcome(console, told, name)
        _render(console, schedule)

    run.output.show(schedule, render)


@command(app, help=text("Delete a schedule.", "删除定时任务。"))
def delete(run: Run, name: _Name) -> None:
    """Delete one schedule; what it has sent is not called back."""
    answer: dict[str, Any] = run.api.call("DELETE", _path(name))

    def render(console: Console) -> None:
        print_outcome(console, text("deleted", "已删除"), name)

    run.output.show(answer, render)


def _path(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise CommandError(
            text(f"{name} can be no name of a schedule.", f"{name} 不能用作任务名。"),
            text(
                "Use 1 to 64 letters, digits, - and _ (the account's name and a dot included).",
                "任务名为 1 到 64 个字母、数字、- 和 _（含账号名和一个点）。",
            ),
        )
    return f"schedules/{name}"


def _read_if_there(run: Run, name: str) -> dict[str, Any] | None:
    """A schedule; None if it removed itself since it was listed."""
    try:
        schedule: dict[str, Any] = run.api.call("GET", _path(name))
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return schedule


def _when(schedule: dict[str, Any]) -> str:
    if at := schedule.get("at"):
        return local_time(at, offset=True)
    if cron := schedule.get("cron"):
        return f"{cron}  {schedule['time_zone']}"
    return text(f"every {schedule['rate']}", f"每 {schedule['rate']}")


def _content(schedule: dict[str, Any]) -> str:
    message = schedule.get("message")
    return text("a broadcast", "群发") if message is None else str(message["kind"])


def _render(console: Console, schedule: dict[str, Any]) -> None:
    enabled = schedule["enabled"]
    fields = [
        (text("When", "时间"), _when(schedule)),
        (text("Sends", "发送"), _content(schedule)),
        (text("Next", "下次触发"), _next(schedule) if enabled else text("never: disabled", "已停用，不触发")),
    ]
    print_fields(console, fields)


def _next(schedule: dict[str, Any]) -> str | None:
    """The next times of a cron expression, in its zone."""
    if "cron" not in schedule:
        return None
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - --help starts without it

    try:
        now = datetime.now(ZoneInfo(schedule["time_zone"]))
    except (KeyError, ValueError):  # this machine does not have the zone's rules; Scheduler does
        return None
    times = next_times(schedule["cron"], now, _SHOWN_TIMES)
    return ", ".join(time.strftime("%Y-%m-%d %H:%M") for time in times)
