"""The tables at the end of the demo, and what was wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from local.demo.broadcast import ROWS
from local.demo.doors import Row


def differences(expected: Iterable[str], accepted: Iterable[str], dead_letters: int) -> list[str]:
    """The faults of the messages that were accepted, by their receivers; nothing if all is well."""
    wanted, got = Counter(expected), Counter(accepted)
    found = []
    for what, touser in (("missing", wanted - got), ("twice or unexpected", got - wanted)):
        if touser:
            some = ", ".join(sorted(touser)[:5])
            found.append(f"{touser.total()} messages {what}: {some}{', …' if len(touser) > 5 else ''}")  # noqa: PLR2004
    if dead_letters:
        found.append(f"{dead_letters} messages in the dead letter queue")
    return found


def doors_table(rows: Sequence[Row]) -> Table:
    """The table of what went through each door."""
    table = Table(title="What went where", title_justify="left")
    table.add_column("Door")
    for name in ("Messages", "Sent", "Refused", "Seconds"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.door, f"{row.messages:,}", f"{row.sent:,}", f"{row.refused:,}", f"{row.seconds:.1f}"
        )
    return table


def broadcast_table(columns: Mapping[str, Mapping[str, int]]) -> Table:
    """The table of a broadcast's rows, by each who counts them."""
    table = Table(title=f"A broadcast of {ROWS:,} rows, by who counts them", title_justify="left")
    table.add_column("Rows")
    for name in columns:
        table.add_column(name, justify="right")
    meanings = {
        "sent": "accepted by WeChat",
        "delivered": "delivered",
        "undelivered": "accepted, not delivered",
        "failed": "refused by WeChat",
        "invalid": "not valid",
        "duplicate": "listed before",
    }
    others = {status: status for counts in columns.values() for status in counts if status not in meanings}
    for status, meaning in (meanings | others).items():
        table.add_row(meaning, *(_number(counts.get(status)) for counts in columns.values()))
    table.add_section()
    # WeChat knows messages; of rows that it never saw it has no count.
    table.add_row("all", *(_number(sum(c.values()) if len(c) > 1 else None) for c in columns.values()))
    return table


def summary(stats: Mapping[str, Any]) -> str:
    """One line about what WeChat saw."""
    calls = Counter[str]()
    for app in stats["by_app"].values():
        calls.update(app["token_calls"])
    counts = ", ".join(f"{stats[name]:,} {name}" for name in ("accepted", "refused", "duplicate"))
    refreshes = f"{calls.total()} token refresh{'es' if calls.total() != 1 else ''}"
    return f"WeChat saw {stats['arrived']:,} messages: {counts}; {refreshes}."


def print_verdict(console: Console, problems: Sequence[str], seconds: float) -> None:
    """Say whether all is well."""
    for problem in problems:
        console.print(f"[red]wrong:[/] {problem}", highlight=False)
    verdict = "[red]Not all as it should be" if problems else "[green]Every message arrived exactly once"
    console.print(f"{verdict}[/] ({seconds:.1f} s).")


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
