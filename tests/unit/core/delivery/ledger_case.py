"""A ledger on a fake table, and one message that comes again and again."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes import Clock, FakeHashes, FakeLedgerStore, answer, body
from wechat_notify.core.delivery.entry import CLOCK_SKEW, Entry
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.results import NotOurs
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import SendRequest, with_options
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.messages.parser import parse_message
from wechat_notify.core.openid_hashes import KeyedHash
from wechat_notify.core.outcomes import Status

SECONDS = 60.0
LEASE = SECONDS + CLOCK_SKEW
Found = Written | NotOurs


def keyed(text: str) -> str:
    return hashlib.sha256(f"a key and {text}".encode()).hexdigest()[:16]


HASHES = FakeHashes(keyed, lambda text: keyed(f"earlier {text}"))


@dataclass
class LedgerCase:
    content: dict[str, Any] = field(default_factory=body)
    store: FakeLedgerStore = field(default_factory=FakeLedgerStore)
    clock: Clock = field(default_factory=Clock)
    writers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.ledger = self.another()
        self.message: Message = parse_message(self.content, "order-1")[0]
        self.request = with_options(SendRequest("order-1", "shop", self.content), self.message)

    def another(self, *, clock: Clock | None = None, keyed_hash: KeyedHash = HASHES) -> Ledger:
        """A ledger of another process."""
        return Ledger(
            self.store,
            now=(clock or self.clock).now,
            writer=lambda: f"writer-{next(self.writers)}",
            keyed_hash=keyed_hash,
        )

    def other_content(self) -> LedgerCase:
        """Another message under the same id."""
        return LedgerCase(body(page="pages/other"), self.store, self.clock, self.writers)

    def claim(self, ledger: Ledger | None = None, *, takes_queued: bool = True) -> Found:
        return (ledger or self.ledger).claim(self.request, self.message, SECONDS, takes_queued=takes_queued)

    def set_status(self, status: Status, **fields: Any) -> Found:
        return self.ledger.set_status(self.request, self.message, status, **fields)

    def cancel(self) -> Found:
        found = self.ledger.cancel("shop", "order-1")
        assert found is not None
        return found

    def look_up(self) -> Found:
        found = self.ledger.look_up("shop", "order-1")
        assert found is not None
        return found

    @property
    def entry(self) -> Entry:
        return self.store.entries["shop", "order-1"]

    def store_entry(self, status: Status, **fields: Any) -> Entry:
        """Let the message have an entry of this state, with an outcome of its own."""
        claimed = self.claim().entry
        entry = claimed._replace(status=status, **{"lease_until": None, "outcome": answer(45009), **fields})
        self.store.entries["shop", "order-1"] = entry
        self.store.puts = self.store.reads = 0
        return entry

    def lose_claim(self, *, silent: bool = False, **given: Any) -> None:
        """A claim that is stored although the store does not say so; ``silent``: nor answers a read."""
        self.store.losing_answers = 1
        self.store.failing = {"read": "ReadTimeout"} if silent else {}
        with pytest.raises(StorageError):
            self.claim(**given)
        self.store.failing = {}

    def before_next_put(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        """Let somebody else come first at the next write."""
        put = self.store.put

        def later(entry: Entry, *, patient: bool = False) -> Entry | None:
            monkeypatch.setattr(self.store, "put", put)
            act()
            return put(entry, patient=patient)

        monkeypatch.setattr(self.store, "put", later)

    def always_second(self, monkeypatch: pytest.MonkeyPatch, status: Status) -> None:
        """Let every write meet a newer version by somebody else."""
        versions = itertools.count(100)

        def put(entry: Entry, *, patient: bool = False) -> Entry | None:  # noqa: ARG001 - the table's
            self.store.puts += 1
            return entry._replace(status=status, version=next(versions), writer="another")

        monkeypatch.setattr(self.store, "put", put)

    def repeat_puts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every write be made twice, as an SDK does that heard no answer."""
        put = self.store.put

        def twice(entry: Entry, *, patient: bool = False) -> Entry | None:
            put(entry, patient=patient)
            return put(entry, patient=patient)

        monkeypatch.setattr(self.store, "put", twice)


CALLS: dict[str, Callable[[LedgerCase], Found]] = {
    "queue": LedgerCase.claim,
    "http": lambda case: case.claim(takes_queued=False),
    "accept": lambda case: case.set_status(Status.QUEUED),
    "refuse": lambda case: case.set_status(Status.FAILED, reason="unknown_account"),
    "expire": lambda case: case.set_status(Status.EXPIRED),
    "cancel": LedgerCase.cancel,
}
WRITES = [call for call in CALLS if call != "cancel"]
