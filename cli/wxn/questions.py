"""Questions that a person answers in a terminal."""

from __future__ import annotations

import sys

import typer

from wxn.errors import CommandError, ExitCode
from wxn.language import text
from wxn.output import Output


def can_ask() -> bool:
    """Standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def require_terminal(*options: str) -> None:
    """Raise CommandError where nobody can be asked; ``options`` take the place of the answers."""
    if can_ask():
        return
    raise CommandError(
        text("This command asks, and there is no terminal.", "需要在终端中输入，但当前不是终端。"),
        text(f"Repeat it with {' and '.join(options)}.", f"请加上 {' 和 '.join(options)} 重新执行。"),
    )


def require_answer(*, yes: bool) -> None:
    """Raise CommandError where a question will come that nobody can answer; ``yes`` answers it beforehand."""
    if not yes:
        require_terminal("--yes")


def confirm(output: Output, question: str, *, yes: bool, declined: str) -> None:
    """Ask whether to go on; return where the answer is yes.

    Parameters
    ----------
    output
        The output of the command.
    question
        The question.
    yes
        The option ``--yes``: nothing is asked.
    declined
        The consequence of another answer, which is told then.

    Raises
    ------
    CommandError
        If nobody can be asked.
    typer.Exit
        With ``ExitCode.FAILED``, if the answer is another one.
    typer.Abort
        If the person presses Ctrl-C.
    """
    require_answer(yes=yes)
    if not yes and asked(output, question, "[y/N] ").lower() not in {"y", "yes"}:
        _decline(output, declined)


def confirm_by_name(output: Output, question: str, name: str, *, yes: bool, declined: str) -> None:
    """Ask for a name to be typed; otherwise as `confirm`."""
    require_answer(yes=yes)
    if not yes and asked(output, question) != name:
        _decline(output, declined)


def _decline(output: Output, declined: str) -> None:
    output.note(declined)
    raise typer.Exit(ExitCode.FAILED)


def asked(output: Output, question: str, prompt: str = "> ") -> str:
    """The answer of the person, without outer blanks; raises typer.Abort if they press Ctrl-C."""
    output.errors.print(question, markup=False)
    try:
        return output.errors.input(prompt, markup=False).strip()
    except (KeyboardInterrupt, EOFError):
        output.errors.print()  # the cursor stands behind ^C
        raise typer.Abort from None


def asked_secretly(prompt: str) -> str:
    """The answer of the person, which the terminal does not show; raises typer.Abort if they press Ctrl-C."""
    import getpass  # noqa: PLC0415 - --help starts without it

    try:
        return getpass.getpass(prompt)
    except (KeyboardInterrupt, EOFError):
        raise typer.Abort from None
