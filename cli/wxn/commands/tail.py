"""``wxn tail``: requests, messages, events and log lines as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wxn.aws_errors import MAX_SILENCE
from wxn.errors import CommandError
from wxn.language import LANGUAGE, text
from wxn.log_filters import Filter, Kind, detail, is_problem, kind_of, without_summaries
from wxn.log_lines import LogLine, LogLines, follow, log_groups
from wxn.options import Since
from wxn.output import printable
from wxn.run import Run, command
from wxn.times import local_clock, seconds_since_1970, utc

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer()

_POLL_SECONDS: Final = 2.0
"""CloudWatch Logs takes 5 requests a second and account in small regions; a stack has 8 log groups."""
_POLL_SECONDS_ON_LAPTOP: Final = 0.5
_NAMING: Final = ("account", "message_id", "kind")
"""Fields whose values need no name beside them."""
_SAID: Final = frozenset([
    *_NAMING, "status", "route", "status_code", "hint", "message", "level",
    # The same in each line, or ids that lead to other lines; --json has them.
    "location", "timestamp", "service", "cold_start", "function_request_id", "correlation_id", "openid_hash", "rid",
])  # fmt: skip
_USUAL: Final = (
    ("class", "success"), ("errcode", 0), ("errmsg", "ok"), ("attempts", 0), ("attempts", 1), ("returned", 0),
    ("receive_count", 1), ("unchanged", 0), ("not_stored", 0), ("failed", 0),
)  # fmt: skip
"""Values that say nothing new."""


@command(
    app,
    help=text(
        "Follow requests, messages, events and log lines as they come, until Ctrl-C.",
        "实时查看请求、消息、事件和日志，按 Ctrl-C 结束。",
    ),
)
def tail(
    run: Run,
    only: Annotated[
        list[Kind] | None,
        typer.Option(
            metavar="KIND",
            help=text(
                "Only lines of this kind: request, message, event, log; may be repeated.",
                "只看此类内容：request、 message、event、log，可重复。",
            ),
        ),
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=text(
                "Only this function, such as send_queue, or events; may be repeated.",
                "只看此函数（如 send_queue）或 events，可重复。",
            ),
        ),
    ] = None,
    message_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help=text("Only this message.", "只看此消息。"))
    ] = None,
    problems: Annotated[
        bool,
        typer.Option(
            "--problems", help=text("Only warnings, errors and refusals.", "只看警告、错误和被拒绝的请求。")
        ),
    ] = False,
    since: Since = None,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help=text("Print what is there, and end.", "输出已有内容后结束。"))
    ] = False,
) -> None:
    """Print lines as they come.

    With ``--json`` each line is a document: ``at`` (UTC), ``source``, ``kind`` and ``fields``, the line as
    the function wrote it.
    """
    sources = list(function or [])
    known = log_groups(run.stack)
    if unknown := sorted(set(sources) - set(known)):
        raise CommandError(
            text(f"There is no function {unknown[0]}.", f"没有名为 {unknown[0]} 的函数。"),
            text(f"There are {', '.join(sorted(known))}.", f"可选：{'、'.join(sorted(known))}。"),
        )
    wanted = Filter(frozenset(only or ()), run.named_account, message_id, problems)
    now = time.time()
    lines = LogLines(run.stack, sources, now if since is None else seconds_since_1970(since, now=now))
    pause = _POLL_SECONDS if run.stack.laptop is None else _POLL_SECONDS_ON_LAPTOP
    if not no_follow:
        run.output.note(
            text(
                f"Following {run.stack.title}; Ctrl-C ends it.",
                f"正在跟踪{run.stack.title}，按 Ctrl-C 结束。",
            )
        )
    # What ends on this machine does not come back at the same address.
    patience = MAX_SILENCE if run.stack.laptop is None else 0.0
    following = follow(lines, seconds=pause, patience=patience, silent=run.output.note)
    for line in without_summaries(lines.poll() if no_follow else following):
        if wanted.wants(line):
            _print(run, line)


def _print(run: Run, line: LogLine) -> None:
    if run.output.as_json:
        run.output.line(
            {"at": utc(line.at), "source": line.source, "kind": kind_of(line), "fields": dict(line.fields)}
        )
    else:
        run.output.console.print(rendered(line), soft_wrap=True)


_STYLES: Final = {
    "sent": "green", "delivered": "green", "failed": "red", "undelivered": "red", "unknown": "yellow",
    "expired": "yellow", "cancelled": "yellow", "queued": "cyan",
}  # fmt: skip


def rendered(line: LogLine) -> Text:
    """One line for a terminal: time, source, what happened, and the fields that say more."""
    from rich.text import Text  # noqa: PLC0415

    shown = Text.assemble((local_clock(line.at), "dim"), " ", (f"{line.source:<14}", "bold"), " ")
    for words, style in _words(line):
        shown.append(printable(words), style)
    return shown


def _words(line: LogLine) -> Iterator[tuple[str, str]]:
    """The words of a line, each with its style."""
    fields = dict(detail(line))
    hint = fields.get("hint")
    yield from _happening(line)
    status = fields.get("status") or fields.get("result")
    if status:
        yield f"{status}  ", _STYLES.get(str(status), "")
    if named := [str(fields[name]) for name in _NAMING if fields.get(name)]:
        yield "  ".join(named) + "  ", ""
    for name, value in fields.items():
        if not (name in _SAID or value in (None, "", [], {}, status) or (name, value) in _USUAL):
            yield f"{name}=", "dim"
            yield f"{_value(value)}  ", ""
    if isinstance(hint, dict) and LANGUAGE in hint:
        yield f"→ {hint[LANGUAGE]}", "yellow"


def _happening(line: LogLine) -> Iterator[tuple[str, str]]:
    fields = line.fields
    problem = is_problem(line)
    if line.source == "events":
        yield f"{fields.get('detail-type')}  ", "red" if problem else "green"
    elif "route" in fields:
        yield f"{_path(fields['route'])} {fields.get('status_code', '')}  ", "red" if problem else "green"
    elif fields.get("message") not in {"message attempted", "invocation finished"}:
        yield (
            f"{fields.get('message')}  ",
            "red" if fields.get("level") == "ERROR" else "yellow" if problem else "",
        )


def _value(value: object) -> str:
    return (
        " ".join(f"{key}:{_value(part)}" for key, part in value.items())
        if isinstance(value, dict)
        else str(value)
    )


def _path(route: object) -> str:
    """A route without what is the same in each, such as ``POST messages/{id}``."""
    return str(route).replace("/v1/accounts/{account}/", "")
