"""``wxn consents``: what is left of a person's consents, and links to confirm one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wxn.language import text
from wxn.output import print_table
from wxn.run import Run, command
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="consents",
    help=text("Look up what people allowed the account to send them.", "查询用户的订阅授权，生成授权链接。"),
    no_args_is_help=True,
)


@command(
    app,
    help=text("Show what is left of a person's consents.", "查看某个用户剩余的订阅授权。"),
)
def show(
    run: Run,
    openid: Annotated[
        str, typer.Argument(metavar="OPENID", help=text("The person's openid.", "用户的 openid。"))
    ],
) -> None:
    """Show a person's consents; with ``--json`` as the API answers."""
    answer: dict[str, Any] = run.api.call("GET", "consents", query={"openid": openid})

    def render(console: Console) -> None:
        console.print(text(f"Policy: {answer['policy']}", f"策略：{answer['policy']}"), markup=False)
        if left_at := answer.get("left_at"):
            told = text(f"Unsubscribed: {local_time(left_at)}", f"取消关注：{local_time(left_at)}")
            console.print(told, markup=False)
        if not answer["templates"]:
            console.print(text("No consent of this person is known.", "没有该用户的授权记录。"))
            return
        columns = (
            text("Template", "模板"),
            "scene",
            text("Left", "剩余"),
            text("Last grant", "最近授权"),
            text("Last refusal", "最近拒绝"),
            text("Ended", "已取消"),
            text("Corrected by 43101", "因 43101 更正"),
        )
        print_table(console, columns, [_row(each) for each in answer["templates"]])

    run.output.show(answer, render)


def _row(consents: dict[str, Any]) -> tuple[object, ...]:
    left: object = consents["unused"]
    if "long_term" in consents:
        left = text("long-term", "长期") if consents["long_term"] else text("none", "无")
    times = (consents.get(f"{name}_at") for name in ("granted", "refused", "ended", "corrected"))
    return (
        consents["template_id"],
        consents.get("scene"),
        left,
        *(at and local_time(at) for at in times),
    )


@command(
    app,
    help=text(
        "Make a one-time link to WeChat's page on which a person confirms one message.",
        "生成一次性授权链接，用户在微信页面确认后可收到一条消息。",
    ),
)
def link(
    run: Run,
    template_id: Annotated[
        str,
        typer.Argument(
            metavar="TEMPLATE_ID",
            help=text("The account's template of one-time messages.", "账号的一次性订阅消息模板 id。"),
        ),
    ],
    scene: Annotated[
        int,
        typer.Option(
            "--scene",
            min=0,
            max=10_000,
            help=text("What the message is about: 0 to 10000.", "订阅场景值，0 到 10000。"),
        ),
    ],
    redirect_url: Annotated[
        str,
        typer.Option(
            "--redirect-url",
            metavar="URL",
            help=text("Where WeChat leads back to.", "操作后跳转的地址。"),
        ),
    ],
) -> None:
    """Make a link; with ``--json`` as the API answers: ``url``, ``reserved``, ``expires_at``."""
    query = {"template_id": template_id, "scene": str(scene), "redirect_url": redirect_url}
    answer: dict[str, Any] = run.api.call("GET", "consents/links", query=query)

    def render(console: Console) -> None:
        console.print(answer["url"], markup=False, soft_wrap=True)

    run.output.show(answer, render)
    until = local_time(answer["expires_at"])
    run.output.note(text(f"It can be confirmed once, until {until}.", f"只能确认一次，{until} 前有效。"))
