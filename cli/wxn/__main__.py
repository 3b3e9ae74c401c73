"""The entry point: ``wxn``."""

from __future__ import annotations

import signal
import sys
from typing import Final

import typer.exceptions

from wxn.app import app
from wxn.errors import ExitCode
from wxn.language import text
from wxn.output import Output, discard, reconfigure_streams
from wxn.system_errors import translate
from wxn.usage_errors import usage_error

_SIGNALS: Final = {"SIGHUP": ExitCode.HUNG_UP, "SIGTERM": ExitCode.TERMINATED}


def _end(number: int, _frame: object) -> None:
    """End by an exception: the cursor comes back, and no half of a file stays."""
    sys.exit(_SIGNALS[signal.Signals(number).name])


def main() -> None:
    """Run the command line of this process; it ends with one of the exit codes."""
    reconfigure_streams()
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores it
            signal.signal(number, _end)
    output = Output(as_json="--json" in sys.argv)
    try:
        code = app(prog_name="wxn", standalone_mode=False)
    except typer.exceptions.Abort:
        output.note(text("Stopped.", "已取消。"))
        code = ExitCode.INTERRUPTED
    except typer.exceptions.TyperException as error:
        if told := usage_error(error):
            output.fail(told)
        code = ExitCode.USAGE
    except OSError as error:  # of a help text: commands tell theirs
        discard(sys.stdout)
        if told := translate(error):
            output.fail(told)
        code = ExitCode.FAILED
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
