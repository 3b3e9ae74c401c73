"""A broadcast is brought to its start, and followed to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto

import typer

from wxn.api import ApiError, part
from wxn.broadcasts import creating, reports, words
from wxn.broadcasts.following import ENDED, Broadcast, Silence, looks
from wxn.broadcasts.refusals import explained, nothing_sent, refusal, sent_already
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.progress import Progress, ProgressView
from wxn.questions import asked, can_ask, confirm
from wxn.run import Run
from wxn.times import duration, local_time


class _Choice(Enum):
    """The answer of a person who has pressed Ctrl-C."""

    PAUSE = auto()
    LEAVE = auto()
    CANCEL = auto()
    FOLLOW = auto()


class Session:
    """One broadcast, as a person watches it.

    Parameters
    ----------
    run
        The run of the command.
    yes
        Questions are answered beforehand.
    detach
        It is not followed.
    sleep
        Waits for so many seconds between two looks.
    """

    def __init__(
        self,
        run: Run,
        *,
        yes: bool = False,
        detach: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._yes = yes
        self._detach = detach
        self._sleep = sleep
        self._printed: Broadcast | None = None

    # ------------------------------------------------------------------------------------ calls

    def look(self, broadcast_id: str) -> Broadcast:
        """The broadcast as it is now; raises ``CommandError``."""
        found: Broadcast = self._run.api.call("GET", f"broadcasts/{part(broadcast_id)}")
        return found

    def control(self, verb: str, broadcast_id: str) -> Broadcast:
        """Pause, resume, cancel or start a broadcast.

        Raises
        ------
        CommandError
            If its state does not allow that, which is then told.
        """
        try:
            changed: Broadcast = self._run.api.call("POST", f"broadcasts/{part(broadcast_id)}/{verb}")
        except ApiError as error:
            raise explained(error, verb, broadcast_id) from None
        return changed

    # ------------------------------------------------------------------------------------ before the start

    def await_check(self, broadcast: Broadcast) -> Broadcast:
        """Wait until its rows are checked, and print the check.

        Raises
        ------
        CommandError
            If it is refused.
        """
        self._line(broadcast)
        was_refused = broadcast["state"] == "refused"
        if broadcast["state"] == "checking":
            broadcast = self._watch_check(broadcast)
            self._line(broadcast)
        if not self._run.output.as_json and broadcast["state"] in {"checked", "refused"}:
            reports.print_check(self._run.output.console, broadcast)
        if broadcast["state"] == "refused":
            raise refusal(broadcast, repeated=was_refused)
        return broadcast

    def _watch_check(self, broadcast: Broadcast) -> Broadcast:
        broadcast_id = broadcast["id"]
        with ProgressView(self._run.output) as view:
            for found in looks(lambda: self.look(broadcast_id), broadcast_id, sleep=self._sleep):
                if isinstance(found, Silence):
                    view.show(_silent(found))
                    continue
                if found["state"] != "checking":
                    return found
                rows = (found.get("report") or {}).get("rows", 0)
                told = [text(f"{rows:,} rows", f"{rows:,} 行")] if rows else []
                view.show(Progress(text("Checking the rows", "正在检查每一行"), details=told))
        raise AssertionError  # looks has no end

    def confirm_start(self, broadcast: Broadcast) -> None:
        """Ask whether a checked broadcast is to be sent; raises as `questions.confirm` does."""
        before = creating.sent_before(self._run, broadcast)
        if before:
            at = local_time(before["started_at"])
            self._run.output.note(
                text(
                    f"The same file and message were sent on {at} already ({before['id']}): all recipients would "
                    "get it once more.",
                    f"同一文件和消息已在 {at} 发送过（{before['id']}）：所有接收者会再收到一次。",
                )
            )
        messages, account, where = broadcast["counts"]["unreleased"], self._run.account, self._run.stack.title
        question = text(
            f"Send {messages:,} messages with the account {account} of {where}?",
            f"确定用{where}的账号 {account} 发送 {messages:,} 条消息吗？",
        )
        declined = text(
            f"Nothing was sent. To send it later: wxn broadcast --resume {broadcast['id']}",
            f"没有发送任何消息。稍后发送：wxn broadcast --resume {broadcast['id']}",
        )
        confirm(self._run.output, question, yes=self._yes, declined=declined)

    # ------------------------------------------------------------------------------------ after the start

    def go_on(self, broadcast: Broadcast) -> None:
        """Bring a new broadcast to its start and its end; one that the same command made before goes on.

        Raises
        ------
        CommandError
            If it is refused, or has not come to a good end, or waits for a person.
        """
        with nothing_sent():
            broadcast = self.await_check(broadcast)
            is_checked = broadcast["state"] == "checked"
            if is_checked:
                self.confirm_start(broadcast)
        if broadcast["state"] in ENDED:
            self._run.output.note(sent_already(broadcast))
        if broadcast["state"] == "paused":
            self._end(broadcast)
        self.follow(broadcast["id"], start=is_checked)

    def resume(self, broadcast_id: str) -> None:
        """Let a paused broadcast go on, or a checked one start; follow it. Raises as `go_on` does."""
        broadcast = self.look(broadcast_id)
        if broadcast["state"] in {"checking", "checked"}:
            self.go_on(broadcast)
            return
        if broadcast["state"] not in ENDED | {"finishing"}:
            self.control("resume", broadcast_id)
        self.follow(broadcast_id)

    def follow(self, broadcast_id: str, *, start: bool = False) -> None:
        """Follow a broadcast to its end, after its start where that is wanted.

        Raises
        ------
        CommandError
            If it was cancelled, has failed, or has paused because too much failed; or the service does not
            answer.
        typer.Exit
            If a person has interrupted it.
        """
        if start:
            self._start(broadcast_id)
        if self._detach:
            self._detached(self.look(broadcast_id))
            return
        ended = None
        while ended is None:
            try:
                ended = self._watch(broadcast_id)
            except KeyboardInterrupt:
                self._interrupted(broadcast_id)
        self._end(ended)

    def _start(self, broadcast_id: str) -> None:
        try:
            self.control("start", broadcast_id)
        except KeyboardInterrupt:
            raise CommandError(
                text(f"{broadcast_id} may have been started.", f"{broadcast_id} 可能已经开始。"),
                text(
                    f"Look at it: wxn broadcast --follow {broadcast_id}",
                    f"查看进度：wxn broadcast --follow {broadcast_id}",
                ),
                ExitCode.INTERRUPTED,
            ) from None

    def _detached(self, broadcast: Broadcast) -> None:
        broadcast_id = broadcast["id"]
        self._line(broadcast)
        if not self._run.output.as_json:
            told = words.headline(broadcast)
            follow = text(
                f". Follow it: wxn broadcast --follow {broadcast_id}",
                f"。查看进度：wxn broadcast --follow {broadcast_id}",
            )
            self._run.output.console.print(told + follow, markup=False)

    def _watch(self, broadcast_id: str) -> Broadcast:
        """Show a broadcast until nothing of it changes any more, or it waits for a person."""
        with ProgressView(self._run.output) as view:
            for found in looks(lambda: self.look(broadcast_id), broadcast_id, sleep=self._sleep):
                if isinstance(found, Silence):
                    view.show(_silent(found))
                    continue
                self._line(found)
                if _is_over(found):
                    return found
                view.show(self._progress(found))
        raise AssertionError  # looks has no end

    def _progress(self, broadcast: Broadcast) -> Progress:
        counts, broadcast_id = broadcast["counts"], broadcast["id"]
        details = [" · ".join(words.counts(counts))]
        if counts["errcodes"]:
            errcodes = " · ".join(f"{errcode} ×{count:,}" for errcode, count in counts["errcodes"].items())
            details.append(text(f"errcodes {errcodes}", f"错误码 {errcodes}"))
        pace = []
        if broadcast["state"] == "running" and broadcast.get("messages_per_second"):
            rate = f"{round(broadcast['messages_per_second'], 3):,g}"
            pace.append(text(f"{rate} per second", f"每秒 {rate} 条"))
        estimate = broadcast.get("estimate")
        if estimate and broadcast["state"] == "running":
            left, at = duration(max(1, estimate["seconds"])), local_time(estimate["finishes_at"])
            pace.append(text(f"{left} left, until {at}", f"剩余 {left}，至 {at}"))
        if pace:
            details.append(" · ".join(pace))
        if counts["waiting"]:
            details.append(text("Counts are up to a minute old.", "计数最多滞后一分钟。"))
        if broadcast["state"] == "paused":
            details.append(
                text(
                    f"To go on: wxn broadcast --resume {broadcast_id}",
                    f"继续：wxn broadcast --resume {broadcast_id}",
                )
            )
        return Progress(
            words.headline(broadcast),
            *words.progress(counts),
            details,
        )

    # ------------------------------------------------------------------------------------ the end

    def _end(self, broadcast: Broadcast) -> None:
        """Print the summary and what to do next; raises ``CommandError`` where the end is no good one."""
        broadcast_id, state = broadcast["id"], broadcast["state"]
        self._line(broadcast)
        if state == "refused":
            raise refusal(broadcast, repeated=True)
        if not self._run.output.as_json:
            reports.print_summary(self._run.output.console, broadcast)
            self._print_next(broadcast)
        if state == "finished":
            return
        next_step = text("Another --id begins a new one.", "如需重新群发，请用 --id 指定新的 ID。")
        if state in {"checked", "paused"}:
            next_step = text(
                f"To go on: wxn broadcast --resume {broadcast_id}",
                f"继续：wxn broadcast --resume {broadcast_id}",
            )
        elif broadcast["has_results"]:
            next_step = text(
                f"Each row's result: wxn broadcast --results {broadcast_id}",
                f"查看每一行的结果：wxn broadcast --results {broadcast_id}",
            )
        raise CommandError(
            words.headline(broadcast),
            next_step,
            ExitCode.FAILED,
            {"state": state, "reason": broadcast.get("reason")},
        )

    def _print_next(self, broadcast: Broadcast) -> None:
        if not broadcast["has_results"]:
            return
        console, broadcast_id, counts = self._run.output.console, broadcast["id"], broadcast["counts"]
        told = [(f"--results {broadcast_id}", text("each row's result, as CSV", "每一行的结果（CSV）"))]
        if words.can_pass(counts):
            again = text("sends again what failed and can pass", "重新发送可以恢复的失败消息")
            told.append((f"--retry {broadcast_id}", again))
        if counts["unknown"]:
            unknown = text("also what may have been sent", "同时重发结果未知的消息")
            told.append((f"--retry {broadcast_id} --include-unknown", unknown))
        console.print()
        for options, purpose in told:
            console.print(f"wxn broadcast {options}  {purpose}", markup=False)

    # ------------------------------------------------------------------------------------ Ctrl-C

    def _interrupted(self, broadcast_id: str) -> None:
        """Do what the person wants who has pressed Ctrl-C; return where it is to be followed further."""
        try:
            choice = self._ask() if can_ask() else _Choice.LEAVE
            if choice is _Choice.PAUSE:
                self._paused(self.control("pause", broadcast_id))
                raise typer.Exit(ExitCode.INTERRUPTED)
            if choice is _Choice.CANCEL:
                self.control("cancel", broadcast_id)
        except CommandError as error:  # such as a pause after its end: what it is now is shown next
            self._run.output.note(error.message)
            return
        except KeyboardInterrupt:
            self._run.output.errors.print()  # the cursor stands behind ^C
            choice = _Choice.LEAVE
        if choice is _Choice.LEAVE:
            self._run.output.note(
                text(
                    f"It goes on by itself. Follow it: wxn broadcast --follow {broadcast_id}",
                    f"群发会自行继续。查看进度：wxn broadcast --follow {broadcast_id}",
                )
            )
            raise typer.Exit(ExitCode.INTERRUPTED)

    def _ask(self) -> _Choice:
        keys = (
            ("p", text("pause it", "暂停")),
            ("l", text("leave it running", "退出，群发继续")),
            ("c", text("cancel it for good", "彻底取消")),
            ("Enter", text("follow it further", "继续查看")),
        )
        told = text("It goes on without this command.", "退出本命令不影响群发。")
        question = "\n".join(["", told, *(f"{key:>7}  {does}" for key, does in keys)])
        try:
            answer = asked(self._run.output, question).lower()[:1]
        except typer.Abort:
            return _Choice.LEAVE
        choices = {"p": _Choice.PAUSE, "l": _Choice.LEAVE, "c": _Choice.CANCEL}
        return choices.get(answer, _Choice.FOLLOW)

    def _paused(self, broadcast: Broadcast) -> None:
        broadcast_id = broadcast["id"]
        self._line(broadcast)
        self._run.output.note(
            text(
                f"Paused. What was released, up to a minute's messages, is still sent. To go on: "
                f"wxn broadcast --resume {broadcast_id}",
                f"已暂停。已放出的消息（最多一分钟的量）仍会发送。继续：wxn broadcast --resume {broadcast_id}",
            )
        )

    def _line(self, broadcast: Broadcast) -> None:
        """With ``--json``, print a broadcast where it has changed."""
        if not self._run.output.as_json:
            return
        # The time that is left changes with every look.
        seen = {name: value for name, value in broadcast.items() if name != "estimate"}
        if seen != self._printed:
            self._run.output.line(broadcast)
            self._printed = seen


def _is_over(broadcast: Broadcast) -> bool:
    """Return whether nothing of it changes any more, or it waits for a person."""
    if broadcast["state"] == "paused":
        return "reason" in broadcast  # a person who has paused it may be about to let it go on
    return broadcast["state"] == "checked" or (broadcast["state"] in ENDED and "finished_at" in broadcast)


def _silent(silence: Silence) -> Progress:
    seconds = duration(max(1, round(silence.seconds)))
    return Progress(
        text("No answer; trying again", "没有响应，正在重试"),
        details=[text(f"for {seconds}: {silence.reason}", f"已持续 {seconds}：{silence.reason}")],
    )
