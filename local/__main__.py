"""The whole service on this machine until Ctrl-C: ``python -m local up``."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from local.processes import ROOT, Child, LocalStackError
from local.settings import Settings
from local.signals import ending_on_signals
from local.stack import STATE_FOLDER, Stack
from local.summary import summary


def up(state_file: Path) -> None:
    """Keep a stack up until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    settings = Settings.from_environment(os.environ)
    say = functools.partial(print, flush=True)
    kept_file = state_file.with_name("kept.json")
    with ending_on_signals(), Stack(settings, state_file, kept_file, say) as stack:
        print(summary(stack.state, state_file, time.monotonic() - began), flush=True)
        with tail(state_file):
            while True:
                stack.check()
                time.sleep(0.5)


@contextlib.contextmanager
def tail(state_file: Path) -> Iterator[None]:
    """Show what happens in the stack, a line for each request, message and event (``wxn tail``)."""
    # It speaks the terminal's language, and follows this stack whatever else its variables name.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WXN_")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    # It looks for .local/stack.json from where it runs.
    folder = state_file.resolve().parent.parent
    child = Child("wxn tail", ["wxn", "tail"], environment | {"PYTHONPATH": path}, folder=folder, shows=True)
    child.start()
    try:
        yield
    finally:
        child.stop()


def main() -> None:
    """Run the command line; a reason to stop is one line on standard error and exit status 1."""
    parser = argparse.ArgumentParser(prog="local", description="WeChat Notify on this machine")
    parser.add_argument("command", choices=["up"], help="start, stay in front, stop on Ctrl-C")
    parser.add_argument("--state-file", type=Path, default=STATE_FOLDER / "stack.json")
    arguments = parser.parse_args()
    try:
        up(arguments.state_file)
        print("Stopped.")
    except LocalStackError as error:
        sys.exit(f"local stack: {error}")


if __name__ == "__main__":
    main()
