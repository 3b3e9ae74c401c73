"""``wxn doctor``: the causes of troubles, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from wxn.errors import ExitCode
from wxn.language import text
from wxn.progress import Progress, ProgressView
from wxn.run import Run, command

if TYPE_CHECKING:
    from rich.console import Console

    from wxn.doctor.examination import Report
    from wxn.doctor.findings import Finding

app = typer.Typer()


@command(
    app,
    help=text("Find out what is wrong, and what to do.", "排查故障原因，给出处理方法。"),
)
def doctor(run: Run) -> None:
    """Examine the stack and the account that was named, or all accounts.

    ``--json``: ``{"findings": [{"name", "severity", "account"?, "subject"?, "errcode"?, "seen", "next", "docs"}],
    "checks": [{"name", "status"}]}``. ``severity`` is ``critical``, ``problem`` or ``note``; ``status`` is ``ok``,
    ``problem`` or ``skipped``. The exit code is 1 where there is more than notes.
    """
    from wxn.doctor.advice import Severity  # noqa: PLC0415 - wxn --help starts without it
    from wxn.doctor.context import Context  # noqa: PLC0415
    from wxn.doctor.examination import examine, findings  # noqa: PLC0415

    _ = run.stack.region  # an error of its own, before anything is asked
    with ProgressView(run.output) as view:
        view.show(Progress(text("Examining", "正在检查")))
        reports = examine(Context(run.stack, run.named_account, api=run.api_of))
    found = findings(reports)
    result = {
        "findings": [finding.as_dict() for finding in found],
        "checks": [{"name": report.check.name, "status": report.status} for report in reports],
    }
    run.output.show(result, lambda console: _render(console, reports, found))
    if any(finding.severity < Severity.NOTE for finding in found):
        raise typer.Exit(ExitCode.FAILED)


def _render(console: Console, reports: Sequence[Report], found: Sequence[Finding]) -> None:
    shown = {
        "ok": text("[green]ok[/]", "[green]正常[/]"),
        "problem": text("[red]problem[/]", "[red]异常[/]"),
        "skipped": text("[dim]not checked[/]", "[dim]未检查[/]"),
    }
    for group, members in groupby(
        sorted(reports, key=_position(reports)), key=lambda report: report.check.group
    ):
        console.print(f"[bold]{group}[/]")
        for report in members:
            names = sorted({finding.name for finding in report.findings or ()})
            told = f": {', '.join(names)}" if names else ""
            console.print(f"  {report.check.title}  {shown[report.status]}{told}")
    console.print()
    if not found:
        console.print(text("Nothing was found.", "没有发现问题。"))
    for finding in found:
        _print_finding(console, finding)


def _position(reports: Sequence[Report]) -> Any:
    """Checks of one group stand together, the groups in the order of their first check."""
    groups = list(dict.fromkeys(report.check.group for report in reports))
    return lambda report: groups.index(report.check.group)


def _print_finding(console: Console, finding: Finding) -> None:
    from wxn.doctor.advice import Severity  # noqa: PLC0415

    severities = {
        Severity.CRITICAL: text("[bold red]critical[/]", "[bold red]严重[/]"),
        Severity.PROBLEM: text("[red]problem[/]", "[red]异常[/]"),
        Severity.NOTE: text("[yellow]note[/]", "[yellow]提示[/]"),
    }
    console.print(f"{severities[finding.severity]} [bold]{finding.name}[/]", end="")
    console.print(f" ({finding.account})" if finding.account else "", markup=False)
    console.print(f"  {finding.seen}", markup=False)
    console.print(f"  → {finding.next_step}", markup=False, soft_wrap=True)
    console.print(f"  {finding.docs}", style="dim", markup=False)
