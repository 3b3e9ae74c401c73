"""The services that broadcasts stand on. Every method raises ``StorageError`` where its service fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from wechat_notify.core.broadcasts.broadcast import AccountPace, Broadcast, Chunk
from wechat_notify.core.delivery.circuit import Circuit
from wechat_notify.core.delivery.listing import EntryReader
from wechat_notify.core.outcomes import DomainEvent
from wechat_notify.core.queue_messages import DelayedMessage
from wechat_notify.core.templates.template import AccountTemplates


class Page(NamedTuple):
    """Some broadcasts, and the cursor of the next page; None after the last one."""

    broadcasts: Sequence[Broadcast]
    cursor: str | None


class BroadcastStore(Protocol):
    """Storage of broadcasts. Reads are strongly consistent, ``list_page`` excepted.

    A put stores a value as the successor of the version before it, or as version 1 as the first, and returns
    None; otherwise it returns the existing value, which another call has written.
    """

    def put(self, broadcast: Broadcast) -> Broadcast | None:
        """Store a record."""

    def read(self, account: str, broadcast_id: str) -> Broadcast | None:
        """The newest version of a record."""

    def list_page(self, account: str, *, cursor: str | None, limit: int) -> Page:
        """The account's broadcasts, the newest first; raises ``CursorError`` for a cursor not of its own."""

    def put_chunk(self, chunk: Chunk) -> Chunk | None:
        """Store a chunk."""

    def read_chunks(self, account: str, broadcast_id: str, numbers: Sequence[int]) -> list[Chunk]:
        """The chunks of these numbers, in this order; what is not stored is left out."""

    def read_pace(self, account: str) -> AccountPace:
        """The account's running broadcasts; version 0 where none are stored."""

    def put_pace(self, pace: AccountPace) -> AccountPace | None:
        """Store the account's running broadcasts."""


class ObjectHead(NamedTuple):
    """An object's size in bytes, its version, and when it was written (seconds since the epoch)."""

    size: int
    etag: str
    modified_at: float


class Objects(Protocol):
    """Storage of files."""

    def head(self, key: str) -> ObjectHead | None:
        """Return what is known of an object, None where there is none."""

    def read(
        self, key: str, *, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> Iterator[bytes]:
        """The bytes from ``start`` to ``end`` (exclusive), in blocks; nothing where it ends before ``start``.

        The first block is asked for when it is wanted. Raises ``ObjectChangedError`` where there is no such
        object, or not with this etag.
        """

    def write(self, key: str, data: bytes) -> None:
        """Store an object in place of an earlier one."""

    def compose(self, key: str, parts: Iterable[str]) -> None:
        """Store the contents of objects, one after the other, as one object; with flat memory.

        Without any it is empty.
        Raises ``ObjectChangedError`` where one does not exist.
        """

    def presign_upload(self, key: str, *, seconds: int) -> str:
        """A URL to which the object can be PUT for so many seconds."""

    def presign_download(self, key: str, *, seconds: int, filename: str) -> str:
        """A URL from which the object can be fetched for so many seconds."""


class RowQueue(Protocol):
    """The queue of a broadcast's messages."""

    def send_all(self, messages: Sequence[DelayedMessage]) -> None:
        """Put messages on the queue: all of them, or ``StorageError`` (some may be on it all the same)."""


class StepQueue(Protocol):
    """The queue of steps."""

    def send(self, account: str, broadcast_id: str, step: int, delay_seconds: int) -> None:
        """Put a step on the queue that is hidden for so many seconds, 900 at most."""


class HoldReader(Protocol):
    """The account's holds; ``OpenHolds`` is one."""

    def of(self, account: str) -> Sequence[Circuit]:
        """The circuits that messages wait for."""


class Events(Protocol):
    """The event bus."""

    def publish(self, events: Sequence[DomainEvent]) -> int:
        """Publish events; return how many could not be. It raises nothing."""


class Services(NamedTuple):
    """All that broadcasts stand on.

    ``templates`` returns an account's templates as far as they are known (``TemplateRegistry.of``).
    ``cancel_message`` keeps a message (account, id) that waits from being sent; ``Ledger.cancel`` is one.
    ``has_receipts`` tells of an account whether receipts come for its messages.
    ``now`` returns seconds since the epoch, ``new_id`` a new name for a write, an object or a broadcast.
    ``ceiling`` is the rate that an account's broadcasts have together, in messages per second.
    """

    store: BroadcastStore
    objects: Objects
    rows: RowQueue
    steps: StepQueue
    entries: EntryReader
    holds: HoldReader
    events: Events
    templates: Callable[[str], AccountTemplates | None]
    cancel_message: Callable[[str, str], object]
    has_receipts: Callable[[str], bool]
    now: Callable[[], float]
    new_id: Callable[[], str]
    ceiling: float
