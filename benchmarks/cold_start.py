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
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import check_wheels
from benchmarks import events
from benchmarks.figures import Comparison
from benchmarks.processes import ROOT, Server, environment

PRODUCT = "wechat_notify"
NAIVE = "naive"
IDEMPOTENT = "naive, idempotent"
FUNCTIONS = ("send_queue", "send_api", "token_refresh")
_BUILT = ROOT / ".aws-sam" / "build"
_LAYERS = {"x86_64": "LayerX8664", "aarch64": "LayerArm64"}
_FOLDER = ROOT / ".local" / "bench" / "cold-start"
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


class _Start(NamedTuple):
    """What a process begins with."""

    module: str
    first: list[str]
    last: list[str]


def case(function: str, *, cached: bool) -> str:
    """The name of the comparison."""
    return f"{function}, import and first event, {'with' if cached else 'without'} page cache"


def cpu_case(function: str) -> str:
    """The name of the comparison."""
    return f"{function}, CPU of import and first event"


MEMORY_CASE = "send_queue, memory after the first event"
MEMORY_LATER_CASE = "send_queue, memory after 1,000 messages in batches of 10"


def layers() -> dict[str, str]:
    """What there is to say of the built layers; raises where one could not be deployed."""
    contents: dict[str, set[str]] = {}
    for machine, name in _LAYERS.items():
        folder = _BUILT / name / "python"
        found = check_wheels.problems(folder, f"{machine}-manylinux_2_28")
        if found:
            raise RuntimeError(f"{name}: {'; '.join(found)}")
        contents[machine] = {path.name for path in folder.glob("*.dist-info")}
    if len(set(map(frozenset, contents.values()))) != 1:
        raise RuntimeError("the layers hold different packages")
    return {
        machine: f"{len(packages)} packages, every wheel and module fits"
        for machine, packages in contents.items()
    }


def available() -> str | None:
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
    starts, notes = _assemble(), _how_uncached()
    found: list[Comparison] = []
    for function in FUNCTIONS[:1] if quick else FUNCTIONS:
        subjects = {
            name: starts[name, function]
            for name in (PRODUCT, NAIVE, IDEMPOTENT)
            if (name, function) in starts
        }
        for cached in (True,) if quick else (True, False):
            took: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
            for index in range(-1, rounds):  # the first one warms the cache
                for name, start in subjects.items():
                    if not cached:
                        _drop_page_cache()
                    answer = _run(server, start, function)
                    if index >= 0:
                        took[name].append(answer)
            note = "" if cached else notes
            found.append(_comparison(case(function, cached=cached), "ms", took, "wall", note))
            if cached:
                found.append(_comparison(cpu_case(function), "ms", took, "cpu"))
                found.append(_comparison(f"{function}, the import's part of it", "ms", took, "import"))
            if cached and function == FUNCTIONS[0]:
                found.append(_comparison(MEMORY_CASE, "MB", took, "rss"))
                later = {
                    name: [_run(server, start, function, batches=10 if quick else 100) for _ in range(rounds)]
                    for name, start in subjects.items()
                }
                found.append(_comparison(MEMORY_LATER_CASE, "MB", later, "rss_later"))
    return found


def _comparison(
    name: str,
    unit: str,
    took: dict[str, list[dict[str, float]]],
    field: str,
    note: str = "",
) -> Comparison:
    factor = 1e3 if unit == "ms" else 1.0
    rounds = {subject: [factor * each[field] for each in answers] for subject, answers in took.items()}
    return Comparison("cold start", name, unit, NAIVE, rounds, note)


def _run(server: Server, start: _Start, function: str, *, batches: int = 0) -> dict[str, float]:
    event: Any = {"send_queue": events.batch(1), "send_api": events.request(), "token_refresh": {}}[function]
    told = {**start._asdict(), "event": event, "batches": batches, "size": 10}
    command = [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("cold_start_child.py"))]
    if server.cores.client is not None:
        command = ["taskset", "--cpu-list", str(server.cores.client), *command]
    done = subprocess.run(
        command,
        input=json.dumps(told) + "\n",
        env=environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{start.module}: {done.stderr[-2000:]}")
    took: dict[str, float] = json.loads(done.stdout)
    return took


def _assemble() -> dict[tuple[str, str], _Start]:
    """Everything that starts, in folders as Lambda has them."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    runtime, libraries, task = _FOLDER / "runtime", _FOLDER / "libraries", _FOLDER / "task"
    _install(_closure(["boto3"]), runtime)
    _install(_closure(["aws-lambda-powertools", "cryptography", "pydantic", "wechatpy"]), libraries)
    shutil.copytree(ROOT / "benchmarks" / "naive", task / "benchmarks" / "naive")
    (task / "benchmarks" / "__init__.py").touch()
    for folder in (runtime, libraries, task):
        compileall.compile_dir(
            folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    layer = str(_BUILT / _LAYERS[platform.machine()] / "python")
    starts: dict[tuple[str, str], _Start] = {}
    for function in FUNCTIONS:
        built = _BUILT / (function.title().replace("_", "") + "Function")
        starts[PRODUCT, function] = _Start(
            f"functions.{function}.handler", [str(built), layer], [str(runtime)]
        )
        for name, suffix in ((NAIVE, ""), (IDEMPOTENT, "_idempotent")):
            if (ROOT / "benchmarks" / "naive" / f"{function}{suffix}.py").exists():
                starts[name, function] = _Start(
                    f"benchmarks.naive.{function}{suffix}", [str(task), str(libraries)], [str(runtime)]
                )
    return starts


def _closure(names: Iterable[str]) -> set[str]:
    """The packages and all that they need and that this environment has."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # wanted on another Python or platform
        found.add(name)
        waiting += [re.split(r"[^A-Za-z0-9._-]", need)[0] for need in needs if "extra" not in need]
    return found


def _install(names: Iterable[str], folder: Path) -> None:
    for name in names:
        for file in metadata.files(name) or []:
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)


def _how_uncached() -> str:
    if os.access(_DROP_CACHES, os.W_OK):
        return "the kernel drops its whole page cache before each start"
    return "the page cache drops the layer, the function and boto3 before each start (posix_fadvise)"


def _drop_page_cache() -> None:
    if os.access(_DROP_CACHES, os.W_OK):
        os.sync()
        _DROP_CACHES.write_text("1")
        return
    for folder in (_BUILT, _FOLDER):
        for path in folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)
