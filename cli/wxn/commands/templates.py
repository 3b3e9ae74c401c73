"""``wxn templates``: the account's templates at WeChat, as they were read last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wxn.api import hint_of, part
from wxn.errors import CommandError, ExitCode
from wxn.functions import invoke
from wxn.language import text, translated
from wxn.output import print_fields, print_table
from wxn.run import Run, command
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="templates",
    help=text("List and show templates, and read them anew.", "查看和同步模板。"),
    no_args_is_help=True,
)

_SYNC_SECONDS: Final = 620
"""The function's timeout is 600 seconds."""


@command(app, "list", help=text("List the account's templates.", "列出账号的模板。"))
def list_templates(run: Run) -> None:
    """List the templates as they were read last."""
    answer: dict[str, Any] = run.api.call("GET", "templates")

    def render(console: Console) -> None:
        columns = ("ID", text("For", "用于"), text("Title", "标题"), text("Keywords", "关键词"))
        rows = [
            (t["id"], t["family"], t["title"], ", ".join(keyword["key"] for keyword in t["keywords"]))
            for t in answer["templates"]
        ]
        if rows:
            print_table(console, columns, rows)
        else:
            console.print(text("No templates are known.", "没有已知的模板。"))
        for family, synced_at in answer["synced_at"].items():
            told = (
                text("was never read", "从未读取")
                if synced_at is None
                else text(f"read {local_time(synced_at)}", f"读取于 {local_time(synced_at)}")
            )
            console.print(text(f"{family}: {told}", f"{family}：{told}"), markup=False)

    run.output.show(answer, render)
    if None in answer["synced_at"].values():
        run.output.note(text("Read them now: wxn templates sync", "立即读取：wxn templates sync"))


@command(
    app, help=text("Show a template, its rules, and a message to copy.", "查看模板、字段规则和示例消息。")
)
def show(
    run: Run,
    template: Annotated[str, typer.Argument(metavar="ID", help=text("The template's id.", "模板 ID。"))],
) -> None:
    """Show one template."""
    answer: dict[str, Any] = run.api.call("GET", f"templates/{part(template)}")

    def render(console: Console) -> None:
        fields = [
            (text("Title", "标题"), answer["title"]),
            ("ID", answer["id"]),
            (text("For", "用于"), ", ".join(message["kind"] for message in answer["messages"])),
            (text("Lasts", "长期订阅"), _lasts(answer.get("long_term"))),
            (text("Text", "正文"), answer["content"].strip()),
            (text("Example", "示例"), answer["example"].strip()),
        ]
        print_fields(console, fields)
        console.print()
        columns = (
            text("Keyword", "关键词"),
            text("Rule", "规则"),
            text("Characters", "字数上限"),
            text("Values", "可选值"),
        )
        print_table(console, columns, [_row(keyword) for keyword in answer["keywords"]])
        for message in answer["messages"]:
            console.print()
            console.print(json.dumps(message, ensure_ascii=False, indent=2), markup=False)

    run.output.show(answer, render)


def _lasts(long_term: bool | None) -> str | None:  # noqa: FBT001 - a field of the answer
    if long_term is None:
        return None
    return text("yes", "是") if long_term else text("no, one message", "否，一次性")


def _row(keyword: dict[str, Any]) -> tuple[object, ...]:
    values = ", ".join(keyword.get("values") or [])
    return keyword["key"], translated(keyword["rule"]), keyword.get("max_length"), values


@command(app, help=text("Read the templates from WeChat now.", "立即从微信读取模板。"))
def sync(
    run: Run,
    *,
    every_account: Annotated[
        bool, typer.Option("--all", help=text("Read those of all accounts.", "读取所有账号的模板。"))
    ] = False,
) -> None:
    """Invoke the function that reads templates; ``--json`` prints its answer."""
    request = {} if every_account else {"account": run.account}
    client = run.stack.client("lambda", read_timeout=_SYNC_SECONDS)
    name = run.stack.outputs["TemplateSyncFunctionName"]
    answer: dict[str, Any] = invoke(client, name, request, function="template_sync")
    if "synced" not in answer:
        raise CommandError(
            text(f"No account can be called {run.account}.", f"{run.account} 不是合法的账号名。"),
            text("See what there is: wxn account list", "查看已有的：wxn account list"),
        )

    def render(console: Console) -> None:
        for account, count in answer["synced"].items():
            console.print(text(f"{account}: {count} templates", f"{account}：{count} 个模板"), markup=False)
        for failure in answer["failed"]:
            console.print(_failure(failure), markup=False)

    run.output.show(answer, render)
    if answer["failed"]:
        raise typer.Exit(ExitCode.FAILED)


def _failure(failure: dict[str, Any]) -> str:
    parts = [
        failure["account"],
        failure.get("family"),
        failure.get("error"),
        failure.get("errcode") and f"errcode {failure['errcode']}",
        hint_of(failure),
    ]
    return text("failed", "失败") + ": " + ", ".join(str(each) for each in parts if each)
