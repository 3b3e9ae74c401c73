"""``wxn trigger``: send an example, or meet an error of WeChat's that the simulator plays."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wxn import message_options
from wxn.api import ApiError, errcode_of, explain, hint_of, part
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.messages import Message
from wxn.options import DryRun
from wxn.output import print_fields, print_table
from wxn.run import Run, command
from wxn.sending import Sending, new_message_id, render_answer, would_be_refused
from wxn.suggestions import did_you_mean
from wxn.triggers import ERRORS, EXAMPLES, Trigger, addressed, example, find

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer()


@command(
    app, help=text("Send an example, or play an error of WeChat's.", "发送示例消息，或模拟微信返回的错误。")
)
def trigger(
    run: Run,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help=text(
                "A kind of message, a class of error, or an errcode such as 43101; without it, all are listed.",
                "消息类型、错误类别，或 43101 这样的错误码；不填则全部列出。",
            ),
        ),
    ] = None,
    *,
    to: message_options.To = None,
    template: message_options.Template = None,
    kind: message_options.Kind = None,
    dry_run: DryRun = False,
) -> None:
    """Send the example of a kind, or a message that is answered with an error.

    Errors are played on this machine alone. ``--kind`` is the kind of message that meets the error;
    ``--template`` fills one of the account's own templates in the place of the example.

    With ``--json`` it prints the API's answer or, of an error that was asked for, its problem document;
    without a name the list ``{"kinds": […], "errors": […]}``.
    """
    if target is None:
        _list(run)
        return
    wanted = find(target)
    if wanted is None:
        raise CommandError(
            text(f"There is nothing to trigger by the name {target}.", f"没有名为 {target} 的示例或错误。"),
            did_you_mean(
                target,
                [each.name for each in (*EXAMPLES, *ERRORS)],
                text("See what there is: wxn trigger", "查看已有的：wxn trigger"),
            ),
        )
    recipient = _recipient(run, wanted, to)
    message = addressed(_message(run, wanted, kind, template), recipient)
    message_id = new_message_id()
    try:
        answer = Sending(dry_run=dry_run).send(run.api, message, message_id)
    except ApiError as error:
        if wanted.recipient is None:
            raise
        if not _is_played(wanted, error.problem):
            error.next_step = text(
                "An earlier answer may hold it: wxn holds list; a hold that is released ends within a second.",
                "可能仍处于暂停：用 wxn holds list 查看，解除后一秒内生效。",
            )
            raise
        refusal = error
        run.output.show(
            {**refusal.problem, "id": message_id},
            lambda console: _render_problem(console, refusal, message_id),
        )
    else:
        run.output.show(answer, lambda console: render_answer(console, answer))
        if would_be_refused(answer):
            raise typer.Exit(ExitCode.FAILED)
    if wanted.recipient is not None and not dry_run:
        _tell_holds(run)


def _recipient(run: Run, wanted: Trigger, to: str | None) -> str:
    """The openid to send to; CommandError where it must be named, and where an error cannot be played."""
    on_laptop = run.stack.laptop is not None
    if wanted.recipient is not None:
        if not on_laptop:
            raise CommandError(
                text(
                    f"{run.stack.title} sends to WeChat, which plays no errors.",
                    f"{run.stack.title} 会真实发送到微信，无法模拟错误。",
                ),
                text("Start the stack on this machine: make up", "请在本机启动环境：make up"),
            )
        if to is not None:
            raise CommandError(
                text(
                    f"An error is played for its own recipient, {wanted.recipient}.",
                    f"模拟错误使用固定的接收者 {wanted.recipient}。",
                ),
                text("Leave out --to.", "请去掉 --to。"),
            )
        return wanted.recipient
    if to is None and not on_laptop:
        raise CommandError(
            text(f"{run.stack.title} sends to real people.", f"{run.stack.title} 会发送给真实用户。"),
            text("Give your own openid: --to OPENID", "请用 --to 指定你自己的 openid"),
        )
    return f"openid-{uuid.uuid4().hex[:12]}" if to is None else to


def _message(run: Run, wanted: Trigger, kind: str | None, template: str | None) -> Message:
    if wanted.recipient is None and kind is not None:
        raise CommandError(
            text(f"{wanted.name} is a kind already.", f"{wanted.name} 已是消息类型。"),
            text("Leave out --kind.", "请去掉 --kind。"),
        )
    name = kind or (wanted.name if wanted.recipient is None else EXAMPLES[0].name)
    if name not in {each.name for each in EXAMPLES}:
        raise CommandError(
            text(f"{name} is no kind of message.", f"{name} 不是消息类型。"),
            did_you_mean(name, [each.name for each in EXAMPLES]),
        )
    if template is None:
        return example(name)
    filled = run.api.call("GET", f"templates/{part(template)}")["messages"]
    for message in filled:
        if message["kind"] == name:
            return dict(message)
    kinds = ", ".join(message["kind"] for message in filled)
    raise CommandError(
        text(f"The template is for {kinds}, not for {name}.", f"该模板用于 {kinds}，而不是 {name}。"),
        text("See what there is: wxn templates list", "查看已有的：wxn templates list"),
    )


def _is_played(wanted: Trigger, problem: dict[str, Any]) -> bool:
    """The refusal is WeChat's answer to this message, and none of an earlier one."""
    return wanted.errcode is None or errcode_of(problem) == wanted.errcode


def _render_problem(console: Console, error: ApiError, message_id: str) -> None:
    problem, errcode = error.problem, errcode_of(error.problem)
    outcome = problem.get("title", "") if errcode is None else f"errcode {errcode}"
    console.print(f"{outcome}  {message_id}", markup=False)
    fields = [
        ("HTTP", error.status),
        (text("Class", "错误类别"), problem.get("class")),
        ("errmsg", problem.get("errmsg", problem.get("errMsg"))),
        (text("Cause", "说明"), hint_of(problem)),
    ]
    print_fields(console, fields)
    console.print(f"→ {f'wxn status {message_id}' if errcode is None else explain(errcode)}", markup=False)


def _tell_holds(run: Run) -> None:
    """Other messages wait for what was played now: people who play errors should know."""
    for hold in run.api.call("GET", "holds")["holds"]:
        told = text(
            f"Held now: {hold['id']}. To end that: wxn holds release {hold['id']}",
            f"已暂停：{hold['id']}。解除：wxn holds release {hold['id']}",
        )
        run.output.note(told)


def _list(run: Run) -> None:
    listed = {
        "kinds": [{"name": each.name, "meaning": each.meaning} for each in EXAMPLES],
        "errors": [{"name": each.name, "errcode": each.errcode, "meaning": each.meaning} for each in ERRORS],
    }

    def render(console: Console) -> None:
        print_table(console, (text("Kind", "类型"), ""), [(each.name, each.meaning) for each in EXAMPLES])
        console.print()
        title = text("Error, on this machine alone", "错误（仅限本机环境）")
        print_table(console, (title, ""), [(each.name, each.meaning) for each in ERRORS])
        console.print()
        console.print(
            text("Any errcode works too: wxn trigger 43107", "也可用任意错误码：wxn trigger 43107"),
            markup=False,
        )

    run.output.show(listed, render)
