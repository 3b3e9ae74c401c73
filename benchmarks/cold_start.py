"""Cold starts from what is deployed: the built layer and functions; boto3 beside them as in the runtime.

Each start is a fresh process, which imports a handler and answers a first event. The naive handlers'
libraries come from the benchmark's environment, compiled as the layer is, and so does boto3.
"""

from __future__ import annotations

import compileall
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess  # nosec B404 # no shell is started
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import events
from benchmarks.figures import IDEMPOTENT, NAIVE, PRODUCT, Comparison
from benchmarks.processes import CLIENT_CORE, ROOT, Server, environment

SECTION = "cold start"
FUNCTIONS = ("send_queue", "send_api")
MEMORY_CASE = "send_queue, memory after the first event"
MEMORY_LATER_CASE = "send_queue, memory after 1,000 messages"
_BUILT = ROOT / ".aws-sam" / "build"
_LAYERS = {"x86_64": "LayerX8664", "aarch64": "LayerArm64"}
_FOLDER = ROOT / ".local" / "bench" / "cold-start"
_RUNTIME, _LIBRARIES, _TASK = (_FOLDER / name for name in ("runtime", "libraries", "task"))


class _Start(NamedTuple):
    """What a process begins with: a handler's module, and where it and the libraries lie."""

    module: str
    first: list[str]
    last: list[str]


def case(function: str, *, cached: bool) -> str:
    """The name of the comparison."""
    return f"{function}, import and first event, {'with' if cached else 'without'} page cache"


def unavailable() -> str | None:
    """Why cold starts cannot be measured here, None where they can."""
    name = _LAYERS.get(platform.machine())
    if name is None:
        return f"no layer is built for {platform.machine()}"
    if platform.python_version_tuple()[:2] != ("3", "13"):
        return "the layer is built for Python 3.13"
    if not (_BUILT / name / "python").is_dir():
        return "make build comes first"
    return None


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """Cold starts side by side."""
    found: list[Comparison] = []
    _assemble()
    for function in FUNCTIONS[:1] if quick else FUNCTIONS:
        starts = _starts(function)
        event: Any = events.batch(1) if function == "send_queue" else events.request()
        for cached in (True,) if quick else (True, False):
            took: dict[str, list[dict[str, float]]] = {name: [] for name in starts}
            for index in range(-1, rounds):  # the first one warms the cache
                for name, start in starts.items():
                    if not cached:
                        _drop_page_cache()
                    answer = _run(server, start, [event])
                    if index >= 0:
                        took[name].append(answer)
            found.append(Comparison.of(SECTION, case(function, cached=cached), "ms", took, field="wall"))
            if cached and function == FUNCTIONS[0]:
                found.append(Comparison.of(SECTION, MEMORY_CASE, "MB", took, field="rss"))
                batches = [events.batch(10) for _ in range(5 if quick else 101)]
                later = {
                    name: [_run(server, start, batches) for _ in range(rounds)]
                    for name, start in starts.items()
                }
                found.append(Comparison.of(SECTION, MEMORY_LATER_CASE, "MB", later, field="rss_later"))
    return found


def _run(server: Server, start: _Start, events_: list[Any]) -> dict[str, float]:
    command = [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("cold_start_child.py"))]
    done = subprocess.run(  # nosec B603, B607 # no shell; the command is this code's own; found by the PATH of who runs it
        ["taskset", "--cpu-list", str(CLIENT_CORE), *command],
        input="".join(json.dumps(line) + "\n" for line in (start._asdict(), *events_)),
        env=environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{start.module}: {done.stderr[-2000:]}")
    took: dict[str, float] = json.loads(done.stdout)
    return took


def _assemble() -> None:
    """Put boto3, the naive handlers and their libraries in folders as Lambda has them."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _install(["boto3"], _RUNTIME)
    _install(["aws-lambda-powertools", "cryptography", "pydantic", "wechatpy"], _LIBRARIES)
    shutil.copytree(ROOT / "benchmarks" / "naive", _TASK / "benchmarks" / "naive")
    (_TASK / "benchmarks" / "__init__.py").touch()
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(_FOLDER, quiet=2, invalidation_mode=unchecked)


def _starts(function: str) -> dict[str, _Start]:
    layer = _BUILT / _LAYERS[platform.machine()] / "python"
    built = _BUILT / f"{function.title().replace('_', '')}Function"
    naive, last = [str(_TASK), str(_LIBRARIES)], [str(_RUNTIME)]
    return {
        PRODUCT: _Start(f"functions.{function}.handler", [str(built), str(layer)], last),
        NAIVE: _Start(f"benchmarks.naive.{function}", naive, last),
        IDEMPOTENT: _Start(f"benchmarks.naive.{function}_idempotent", naive, last),
    }


def _install(names: Iterable[str], folder: Path) -> None:
    """Copy the packages, and all that they need and that this environment has."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # wanted on another Python or platform
        if name in found:
            continue
        found.add(name)
        waiting += [re.split(r"[^A-Za-z0-9._-]", need)[0] for need in needs if "extra" not in need]
        for file in metadata.files(name) or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target)


def _drop_page_cache() -> None:
    for folder in (_BUILT, _FOLDER):
        for path in folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)
