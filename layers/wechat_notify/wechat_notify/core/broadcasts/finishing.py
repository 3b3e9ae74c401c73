"""The end of a broadcast: its results become one file."""

from __future__ import annotations

from collections.abc import Iterator

from wechat_notify.core.broadcasts import results
from wechat_notify.core.broadcasts.broadcast import Broadcast, Chunk, State
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.records import Records
from wechat_notify.core.broadcasts.releasing import leaves_rows
from wechat_notify.core.errors import ObjectChangedError

FINISHED_EVENT = "broadcast.finished"
_CHUNKS_A_CALL = 100
_ENDS = frozenset({State.FINISHING, State.CANCELLED, State.FAILED})


class Finisher:
    """Ends broadcasts; raises ``SupersededError`` and ``StorageError``."""

    def __init__(self, services: Services, files: Files, records: Records) -> None:
        self._services = services
        self._files = files
        self._records = records

    def step(self, broadcast: Broadcast) -> Broadcast:
        """End a broadcast whose rows are all at their end; return the record."""
        is_over = broadcast.state in _ENDS and not broadcast.has_ended
        if not is_over or broadcast.open_chunks or broadcast.releasing or leaves_rows(broadcast):
            return broadcast
        results_key = failures_key = None
        if broadcast.chunks:
            results_key = self._compose_results(broadcast)
            failures_key = self._compose(broadcast, "failures.txt", self._failures(broadcast))
        return self._records.write(
            broadcast,
            state=State.FINISHED if broadcast.state is State.FINISHING else None,
            results=results_key,
            failures=failures_key,
            finished_at=self._services.now(),
            announcement=FINISHED_EVENT,
        )

    def _compose_results(self, broadcast: Broadcast) -> str | None:
        header = self._files.write(broadcast, "results/header.csv", results.HEADER)
        return self._compose(broadcast, "results.csv", self._results(broadcast, header))

    def _compose(self, broadcast: Broadcast, name: str, parts: Iterator[str]) -> str | None:
        key = broadcast.key(name)
        try:
            self._services.objects.compose(key, parts)
        except ObjectChangedError:  # its parts have expired: the counts are all that is left
            return None
        return key

    def _results(self, broadcast: Broadcast, header: str) -> Iterator[str]:
        yield header
        for chunk in self._chunks(broadcast):
            if chunk.part:
                yield chunk.part

    def _failures(self, broadcast: Broadcast) -> Iterator[str]:
        return (chunk.failures for chunk in self._chunks(broadcast) if chunk.failures)

    def _chunks(self, broadcast: Broadcast) -> Iterator[Chunk]:
        for start in range(0, broadcast.chunks, _CHUNKS_A_CALL):
            numbers = range(start, min(start + _CHUNKS_A_CALL, broadcast.chunks))
            yield from self._services.store.read_chunks(broadcast.account, broadcast.id, numbers)
