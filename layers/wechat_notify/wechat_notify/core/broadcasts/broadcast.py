"""A broadcast's record, its chunks, and which state may follow which.

::

    checking ─► checked ─► running ⇄ paused      running ─► finishing ─► finished
        ├─► refused           ├─► cancelled (also from checking, checked, paused, finishing)
        └─► running           └─► failed (also from checking, paused, finishing)

A paused one whose last rows were released meanwhile becomes ``finishing``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, NamedTuple

from wechat_notify.core.broadcasts.counts import Counts
from wechat_notify.core.errors import IllegalBroadcastStateError
from wechat_notify.core.texts import Bilingual

_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def is_broadcast_id(given: str) -> bool:
    """Return whether a broadcast may have this id: 1 to 32 of ``A-Z``, ``a-z``, ``0-9``, ``-`` and ``_``."""
    return _ID.fullmatch(given) is not None


class State(StrEnum):
    """The states of a broadcast."""

    CHECKING = "checking"
    CHECKED = "checked"
    """It can be sent, and waits for its start."""
    REFUSED = "refused"
    """It cannot be sent: nothing was."""
    RUNNING = "running"
    PAUSED = "paused"
    FINISHING = "finishing"
    """All its rows are released; messages are still waiting."""
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Its source changed or vanished."""


class WaitsFor(StrEnum):
    """Reasons for which a running broadcast releases nothing."""

    START = "start"
    WINDOW = "window"
    HOLD = "hold"
    """A circuit holds the account, the kind or the template."""
    CEILING = "ceiling"
    """The account's other broadcasts use its whole rate."""


_NEXT: dict[State, frozenset[State]] = {
    State.CHECKING: frozenset(
        {State.CHECKED, State.REFUSED, State.RUNNING, State.CANCELLED, State.FAILED},
    ),
    State.CHECKED: frozenset({State.RUNNING, State.CANCELLED}),
    State.REFUSED: frozenset(),
    State.RUNNING: frozenset({State.PAUSED, State.FINISHING, State.CANCELLED, State.FAILED}),
    State.PAUSED: frozenset({State.RUNNING, State.FINISHING, State.CANCELLED, State.FAILED}),
    State.FINISHING: frozenset({State.FINISHED, State.CANCELLED, State.FAILED}),
    State.FINISHED: frozenset(),
    State.CANCELLED: frozenset(),
    State.FAILED: frozenset(),
}


class Release(NamedTuple):
    """The chunk that is being put on the queue, recorded before its first row is.

    ``manifest`` is the key of the object that lists its rows; the chunk ends before the row ``next_row``,
    which begins at byte ``end``. ``starts_at`` is when its first row is due (seconds since the epoch),
    ``span`` after how many seconds the next chunk is.
    """

    manifest: str
    rows: int
    messages: int
    end: int
    next_row: int
    starts_at: float
    span: float


