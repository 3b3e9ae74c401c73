"""Lists of an account's messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import NamedTuple, Protocol

from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.outcomes import Status

_MAX_LOOKED_AT = 2_000
"""Messages that one page looks at where it is to find those of one broadcast."""
_PAGE_OF_MANY = 100
"""Messages that are read at a time then."""


class Position(NamedTuple):
    """A message's place in the list: when it was handed over (seconds since the epoch), and its id."""

    created_at: float
    id: str


class MessageFilter(NamedTuple):
    """The messages that a list holds: their statuses, the oldest time, and the broadcast they belong to."""

    statuses: tuple[Status, ...]
    since: float | None = None
    broadcast: str | None = None


class Page(NamedTuple):
    """Some messages, the newest first, and the position after which the next page begins.

    A page that looked at many messages of other broadcasts can be short, or empty, and have a next one.
    """

    entries: list[Entry]
    last: Position | None


class MessageIndex(Protocol):
    """The index by account and status; raises ``StorageError``."""

    def newest(
        self,
        account: str,
        statuses: Iterable[Status],
        *,
        since: float | None,
        before: Position | None,
        page: int,
    ) -> Iterator[Position]:
        """The positions of messages, the newest first; ``page`` is about how many will be asked for."""


class EntryReader(Protocol):
    """The ledger's entries; raises ``StorageError``."""

    def read_many(self, account: str, message_ids: Iterable[str]) -> Mapping[str, Entry]:
        """The entries of these messages, by id; those that have none are left out."""


class MessageList:
    """Reads pages of an account's messages."""

    def __init__(self, index: MessageIndex, entries: EntryReader) -> None:
        self._index = index
        self._entries = entries

    def page(self, account: str, wanted: MessageFilter, before: Position | None, limit: int) -> Page:
        """Return the next messages after a position; raises ``StorageError``."""
        prefix = f"{wanted.broadcast}:" if wanted.broadcast else ""
        positions = self._index.newest(
            account,
            wanted.statuses,
            since=wanted.since,
            before=before,
            page=max(limit + 1, _PAGE_OF_MANY) if prefix else limit + 1,
        )
        found: list[Position] = []
        last: Position | None = None
        # One that changed its state meanwhile comes twice.
        places = (position for position, _ in groupby(positions))
        for looked_at, position in enumerate(islice(places, _MAX_LOOKED_AT + 1)):
            if len(found) == limit or looked_at == _MAX_LOOKED_AT:
                break
            last = position
            if position.id.startswith(prefix):
                found.append(position)
        else:
            last = None
        entries = self._entries.read_many(account, [position.id for position in found])
        # The index is a moment behind: what changed meanwhile is in another list now.
        listed = (entries.get(position.id) for position in found)
        return Page([entry for entry in listed if entry and entry.status in wanted.statuses], last)
