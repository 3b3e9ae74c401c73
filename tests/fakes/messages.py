"""Messages and sample events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message

OPENID = "oQk3h5LrVfTnWb8xYc2ZpJd0GmEs"
OTHER_OPENID = "oQk3h5DwXeRuHa7oNi4BtKy1PvFc"

_EVENTS = Path(__file__).parents[2] / "events"


def load_event(name: str) -> dict[str, Any]:
    """A sample event, as ``send_api/respond_async``."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def body(
    kind: str = "subscription", touser: str = OPENID, text: str | None = None, **fields: Any
) -> dict[str, Any]:
    """A small valid message of a kind, as JSON has it; ``text`` is what it says."""
    goods, arrived = {"value": text or "礼盒"}, {"value": text or "到货"}
    required: dict[str, dict[str, Any]] = {
        "subscription": {"data": {"thing1": goods}},
        "one_time_subscription": {"scene": "1000", "title": "到货", "data": {"content": arrived}},
        "mini_program_template": {
            "form_id": "8b2f6d1c",
            "data": {"keyword1": {"value": text or "339208499"}},
        },
        "mini_program_subscription": {"data": {"thing1": goods}},
        "template": {"data": {"thing1": goods}},
    }
    return {"kind": kind, "touser": touser, "template_id": "J5tWfHcX2mNq8sVb", **required[kind], **fields}


def message(kind: str = "subscription", touser: str = OPENID, **fields: Any) -> Message:
    """The same, parsed."""
    return parse_message(body(kind, touser, **fields))[0]


def api_event(
    method: str,
    account: str,
    message_id: str | None = None,
    message: dict[str, Any] | None = None,
    *,
    wait: bool = True,
    request_id: str = "request",
) -> dict[str, Any]:
    """What the API gateway makes of a request: to send a message, or about one that was handed over."""
    parameters, route = {"account": account}, "/v1/accounts/{account}/messages"
    headers = {"content-type": "application/json"}
    if not wait:
        headers["prefer"] = "respond-async"
    if message is None:
        parameters, route = {**parameters, "id": message_id or ""}, f"{route}/{{id}}"
    elif message_id is not None:
        headers["idempotency-key"] = message_id
    return {
        "routeKey": f"{method} {route}",
        "headers": headers,
        "pathParameters": parameters,
        "requestContext": {"requestId": request_id},
        "body": json.dumps(message, ensure_ascii=False) if message is not None else None,
    }
