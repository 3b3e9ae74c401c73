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


def body(kind: str = "subscription", touser: str = OPENID, **fields: Any) -> dict[str, Any]:
    """A small valid message of a kind, as JSON has it."""
    thing = {"thing1": {"value": "礼盒"}}
    required: dict[str, dict[str, Any]] = {
        "subscription": {"data": thing},
        "one_time_subscription": {"scene": "1000", "title": "到货", "data": {"content": {"value": "到货"}}},
        "mini_program_template": {"form_id": "8b2f6d1c", "data": {"keyword1": {"value": "339208499"}}},
        "mini_program_subscription": {"data": thing},
        "template": {"data": thing},
    }
    return {"kind": kind, "touser": touser, "template_id": "J5tWfHcX2mNq8sVb", **required[kind], **fields}


def message(kind: str = "subscription", touser: str = OPENID, **fields: Any) -> Message:
    """The same, parsed."""
    return parse_message(body(kind, touser, **fields))[0]
