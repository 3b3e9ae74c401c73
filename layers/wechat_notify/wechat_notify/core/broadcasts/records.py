"""Writing a broadcast's record: each write is the successor of one version."""

from __future__ import annotations

from typing import Any

from wechat_notify.core.broadcasts.broadcast import Broadcast, State
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.errors import WeChatNotifyError

_MAX_WRITES = 8


class SupersededError(WeChatNotifyError):
    """The record was written by another call meanwhile and has to be read again."""

    reason = "superseded"


class Records:
    """Writes broadcasts' records."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def write(
        self, broadcast: Broadcast, *, state: State | None = None, merge: bool = False, **fields: Any
    ) -> Broadcast:
        """Store the next version of a record, and return it.

        ``merge``: the fields are a step's own; they are written into what a person has changed meanwhile.

        Raises
        ------
        SupersededError
            The record has another version.
        StorageError
            The store did not answer; the record may be written all the same.
        """
        newest = broadcast
        for _ in range(_MAX_WRITES):
            wanted = newest.moved(
                writer=self._services.new_id(), now=self._services.now(), state=state, **fields
            )
            existing = self._services.store.put(wanted)
            if existing is None:
                return wanted
            if not merge or not existing.has_progress_of(broadcast):
                break
            newest = existing
        raise SupersededError
