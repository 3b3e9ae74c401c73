"""Bugs of broadcasts to be put into the service one at a time, each of which the oracle must catch."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from typing import Any

from tests.simulation.broadcasts.oracle import (
    COMES_TO_ITS_END,
    EXACT,
    LEFT_OUT,
    NONE_LOST,
    NONE_TWICE,
    ONE_LINE,
    PACE,
    PAUSE,
)
from tests.simulation.planted_bugs.bug import Bug, Patches, bug, in_place_of
from wechat_notify.aws.broadcast_queues import RowQueue
from wechat_notify.core.broadcasts import engine, examining, source
from wechat_notify.core.broadcasts.broadcast import Broadcast, Chunk
from wechat_notify.core.broadcasts.duplicates import Selection
from wechat_notify.core.broadcasts.engine import Engine
from wechat_notify.core.broadcasts.examining import Examiner
from wechat_notify.core.broadcasts.finishing import Finisher
from wechat_notify.core.broadcasts.records import Records, SupersededError
from wechat_notify.core.broadcasts.releasing import Releaser
from wechat_notify.core.broadcasts.shares import Shares
from wechat_notify.core.broadcasts.source import Batch, Source
from wechat_notify.core.errors import StorageError


@in_place_of(Releaser, "_finish_chunk", breaks=COMES_TO_ITS_END)
def checkpoint_before_queue(_right: Any, self: Releaser, broadcast: Broadcast, bodies: Any) -> Broadcast:
    """The record moves on before the rows are on the queue: those of a killed function never come."""
    release = broadcast.releasing
    assert release
    recorded = self._record_chunk(broadcast, release)
    self._send(broadcast, release, bodies or ())
    return recorded


@in_place_of(RowQueue, "send_all", breaks=COMES_TO_ITS_END)
def refused_rows_forgotten(right: Any, *args: Any) -> None:
    """Rows that SQS refused count as released."""
    with suppress(StorageError):
        right(*args)


@in_place_of(Source, "batch", breaks=NONE_TWICE)
def ids_of_another_try(right: Any, self: Source, **named: Any) -> Batch:
    """A chunk that is put on the queue once more has other ids."""
    batch: Batch = right(self, **named)
    if named.get("before_row") is None:
        return batch
    prefix = f'"{self._broadcast.id}:'
    return batch._replace(bodies=[body.replace(prefix, f"{prefix}again-") for body in batch.bodies])


@in_place_of(source._Judge, "judge", breaks=NONE_TWICE)
def ids_by_place_in_chunk(right: Any, self: Any, row: Any) -> Any:
    """A message's id is made of how often it was rendered."""
    line, body = right(self, row)
    self.count = getattr(self, "count", 0) + 1
    if line is None or body is None or self._by_id:
        return line, body
    number = f"{self._broadcast.id}:{self._broadcast.version}-{self.count}"
    return line._replace(message_id=number), body.replace(line.message_id, number)


@in_place_of(Examiner, "_add_up", breaks=EXACT)
def totals_apart(_right: Any, self: Examiner, broadcast: Broadcast, chunks: list[Chunk]) -> Broadcast:
    """Counts are added up in one write, and the chunk is closed in the next one."""
    open_chunks = tuple(chunk.number for chunk in chunks if not chunk.settled)
    if open_chunks == broadcast.open_chunks:
        return broadcast
    totals = broadcast.totals
    for chunk in chunks:
        totals = totals.plus(chunk.counts) if chunk.settled else totals
    broadcast = self._records.write(broadcast, totals=totals)
    return self._records.write(broadcast, open_chunks=open_chunks)


@bug(breaks=EXACT)
def failures_are_sent() -> Patches:
    """What was released counts as sent, whatever the ledger says."""
    right = examining._counts

    def counts(rows: Any) -> Any:
        found = right(rows)
        return found._replace(sent=found.sent + found.failed, failed=0)

    return [(examining, "_counts", counts)]


@in_place_of(engine, "wake", breaks=COMES_TO_ITS_END)
def next_step_not_sent(right: Any, services: Any, broadcast: Broadcast) -> None:
    """A step that could not be handed over is taken for handed over."""
    with suppress(StorageError):
        right(services, broadcast)


@in_place_of(Engine, "_watch", breaks=COMES_TO_ITS_END)
def last_step_dropped(_right: Any, *_: Any) -> None:
    """A step that comes again after it was recorded is dropped, though the next one may not be there."""


@in_place_of(Selection, "__contains__", breaks=LEFT_OUT)
def selection_off_by_one(right: Any, self: Selection, row: int) -> bool:
    """The row after a duplicate is left out."""
    return bool(right(self, row + 1))


@bug(breaks=PACE)
def all_at_once() -> Patches:
    """The rows of a chunk are not delayed."""
    right = Releaser._send

    def send(self: Releaser, broadcast: Broadcast, release: Any, bodies: Any) -> None:
        right(self, broadcast, release._replace(span=0.0), bodies)

    return [(Releaser, "_send", send)]


@in_place_of(Shares, "take", breaks=PACE)
def ceiling_not_shared(
    _right: Any, _self: Shares, _account: str, _id: str, own: float | None, start: float
) -> Any:
    """Each broadcast has the account's rate to itself."""
    return own, start


@in_place_of(Records, "write", breaks=PAUSE)
def pause_overwritten(right: Any, self: Records, broadcast: Broadcast, **named: Any) -> Broadcast:
    """A step's write undoes what a person has changed meanwhile."""
    for _ in range(8):
        try:
            written: Broadcast = right(self, broadcast, **named)
        except SupersededError:
            newest = self._services.store.read(broadcast.account, broadcast.id)
            assert newest
            broadcast = broadcast._replace(version=newest.version)
        else:
            return written
    raise SupersededError


@in_place_of(Finisher, "_add_section", breaks=ONE_LINE)
def results_out_of_order(right: Any, self: Finisher, broadcast: Broadcast) -> Broadcast:
    """The parts of the results stand in the order in which they were found, the newest first."""
    store, read = self._services.store, self._services.store.read_chunks

    class Reversed:
        def read_chunks(self, *args: Any) -> list[Chunk]:
            return read(*args)[::-1]

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    services = self._services
    self._services = services._replace(store=Reversed())
    try:
        written: Broadcast = right(self, broadcast)
    finally:
        self._services = services
    return written


@bug(breaks=NONE_LOST)
def lost_too_soon() -> Patches:
    """A message that waits for an hour is taken for lost."""
    return [(examining, "LOST_AFTER", 20.0)]


BUGS = {name: found for name, found in list(vars().items()) if isinstance(found, Bug)}


def plant(name: str) -> AbstractContextManager[None]:
    """Have the bug of this name for a while."""
    return BUGS[name].planted()
