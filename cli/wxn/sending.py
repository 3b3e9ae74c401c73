"""Send one message by the HTTP API, and tell what became of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from wxn.api import Api, ApiError, errcode_of, hint_of, violations
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.messages import Message
from wxn.output import print_fields, print_outcome, printable
from wxn.times import local_time

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Sending:
    """The ways in which a message can be sent.

    Parameters
    ----------
    dry_run
        Only ask what would become of it.
    respond_async
        Put it on the queue.
    """

    dry_run: bool = False
    respond_async: bool = False

    def send(
        self, api: Api, message: Message, message_id: str, *, id_option: str | None = None
    ) -> dict[str, Any]:
        """The service's answer; ``id_option`` is what ``--id`` must be for a repeat, where it is not the id.

        Raises
        ------
        ApiError
            If the service refuses; its next step knows the message's id.
        CommandError
            If the service does not answer, or Ctrl-C was pressed before it did.
        """
        headers = {"Idempotency-Key": message_id}
        if self.respond_async:
            headers["Prefer"] = "respond-async"
        query = {"dry_run": "true"} if self.dry_run else {}
        try:
            answer: dict[str, Any] = api.call("POST", "messages", message, query=query, headers=headers)
        except ApiError as error:
            error.next_step = _next_step(error, message_id)
            raise
        except CommandError as error:
            if error.exit_code is ExitCode.UNAVAILABLE:
                error.next_step = _again(id_option or message_id)
            raise
        except KeyboardInterrupt:
            raise CommandError(
                text("Stopped. It may have been sent.", "已中断，消息可能已发送。"),
                _again(id_option or message_id),
                ExitCode.INTERRUPTED,
            ) from None
        return answer


def new_message_id() -> str:
    """An id for a message that was given none."""
    return uuid.uuid4().hex


def _again(message_id: str) -> str:
    return text(
        f"Repeat the command with --id {message_id}: what was sent is not sent again.",
        f"请带上 --id {message_id} 重新执行命令：已发送的不会重发。",
    )


def _next_step(error: ApiError, message_id: str) -> str:
    again = text(f"with --id {message_id}", f"并带上 --id {message_id}")
    if error.status == HTTPStatus.GATEWAY_TIMEOUT:
        look = text(f"Look it up: wxn status {message_id}", f"查询结果：wxn status {message_id}")
        repeat = text(f"; repeat the command {again}.", f"；可重新执行命令{again}。")
        return look + (repeat if error.problem.get("retryable") else "")
    # What API Gateway answers in the service's place says nothing about the message.
    is_gateways = error.exit_code is ExitCode.UNAVAILABLE and "type" not in error.problem
    if error.problem.get("retryable") or is_gateways:
        return text(f"Repeat the command later {again}.", f"请稍后重新执行命令{again}。")
    return error.next_step


def render_answer(console: Console, answer: dict[str, Any]) -> None:
    """Print the answer to a message that was accepted, or to a dry run."""
    if answer.get("dry_run"):
        _render_dry_run(console, answer)
        return
    queued = answer["status"] == "queued"
    told = text("queued", "已排队") if queued else text("sent", "已发送")
    print_outcome(console, told, answer["id"], "yellow" if queued else "green")
    wechat = answer.get("wechat") or {}
    fields = [(text("Kind", "类型"), answer.get("kind")), *wechat.items()]
    if errcode_of(wechat):
        told = text("WeChat had this very message already.", "微信此前已收到同一消息。")
        fields.append((text("Cause", "说明"), told))
    print_fields(console, fields)
    _render_warnings(console, answer)
    console.print(f"→ wxn status {answer['id']}", markup=False)


_WOULD = {
    "send": text("It would be sent.", "将会发送。"),
    "hold": text("It would wait: it is held.", "将会等待：已被暂停。"),
    "replay": text(
        "Its id has a result, which would be the answer again.", "该 ID 已有结果，将直接返回该结果。"
    ),
    "in_flight": text("Another request with its id is in progress.", "相同 ID 的请求正在处理。"),
    "conflict": text("Its id belongs to another message.", "该 ID 已用于另一条消息。"),
    "expire": text("It has expired, and would not be sent.", "消息已过期，不会发送。"),
}


def would_be_refused(answer: dict[str, Any]) -> bool:
    """A dry run says that the message would neither be sent nor wait."""
    return answer.get("would") in {"conflict", "expire"}


def _render_dry_run(console: Console, answer: dict[str, Any]) -> None:
    from rich.box import ROUNDED  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    preview = answer["preview"]
    heading = text("Dry run: nothing was sent.", "试运行：没有发送。")
    console.print(f"{heading} {_WOULD.get(answer['would'], answer['would'])}", markup=False)
    shown = preview.get("text") or "\n".join(
        f"{keyword['key']}: {keyword['shown']}" for keyword in preview["keywords"]
    )
    title = Text(printable(preview.get("title") or answer["kind"]))
    console.print(
        Panel(Text(printable(shown.strip())), title=title, title_align="left", box=ROUNDED, expand=False)
    )
    hold = answer.get("hold") or {}
    fields = [
        (text("A tap opens", "点击打开"), _opened(preview.get("opens") or {})),
        (text("Result", "结果"), answer.get("status")),
        (text("Held", "暂停"), hold.get("id")),
        (text("Until", "截止"), local_time(hold["held_until"]) if hold else None),
        (text("Errcode", "错误码"), hold.get("errcode")),
        (text("Cause", "原因"), hint_of(hold)),
    ]
    print_fields(console, fields)
    if not preview["template_known"]:
        unknown = text(
            "The account's templates do not have this one as they were read last, so its text is not known.",
            "最近一次读取的账号模板中没有此模板，因此无法显示模板正文。",
        )
        console.print(unknown, markup=False)
    _render_warnings(console, answer)


def _opened(opens: dict[str, Any]) -> str:
    miniprogram = opens.get("miniprogram")
    if miniprogram:
        return " ".join([miniprogram["appid"], miniprogram.get("pagepath") or ""]).rstrip()
    return str(opens.get("page") or opens.get("url") or "")


def _render_warnings(console: Console, answer: dict[str, Any]) -> None:
    for warning in violations(answer.get("warnings")):
        console.print(text("[yellow]warning:[/] ", "[yellow]警告：[/]"), end="")
        console.print(warning, markup=False)
