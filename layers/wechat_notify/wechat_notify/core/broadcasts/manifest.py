"""The rows of a chunk, listed in an object that is written before the first of them goes on the queue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """One row: its number, its message's id, its openid as given.

    ``status`` is what became of a row that is not sent (``invalid``, ``duplicate``, ``expired`` or
    ``unreleased``), None for one that is; ``reason`` is the rule that it breaks.
    """

    row: int
    message_id: str
    openid: str
    status: str | None = None
    reason: str | None = None


def to_bytes(lines: Iterable[Line]) -> bytes:
    """Return a manifest as it is stored: a JSON array a line."""
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def from_bytes(data: bytes) -> Iterator[Line]:
    """The lines of a stored manifest."""
    return (Line(*json.loads(text)) for text in data.splitlines())
