"""Kills of functions on the emulator: ``POST /_local/kill`` with ``{"function": name}``.

Lambda loses a process now and then, with whatever it was doing. Here somebody asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

PATH: Final = "/_local/kill"

_Scope = dict[str, Any]
_Application = Callable[[_Scope, Any, Any], Awaitable[None]]


def with_kills(
    application: _Application, lambda_runtime: Any
) -> Callable[[_Scope, Any, Any], Coroutine[Any, Any, None]]:
    """Answer requests to kill a function, and leave all others to the emulator."""

    async def application_with_kills(scope: _Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        killed = kill_running(lambda_runtime, json.loads(await _body(receive))["function"])
        content = json.dumps({"killed": killed}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return application_with_kills


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


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body
