from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

from local.worker_faults import kill_running


def worker(function: str, *, in_use: bool) -> Any:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    return SimpleNamespace(func_name=function, in_use=in_use, _proc=process)


def test_running_workers_of_function_are_killed() -> None:
    workers = [worker("wanted", in_use=True), worker("wanted", in_use=False), worker("other", in_use=True)]
    runtime = SimpleNamespace(_lock=threading.Lock(), _workers={"a": workers[:2], "b": workers[2:]})
    try:
        assert kill_running(runtime, "wanted") == 1
        assert workers[0]._proc.wait(5) == -9
        assert [each._proc.poll() for each in workers[1:]] == [None, None]
    finally:
        for each in workers:
            each._proc.kill()
            each._proc.communicate()
