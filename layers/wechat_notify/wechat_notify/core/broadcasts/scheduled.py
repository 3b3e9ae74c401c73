"""Broadcasts that schedules create: their message on the steps' queue, and the broadcast's id.

A firing that comes late or twice has the same name, and so the same broadcast.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from wechat_notify.core.messages.strict_json import written_out


def creation_body(account: str, firing: str, spec: object) -> str:
    """The message's body; ``firing`` names the schedule and the time for which it fires."""
    return json.dumps({"account": account, "id": firing, "broadcast": spec}, default=written_out)


def is_creation(body: Mapping[str, Any]) -> bool:
    """Return whether a message on the steps' queue creates a broadcast; otherwise it is a step."""
    return "step" not in body


def scheduled_id(firing: str) -> str:
    """The id of the broadcast that a firing creates."""
    return hashlib.sha256(firing.encode()).hexdigest()[:32]
