"""A broadcast's message with placeholders, and what it becomes for a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wechat_notify.core.broadcasts.recipients import Row
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.violations import Violation


class CheckedRow(NamedTuple):
    """A row whose message keeps the rules of its kind.

    ``own_id`` is the row's ``id`` where the file has such a column. ``body`` is the message as a send request
    has it.
    """

    number: int
    message_id: str
    openid: str
    own_id: str | None
    message: Message
    body: dict[str, Any]
    warnings: Sequence[Violation] = ()


class BadRow(NamedTuple):
    """A row that cannot be sent."""

    number: int
    violations: Sequence[Violation]


class MessageTemplate:
    """A message with ``{{column}}`` placeholders in its values, compiled once."""

    columns: frozenset[str]
    """The columns that the placeholders name."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def render(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the message of a row; raises ``KeyError`` where the row lacks a column."""
        raise NotImplementedError


def check_row(template: MessageTemplate, row: Row, broadcast_id: str, *, by_id: bool) -> CheckedRow | BadRow:
    """Render a row's message and check it; ``by_id``: the file has an ``id`` column."""
    raise NotImplementedError
