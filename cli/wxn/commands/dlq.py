"""``wxn dlq``: list dead letters, and send them once more."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wxn.dead_letters import MAX_READ, Copies, DeadLetter, DeadLetterQueue, Redrive, Tally, Target, target_of
from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.options import DryRun, Yes
from wxn.output import print_table
from wxn.progress import Progress, ProgressView
from wxn.questions import confirm
from wxn.run import Run, command
from wxn.times import duration

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="dlq",
    help=text("List dead letters, and send them once more.", "查看死信队列，重新投递死信。"),
    no_args_is_help=True,
)

Limit = Annotated[
    int,
    typer.Option(
        min=1, max=MAX_READ, metavar="N", help=text("At most so many messages.", "最多读取的消息条数。")
    ),
]


@command(
    app,
    "list",
    help=text("List dead letters; nothing about them changes.", "列出死信，不做任何改动。"),
)
def list_letters(
    run: Run,
    limit: Limit = MAX_READ,
    bodies: Annotated[
        bool,
        typer.Option(
            "--bodies",
            help=text("Show the bodies, which hold personal data.", "同时显示消息内容（含个人信息）。"),
        ),
    ] = False,
) -> None:
    """Show what is there, the oldest first.

    With ``--json`` each message is a line: ``age`` (seconds), ``copies``, ``receives``, ``size`` (bytes),
    ``digest``, ``id`` (SQS's first), ``producer_id`` (its own), ``target``, ``reason``, and ``body`` where
    bodies are asked for.
    """
    sqs = run.stack.client("sqs")
    with _queue(run, sqs) as queue, ProgressView(run.output) as view:
        found = queue.read(limit, lambda _: True, lambda done: view.show(_reading(done)))
    rows = [_row(run, copies) for copies in found]
    if run.output.as_json:
        for row, copies in zip(rows, found, strict=True):
            run.output.line(row | ({"body": copies[0].body} if bodies else {}))
        return
    _print(run.output.console, rows, [copies[0].body for copies in found] if bodies else None)
    run.output.note(
        text(
            f"{sum(map(len, found))} messages read, {len(found)} of them different",
            f"共读取 {sum(map(len, found))} 条消息，其中 {len(found)} 条互不相同",
        )
    )


@command(
    app,
    help=text(
        "Send dead letters once more, after the cause was mended.", "排除原因后，将死信重新投递到原队列。"
    ),
)
def redrive(
    run: Run,
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="ID",
            help=text(
                "Only this one, by either id that list shows; may be repeated.",
                "只处理此消息：list 显示的任一 ID，可重复。",
            ),
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help=text("Only those whose reason has this text in it.", "只处理原因中包含该文字的死信。"),
        ),
    ] = None,
    limit: Limit = MAX_READ,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send once more what is there and asked for.

    Steps of broadcasts stay where they are: the broadcast's next call sends them anew.

    With ``--json``: ``sent``, ``deleted``, ``failed``, ``not_sent`` (``id``, ``code``, ``message``),
    ``not_found`` and ``steps`` (bodies of steps that stay); with ``--dry-run`` the lines of ``list``.
    """
    ids = set(wanted or [])
    sqs = run.stack.client("sqs")
    queue = _queue(run, sqs)
    if not dry_run:
        question = _question(run, queue.there, ids, reason, limit)
        confirm(run.output, question, yes=yes, declined=text("Nothing was sent.", "没有投递。"))

    def is_wanted(letter: DeadLetter) -> bool:
        named = not ids or letter.first_id in ids or letter.producer_id in ids
        return named and (not reason or reason in letter.reason)

    tally = Tally()
    steps: list[Copies] = []
    missing: list[str] = []
    try:
        with queue, ProgressView(run.output) as view:
            found = queue.read(
                limit,
                is_wanted,
                lambda done: view.show(_reading(done)),
                is_extra=lambda letter: letter.is_step,  # a limit below their number would send nothing
            )
            names = {
                name for copies in found for each in copies for name in (each.first_id, each.producer_id)
            }
            if missing := sorted(ids - names):
                run.output.note(text(f"not found: {', '.join(missing)}", f"未找到：{'、'.join(missing)}"))
            steps = [copies for copies in found if copies[0].is_step]
            found = [copies for copies in found if not copies[0].is_step]
            if not dry_run:

                def sent(done: int) -> None:
                    view.show(Progress(text("Sending", "正在投递"), done, len(found)))

                Redrive(queue, sqs, _targets(run), tally=tally, say=run.output.note, count=sent).run(found)
    finally:
        if not dry_run:
            _show_tally(run, tally, missing, steps)
    if dry_run:
        _show_dry_run(run, found)
    for copies in steps:
        run.output.note(_about_step(copies[0]))
    if tally.failed:
        raise CommandError(
            text(
                f"{tally.failed} could not be sent or deleted, and are still there.",
                f"有 {tally.failed} 条未能投递或删除，仍在死信队列中。",
            ),
            text("Repeat the command: nothing is sent twice.", "请重新执行，不会重复发送。"),
            ExitCode.FAILED,
        )


def _queue(run: Run, sqs: Any) -> DeadLetterQueue:
    return DeadLetterQueue(sqs, run.stack.outputs["DeadLetterQueueUrl"], run.output.note)


def _reading(done: int) -> Progress:
    return Progress(
        text("Reading the dead letter queue", "正在读取死信队列"),
        details=[text(f"{done:,} messages", f"{done:,} 条消息")],
    )


def _question(run: Run, there: int, ids: set[str], reason: str | None, limit: int) -> str:
    chosen = [*sorted(ids), *([f"“{reason}”"] if reason else [])]
    which = (
        text(f"those with {', '.join(chosen)}", f"符合 {'、'.join(chosen)} 的")
        if chosen
        else text("all", "全部")
    )
    most = text(f", {limit} at most", f"，最多 {limit} 条") if limit < there else ""
    return text(
        f"{run.stack.title}: send {which} of about {there} dead letters once more{most}?",
        f"{run.stack.title}：重新投递约 {there} 条死信中{which}消息{most}？",
    )


def _show_tally(run: Run, tally: Tally, missing: list[str], steps: list[Copies]) -> None:
    document = asdict(tally) | {"not_found": missing, "steps": [copies[0].body for copies in steps]}
    told = text(
        f"{tally.sent} sent, {tally.deleted} deleted from the dead letter queue, {tally.failed} failed",
        f"已投递 {tally.sent} 条，从死信队列删除 {tally.deleted} 条，失败 {tally.failed} 条",
    )
    run.output.show(document, lambda console: console.print(told))


def _show_dry_run(run: Run, found: Sequence[Copies]) -> None:
    rows = [_row(run, copies) for copies in found]
    if run.output.as_json:
        for row in rows:
            run.output.line(row)
        return
    _print(run.output.console, rows, None)
    run.output.note(
        text(
            f"{len(found)} would be sent, {sum(map(len, found))} deleted from the dead letter queue",
            f"将投递 {len(found)} 条，从死信队列删除 {sum(map(len, found))} 条",
        )
    )


def _about_step(letter: DeadLetter) -> str:
    """The thing to do with a broadcast's step."""
    return text(
        f"left there: {letter.first_id}, a step of a broadcast: {letter.body}. Repeat the broadcast's last "
        "call (start, pause, resume or cancel), which sends the step anew.",
        f"未处理：{letter.first_id} 是群发的步骤：{letter.body}。请重复该群发的最后一次操作"
        "（start、pause、resume 或 cancel），步骤会重新投递。",
    )


def _row(run: Run, copies: Copies) -> dict[str, Any]:
    oldest = min(copies, key=lambda letter: letter.sent_at)
    return {
        "age": max(0, int(time.time() - oldest.sent_at)),
        "copies": len(copies),
        "receives": max(letter.receive_count for letter in copies),
        "size": len(oldest.data),
        "digest": hashlib.sha256(oldest.data).hexdigest()[:12],
        "id": oldest.first_id,
        "producer_id": oldest.producer_id,
        "target": None if oldest.is_step else target_of(oldest, _targets(run)),
        "reason": oldest.reason,
    }


def _targets(run: Run) -> dict[Target, str]:
    return {target: run.stack.resources[target] for target in Target}


def _print(console: Console, rows: Sequence[dict[str, Any]], bodies: Sequence[str] | None) -> None:
    columns = {
        "age": text("Age", "时长"),
        "copies": text("Copies", "份数"),
        "receives": text("Receives", "接收次数"),
        "size": text("Size", "字节"),
        "digest": text("Digest", "摘要"),
        "id": "ID",
        "producer_id": text("Own ID", "自带 ID"),
        "target": text("Goes to", "投递到"),
        "reason": text("Reason", "原因"),
    }
    numbers = [columns[name] for name in ("copies", "receives", "size")]
    table = [[_cell(name, row[name]) for name in columns] for row in rows]
    if rows:
        print_table(console, list(columns.values()), table, right=numbers)
    for row, body in zip(rows, bodies or [], strict=False):
        console.print(f"{row['id']}: {_one_line(body)}", markup=False, soft_wrap=True)


def _cell(name: str, value: Any) -> str:
    if name == "age":
        return duration(value)
    return _one_line(str(value)) if value not in {None, ""} else "-"


def _one_line(value: str) -> str:
    return value.replace("\n", "\\n")
