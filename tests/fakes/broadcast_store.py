"""The table of broadcasts as the core meets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from tests.fakes.ledger_store import other_than
from wechat_notify.core.broadcasts.broadcast import AccountPace, Broadcast, Chunk
from wechat_notify.core.broadcasts.ports import Page
from wechat_notify.core.cursors import Cursors
from wechat_notify.core.errors import StorageError

T = TypeVar("T", Broadcast, Chunk, AccountPace)


class FakeBroadcastStore:
    """Records, chunks and leases; floats are stored with three decimals, as the table has them.

    ``history`` are all records that were ever stored. ``failing`` maps a method's name to AWS's error code,
    for as long as it stands there.
    """

    def __init__(self) -> None:
        self.broadcasts: dict[tuple[str, str], Broadcast] = {}
        self.chunks: dict[tuple[str, str, int], Chunk] = {}
        self.paces: dict[str, AccountPace] = {}
        self.history: list[Broadcast] = []
        self.failing: dict[str, str] = {}
        self._cursors = Cursors(lambda: [b"a key for tests"])

    def put(self, broadcast: Broadcast) -> Broadcast | None:
        self._fail("put")
        existing = _put(self.broadcasts, (broadcast.account, broadcast.id), broadcast)
        if existing is None:
            self.history.append(broadcast)
        return existing

    def read(self, account: str, broadcast_id: str) -> Broadcast | None:
        self._fail("read")
        return self.broadcasts.get((account, broadcast_id))

    def list_page(self, account: str, *, cursor: str | None, limit: int) -> Page:
        self._fail("list_page")
        this_list = ["broadcasts", account]
        start = 0 if cursor is None else cast("int", self._cursors.read(this_list, cursor)[0])
        own = [each for each in self.broadcasts.values() if each.account == account]
        own.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        page, end = own[start : start + limit], start + limit
        return Page(page, self._cursors.write(this_list, [end]) if end < len(own) else None)

    def put_chunk(self, chunk: Chunk) -> Chunk | None:
        self._fail("put_chunk")
        return _put(self.chunks, (chunk.account, chunk.broadcast_id, chunk.number), chunk)

    def read_chunks(self, account: str, broadcast_id: str, numbers: Sequence[int]) -> list[Chunk]:
        self._fail("read_chunks")
        keys = [(account, broadcast_id, number) for number in numbers]
        return [self.chunks[key] for key in keys if key in self.chunks]

    def read_pace(self, account: str) -> AccountPace:
        self._fail("read_pace")
        return self.paces.get(account) or AccountPace(account)

    def put_pace(self, pace: AccountPace) -> AccountPace | None:
        self._fail("put_pace")
        return _put(self.paces, pace.account, pace)

    def _fail(self, method: str) -> None:
        if code := self.failing.get(method):
            raise StorageError("reach the broadcasts", code)


def _put(items: dict[Any, T], key: object, value: T) -> T | None:
    existing = items.get(key)
    if (existing.version if existing else 0) != value.version - 1:
        return other_than(value, existing)
    items[key] = _rounded(value)
    return None


def _rounded(value: Any) -> Any:
    """The value as it comes back from the table."""
    if type(value) is float:
        return round(value, 3)
    if isinstance(value, tuple):
        parts = map(_rounded, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
