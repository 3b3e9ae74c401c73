"""The reasons that end a command about a broadcast, or its repetition, each with the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from wxn.api import ApiError
from wxn.broadcasts import words
from wxn.broadcasts.following import Broadcast
from wxn.errors import CommandError, ExitCode
from wxn.language import LANGUAGE, text

_NOT_NOW: Final = {
    "start": text("cannot be started", "不能开始"),
    "pause": text("cannot be paused", "不能暂停"),
    "resume": text("cannot be resumed", "不能继续"),
    "cancel": text("cannot be cancelled", "不能取消"),
    "retry": text("cannot be retried", "不能重试"),
    "results": text("has no results", "没有结果"),
}


@contextmanager
def nothing_sent() -> Iterator[None]:
    """Tell of an interruption before the start that nothing was sent."""
    try:
        yield
    except (KeyboardInterrupt, typer.Abort):
        raise CommandError(
            text("Stopped. Nothing was sent.", "已中断，没有发送任何消息。"),
            text("The same command begins again.", "重新执行同一命令即可。"),
            ExitCode.INTERRUPTED,
        ) from None


def explained(error: ApiError, verb: str, broadcast_id: str) -> CommandError:
    """The error to raise for a refusal: one that is about the state tells the state."""
    if error.name != "broadcast-state":
        return error
    state = words.STATES.get(str(error.problem.get("state")), "?")
    told = _NOT_NOW[verb]
    return CommandError(
        text(f"{broadcast_id} {told}: {state}.", f"{broadcast_id} {told}：{state}。"),
        text(
            f"Look at it: wxn broadcast --follow {broadcast_id}",
            f"查看进度：wxn broadcast --follow {broadcast_id}",
        ),
        ExitCode.FAILED,
        error.problem,
    )


def refusal(broadcast: Broadcast, *, repeated: bool) -> CommandError:
    """The error of a refused check; ``repeated`` is one that an earlier run of the command has brought."""
    original = broadcast.get("retry_of")
    if original and broadcast.get("reason") == "no_valid_rows":
        return CommandError(
            text(
                f"Nothing that failed in {original} can pass by being sent again.",
                f"{original} 中没有可以通过重发恢复的失败消息。",
            ),
            text(
                f"See why: wxn broadcast --results {original}",
                f"查看原因：wxn broadcast --results {original}",
            ),
            ExitCode.FAILED,
        )
    broadcast_id, problem = broadcast["id"], broadcast.get("problem") or {}
    told = problem.get(LANGUAGE) or words.reason(broadcast) or ""
    if missing := broadcast.get("report", {}).get("columns", {}).get("missing"):
        names = ", ".join(missing)
        told = text(f"The file has no column {names}.", f"文件中没有列 {names}。")
    correct = text(
        "Nothing was sent. Correct the file or the message, and repeat the command (docs/recipients.md).",
        "没有发送任何消息。请修正文件或消息后重新执行（见 docs/recipients.md）。",
    )
    check_again = text(
        "This command has run before. Correct the file or the message; another --id checks the same ones again.",
        "该命令此前已执行。请修正文件或消息；如需重新检查，请用 --id 指定新的 ID。",
    )
    return CommandError(
        text(f"{broadcast_id} is refused: {told}", f"{broadcast_id} 被拒绝：{told}"),
        check_again if repeated else correct,
        ExitCode.FAILED,
        {"reason": broadcast.get("reason"), "problem": problem},
    )


def sent_already(broadcast: Broadcast) -> str:
    """The note of a command that is repeated after its broadcast has ended."""
    if original := broadcast.get("retry_of"):
        broadcast_id = broadcast["id"]
        return text(
            f"The failures of {original} were sent again before; nothing is sent now. What failed again: "
            f"wxn broadcast --retry {broadcast_id}",
            f"{original} 的失败消息此前已重发，本次没有发送。再次失败的：wxn broadcast --retry {broadcast_id}",
        )
    return text(
        "This command has run before, and its broadcast has ended; nothing is sent now. Another --id begins a new one.",
        "该命令此前已执行，对应的群发已结束，本次没有发送。如需重新群发，请用 --id 指定新的 ID。",
    )
