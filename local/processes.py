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
import subprocess  # nosec B404 # no shell is started
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from local.install import InstallError, install

ROOT: Final = Path(__file__).resolve().parent.parent
LAYER_LOCKS: Final = tuple(ROOT / f"layers/{name}/requirements.txt" for name in ("wechat_notify", "callback"))

# Seconds that a child gets to tidy up before it is killed. The emulator writes what it keeps: 2 s for a
# ledger of 100,000 messages.
_GRACE: Final = 30.0


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
    folder
        Where it runs.
    shows
        Its output goes where this process's goes, and is not kept.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: Path = ROOT,
        shows: bool = False,
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "local.processes", *command]
        self._environment = dict(environment)
        self._folder = folder
        self._shows = shows
        self._process: subprocess.Popen[bytes] | None = None
        # A file without a name: nothing reads too slowly, and nothing is left.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child

    def start(self, pass_fds: Sequence[int] = ()) -> None:
        """Start the process; its own session keeps the terminal's Ctrl-C away from it."""
        self._process = subprocess.Popen(  # nosec B603 # no shell; the command is this code's own
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=None if self._shows else self._output,
            stderr=None if self._shows else subprocess.STDOUT,
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


def worker_python(cache: Path, report: Callable[[str], None]) -> Path:
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
    version = subprocess.run(  # nosec B603 # no shell; the command is this code's own
        [python, "-c", "import sys; print(sys.version, sys.base_prefix)"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    locks = "\n".join(lock.read_text() for lock in LAYER_LOCKS)
    boto3 = importlib.metadata.version("boto3")
    key = hashlib.sha256(f"{version}\n{locks}\n{boto3}".encode()).hexdigest()[:16]
    target = cache / f"runtime-{version.split()[0]}-{key}"
    interpreter = target / "bin/python"
    if interpreter.exists():
        return interpreter
    report("Installing the functions' libraries, once (5 to 30 s)")
    cache.mkdir(parents=True, exist_ok=True)
    # Built beside its place and renamed when complete, so that an interrupted build is never found.
    building = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    try:
        subprocess.run([python, "-m", "venv", "--without-pip", str(building)], check=True)  # nosec B603 # no shell; the command is this code's own
        pip = [sys.executable, "-m", "pip", "--python", str(building / "bin/python")]
        for lock in LAYER_LOCKS:
            install(pip, lock, name="the functions' interpreter")
        (packages,) = building.glob("lib/python*/site-packages")
        _link_boto3(packages)
        with contextlib.suppress(OSError):  # another stack built the same one meanwhile
            building.rename(target)
    except InstallError as error:
        raise LocalStackError(str(error)) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return interpreter


def _runtime_python() -> str:
    wanted = os.environ.get("RUNTIME_PYTHON")
    for candidate in (wanted,) if wanted else (shutil.which("python3.13"), sys.executable):
        # A version manager's shim may be on the path without the version behind it.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            if candidate:
                subprocess.run([candidate, "-c", "import venv"], check=True, capture_output=True)  # nosec B603 # no shell; the command is this code's own
                return candidate
    raise LocalStackError(f"RUNTIME_PYTHON={wanted} does not run")


def _link_boto3(packages: Path) -> None:
    """Add boto3 and what it needs, which Lambda has, from this interpreter's own packages.

    The files are linked where the file system can: botocore alone has 30 MB. All of them are plain Python.
    """
    # A library of the layer goes before the runtime's copy of it, in Lambda as well.
    there = {_normalised(found.name) for found in importlib.metadata.distributions(path=[str(packages)])}
    for name in _closure("boto3") - there:
        for file in importlib.metadata.files(name) or []:
            # Scripts are outside of the packages; byte code is each interpreter's own.
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file.locate(), target)
                except OSError:
                    shutil.copyfile(file.locate(), target)


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


if __name__ == "__main__":
    follow_parent()
    module, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
