"""The release of a broadcast's rows: chunk by chunk they are put on the queue of its messages.

A chunk's rows are listed in a file, and the file in the record, before the first row is on the queue. So all
that may be on the queue is known, and a step that ended early is done again for the same rows; the ledger
knows a message that comes twice by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from wechat_notify.core.broadcasts import manifest, pace
from wechat_notify.core.broadcasts.broadcast import Broadcast, Chunk, Release, State, WaitsFor
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.recipients import UnreadableFileError
from wechat_notify.core.broadcasts.records import Records
from wechat_notify.core.broadcasts.shares import Shares
from wechat_notify.core.broadcasts.source import Batch, Source
from wechat_notify.core.broadcasts.spec import BroadcastSpec
from wechat_notify.core.errors import ObjectChangedError
from wechat_notify.core.outcomes import Status
from wechat_notify.core.queue_messages import DelayedMessage

UNRELEASED = "unreleased"
UPLOAD_CHANGED = "upload_changed"
_BODIES_A_CALL = 500
_HOLD_LOOK = 60.0
"""Seconds after which a hold is looked at again."""


class _Turn(NamedTuple):
    """The time at which the next chunk may be released, what it waits for until then, and its rate."""

    at: float
    waits_for: WaitsFor | None
    rate: float = 0.0


class Releaser:
    """Does the steps of a release; its methods raise ``SupersededError`` and ``StorageError``."""

    def __init__(self, services: Services, files: Files, records: Records) -> None:
        self._services = services
        self._files = files
        self._records = records
        self._shares = Shares(services)

    def step(self, broadcast: Broadcast) -> Broadcast:
        """Release the next rows where they are due; return the record."""
        try:
            if broadcast.releasing:  # whatever its state is now: some rows may be on the queue
                return self._finish_chunk(broadcast, None)
            if broadcast.state is State.RUNNING:
                return self._release(broadcast)
            self._shares.give_back(broadcast.account, broadcast.id)
            if leaves_rows(broadcast):
                return self._leave(broadcast)
        except ObjectChangedError:
            return self.fail(broadcast, UPLOAD_CHANGED)
        except UnreadableFileError as error:
            return self.fail(broadcast, error.reason)
        return broadcast

    def fail(self, broadcast: Broadcast, reason: str) -> Broadcast:
        """End a broadcast whose rows cannot be read any more."""
        if broadcast.releasing:
            broadcast = self._record_chunk(broadcast, broadcast.releasing)
        if broadcast.state in {State.CANCELLED, State.FAILED}:
            return self._records.write(broadcast, released=True)
        return self._records.write(
            broadcast, state=State.FAILED, reason=reason, released=True, next_release_at=None, waits_for=None
        )

    def _release(self, broadcast: Broadcast) -> Broadcast:
        if broadcast.offset >= broadcast.size:
            return self._all_released(broadcast, released=True)
        now = self._services.now()
        due = broadcast.next_release_at or now
        if due > now + pace.EARLY + pace.lead(broadcast.rate):
            return broadcast
        source = Source(self._services, self._files, broadcast)
        spec = source.spec
        start = pace.chunk_start(due, now)
        opening = pace.opening_for(spec, start)
        if opening is None:  # it expires before anything more could be sent
            return self._all_released(broadcast, released=False)
        turn = self._turn(broadcast, spec, opening, start)
        if turn.at > start:
            return self._records.write(broadcast, next_release_at=turn.at, waits_for=turn.waits_for)
        messages = pace.chunk_messages(turn.rate, start, opening.until)
        batch = source.batch(messages=messages)
        if not batch.lines:  # none of these rows is selected, or there are no more
            return self._skip(broadcast, batch)
        span = len(batch.bodies) / turn.rate
        broadcast = self._begin_chunk(broadcast, batch, start, span, rate=turn.rate)
        return self._finish_chunk(broadcast, batch.bodies)

    def _turn(self, broadcast: Broadcast, spec: BroadcastSpec, opening: pace.Opening, start: float) -> _Turn:
        """Return when the next chunk may be released."""
        if opening.at > start:
            return _Turn(opening.at, opening.waits_for)
        held_until = self._held_until(broadcast.account, spec)
        if held_until > start:  # somebody may end it early
            return _Turn(min(held_until, start + _HOLD_LOOK), WaitsFor.HOLD)
        rate, at = self._shares.take(broadcast.account, broadcast.id, spec.messages_per_second, start)
        return _Turn(at, WaitsFor.CEILING, rate)

    def _leave(self, broadcast: Broadcast) -> Broadcast:
        """List rows that are not released any more, so that the results have them all."""
        unsent = UNRELEASED if broadcast.state is State.CANCELLED else Status.EXPIRED.value
        batch = Source(self._services, self._files, broadcast).batch(unsent=unsent)
        if not batch.lines:
            return self._skip(broadcast, batch)
        broadcast = self._begin_chunk(broadcast, batch, self._services.now(), 0.0)
        return self._finish_chunk(broadcast, [])

    def _held_until(self, account: str, spec: BroadcastSpec) -> float:
        """Return until when a circuit holds the broadcast's messages; 0 where none does."""
        message = spec.message
        scopes = {"account", f"kind:{message.get('kind')}", f"template:{message.get('template_id')}"}
        circuits = [circuit for circuit in self._services.holds.of(account) if circuit.scope in scopes]
        return max((circuit.held_until for circuit in circuits), default=0.0)

    def _skip(self, broadcast: Broadcast, batch: Batch) -> Broadcast:
        if batch.end >= broadcast.size:
            return self._all_released(broadcast, released=True)
        return self._records.write(broadcast, offset=batch.end, next_row=batch.next_row)

    def _begin_chunk(
        self, broadcast: Broadcast, batch: Batch, start: float, span: float, rate: float | None = None
    ) -> Broadcast:
        name = f"rows/{broadcast.chunks:05}.jsonl"
        release = Release(
            self._files.write(broadcast, name, manifest.to_bytes(batch.lines)),
            len(batch.lines),
            len(batch.bodies),
            batch.end,
            batch.next_row,
            round(start, 3),
            round(span, 3),
        )
        return self._records.write(broadcast, releasing=release, rate=rate, waits_for=None)

    def _finish_chunk(self, broadcast: Broadcast, bodies: Sequence[str] | None) -> Broadcast:
        """Put the chunk's rows on the queue; without ``bodies``, they are read once more."""
        release = broadcast.releasing
        if release is None:
            return broadcast
        if bodies is None:
            # An earlier step ended in the middle. Its messages keep their distance, from now on.
            starts_at = pace.chunk_start(release.starts_at, self._services.now())
            release = release._replace(starts_at=starts_at)
            if release.messages:
                source = Source(self._services, self._files, broadcast)
                bodies = source.batch(before_row=release.next_row).bodies
        self._send(broadcast, release, bodies or ())
        return self._record_chunk(broadcast, release)

    def _send(self, broadcast: Broadcast, release: Release, bodies: Sequence[str]) -> None:
        each = release.span / max(1, release.messages)
        numbered = enumerate(bodies)
        while some := list(islice(numbered, _BODIES_A_CALL)):
            now = self._services.now()
            self._services.rows.send_all(
                [
                    DelayedMessage(
                        body, pace.delay(release.starts_at + number * each, now), broadcast.account
                    )
                    for number, body in some
                ]
            )

    def _record_chunk(self, broadcast: Broadcast, release: Release) -> Broadcast:
        """Record that all of the chunk's rows are on the queue."""
        next_due = release.starts_at + release.span
        ends_at = max(next_due, self._services.now())
        chunk = Chunk(
            broadcast.account,
            broadcast.id,
            broadcast.chunks,
            self._services.new_id(),
            release.manifest,
            release.rows,
            release.messages,
            ends_at,
            pace.first_look(ends_at) if release.messages else ends_at,
        )
        self._services.store.put_chunk(chunk)  # one that exists is of the same rows
        broadcast = self._records.write(
            broadcast,
            merge=True,
            releasing=None,
            offset=release.end,
            next_row=release.next_row,
            chunks=broadcast.chunks + 1,
            open_chunks=(*broadcast.open_chunks, broadcast.chunks),
            next_release_at=next_due,
        )
        if broadcast.offset >= broadcast.size:
            if release.messages:
                self._shares.give_back(broadcast.account, broadcast.id, next_due)
            return self._all_released(broadcast, released=True)
        return broadcast

    def _all_released(self, broadcast: Broadcast, *, released: bool) -> Broadcast:
        """Go on without releasing; where not all rows are ``released``, the rest is listed as left."""
        goes_on = broadcast.state in {State.RUNNING, State.PAUSED}
        return self._records.write(
            broadcast,
            state=State.FINISHING if goes_on else None,
            released=released,
            next_release_at=None,
            waits_for=None,
        )


def leaves_rows(broadcast: Broadcast) -> bool:
    """Return whether rows are left that are not released any more, and not listed yet."""
    if broadcast.released:
        return False
    started = broadcast.chunks > 0 or broadcast.releasing is not None
    return broadcast.state is State.FINISHING or (broadcast.state is State.CANCELLED and started)
