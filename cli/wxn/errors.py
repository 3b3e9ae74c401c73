"""The one error that ends a command, and the exit codes."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """The exit codes of every command. docs/wxn.md lists them."""

    OK = 0
    FAILED = 1
    """The command ran, and its result is not what was asked for."""
    USAGE = 2
    """A command, an option, a file or a message is wrong; nothing was sent."""
    NO_ACCESS = 3
    """No stack, no credentials, or no permission."""
    UNAVAILABLE = 4
    """AWS, the stack or WeChat does not answer; the same command can work later."""
    BUG = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """The reason that ends a command.

    Parameters
    ----------
    message
        The cause, in the language of this process.
    next_step
        The thing to do next, in one line.
    exit_code
        The exit code of the process.
    details
        More for ``--json``, such as a problem document.
    """

    def __init__(
        self,
        message: str,
        next_step: str,
        exit_code: ExitCode = ExitCode.USAGE,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.exit_code = exit_code
        self.details = details or {}
