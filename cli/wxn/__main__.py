"""The entry point: ``wxn``."""

from __future__ import annotations

import os
import sys

from wxn.language import LANGUAGE, text


def main() -> None:
    """Run the command line of this process; it ends with one of the exit codes."""
    if LANGUAGE == "zh":
        # The parser's own words are translated by gettext, which reads this variable.
        os.environ["LANGUAGE"] = "zh_CN"
    import typer.exceptions  # noqa: PLC0415 - after the language was chosen

    from wxn.app import app  # noqa: PLC0415
    from wxn.errors import CommandError, ExitCode  # noqa: PLC0415
    from wxn.output import Output, reconfigure_streams  # noqa: PLC0415

    reconfigure_streams()
    output = Output(as_json="--json" in sys.argv)
    try:
        code = app(prog_name="wxn", standalone_mode=False)
    except typer.exceptions.Abort:
        output.note(text("Stopped.", "已取消。"))
        code = ExitCode.INTERRUPTED
    except typer.exceptions.TyperException as error:
        context = getattr(error, "ctx", None)
        help_command = f"{context.command_path if context else 'wxn'} --help"
        told = text(f"Read {help_command}", f"请查看 {help_command}")
        if message := error.format_message():  # without one, the help has been printed instead
            output.fail(CommandError(message, told, ExitCode.USAGE))
        code = ExitCode.USAGE
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
