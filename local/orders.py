"""Orders that this project gives its emulator, beside what AWS has: a POST with JSON, answered with JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

_Scope = dict[str, Any]
_Application = Callable[[_Scope, Any, Any], Awaitable[None]]
Order = Callable[[dict[str, Any]], dict[str, Any]]


def with_orders(
    application: _Application, orders: Mapping[str, Order]
) -> Callable[[_Scope, Any, Any], Coroutine[Any, Any, None]]:
    """Answer requests to the orders' paths, and leave all others to the application (ASGI)."""

    async def application_with_orders(scope: _Scope, receive: Any, send: Any) -> None:
        order = orders.get(scope["path"]) if scope["type"] == "http" else None
        if order is None:
            await application(scope, receive, send)
            return
        content = json.dumps(order(json.loads(await _body(receive)))).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return application_with_orders


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body
