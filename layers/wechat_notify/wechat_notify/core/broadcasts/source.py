"""Read a broadcast's rows from the recipients' file, and turn those that are sent into queue bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wechat_notify.core.broadcasts.broadcast import Broadcast
from wechat_notify.core.broadcasts.check_state import CheckState
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.manifest import Line
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.recipients import Row, read_rows
from wechat_notify.core.broadcasts.rendering import BadRow, MessageTemplate, check_row
from wechat_notify.core.broadcasts.spec import BroadcastSpec
from wechat_notify.core.messages.envelope import SendRequest, queue_body

MAX_LINES = 10_000
MAX_ROWS_READ = 200_000
"""Rows that one batch reads at most, where most of them are not selected."""
MAX_BATCH_BYTES = 16 * 1024 * 1024
"""Queue bodies that one batch holds at most."""
DUPLICATE, INVALID = "duplicate", "invalid"


class Batch(NamedTuple):
    """Consecutive rows: a line for each, and the queue bodies of those that are sent.

    The row after them is ``next_row``, which begins at byte ``end``.
    """

    lines: list[Line]
    bodies: list[str]
    end: int
    next_row: int


class Source:
    """The rows of one broadcast whose check is over.

    Raises
    ------
    ObjectChangedError
        Its recipients' file or one of its own is gone, or another one.
    """

    def __init__(self, services: Services, files: Files, broadcast: Broadcast) -> None:
        self._services = services
        self._files = files
        self._broadcast = broadcast
        self.spec: BroadcastSpec = files.spec(broadcast)

    def batch(
        self, *, messages: int = MAX_LINES, before_row: int | None = None, unsent: str | None = None
    ) -> Batch:
        """Return the next rows that are not released.

        Parameters
        ----------
        messages : int
            The messages wanted; there may be fewer.
        before_row : int, optional
            The batch ends before this row, and is as large as that needs.
        unsent : str, optional
            The status of the valid rows, where they are not to be sent.
        """
        broadcast = self._broadcast
        state = self._files.check_state(broadcast)
        if state is None:
            raise ValueError("the check has not begun")
        judge = _Judge(broadcast, self.spec, state, self._files, unsent)
        batch = Batch([], [], broadcast.offset, broadcast.next_row)
        size = 0
        for row in rows_of(self._services, broadcast, state):
            if before_row is not None:
                full = row.number >= before_row
            else:
                full = (
                    len(batch.bodies) >= messages
                    or len(batch.lines) >= MAX_LINES
                    or row.number - broadcast.next_row >= MAX_ROWS_READ
                    or size >= MAX_BATCH_BYTES
                )
            if full:
                return batch
            line, body = judge.judge(row)
            if line is not None:
                batch.lines.append(line)
            if body is not None:
                batch.bodies.append(body)
                size += len(body)
            batch = batch._replace(end=row.end, next_row=row.number + 1)
        return batch._replace(end=broadcast.size)


def rows_of(services: Services, broadcast: Broadcast, state: CheckState) -> Iterator[Row]:
    """Return the rows that are not released; of one whose check is not over, those not checked."""
    started = broadcast.rows is not None
    offset = max(broadcast.offset, state.file_format.first_row_at) if started else state.offset
    blocks = services.objects.read(broadcast.source, start=offset, etag=broadcast.etag)
    next_row = broadcast.next_row if started else state.next_row
    return read_rows(blocks, state.file_format, offset=offset, next_row=next_row)


class _Judge:
    """Decides on rows: to be sent, or left out for a reason."""

    def __init__(
        self, broadcast: Broadcast, spec: BroadcastSpec, state: CheckState, files: Files, unsent: str | None
    ) -> None:
        rows = broadcast.next_row, broadcast.next_row + MAX_ROWS_READ
        self._broadcast = broadcast
        self._expires_at = spec.expires_at
        self._template = MessageTemplate(spec.message)
        self._by_id = state.by_id
        self._only = files.selection(broadcast.selection, *rows) if broadcast.selection else None
        self._repeated_ids = files.selection(broadcast.repeated_ids, *rows)
        self._duplicates = files.selection(broadcast.repeated_openids, *rows)
        self._unsent = unsent

    def judge(self, row: Row) -> tuple[Line | None, str | None]:
        """Return a row's line, None where it is not selected, and its queue body where it is sent."""
        if self._only is not None and row.number not in self._only:
            return None, None
        checked = check_row(self._template, row, self._broadcast.id, by_id=self._by_id)
        if isinstance(checked, BadRow):
            openid = (row.fields or {}).get("openid", "")
            reason = checked.violations[0].rule if checked.violations else None
            return Line(row.number, "", openid, INVALID, reason), None
        number, message_id, openid = checked.number, checked.message_id, checked.openid
        if number in self._repeated_ids:
            return Line(number, "", openid, INVALID, "duplicate_id"), None
        if number in self._duplicates:
            return Line(number, message_id, openid, DUPLICATE), None
        if self._unsent:
            return Line(number, message_id, openid, self._unsent), None
        request = SendRequest(message_id, self._broadcast.account, checked.body, self._expires_at)
        return Line(number, message_id, openid), queue_body(request)
