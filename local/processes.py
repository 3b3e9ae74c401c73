"""The processes of the laptop's stack: children that end with their parent, and the workers' interpreter.

``python -m local.processes MODULE ARG...`` runs a module on a leash: its standard input is a pipe that
the parent never writes to. The pipe closes when the parent goes, however it goes (SIGKILL included),
and the child follows. This works wherever there are pipes; PR_SET_PDEATHSIG is Linux only.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LAYERS: Final = ("wechat_notify", "callback")
DEVELOPMENT_LOCK: Final = ROOT / "requirements/dev.txt"

# Seconds that a child gets to tidy up before it is killed.
_GRACE: Final = 5.0


class LocalStackError(Exception):
    """A reason, in one line for a person, why the local stack cannot go on."""


# ------------------------------------------------------------------------------------------ children


class Child:
    """A module of this project in a process of its own, with its own process group and environment.

    Parameters
    ----------
    name
        What the process is called in messages.
    command
        Module and arguments, as after ``python -m``.
    environment
        All of the environment: nothing of the host's is passed on.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "local.processes", *command]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        # A file without a name: nothing reads too slowly, and nothing is left.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child

    def start(self, pass_fds: Sequence[int] = ()) -> None:
        """Start the process; its own session keeps the terminal's Ctrl-C away from it."""
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )

    def output(self) -> str:
        """All that the process has printed so far."""
        descriptor = self._output.fileno()
        # The position in the file is the child's too; pread leaves it alone.
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def check(self) -> None:
        """Raise LocalStackError with the last lines of its output if the process has ended."""
        if self._process is not None and self._process.poll() is not None:
            last = "\n".join(self.output().strip().splitlines()[-15:])
            raise LocalStackError(f"the {self.name} ended with exit code {self._process.returncode}:\n{last}")

    def stop(self) -> None:
        """End the process and whatever it started; a child that does not listen is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        # The group outlives its leader when a worker did not listen.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._output.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def follow_parent() -> None:
    """Ask this process to end (SIGTERM) when its standard input closes, then insist."""

    def wait_for_the_end() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait_for_the_end, name="leash", daemon=True).start()


# --------------------------------------------------------------------------------------- interpreter


def worker_python(cache: Path) -> Path:
    """The interpreter for the Lambda workers: the layers' libraries and the runtime's boto3, no more.

    The emulator would run functions with its own interpreter, where a library that is missing from the
    layers is found all the same. All have the libraries of both layers: an import contract holds who needs
    which. Built once for the lock files and the interpreter, in the folder ``cache``.

    Raises
    ------
    LocalStackError
        If no interpreter runs or the libraries cannot be installed.
    """
    python = _runtime_python()
    lock = "\n".join(_runtime_requirements()) + "\n"
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version, sys.base_prefix)"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    key = hashlib.sha256(f"{version}\n{lock}".encode()).hexdigest()[:16]
    target = cache / f"runtime-{version.split()[0]}-{key}"
    interpreter = target / "bin/python"
    if interpreter.exists():
        return interpreter
    cache.mkdir(parents=True, exist_ok=True)
    # Built beside its place and renamed when complete, so that an interrupted build is never found.
    building = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    try:
        requirements = building / "requirements.txt"
        requirements.write_text(lock)
        _run([python, "-m", "venv", "--without-pip", str(building / "venv")])
        _run([
            sys.executable, "-m", "pip", "--python", str(building / "venv/bin/python"), "install", "--quiet",
            "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes",
            "--requirement", str(requirements),
        ])  # fmt: skip
        with contextlib.suppress(OSError):  # another stack built the same one meanwhile
            (building / "venv").rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return interpreter


def _runtime_python() -> str:
    wanted = os.environ.get("RUNTIME_PYTHON")
    for candidate in (wanted,) if wanted else (shutil.which("python3.13"), sys.executable):
        # A version manager's shim may be on the path without the version behind it.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            if candidate:
                subprocess.run([candidate, "-c", "import venv"], check=True, capture_output=True)
                return candidate
    raise LocalStackError(f"RUNTIME_PYTHON={wanted} does not run")


def _runtime_requirements() -> list[str]:
    """The layers' locks, and boto3 with its dependencies from the development lock."""
    layer = {
        name: entry
        for each in LAYERS
        for name, entry in locked_requirements((ROOT / f"layers/{each}/requirements.txt").read_text())
    }
    development = dict(locked_requirements(DEVELOPMENT_LOCK.read_text()))
    # A library of the layer goes before the runtime's copy of it, in Lambda as well.
    for name in _closure("boto3"):
        layer.setdefault(name, development[name])
    return [layer[name] for name in sorted(layer)]


def locked_requirements(lock: str) -> Iterator[tuple[str, str]]:
    """The entries of a lock file as (normalised name, the entry with its hashes)."""
    for entry in re.findall(r"^[A-Za-z0-9].*(?:\n .*)*", lock, flags=re.MULTILINE):
        yield _normalised(re.split(r"[^\w.-]", entry, maxsplit=1)[0]), entry


def _closure(distribution: str) -> set[str]:
    names, waiting = set[str](), [distribution]
    while waiting:
        name = _normalised(waiting.pop())
        if name not in names:
            names.add(name)
            required = importlib.metadata.requires(name) or []
            waiting += [re.split(r"[^\w.-]", r, maxsplit=1)[0] for r in required if "extra ==" not in r]
    return names


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalStackError(f"the workers' interpreter could not be built:\n{done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    follow_parent()
    module, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
