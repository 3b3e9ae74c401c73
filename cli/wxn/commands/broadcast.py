"""``wxn broadcast``: send one message to the recipients of a file, and control broadcasts.

One command with options, and no group of commands: a file as its first word begins a broadcast, so a group
could not tell a file called ``list`` from its command ``list``. Each other thing to do is one option with
the broadcast's id.

Exit code 0: it has finished, or what was asked for is done. 1: it was refused, cancelled, has failed or is
paused; or the answer to the question was no. 4: no answer for ten minutes. 130: ended by Ctrl-C.

``--json`` prints JSON Lines. Each line is the broadcast as the API answers it, and one is printed when it has
changed; the last line is its last state. ``--list`` prints the API's answer, ``--results`` the ``id``, the
``file`` and its ``bytes``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wxn.api import ApiError, http_session, part
from wxn.broadcasts import creating, reports, transfers
from wxn.broadcasts.following import ENDED
from wxn.broadcasts.refusals import explained, nothing_sent
from wxn.broadcasts.session import Session
from wxn.errors import CommandError
from wxn.json_files import read_object
from wxn.language import text
from wxn.options import Yes
from wxn.questions import confirm, require_answer
from wxn.run import Run, command

app = typer.Typer()

_NEW = text("A new broadcast", "新建群发")
_EXISTING = text("Broadcasts that exist", "已有的群发")


def _id_option(name: str, en: str, zh: str) -> Any:
    return typer.Option(name, metavar="ID", help=text(en, zh), rich_help_panel=_EXISTING)


def _new_option(name: str, metavar: str | None, en: str, zh: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text(en, zh), rich_help_panel=_NEW)


@command(
    app,
    help=text(
        "Send one message to all recipients of a file; pause, resume and follow broadcasts.",
        "向文件中的所有接收者群发一条消息；暂停、继续和查看群发。",
    ),
)
def broadcast(
    run: Run,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help=text(
                "The recipients: CSV with a header, or JSON Lines.",
                "接收者文件：带表头的 CSV 或 JSON Lines。",
            ),
        ),
    ] = None,
    *,
    message: Annotated[
        str | None,
        _new_option(
            "--message",
            "FILE",
            "The message as JSON, with {{column}} in its texts.",
            "消息 JSON 文件，文本中可用 {{列名}}。",
        ),
    ] = None,
    name: Annotated[str | None, _new_option("--name", "TEXT", "A label.", "名称。")] = None,
    rate: Annotated[
        float | None, _new_option("--rate", "NUMBER", "Messages per second.", "每秒消息数。")
    ] = None,
    window: Annotated[
        str | None,
        _new_option(
            "--window",
            "09:00-21:00",
            "The part of the day in which messages are sent.",
            "每天允许发送的时段。",
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        _new_option(
            "--time-zone",
            "ZONE",
            "The zone of the window; Asia/Shanghai by default.",
            "时段所用时区，默认 Asia/Shanghai。",
        ),
    ] = None,
    starts_at: Annotated[
        str | None,
        _new_option(
            "--starts-at",
            "TIME",
            "Not to be sent before this time, such as 2026-12-01T09:00:00+08:00.",
            "此时间之前不发送，如 2026-12-01T09:00:00+08:00。",
        ),
    ] = None,
    expires_at: Annotated[
        str | None,
        _new_option(
            "--expires-at",
            "TIME",
            "Not to be sent after this time, such as 2026-12-01T21:00:00+08:00.",
            "此时间之后不再发送，如 2026-12-01T21:00:00+08:00。",
        ),
    ] = None,
    on_invalid: Annotated[
        Literal["skip", "abort"] | None,
        _new_option(
            "--on-invalid",
            "skip|abort",
            "Bad rows: leave them out (skip, the default), or send nothing (abort).",
            "无效的行：skip 跳过（默认），abort 全部不发。",
        ),
    ] = None,
    duplicates: Annotated[
        Literal["once", "send"] | None,
        _new_option(
            "--duplicates",
            "once|send",
            "Recipients listed twice: send once (the default), or for each row (send).",
            "重复的接收者：once 只发一次（默认），send 每行都发。",
        ),
    ] = None,
    max_failures_percent: Annotated[
        int | None,
        _new_option(
            "--max-failures-percent",
            "1-100",
            "Pause when more than this share fails; 20 by default.",
            "失败比例 超过此值时 自动暂停，默认 20。",
        ),
    ] = None,
    broadcast_id: Annotated[
        str | None,
        _new_option(
            "--id",
            "ID",
            "The broadcast's id; by default one made of file, message and options.",
            "群发 ID，默认由文件、 消息和选项得出。",
        ),
    ] = None,
    check: Annotated[
        bool, _new_option("--check", None, "Check all rows, and send nothing.", "只检查，不发送。")
    ] = False,
    follow: Annotated[
        str | None, _id_option("--follow", "Follow it to its end.", "查看进度直到结束。")
    ] = None,
    pause: Annotated[str | None, _id_option("--pause", "Pause it.", "暂停。")] = None,
    resume: Annotated[
        str | None,
        _id_option(
            "--resume",
            "Go on with a paused one, or start a checked one.",
            "继续已暂停的群发，或开始已检查的群发。",
        ),
    ] = None,
    cancel: Annotated[
        str | None, _id_option("--cancel", "Send nothing more, for good.", "彻底取消，不再发送。")
    ] = None,
    results: Annotated[
        str | None, _id_option("--results", "Download each row's result as CSV.", "下载每一行的结果（CSV）。")
    ] = None,
    retry: Annotated[
        str | None,
        _id_option("--retry", "Send again what failed and can pass.", "重新发送可以恢复的失败消息。"),
    ] = None,
    show_list: Annotated[
        bool,
        typer.Option(
            "--list",
            help=text("List broadcasts, the newest first.", "列出群发，最新的在前。"),
            rich_help_panel=_EXISTING,
        ),
    ] = False,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help=text("With --list: at most so many.", "用于 --list：最多列出的条数。"),
            rich_help_panel=_EXISTING,
        ),
    ] = 50,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help=text("The file of --results; ID.csv by default.", "--results 的保存位置，默认 ID.csv。"),
            rich_help_panel=_EXISTING,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help=text("Overwrite that file.", "覆盖该文件。"), rich_help_panel=_EXISTING),
    ] = False,
    include_unknown: Annotated[
        bool,
        typer.Option(
            "--include-unknown",
            help=text(
                "With --retry: also what may have been sent.", "用于 --retry：同时重发结果未知的消息。"
            ),
            rich_help_panel=_EXISTING,
        ),
    ] = False,
    yes: Yes = False,
    detach: Annotated[
        bool, typer.Option("--detach", help=text("Start it and do not follow it.", "开始后不跟踪进度。"))
    ] = False,
) -> None:
    """Do what the one option that names a broadcast asks for, or make a new one."""
    options = {
        "name": name,
        "messages_per_second": rate,
        "send_window": window,
        "time_zone": time_zone,
        "starts_at": starts_at,
        "expires_at": expires_at,
        "on_invalid": on_invalid,
        "duplicates": duplicates,
        "max_failures_percent": max_failures_percent,
    }
    _require_finite(rate)
    request = {field: value for field, value in options.items() if value is not None}
    _require_one(
        {"FILE": file, "--follow": follow, "--pause": pause, "--resume": resume, "--cancel": cancel,
         "--results": results, "--retry": retry, "--list": show_list or None}
    )  # fmt: skip
    _require_no_stray(file, message, request)
    session = Session(run, yes=yes, detach=detach)
    if file is not None:
        if not check:
            require_answer(yes=yes)
        body = {"message": read_object(message or ""), **request}
        with nothing_sent():
            created = creating.create(run, file, body, broadcast_id)
        _begin(run, session, created, check=check)
    elif retry is not None:
        if not check:
            require_answer(yes=yes)
        created = _new_retry(run, retry, broadcast_id, include_unknown=include_unknown)
        _begin(run, session, created, check=check)
    elif follow is not None:
        session.follow(follow)
    elif resume is not None:
        session.resume(resume)
    elif pause is not None:
        _tell(run, session.control("pause", pause), text("Paused.", "已暂停。"), f"--resume {pause}")
    elif cancel is not None:
        _cancel(run, session, cancel, yes=yes)
    elif results is not None:
        _download(run, results, output, force=force)
    else:
        _list(run, limit)


def _require_finite(rate: float | None) -> None:
    if rate is not None and not math.isfinite(rate):
        raise CommandError(
            text(f"--rate {rate}: it is a number.", f"--rate 不能是 {rate}，应为数字。"),
            text("Such as --rate 50, or 0.5.", "例如 --rate 50 或 0.5。"),
        )


def _require_one(given: dict[str, Any]) -> None:
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) == 1:
        return
    names = ", ".join(given)
    told = text("These exclude each other", "以下选项不能同时使用") + f": {', '.join(chosen)}"
    raise CommandError(
        told if chosen else text("There is nothing to do.", "没有指定要做什么。"),
        text(f"Give one of {names}.", f"请指定其中一个：{names}。"),
    )


def _require_no_stray(file: Path | None, message: str | None, request: dict[str, Any]) -> None:
    if file is not None and message is None:
        raise CommandError(
            text("There is no message.", "没有指定消息。"),
            text(
                "Give --message FILE; docs/recipients.md has an example.",
                "请用 --message 指定消息文件；示例见 docs/recipients.md。",
            ),
        )
    if file is None and (message is not None or request):
        raise CommandError(
            text("The options of a new broadcast need its file.", "新建群发的选项需要同时指定接收者文件。"),
            text("Read wxn broadcast --help", "请查看 wxn broadcast --help"),
        )


def _new_retry(run: Run, original: str, broadcast_id: str | None, *, include_unknown: bool) -> dict[str, Any]:
    with nothing_sent():
        try:
            return creating.create_retry(run, original, broadcast_id, include_unknown=include_unknown)
        except ApiError as error:
            raise explained(error, "retry", original) from None


def _begin(run: Run, session: Session, created: dict[str, Any], *, check: bool) -> None:
    broadcast_id = created["id"]
    run.output.note(text(f"Broadcast {broadcast_id}", f"群发 {broadcast_id}"))
    if not check:
        session.go_on(created)
        return
    with nothing_sent():
        checked = session.await_check(created)
    told = (
        text("Nothing was sent. To send it", "没有发送任何消息。发送")
        if checked["state"] == "checked"
        else text(f"{broadcast_id} was started before. To follow it", f"{broadcast_id} 此前已开始。查看进度")
    )
    verb = "--resume" if checked["state"] == "checked" else "--follow"
    run.output.note(told + text(": ", "：") + f"wxn broadcast {verb} {broadcast_id}")


def _tell(run: Run, changed: dict[str, Any], told: str, next_option: str) -> None:
    """Show the API's answer to a change: a sentence and the command that follows."""
    next_command = text(f"Next: wxn broadcast {next_option}", f"接下来：wxn broadcast {next_option}")
    run.output.show(changed, lambda console: console.print(f"{told} {next_command}", markup=False))


