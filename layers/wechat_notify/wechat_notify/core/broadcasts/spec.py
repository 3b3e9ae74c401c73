"""What a broadcast is asked to be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel


class SendWindow(NamedTuple):
    """A part of every day in which messages may be released, in minutes after midnight.

    It runs over midnight where ``closes`` is before ``opens``; they are never equal.
    """

    opens: int
    closes: int


class BroadcastSpec(BaseModel):
    """A broadcast as it was asked for; exactly one of ``recipients`` and ``upload`` is set."""

    message: dict[str, Any]
    recipients: tuple[Mapping[str, str], ...] | None = None
    upload: str | None = None
    name: str | None = None
    duplicates: Literal["once", "send"] = "once"
    on_invalid: Literal["skip", "abort"] = "skip"
    messages_per_second: float | None = None
    send_window: SendWindow | None = None
    time_zone: str = "Asia/Shanghai"
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    max_failures_percent: int = 20

    def recipients_file(self) -> bytes:
        """The inline recipients as JSON Lines."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The spec without its recipients, to be stored."""
        raise NotImplementedError


def parse_spec(body: object, now: float) -> BroadcastSpec:
    """Check a body; raises ``InvalidFieldsError``; ``now`` is seconds since the epoch."""
    raise NotImplementedError


def stored_spec(text: str) -> BroadcastSpec:
    """Return the spec that ``to_json`` wrote, without its recipients."""
    raise NotImplementedError
