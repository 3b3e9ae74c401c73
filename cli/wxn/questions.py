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
    return yes or asked(output, question, "[y/N] ").lower() in {"y", "yes"}


def typed(output: Output, question: str, name: str, *, yes: bool) -> bool:
    """True if the person types a name; ``yes`` and the errors are those of ``confirmed``."""
    require_answer(yes=yes)
    return yes or asked(output, question, "> ") == name


def asked(output: Output, question: str, prompt: str) -> str:
    """What the person answers, without outer blanks; typer.Abort if they press Ctrl-C."""
    output.errors.print(question, markup=False)
    try:
        return output.errors.input(prompt, markup=False).strip()
    except (KeyboardInterrupt, EOFError):
        output.errors.print()  # the cursor stands behind ^C
        raise typer.Abort from None


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
