"""Read and write a broadcast's own files. Each is written once, under a new name that the record holds.

So a step that is done twice cannot mix two states of one file.
"""

from __future__ import annotations

from wechat_notify.core.broadcasts.broadcast import Broadcast
from wechat_notify.core.broadcasts.check_state import CheckState
from wechat_notify.core.broadcasts.duplicates import Selection
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.broadcasts.spec import BroadcastSpec, stored_spec


class Files:
    """Reads and writes the files of broadcasts; raises ``ObjectChangedError`` where one is gone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def write(self, broadcast: Broadcast, name: str, data: bytes) -> str:
        """Store a new file; return its key. ``name`` says what it is, such as ``parts/00017.csv``."""
        stem, dot, extension = name.partition(".")
        key = broadcast.key(f"{stem}-{self._services.new_id()}{dot}{extension}")
        self._services.objects.write(key, data)
        return key

    def read(self, key: str) -> bytes:
        """The content of a file that is small."""
        return b"".join(self._services.objects.read(key))

    def spec(self, broadcast: Broadcast) -> BroadcastSpec:
        """The broadcast's request."""
        return stored_spec(self.read(broadcast.spec).decode())

    def check_state(self, broadcast: Broadcast) -> CheckState | None:
        """The stored state of its check; None where it has not begun."""
        return CheckState.from_bytes(self.read(broadcast.check)) if broadcast.check else None

    def selection(self, key: str | None, first_row: int, last_row: int) -> Selection:
        """The part of a set of rows that tells of these; an empty set without a key."""
        if key is None:
            return Selection()
        start, end = Selection.span(first_row, last_row)
        return Selection(b"".join(self._services.objects.read(key, start=start, end=end)), first_byte=start)
