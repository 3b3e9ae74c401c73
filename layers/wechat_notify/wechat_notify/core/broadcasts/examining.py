"""The counts of a broadcast: its chunks' messages are looked up in the ledger until all are at their end.

The ledger is the only record of what became of a row; nothing is counted beside it. The counts of a chunk
become part of the broadcast's totals once, when they change no more (``settled``): WeChat's receipts have
come by then, or had their time. Until then they are those
of the last look, and a broadcast's counts are its totals and those of its open chunks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from wechat_notify.core.broadcasts import manifest, pace, results, retries
from wechat_notify.core.broadcasts.broadcast import Broadcast, Chunk, State
from wechat_notify.core.broadcasts.counts import Counts, errcode_counts
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.manifest import Line
from wechat_notify.core.broadcasts.ports import BroadcastStore, Services
from wechat_notify.core.broadcasts.records import Records
from wechat_notify.core.broadcasts.results import Result
from wechat_notify.core.delivery.entry import RECEIPT_KINDS, Entry, awaits_receipt
from wechat_notify.core.errors import ObjectChangedError
from wechat_notify.core.outcomes import Status
from wechat_notify.core.texts import iso_time

MAX_CHUNKS = 3
"""Chunks that one step looks at."""
LOST_AFTER = 15 * 86400.0
"""Seconds after which a message that still waits is lost: SQS keeps one for 14 days."""
RECEIPTS_FOR = 900.0
"""Seconds after a message was sent in which its receipt is waited for: one whose message is not known at once
is matched after 11 minutes at the latest."""
MIN_JUDGED = 100
"""Messages with a result before failures pause a broadcast."""
PAUSED_EVENT = "broadcast.paused"
TOO_MANY_FAILURES = "too_many_failures"
_MAX_CANCELLED = 1000
"""Messages that one look at a chunk cancels."""
_WAITING = "waiting"
_AT_WORK = frozenset({Status.QUEUED, Status.SENDING})


class _Row(NamedTuple):
    """One row with its entry; ``status`` is that of the results, or ``waiting``."""

    line: Line
    status: str
    entry: Entry | None
    reason: str | None = None


class Examiner:
    """Looks at chunks; raises ``SupersededError`` and ``StorageError``."""

    def __init__(self, services: Services, files: Files, records: Records) -> None:
        self._services = services
        self._files = files
        self._records = records

    def step(self, broadcast: Broadcast) -> tuple[Broadcast, float | None]:
        """Look at the chunks that are due; return the record, and when the next chunk is due."""
        if not broadcast.open_chunks:
            return broadcast, None
        chunks = self._services.store.read_chunks(broadcast.account, broadcast.id, broadcast.open_chunks)
        now = self._services.now()
        unsettled = sorted(
            (_due(broadcast, chunk), chunk.number, chunk) for chunk in chunks if not chunk.settled
        )
        seen = {
            number: self._look_at(broadcast, chunk)
            for due, number, chunk in unsettled[:MAX_CHUNKS]
            if due <= now + pace.EARLY
        }
        chunks = [seen.get(chunk.number, chunk) for chunk in chunks]
        broadcast = self._add_up(broadcast, chunks)
        still_open = [chunk for chunk in chunks if not chunk.settled]
        if broadcast.state is State.RUNNING:
            broadcast = self._pause_if_failing(broadcast, still_open)
        return broadcast, pace.due_first([_due(broadcast, chunk) for chunk in still_open])

    def _add_up(self, broadcast: Broadcast, chunks: list[Chunk]) -> Broadcast:
        """Make the counts of settled chunks a part of the broadcast's."""
        open_chunks = tuple(chunk.number for chunk in chunks if not chunk.settled)
        if open_chunks == broadcast.open_chunks:
            return broadcast
        totals = broadcast.totals
        for chunk in chunks:
            totals = totals.plus(chunk.counts) if chunk.settled else totals
        return self._records.write(broadcast, merge=True, totals=totals, open_chunks=open_chunks)

    def _pause_if_failing(self, broadcast: Broadcast, still_open: list[Chunk]) -> Broadcast:
        counts = broadcast.totals
        for chunk in still_open:
            counts = counts.plus(chunk.counts)
        judged = counts.judged - broadcast.judged_before
        failures = counts.failures - broadcast.failures_before
        if judged < MIN_JUDGED:
            return broadcast
        try:
            most = self._files.spec(broadcast).max_failures_percent
        except ObjectChangedError:  # it has expired, which ends the broadcast when its next rows are due
            return broadcast
        if failures * 100 <= most * judged:
            return broadcast
        return self._records.write(
            broadcast, state=State.PAUSED, reason=TOO_MANY_FAILURES, announcement=PAUSED_EVENT
        )

    def _look_at(self, broadcast: Broadcast, chunk: Chunk) -> Chunk:
        """Look up the messages of a chunk, and store what was found."""
        now = self._services.now()
        try:
            lines = list(manifest.from_bytes(self._files.read(chunk.manifest)))
        except ObjectChangedError:
            return self._put(_given_up(chunk))
        ids = [line.message_id for line in lines if line.status is None]
        entries = self._services.entries.read_many(chunk.account, ids) if ids else {}
        is_over = now > chunk.ends_at + LOST_AFTER
        rows = [_judge(line, entries, is_over=is_over) for line in lines]
        found = chunk._replace(counts=_counts(rows), looked_at=now)
        if found.counts.waiting or self._awaits_receipts(chunk.account, rows):
            look_at = pace.next_look(chunk.ends_at, chunk.messages, now)
            if broadcast.state is State.CANCELLED and self._cancel(chunk.account, rows):
                look_at = pace.first_look(now)
            return self._put(found._replace(look_at=look_at))
        name = f"results/{chunk.number:05}.csv"
        part = self._files.write(broadcast, name, results.part(map(_result, rows)))
        failures = self._write_failures(broadcast, chunk, rows)
        return self._put(found._replace(settled=True, part=part, failures=failures))

    def _awaits_receipts(self, account: str, rows: list[_Row]) -> bool:
        """Return whether a receipt may still come for one of the messages."""
        since = self._services.now() - RECEIPTS_FOR
        awaited = any(
            row.entry is not None
            and row.entry.kind in RECEIPT_KINDS
            and awaits_receipt(row.entry)
            and row.entry.updated_at > since
            for row in rows
        )
        return awaited and self._services.has_receipts(account)

    def _cancel(self, account: str, rows: list[_Row]) -> bool:
        """Cancel messages that wait, for a hold or for another attempt; return whether there were any."""
        waiting = [row for row in rows if row.status == _WAITING]
        queued = [row for row in waiting if row.entry is not None and row.entry.status is Status.QUEUED]
        for row in queued[:_MAX_CANCELLED]:
            self._services.cancel_message(account, row.line.message_id)
        return bool(queued)

    def _write_failures(self, broadcast: Broadcast, chunk: Chunk, rows: list[_Row]) -> str | None:
        failed = [row.line.row for row in rows if retries.can_be_retried(row.status, row.entry)]
        unknown = [row.line.row for row in rows if retries.may_have_been_sent(row.status, row.entry)]
        if not failed and not unknown:
            return None
        return self._files.write(
            broadcast, f"failures/{chunk.number:05}.txt", retries.to_bytes(failed, unknown)
        )

    def _put(self, chunk: Chunk) -> Chunk:
        wanted = chunk._replace(version=chunk.version + 1, writer=self._services.new_id())
        existing = self._services.store.put_chunk(wanted)
        # What another call has found meanwhile counts: it may be a part of the totals already.
        return wanted if existing is None else existing


