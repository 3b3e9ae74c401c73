"""Questions before what cannot be taken back; without a terminal an option takes the answer's place."""

from __future__ import annotations

import sys

import typer

from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.run import Run


def confirm(run: Run, question: str, *, yes: bool) -> None:
    """Go on if the person says so.

    Parameters
    ----------
    question
        It names what will be done, and to what.
    yes
        ``--yes`` was given: nothing is asked.

    Raises
    ------
    CommandError
        There is no terminal to ask at.
    typer.Abort
        The answer is no.
    """
    if yes:
        return
    require_terminal(text("Give --yes to do it without a question.", "如需跳过确认，请加上 --yes。"))
    run.output.errors.print(f"{question} [y/N] ", end="", markup=False)
    if sys.stdin.readline().strip().lower() not in {"y", "yes", "是"}:
        raise typer.Abort


def confirm_name(run: Run, question: str, name: str, *, yes: bool) -> None:
    """Go on if the person types a name; arguments and errors as of ``confirm``."""
    if yes:
        return
    require_terminal(text("Give --yes to do it without a question.", "如需跳过确认，请加上 --yes。"))
    run.output.errors.print(f"{question} ", end="", markup=False)
    if sys.stdin.readline().strip() != name:
        raise typer.Abort


def require_terminal(instead: str) -> None:
    """Raise CommandError, with this next step, where nobody can be asked."""
    if not sys.stdin.isatty():
        raise CommandError(
            text("There is no terminal to ask at.", "当前不是交互式终端，无法确认。"), instead, ExitCode.USAGE
        )
