"""``wxn`` as a person runs it: in a pseudo terminal, whose screen a terminal emulator draws."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import pexpect
import pyte

_SECONDS: Final = 30.0
"""Time for a text to appear, on a machine that does something else too."""
_ROOT: Final = Path(__file__).parents[2]


class Terminal:
    """A running command and its screen, which is so tall that nothing scrolls away.

    Parameters
    ----------
    command
        A program with its arguments.
    folder
        The folder that it runs in.
    columns
        The width of the terminal.
    """

    def __init__(self, command: list[str], folder: Path, *, columns: int = 80) -> None:
        rows = 120
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        """All that the command has written, with its control sequences."""
        self._child: Any = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(folder),
            env=variables(folder),
            dimensions=(rows, columns),
            timeout=_SECONDS,
            preexec_fn=_heed_ctrl_c,
        )

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without blanks at their ends."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def shows(self, text: str) -> bool:
        """Return whether a text is on the screen, however it is broken into lines."""
        return _joined(text) in _joined("".join(self.lines))

    def until(self, text: str) -> None:
        """Wait until a text is on the screen."""
        deadline = time.monotonic() + _SECONDS
        while not self.shows(text) and time.monotonic() < deadline and self._read():
            pass
        assert self.shows(text), f"{text!r} is not on the screen:\n" + "\n".join(self.lines)

    def type(self, text: str) -> None:
        """Type a line."""
        self._child.sendline(text)

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C."""
        self._child.sendintr()

    def terminate(self) -> None:
        """End the command with SIGTERM."""
        self._child.kill(signal.SIGTERM)

    def kill(self) -> None:
        """End the command with SIGKILL."""
        self._child.kill(signal.SIGKILL)
        self.exit_code()

    def exit_code(self) -> int | None:
        """Wait for the end of the command; None where a signal has ended it."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and self._read():
            pass
        self.close()
        code: int | None = self._child.exitstatus
        return code

    def close(self) -> None:
        """End the command where it still runs."""
        self._child.close(force=True)

    def _read(self) -> bool:
        """Draw what the command has written; return whether more can come."""
        try:
            data: bytes = self._child.read_nonblocking(65_536, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += data
        self._stream.feed(data)
        return True


def command_line(*arguments: str) -> list[str]:
    """The command line of ``wxn`` from this source."""
    return [sys.executable, "-m", "wxn", *arguments]


def variables(folder: Path) -> dict[str, str]:
    """The environment of a command, with a home that has no configuration."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONPATH": str(_ROOT / "cli"),
    }


def _heed_ctrl_c() -> None:
    """Undo what a shell that runs the tests in the background has ordered for all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _joined(text: str) -> str:
    return "".join(text.split())