def examined_counts(store: BroadcastStore, broadcast: Broadcast) -> Counts:
    """Return the counts of the rows that are released; raises ``StorageError``."""
    counts = broadcast.totals
    for chunk in store.read_chunks(broadcast.account, broadcast.id, broadcast.open_chunks):
        # Before the first look, a chunk's rows without a message are among those that the check has counted.
        counts = counts.plus(chunk.counts if chunk.looked_at else Counts(waiting=chunk.messages))
    return counts


def counts_of(store: BroadcastStore, broadcast: Broadcast) -> Counts:
    """Return the counts of all rows, those to come included; raises ``StorageError``.

    The sum is the number of rows, as soon as that is known.
    """
    counts = examined_counts(store, broadcast)
    if broadcast.rows is None or broadcast.state is State.REFUSED:
        return counts
    # Those that the check has found, released or not.
    counts = counts._replace(
        invalid=max(counts.invalid, broadcast.invalid),
        duplicate=max(counts.duplicate, broadcast.duplicates),
        unreleased=0,
    )
    return counts._replace(unreleased=max(0, broadcast.rows - counts.rows))


def _due(broadcast: Broadcast, chunk: Chunk) -> float:
    """Return when a chunk is looked at: at once where its messages are to be cancelled."""
    cancelled_at = broadcast.cancelled_at or 0.0
    return chunk.look_at if chunk.looked_at >= cancelled_at else min(chunk.look_at, cancelled_at)


def _given_up(chunk: Chunk) -> Chunk:
    """Settle a chunk whose manifest has expired: with its last counts, and what waited counts as failed."""
    counts = chunk.counts
    rest = chunk.rows - counts.rows
    lost = counts.failed + counts.waiting + rest
    return chunk._replace(counts=counts._replace(waiting=0, failed=lost), settled=True)


def _judge(line: Line, entries: Mapping[str, Entry], *, is_over: bool) -> _Row:
    if line.status is not None:
        return _Row(line, line.status, None, line.reason)
    entry = entries.get(line.message_id)
    if entry is not None and entry.status not in _AT_WORK:
        return _Row(line, entry.status.value, entry)
    if not is_over:
        return _Row(line, _WAITING, entry)
    if entry is not None and (entry.status is Status.SENDING or entry.lost_at is not None):
        return _Row(line, Status.UNKNOWN.value, entry)
    return _Row(line, Status.FAILED.value, None, retries.NOT_FOUND)


def _counts(rows: list[_Row]) -> Counts:
    by_status = Counter(row.status for row in rows)
    errcodes = Counter(errcode for row in rows if (errcode := _errcode(row)))
    return Counts(**by_status, errcodes=errcode_counts(errcodes))


def _errcode(row: _Row) -> int | None:
    outcome = row.entry.final_outcome if row.entry else None
    return outcome.errcode if outcome else None


def _result(row: _Row) -> Result:
    entry, line = row.entry, row.line
    more: dict[str, Any] = {"reason": row.reason}
    if entry is not None:
        outcome = entry.final_outcome
        reason = entry.reason or (outcome.errmsg or outcome.cause if outcome else None)
        more = {"errcode": _errcode(row), "reason": reason, "time": iso_time(entry.updated_at)}
    return Result(line.row, line.message_id, line.openid, row.status, **more)
