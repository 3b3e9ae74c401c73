from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from local.orders import with_orders


def test_orders_are_answered_and_others_passed_on() -> None:
    sent: list[dict[str, Any]] = []
    bodies: Iterator[dict[str, Any]] = iter([{"body": b'{"a"', "more_body": True}, {"body": b": 1}"}])

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    async def receive() -> dict[str, Any]:
        return next(bodies)

    async def application(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        await send({"path": scope["path"]})

    with_order = with_orders(application, {"/order": lambda given: {"got": given["a"]}})
    asyncio.run(with_order({"type": "http", "path": "/order"}, receive, send))
    asyncio.run(with_order({"type": "http", "path": "/"}, receive, send))
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"]) == {"got": 1}
    assert sent[2:] == [{"path": "/"}]