def _cancel(run: Run, session: Session, broadcast_id: str, *, yes: bool) -> None:
    found = session.look(broadcast_id)
    left = found["counts"]["unreleased"]
    question = text(
        f"Cancel {broadcast_id} for good? {left:,} messages would not be sent.",
        f"确定彻底取消 {broadcast_id} 吗？{left:,} 条消息将不再发送。",
    )
    if found["state"] not in ENDED:
        declined = text("It was not cancelled.", "没有取消。")
        confirm(run.output, question, yes=yes, declined=declined)
    changed = session.control("cancel", broadcast_id)
    _tell(run, changed, text("Cancelled.", "已取消。"), f"--follow {broadcast_id}")


def _download(run: Run, broadcast_id: str, output: Path | None, *, force: bool) -> None:
    target = output or Path(f"{broadcast_id}.csv")
    transfers.refuse_to_overwrite(target, force=force)
    try:
        url = run.api.call("GET", f"broadcasts/{part(broadcast_id)}/results")["url"]
    except ApiError as error:
        raise explained(error, "results", broadcast_id) from None
    size = transfers.fetch(http_session(run.stack), url, target)
    answer = {"id": broadcast_id, "file": str(target), "bytes": size}
    run.output.show(answer, lambda console: console.print(str(target), markup=False))


def _list(run: Run, limit: int) -> None:
    answer = run.api.listed("broadcasts", "broadcasts", limit=limit)
    run.output.show(answer, lambda console: reports.print_list(console, answer["broadcasts"], run.account))
    run.output.note_more(answer)
