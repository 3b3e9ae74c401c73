"""The ledger's table: an item for every message, one for an account's open circuits, one for its templates.

``message#<account>#<id>``
    A ``core.delivery.entry.Entry``.
``circuits#<account>``
    A ``core.delivery.circuit.AccountCircuits``.
``templates#<account>``
    A ``core.templates.template.AccountTemplates``.

``listed`` is an entry's partition of the index by account and status (``aws.message_index``), ``receipt_key``
its key in the index of receipts (``aws.receipt_index``).

Times are seconds since the epoch, to the millisecond. ``ttl`` is when DynamoDB may delete the item.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wechat_notify.aws.clients import Clients
from wechat_notify.aws.items import to_attribute
from wechat_notify.aws.ledger_items import (
    CIRCUITS,
    ENTRIES,
    TEMPLATES,
    circuits_key,
    listed_in,
    message_key,
    receipt_key,
    templates_key,
)
from wechat_notify.aws.versioned_items import VersionedItems
from wechat_notify.core.delivery.circuit import AccountCircuits
from wechat_notify.core.delivery.entry import MAX_RETENTION, Entry
from wechat_notify.core.messages.identifiers import is_account_name
from wechat_notify.core.outcomes import Status
from wechat_notify.core.templates.template import AccountTemplates


class LedgerTable(VersionedItems):
    """The table, by its name: a ``LedgerStore``, a ``CircuitStore`` and a ``TemplateStore``.

    Parameters
    ----------
    aws, table_name, clocks
        As ``VersionedItems`` has them.
    retention_seconds : float
        For how long an entry is kept after its last change and its expiry (or 14 days, where that is further
        ahead), circuits after they are over, templates after they were written.
    list_sent : bool
        Whether messages that were sent are listed in the index, which costs a write for each.
    match_receipts : bool
        Whether messages that were sent are in the index of receipts, which costs a write for each.
    """

    def __init__(
        self,
        aws: Clients,
        table_name: str,
        retention_seconds: float,
        *,
        list_sent: bool = True,
        match_receipts: bool = False,
        **clocks: Any,
    ) -> None:
        super().__init__(aws, table_name, retention_seconds, **clocks)
        self._list_sent = list_sent
        self._match_receipts = match_receipts

    def put(self, entry: Entry, *, patient: bool = False) -> Entry | None:
        """Store an entry as the successor of the version before it; otherwise return the existing one."""
        over = min(max(entry.updated_at, entry.expires_at or 0.0), entry.updated_at + MAX_RETENTION)
        listed = listed_in(entry) if self._list_sent or entry.status is not Status.SENT else None
        more = {} if listed is None else {"listed": to_attribute(listed)}
        if self._match_receipts and (key := receipt_key(entry)) is not None:
            more["receipt_key"] = to_attribute(key)
        return self.put_item(ENTRIES, entry, over, more, patient=patient)

    def read(self, account: str, message_id: str) -> Entry | None:
        """The newest version of an entry."""
        return self.read_item(ENTRIES, message_key(account, message_id))

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        """Store an account's circuits after the version before; otherwise return the existing ones."""
        over = max([self._now(), *(circuit.held_until for circuit in circuits.circuits)])
        return self.put_item(CIRCUITS, circuits, over)

    def read_many(self, account: str, message_ids: Iterable[str]) -> dict[str, Entry]:
        """The entries of several messages, by id; those that have none are left out."""
        keys = [message_key(account, message_id) for message_id in dict.fromkeys(message_ids)]
        return {entry.id: entry for entry in self.read_items(ENTRIES, keys)}

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        """The newest circuits by account; accounts that have no item are left out."""
        # One impossible key and the call is refused as a whole.
        keys = sorted({circuits_key(account) for account in accounts if is_account_name(account)})
        return {circuits.account: circuits for circuits in self.read_items(CIRCUITS, keys)}

    def put_templates(self, templates: AccountTemplates) -> AccountTemplates | None:
        """Store an account's templates after the version before; otherwise return the existing ones."""
        return self.put_item(TEMPLATES, templates, templates.updated_at)

    def read_templates(self, account: str) -> AccountTemplates | None:
        """The newest templates of an account; asked once, since messages wait for the answer."""
        return self.read_item(TEMPLATES, templates_key(account), retry_for=0.0)
