"""The end of a broadcast: its results become one file."""

from __future__ import annotations

from collections.abc import Sequence

from wechat_notify.core.broadcasts import results
from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.files import Files
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.records import Records
from wechat_notify.core.broadcasts.releasing import leaves_rows
from wechat_notify.core.errors import ObjectChangedError

FINISHED_EVENT = "broadcast.finished"
SECTION_CHUNKS = 250
"""Chunks whose results one step composes: a few seconds."""
_ENDS = frozenset({State.FINISHING, State.CANCELLED, State.FAILED})


class Finisher:
    """Ends broadcasts; raises ``SupersededError`` and ``StorageError``."""

    def __init__(self, services: Services, files: Files, records: Records) -> None:
        self._services = services
        self._files = files
        self._records = records

    def step(self, broadcast: Broadcast) -> Broadcast:
        """End a broadcast whose rows are all at their end, or compose a section of its results."""
        is_over = broadcast.state in _ENDS and not broadcast.has_ended
        if not is_over or broadcast.open_chunks or broadcast.releasing or leaves_rows(broadcast):
            return broadcast
        results_key = failures_key = None
        try:
            if len(broadcast.result_sections) * SECTION_CHUNKS < broadcast.chunks:
                return self._add_section(broadcast)
            if broadcast.chunks:
                header = self._files.write(broadcast, "results/header.csv", results.HEADER)
                parts = [header, *broadcast.result_sections]
                results_key = self._compose(broadcast.key("results.csv"), parts)
                failures_key = self._compose(broadcast.key("failures.txt"), broadcast.failure_sections)
        except ObjectChangedError:  # its parts have expired: the counts are all that is left
            results_key = failures_key = None
        return self._records.write(
            broadcast,
            state=State.FINISHED if broadcast.state is State.FINISHING else None,
            results=results_key,
            failures=failures_key,
            finished_at=self._services.now(),
            announcement=FINISHED_EVENT,
        )

    def _add_section(self, broadcast: Broadcast) -> Broadcast:
        """Compose the parts of the next chunks: so many of them that a step has time for it."""
        number = len(broadcast.result_sections)
        start = number * SECTION_CHUNKS
        numbers = range(start, min(start + SECTION_CHUNKS, broadcast.chunks))
        chunks = self._services.store.read_chunks(broadcast.account, broadcast.id, numbers)
        name = self._services.new_id()
        parts = [chunk.part for chunk in chunks if chunk.part]
        failures = [chunk.failures for chunk in chunks if chunk.failures]
        return self._records.write(
            broadcast,
            result_sections=(
                *broadcast.result_sections,
                self._compose(broadcast.key(f"results/section-{name}.csv"), parts),
            ),
            failure_sections=(
                *broadcast.failure_sections,
                self._compose(broadcast.key(f"failures/section-{name}.txt"), failures),
            ),
        )

    def _compose(self, key: str, parts: Sequence[str]) -> str:
        self._services.objects.compose(key, parts)
        return key
