"""The ledger's table as the core meets it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from wechat_notify.aws.items import Versioned
from wechat_notify.aws.ledger_items import msgid_key, receipt_key, receiver_key
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.listing import Position
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import Status
from wechat_notify.core.templates.template import AccountTemplates

T = TypeVar("T", bound=Versioned)


def other_than(wanted: T, existing: T | None) -> T | None:
    """The existing value; None where it is the wanted one, stored before by the same call."""
    own = existing is not None and (existing.version, existing.writer) == (wanted.version, wanted.writer)
    return None if own else existing


class FakeLedgerStore:
    """The ledger's table: ``LedgerStore``, ``CircuitStore``, ``TemplateStore``, and its index.

    ``puts``, ``reads``, ``circuit_puts`` and ``circuit_reads`` count the calls, those that fail too.
    ``failing`` maps a method's name to AWS's error code, for as long as it stands there;
    ``losing_answers`` makes the next so many puts store what they were given and fail all the same.
    """

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self.circuits: dict[str, AccountCircuits] = {}
        self.templates: dict[str, AccountTemplates] = {}
        self.template_reads = 0
        self.history: list[Entry] = []
        self.puts = self.reads = self.circuit_puts = self.circuit_reads = 0
        self.patient_puts = 0
        self.failing: dict[str, str] = {}
        self.losing_answers = 0
        self._lock = threading.Lock()

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        with self._lock:
            self.puts += 1
            self.patient_puts += patient
            self._fail("put", "write the message's entry")
            existing = self.entries.get((entry.account, entry.id))
            if existing is not None and existing.version != entry.version - 1:
                return other_than(entry, existing)
            self.entries[entry.account, entry.id] = entry
            self.history.append(entry)
            if self.losing_answers:
                self.losing_answers -= 1
                raise StorageError("write the message's entry", "ReadTimeoutError")
            return None

    def read(self, account: str, message_id: str) -> Entry | None:
        with self._lock:
            self.reads += 1
            self._fail("read", "read the message's entry")
            return self.entries.get((account, message_id))

    def read_many(self, account: str, message_ids: Iterable[str]) -> dict[str, Entry]:
        with self._lock:
            self._fail("read_many", "read the messages' entries")
            found = {each: self.entries.get((account, each)) for each in message_ids}
            return {message_id: entry for message_id, entry in found.items() if entry}

    def by_msgid(self, account: str, msgid: int) -> str | None:
        self._fail("by_msgid", "find the message of a receipt")
        return next(iter(self._by_receipt_key(msgid_key(account, msgid))), None)

    def by_receiver(self, account: str, openid_hash: str) -> Sequence[str]:
        self._fail("by_receiver", "find the message of a receipt")
        return self._by_receipt_key(receiver_key(account, openid_hash))

    def _by_receipt_key(self, key: str) -> list[str]:
        return [entry.id for entry in self.entries.values() if receipt_key(entry) == key]

    def newest(
        self,
        account: str,
        statuses: Iterable[Status],
        *,
        since: float | None,
        before: Position | None,
        page: int,
    ) -> Iterator[Position]:
        assert page > 0
        wanted = set(statuses)
        positions = [
            Position(entry.created_at, entry.id)
            for entry in self.entries.values()
            if entry.account == account and entry.status in wanted and entry.created_at >= (since or 0)
        ]
        return (each for each in sorted(positions, reverse=True) if before is None or each < before)

    def count_sent(self, account: str, since: float, limit: int) -> Counter[str]:
        self._fail("count_sent", "list messages")
        accepted = [Status.SENT, Status.DELIVERED, Status.UNDELIVERED]
        positions = self.newest(account, accepted, since=since, before=None, page=limit)
        return Counter(str(self.entries[account, each.id].kind) for each in islice(positions, limit))

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        with self._lock:
            self.circuit_puts += 1
            self._fail("put_circuits", "write the account's circuits")
            existing = self.circuits.get(circuits.account)
            if existing is not None and existing.version != circuits.version - 1:
                return other_than(circuits, existing)
            self.circuits[circuits.account] = circuits
            return None

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        with self._lock:
            self.circuit_reads += 1
            self._fail("read_circuits", "read the account's circuits")
            return {account: self.circuits[account] for account in accounts if account in self.circuits}

    def read_templates(self, account: str) -> AccountTemplates | None:
        with self._lock:
            self.template_reads += 1
            self._fail("read_templates", "read the account's templates")
            return self.templates.get(account)

    def put_templates(self, templates: AccountTemplates) -> AccountTemplates | None:
        with self._lock:
            self._fail("put_templates", "write the account's templates")
            existing = self.templates.get(templates.account)
            if (existing.version if existing else 0) != templates.version - 1:
                return other_than(templates, existing)
            self.templates[templates.account] = templates
            return None

    def _fail(self, method: str, action: str) -> None:
        if method in self.failing:
            raise StorageError(action, self.failing[method])
