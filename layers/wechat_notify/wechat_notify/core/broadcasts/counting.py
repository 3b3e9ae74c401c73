"""The counts of a broadcast as they stand."""

from __future__ import annotations

from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.counts import Counts
from wechat_notify.core.broadcasts.ports import BroadcastStore


def examined_counts(store: BroadcastStore, broadcast: Broadcast) -> Counts:
    """Return the counts of the rows that are released; raises ``StorageError``."""
    counts = broadcast.totals
    for chunk in store.read_chunks(broadcast.account, broadcast.id, broadcast.open_chunks):
        # Of one that nobody has looked at yet, the other rows are part of what the check has counted.
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
