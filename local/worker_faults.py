"""Kills of functions on the emulator: ``POST /_local/kill`` with ``{"function": name}``.

Lambda loses a process now and then, with whatever it was doing. Here somebody asks for it.
"""

from __future__ import annotations

from typing import Any, Final

PATH: Final = "/_local/kill"


def kill_running(lambda_runtime: Any, function: str) -> int:
    """Kill (SIGKILL) the processes in which a function runs just now; return how many those were."""
    with lambda_runtime._lock:  # noqa: SLF001
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]  # noqa: SLF001
    # The worker itself lets its process go as soon as it ends.
    running = [w._proc for w in workers if w.func_name == function and w.in_use]  # noqa: SLF001
    processes = [process for process in running if process is not None]
    for process in processes:
        process.kill()
    return len(processes)