class Broadcast(NamedTuple):
    """One broadcast's record. All times are seconds since the epoch.

    Every write is the successor of one ``version``; ``writer`` names the call that wrote it, so that a write
    whose answer was lost is known again. ``fingerprint`` is the digest of its request.

    ``source`` is the key of its recipients' object, ``etag`` the object's version, ``size`` its bytes.
    ``spec`` and ``check`` are the keys of its request and of what its check has found so far,
    ``repeated_ids`` and ``repeated_openids`` those of the rows that are left out, each a ``Selection``.

    ``retry_of`` is the broadcast whose failed rows it repeats, ``retried`` the key of their list, and
    ``selection`` that of the rows themselves: then they are the only ones. ``include_unknown``: so are rows
    whose message may have been sent.

    ``step`` is the number of the next step, due at ``next_step_at``: None where nothing is left to do, or
    before a person decides. ``announcement`` is an event that is to be published.

    ``rows``, ``invalid`` and ``duplicates`` are what its check has counted; None before its end.
    ``offset`` is where the first row that is not released begins, ``next_row`` its number; ``released`` says
    that there is none. ``chunks`` is the count of chunks, ``open_chunks`` those that are not part of
    ``totals`` yet. ``results`` and ``failures`` are the keys of all rows' results and of those that can be
    retried, ``result_sections`` and ``failure_sections`` those of their parts so far. ``judged_before`` and
    ``failures_before`` are the messages with a result until it was resumed last: these do not
    pause it again.
    """

    account: str
    id: str
    state: State
    fingerprint: str
    writer: str
    created_at: float
    updated_at: float
    version: int = 1
    name: str | None = None
    dry_run: bool = False
    source: str = ""
    etag: str = ""
    size: int = 0
    spec: str = ""
    check: str | None = None
    repeated_ids: str | None = None
    repeated_openids: str | None = None
    selection: str | None = None
    retry_of: str | None = None
    retried: str | None = None
    include_unknown: bool = False
    step: int = 0
    next_step_at: float | None = None
    announcement: str | None = None
    reason: str | None = None
    problem: Bilingual | None = None
    rows: int | None = None
    invalid: int = 0
    duplicates: int = 0
    offset: int = 0
    next_row: int = 1
    released: bool = False
    chunks: int = 0
    open_chunks: tuple[int, ...] = ()
    releasing: Release | None = None
    next_release_at: float | None = None
    waits_for: WaitsFor | None = None
    rate: float | None = None
    totals: Counts = Counts()
    judged_before: int = 0
    failures_before: int = 0
    started_at: float | None = None
    cancelled_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    result_sections: tuple[str, ...] = ()
    failure_sections: tuple[str, ...] = ()
    results: str | None = None
    failures: str | None = None

    def moved(self, *, writer: str, now: float, state: State | None = None, **fields: Any) -> Broadcast:
        """The next version of the record; raises ``IllegalBroadcastStateError``."""
        state = state or self.state
        if state is not self.state and state not in _NEXT[self.state]:
            raise IllegalBroadcastStateError(self.state, state)
        return self._replace(state=state, writer=writer, updated_at=now, version=self.version + 1, **fields)

    def has_progress_of(self, other: Broadcast) -> bool:
        """Return whether no step has changed it since the other version, but a person may have."""
        mine = self.step, self.chunks, self.open_chunks
        return mine == (other.step, other.chunks, other.open_chunks)

    @property
    def has_ended(self) -> bool:
        """Return whether nothing of it changes any more: neither its state nor a count."""
        return self.finished_at is not None

    def key(self, name: str) -> str:
        """The key of an object that belongs to it."""
        return f"{self.account}/broadcasts/{self.id}/{name}"


class Chunk(NamedTuple):
    """Some consecutive rows, which were released together. All times are seconds since the epoch.

    ``ends_at`` is when its last message is due on the queue. ``counts`` are those of the last look at
    the ledger, at ``looked_at``; the next one is due at ``look_at``. A ``settled`` chunk changes
    no more: ``part`` is the key of its part of the results, ``failures`` that of its rows that can be
    retried, where there are any.
    """

    account: str
    broadcast_id: str
    number: int
    writer: str
    manifest: str
    rows: int
    messages: int
    ends_at: float
    look_at: float
    version: int = 1
    looked_at: float = 0.0
    counts: Counts = Counts()
    settled: bool = False
    part: str | None = None
    failures: str | None = None


class Lease(NamedTuple):
    """The part of an account's rate that a broadcast uses: messages per second, until a time.

    ``over``: it releases nothing any more; what it has released is on the queue until then.
    """

    broadcast_id: str
    rate: float
    until: float
    over: bool = False


class AccountPace(NamedTuple):
    """The running broadcasts of an account, stored as one item; version 0 is none stored."""

    account: str
    version: int = 0
    writer: str = ""
    leases: tuple[Lease, ...] = ()
