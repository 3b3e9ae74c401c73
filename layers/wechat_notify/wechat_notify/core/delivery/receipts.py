"""WeChat's receipts, matched with the messages that they are about.

A receipt names WeChat's own id of a message, ``msgid``. The store finds the message by it where its answer
was recorded. A message whose answer was lost has no msgid, nor has one whose repeat was refused as a double:
it is found among those to its receiver, by kind, template and time, and only where exactly one fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from wechat_notify.core.callbacks.events import Receipt
from wechat_notify.core.delivery.entry import RECEIPT_KINDS, Entry, awaits_receipt
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.openid_hashes import KeyedHash
from wechat_notify.core.outcomes import Status

_DOUBTED_FOR: Final = 900.0
"""Seconds between a send and its receipt in which the two are matched without a msgid: WeChat's receipts come
within seconds, and one that was not taken is pushed three times."""
_CLOCKS: Final = 60.0
"""Seconds by which WeChat's clock may be behind."""
_KINDS: Final[Mapping[bool, frozenset[str]]] = {
    False: frozenset({"template"}),
    True: RECEIPT_KINDS - {"template"},
}
"""The kinds that have receipts, by whether these name a template. The others have none."""


class Match(StrEnum):
    """The result of matching a receipt."""

    SETTLED = "settled"
    """The message's status is that of the receipt now."""
    REPEATED = "repeated"
    """It was settled before: WeChat repeats what it had no answer to."""
    TOO_EARLY = "too_early"
    """The message is being sent, or none is known yet: the receipt is to come again."""
    OF_OTHERS = "of_others"
    """It is not about a message of this service."""


class Settled(NamedTuple):
    """A receipt and what it met; ``entry`` is the message's where there is one."""

    match: Match
    entry: Entry | None = None


class ReceiptIndex(Protocol):
    """Finds messages; every method raises ``StorageError``."""

    def by_msgid(self, account: str, msgid: int) -> str | None:
        """The id of the message that WeChat gave this msgid; a moment behind the ledger."""

    def by_receiver(self, account: str, openid_hash: str) -> Iterable[str]:
        """The ids of the messages to one person that may have been sent, and whose msgid is not known."""

    def read_many(self, account: str, message_ids: Iterable[str]) -> Mapping[str, Entry]:
        """The entries of these messages, by id."""


class Receipts:
    """Settles messages by their receipts.

    Parameters
    ----------
    ledger
        Records them.
    index
        Finds the messages.
    keyed_hash
        Hashes an openid, as entries have it.
    """

    def __init__(self, ledger: Ledger, index: ReceiptIndex, keyed_hash: KeyedHash) -> None:
        self._ledger = ledger
        self._index = index
        self._keyed_hash = keyed_hash

    def settle(self, account: str, receipt: Receipt, *, is_last: bool, callback: str) -> Settled:
        """Settle the message of one receipt.

        Parameters
        ----------
        account
            The account that it came for.
        receipt
            The receipt.
        is_last
            It does not come again: it is matched among the messages in doubt, too. Before that, the answer
            of its message may still be on its way to the ledger.
        callback
            The id of the callback that brought it, the same when it comes again. Where a former try of it has
            settled the message, it counts as settled now: that try may have been stopped before it told.

        Raises
        ------
        StorageError
            The receipt is to come again.
        """
        message_id = self._index.by_msgid(account, int(receipt.msgid))
        if message_id is None and is_last:
            message_id = self._in_doubt(account, receipt)
        if message_id is None:
            return Settled(Match.OF_OTHERS if is_last else Match.TOO_EARLY)
        found = self._ledger.record_receipt(
            account,
            message_id,
            delivered=receipt.delivered,
            reason=receipt.reason,
            msgid=int(receipt.msgid),
            writer=callback,
        )
        if isinstance(found, Written):
            return Settled(Match.SETTLED, found.entry)
        if found is not None and found.status in {Status.DELIVERED, Status.UNDELIVERED}:
            return Settled(Match.SETTLED if found.writer == callback else Match.REPEATED, found)
        return Settled(Match.OF_OTHERS if is_last else Match.TOO_EARLY, found)

    def _in_doubt(self, account: str, receipt: Receipt) -> str | None:
        """The id of the one message in doubt that the receipt fits, None where none or several do."""
        hashes = self._keyed_hash.every(receipt.openid)
        ids = [each for hashed in hashes for each in self._index.by_receiver(account, hashed)]
        entries = self._index.read_many(account, ids).values()
        fitting = [entry.id for entry in entries if _fits(entry, receipt)]
        return fitting[0] if len(fitting) == 1 else None


def _fits(entry: Entry, receipt: Receipt) -> bool:
    sent_from = entry.lost_at if entry.lost_at is not None else entry.created_at
    return (
        awaits_receipt(entry)
        and entry.kind in _KINDS[receipt.template_id is not None]
        and receipt.template_id in {None, entry.template_id}
        and sent_from - _CLOCKS <= receipt.at <= entry.updated_at + _DOUBTED_FOR
    )
