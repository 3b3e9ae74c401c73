from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

from local.worker_faults import PATH, with_kills


def worker(function: str, *, in_use: bool) -> Any:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    return SimpleNamespace(func_name=function, in_use=in_use, _proc=process)


def test_running_workers_of_function_are_killed() -> None:
    workers = [worker("wanted", in_use=True), worker("wanted", in_use=False), worker("other", in_use=True)]
    runtime = SimpleNamespace(_lock=threading.Lock(), _workers={"a": workers[:2], "b": workers[2:]})
    sent: list[dict[str, Any]] = []

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    async def receive() -> dict[str, Any]:
        return {"body": json.dumps({"function": "wanted"}).encode()}

    async def application(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        await send({"path": scope["path"]})

    application_with_kills = with_kills(application, runtime)
    asyncio.run(application_with_kills({"type": "http", "path": PATH}, receive, send))
    asyncio.run(application_with_kills({"type": "http", "path": "/"}, receive, send))
    try:
        assert workers[0]._proc.wait(5) == -9
        assert [each._proc.poll() for each in workers[1:]] == [None, None]
        assert json.loads(sent[1]["body"]) == {"killed": 1}
        assert sent[2] == {"path": "/"}
    finally:
        for each in workers:
            each._proc.kill()
            each._proc.communicate()
