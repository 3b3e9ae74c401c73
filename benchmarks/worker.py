"""Runs one subject: ``python -m benchmarks.worker MODULE:CLASS OPTIONS`` (see ``processes.Worker``)."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.trust import trust


def measured(work: Callable[[], object]) -> dict[str, float]:
    """CPU seconds (of all threads, the kernel's part included) and wall seconds of some work."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def resident_mb() -> float:
    """Megabytes of memory that the process holds."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Do what standard input says; what the subject prints goes nowhere."""
    import ssl  # noqa: F401, PLC0415 - so that it is there to be patched

    trust(os.environ["BENCHMARK_CA_FILE"])
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answers:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        module, _, name = sys.argv[1].partition(":")
        subject = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
        for line in sys.stdin:
            method, arguments = json.loads(line)
            answers.write(json.dumps(getattr(subject, method)(**arguments)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
