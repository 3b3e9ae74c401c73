"""Questions that a person answers in a terminal."""

from __future__ import annotations

import sys

import typer

from wxn.errors import CommandError
from wxn.language import text
from wxn.output import Output


def can_ask() -> bool:
    """Standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(output: Output, question: str, *, yes: bool) -> bool:
    """The answer of the person; ``yes`` is the option that answers beforehand.

    Raises
    ------
    CommandError
        If nobody can be asked, and the option is not given.
    typer.Abort
        If the person presses Ctrl-C.
    """
    require_answer(yes=yes)
    if yes:
        return True
    output.errors.print(question, markup=False)
    try:
        answer = output.errors.input("[y/N] ", markup=False)
    except (KeyboardInterrupt, EOFError):
        output.errors.print()  # the cursor stands behind ^C
        raise typer.Abort from None
    return answer.strip().lower() in {"y", "yes"}


def require_answer(*, yes: bool) -> None:
    """Raise CommandError where a question will come that nobody can answer."""
    if not yes and not can_ask():
        raise CommandError(
            text(
                "This command asks before it acts, and there is no terminal.",
                "执行前需要确认，但当前不是终端。",
            ),
            text("Repeat it with --yes.", "请加上 --yes 重新执行。"),
        )
