"""Operations on broadcasts that exist: start, pause, resume, cancel, look up, list, results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from wechat_notify.core.broadcasts import pace
from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.engine import wake
from wechat_notify.core.broadcasts.examining import counts_of, examined_counts
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.overview import Overview
from wechat_notify.core.broadcasts.ports import Page, Services
from wechat_notify.core.broadcasts.records import Records, SupersededError
from wechat_notify.core.broadcasts.spec import BroadcastSpec
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.errors import (
    BroadcastStateError,
    ObjectChangedError,
    StorageError,
    UnknownBroadcastError,
)

DOWNLOAD_SECONDS = 900
"""Seconds for which a download of results can be begun."""
_MAX_WRITES = 8
_STARTED = frozenset({State.RUNNING, State.PAUSED, State.FINISHING, State.FINISHED})
_CANCELLABLE = frozenset({State.CHECKING, State.CHECKED, State.RUNNING, State.PAUSED, State.FINISHING})
_HELD = frozenset({State.CHECKED, State.RUNNING, State.PAUSED, State.FINISHING})
_RELEASING = frozenset({State.CHECKED, State.RUNNING, State.PAUSED})


class Broadcasts:
    """The broadcasts of accounts. Every operation raises ``StorageError``, and can then be repeated."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._files = Files(services)
        self._records = Records(services)

    def start(self, account: str, broadcast_id: str) -> Broadcast:
        """Start a checked broadcast; one that was started stays as it is.

        Raises
        ------
        UnknownBroadcastError
            There is none under this id.
        BroadcastStateError
            It is being checked, or was refused or cancelled, or has failed.
        """

        def change(broadcast: Broadcast) -> dict[str, Any] | None:
            if broadcast.state in _STARTED:
                return None
            _require(broadcast, broadcast.state is State.CHECKED)
            now = self._services.now()
            return {"state": State.RUNNING, "started_at": now, "next_release_at": now, "next_step_at": now}

        return self._change(account, broadcast_id, change)

    def pause(self, account: str, broadcast_id: str) -> Broadcast:
        """Release no more rows; messages that are on the queue, up to a minute's, are still sent.

        Raises
        ------
        UnknownBroadcastError
            There is none under this id.
        BroadcastStateError
            It is not running.
        """

        def change(broadcast: Broadcast) -> dict[str, Any] | None:
            if broadcast.state is State.PAUSED:
                return None
            _require(broadcast, broadcast.state is State.RUNNING)
            return {"state": State.PAUSED}

        return self._change(account, broadcast_id, change)

    def resume(self, account: str, broadcast_id: str) -> Broadcast:
        """Go on; failures so far do not pause it again. Raises as ``pause`` does."""

        def change(broadcast: Broadcast) -> dict[str, Any] | None:
            if broadcast.state is State.RUNNING:
                return None
            _require(broadcast, broadcast.state is State.PAUSED)
            counts = examined_counts(self._services.store, broadcast)
            now = self._services.now()
            return {
                "state": State.RUNNING,
                "reason": None,
                "judged_before": counts.judged,
                "failures_before": counts.failures,
                "next_release_at": max(now, broadcast.next_release_at or now),
                "next_step_at": now,
            }

        return self._change(account, broadcast_id, change)

    def cancel(self, account: str, broadcast_id: str) -> Broadcast:
        """Release no more rows, for good, and cancel the messages that wait for more than their turn.

        Raises
        ------
        UnknownBroadcastError
            There is none under this id.
        BroadcastStateError
            It has ended.
        """

        def change(broadcast: Broadcast) -> dict[str, Any] | None:
            if broadcast.state is State.CANCELLED:
                return None
            _require(broadcast, broadcast.state in _CANCELLABLE)
            now = self._services.now()
            return {
                "state": State.CANCELLED,
                "next_release_at": None,
                "waits_for": None,
                "cancelled_at": now,
                "next_step_at": now,
            }

        return self._change(account, broadcast_id, change)

    def look_up(self, account: str, broadcast_id: str) -> Overview:
        """Return a broadcast with its counts; raises ``UnknownBroadcastError``."""
        broadcast = self._read(account, broadcast_id)
        counts = counts_of(self._services.store, broadcast)
        try:
            state = self._files.check_state(broadcast)
        except ObjectChangedError:  # it has expired
            state = None
        report = state.report.as_dict() if state else None
        kind: str | None = None
        estimate: pace.Estimate | None = None
        holds: tuple[Circuit, ...] = ()
        if broadcast.state in _RELEASING:
            with suppress(ObjectChangedError):  # nobody started it for as long as files are kept
                spec = self._files.spec(broadcast)
                kind, estimate = spec.message["kind"], self._estimate(broadcast, spec, counts.unreleased)
        if broadcast.state in _HELD:
            holds = tuple(self._services.holds.of(account))
        return Overview(broadcast, counts, report, kind, estimate, holds)

    def list_page(self, account: str, *, cursor: str | None = None, limit: int = 20) -> Page:
        """Return some broadcasts, the newest first; raises ``CursorError``."""
        return self._services.store.list_page(account, cursor=cursor, limit=limit)

    def results(self, account: str, broadcast_id: str) -> str:
        """Return a URL of the results as CSV.

        Raises
        ------
        UnknownBroadcastError
            There is none under this id.
        BroadcastStateError
            It has not ended, or nothing of it was sent.
        """
        broadcast = self._read(account, broadcast_id)
        _require(broadcast, broadcast.results is not None)
        return self._services.objects.presign_download(
            broadcast.results or "", seconds=DOWNLOAD_SECONDS, filename=f"{broadcast.id}.csv"
        )

    def _change(
        self, account: str, broadcast_id: str, change: Callable[[Broadcast], dict[str, Any] | None]
    ) -> Broadcast:
        for _ in range(_MAX_WRITES):
            broadcast = self._read(account, broadcast_id)
            fields = change(broadcast)
            try:
                changed = self._records.write(broadcast, **fields) if fields else broadcast
            except SupersededError:
                continue
            wake(self._services, changed)
            return changed
        raise StorageError("write the broadcast", "Contended")

    def _read(self, account: str, broadcast_id: str) -> Broadcast:
        broadcast = self._services.store.read(account, broadcast_id)
        if broadcast is None:
            raise UnknownBroadcastError
        return broadcast

    def _estimate(self, broadcast: Broadcast, spec: BroadcastSpec, messages: int) -> pace.Estimate | None:
        now = self._services.now()
        window = pace.Window.of(spec)
        opening = pace.opening_for(spec, max(now, broadcast.next_release_at or now))
        if opening is None:
            return None
        rate = broadcast.rate or pace.chunk_rate(spec.messages_per_second, self._services.ceiling, 1)
        return pace.estimate(messages, rate, now, opening, window)


def _require(broadcast: Broadcast, allowed: bool) -> None:  # noqa: FBT001 - a condition, as assert has it
    if not allowed:
        raise BroadcastStateError(broadcast.state.value)
