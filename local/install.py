"""Virtual environments from lock files: ``python -m local.install .venv requirements/local.txt``.

It shows how far it is. Standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess  # nosec B404 # no shell is started
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PIP_OPTIONS = (
    "--disable-pip-version-check",
    "--no-input",
    "--progress-bar=off",
    # Python writes the byte code of what it imports; that of the rest takes time, and a third of the space.
    "--no-compile",
    "--only-binary=:all:",
    "--require-hashes",
    "--no-deps",
)


class InstallError(Exception):
    """A reason, in one line for a person, why libraries cannot be installed."""


def install(pip: Sequence[str], lock: Path, *, name: str) -> None:
    """Install all that a lock file names; on a terminal, one line shows how far it is.

    Parameters
    ----------
    pip
        The command that runs pip for the interpreter.
    lock
        Versions and hashes, dependencies included.
    name
        The environment in messages.

    Raises
    ------
    InstallError
        If no package index answers, or pip fails.
    """
    entries = list(locked(lock.read_text(encoding="utf-8")))
    _find_an_index(pip, entries[0], name)
    collected = 0
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(  # nosec B603 # no shell; the command is this code's own
            [*pip, "install", *PIP_OPTIONS, "--requirement", str(lock)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 # nosec B101 # it is a pipe
        for line in process.stdout:
            if package := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
                collected += 1
                _show(f"  {collected} of {len(entries)}: {package[1]}")
            elif line.startswith("Installing collected packages"):
                _show("  unpacking")
        process.wait()
        _show("")
        if process.returncode:
            errors.seek(0)
            raise InstallError(f"{name} could not be installed:\n{errors.read().strip()[-2000:]}")


def locked(lock: str) -> Iterator[str]:
    """The entries of a lock file, each with its hashes."""
    yield from re.findall(r"^[A-Za-z0-9].*(?:\n .*)*", lock, flags=re.MULTILINE)


def _find_an_index(pip: Sequence[str], entry: str, name: str) -> None:
    """Ask for one package without pip's repeats, which take minutes where there is no network."""
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder, "requirement.txt")
        requirement.write_text(entry + "\n", encoding="utf-8")
        quick = ("--quiet", "--retries=0", "--timeout=10", "--dry-run", "--ignore-installed")
        answer = subprocess.run(  # nosec B603 # no shell; the command is this code's own
            [*pip, "install", *PIP_OPTIONS, *quick, "--requirement", str(requirement)],
            capture_output=True,
            check=False,
        )
    if answer.returncode:
        raise InstallError(
            f"No Python package index answers, and {name} has to be installed from one, once: "
            "connect to the network, or name an index that can be reached in PIP_INDEX_URL."
        )


def _create(folder: Path) -> None:
    done = subprocess.run(  # nosec B603 # no shell; the command is this code's own
        [sys.executable, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"{folder} could not be made:\n{(done.stdout + done.stderr).strip()}")


def _show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def main() -> None:
    """Make the environment, or add to one that is there; a reason to stop is one line and exit status 1."""
    parser = argparse.ArgumentParser(
        prog="local.install", description="A virtual environment from a lock file"
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--add", action="store_true", help="keep what is in the environment")
    arguments = parser.parse_args()
    began = time.monotonic()
    folder: Path = arguments.folder
    packages = sum(1 for _ in locked(arguments.lock.read_text(encoding="utf-8")))
    print(f"Installing {packages} packages into {folder}, once (10 to 60 s)", flush=True)
    try:
        if not arguments.add:
            _create(folder)
        install([str(folder / "bin/python"), "-m", "pip"], arguments.lock, name=str(folder))
    except InstallError as error:
        sys.exit(str(error))
    seconds, megabytes = time.monotonic() - began, size(folder) / 1e6
    print(f"  done after {seconds:.0f} s: {megabytes:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
