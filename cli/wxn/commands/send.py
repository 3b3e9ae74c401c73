"""``wxn send``: send messages from a file, or one from options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wxn import message_options, messages
from wxn.api import ApiError, errcode_of, hint_of, violations
from wxn.errors import CommandError, ExitCode
from wxn.json_files import Document
from wxn.language import text
from wxn.messages import MessageOptions
from wxn.options import DryRun
from wxn.output import discard
from wxn.run import Run, command
from wxn.sending import Sending, new_message_id, render_answer, would_be_refused

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()
_PANEL = text("The way it is sent", "发送方式")


@command(app, help=text("Send a message.", "发送消息。"))
def send(
    run: Run,
    file: message_options.File = None,
    *,
    kind: message_options.Kind = None,
    to: message_options.To = None,
    template: message_options.Template = None,
    data: message_options.Data = None,
    page: message_options.Page = None,
    url: message_options.Url = None,
    fields: message_options.Fields = None,
    message_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help=text(
                "The message's id: what is sent again under it is sent once. Several get ID:1, ID:2 and so on, by line.",
                "消息 ID：同一 ID 重复发送也只发一次。多条消息按行号为 ID:1、 ID:2 等。",
            ),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    dry_run: DryRun = False,
    respond_async: Annotated[
        bool,
        typer.Option(
            "--async",
            help=text("Put it on the queue, which repeats it.", "放入队列，由队列负责重试。"),
            rich_help_panel=_PANEL,
        ),
    ] = False,
    expires_at: Annotated[
        str | None,
        typer.Option(
            "--expires-at",
            metavar="TIME",
            help=text(
                "Not to be sent after this time, such as 2026-11-21T18:00:00+08:00.",
                "此时间之后不再发送，如 2026-11-21T18:00:00+08:00。",
            ),
            rich_help_panel=_PANEL,
        ),
    ] = None,
    at_least_once: Annotated[
        bool,
        typer.Option(
            "--at-least-once",
            help=text(
                "Send it again after a lost answer: it may arrive twice.",
                "应答丢失时重发，可能收到两次。",
            ),
            rich_help_panel=_PANEL,
        ),
    ] = False,
) -> None:
    """Send a message, or each message of a file.

    With ``--json`` one message prints the API's answer. Several print JSON Lines: each the API's answer, or
    its problem document, with the file's ``line``.
    """
    options = MessageOptions(kind, to, template, page, url, data, fields)
    documents = messages.read_messages(file, options)
    for _, message in documents:
        message.update({"expires_at": expires_at} if expires_at else {})
        message.update({"delivery": "at_least_once"} if at_least_once else {})
    way = Sending(dry_run=dry_run, respond_async=respond_async)
    if len(documents) > 1:
        _send_several(run, documents, way, message_id or new_message_id())
        return
    answer = way.send(run.api, documents[0].value, message_id or new_message_id())
    run.output.show(answer, lambda console: render_answer(console, answer))
    if would_be_refused(answer):
        raise typer.Exit(ExitCode.FAILED)


_NO_ACCESS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
"""Every other message would be answered the same."""


def _send_several(run: Run, documents: Sequence[Document], way: Sending, prefix: str) -> None:
    note = text(
        f"The ids are {prefix}:<line>; to repeat, --id {prefix}",
        f"消息 ID 为 {prefix}:<行号>；重试请用 --id {prefix}",
    )
    run.output.note(note)
    codes = set[ExitCode]()
    for line, message in documents:
        message_id = f"{prefix}:{line}"
        try:
            answer = way.send(run.api, message, message_id, id_option=prefix)
        except ApiError as error:
            if error.status in _NO_ACCESS:
                raise
            answer = error.problem
            codes.add(error.exit_code)
        try:
            run.output.show({"line": line, "id": message_id, **answer}, _line(line, message_id, answer))
        except BrokenPipeError:
            discard(sys.stdout)
            raise CommandError(
                text(
                    f"Nobody reads the results any more: what is behind line {line} was not sent.",
                    f"结果已无人读取：第 {line} 行之后的消息没有发送。",
                ),
                text(
                    f"Repeat the command with --id {prefix}: what was sent is not sent again.",
                    f"请带上 --id {prefix} 重新执行命令：已发送的不会重发。",
                ),
                ExitCode.FAILED,
            ) from None
        if would_be_refused(answer):
            codes.add(ExitCode.FAILED)
    if codes:
        # A line that cannot work outweighs one that can work later.
        raise typer.Exit(min(codes))


def _line(line: int, message_id: str, answer: dict[str, Any]) -> Callable[[Console], None]:
    """The result of one of several messages, in one line of the terminal."""

    def render(console: Console) -> None:
        errcode = errcode_of(answer)
        if answer.get("dry_run"):
            outcome, told = answer["would"], ""
        elif isinstance(answer.get("status"), str):
            outcome, told = answer["status"], ""
        else:
            outcome = text("refused", "被拒绝") if errcode is None else f"errcode {errcode}"
            broken = violations(answer.get("errors"))
            told = "; ".join(broken) or hint_of(answer) or answer.get("detail", "")
        console.print(f"{line}  {outcome}  {message_id}  {told}".rstrip(), markup=False)
        for warning in violations(answer.get("warnings")):
            console.print(f"   {warning}", markup=False)

    return render
