"""Bugs of receipts to be put into the service one at a time, each of which the oracle must catch."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from functions.callback import handler as callback
from functions.callback_events import handler as callback_events
from tests.simulation.planted_bugs.bug import Bug, Patches, bug, in_place_of
from tests.simulation.receipts.oracle import NONE_LOST, ONCE, RIGHT_ONE
from wechat_notify.aws import ledger_items, receipt_index
from wechat_notify.bootstrap import callbacks
from wechat_notify.core.delivery import receipts
from wechat_notify.core.delivery.entry import awaits_receipt
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import Status


@in_place_of(callback, "_take", breaks=NONE_LOST)
def remembered_before_queued(
    right: Any, account: str, app_id: Any, request: Any, line: Any, **more: Any
) -> Any:
    """A callback is known again before it is on the queue: its repeat is answered, and nobody has it."""
    door = callbacks.door()
    if door.open(account, request) is None:
        return callback._answer(200, "success")
    door.remember(account, request)
    forgotten, door._seen = door._seen, type(door._seen)()
    try:
        return right(account, app_id, request, line, **more)
    finally:
        door._seen |= forgotten


@in_place_of(Ledger, "record_receipt", breaks=ONCE)
def written_without_condition(_right: Any, self: Ledger, account: str, message_id: str, **told: Any) -> Any:
    """Whatever another invocation has written meanwhile, a receipt is taken for recorded."""
    found = self.look_up(account, message_id)
    existing = found.entry if found else None
    if existing is None or not awaits_receipt(existing):
        return existing
    status = Status.DELIVERED if told["delivered"] else Status.UNDELIVERED
    outcome = existing.outcome and existing.outcome._replace(msgid=told["msgid"])
    named = {"writer": told["writer"], "now": self._now(), "reason": told["reason"], "outcome": outcome}
    wanted = existing.moved(status, **named)
    self._store.put(wanted, patient=True)
    return Written(wanted)


@bug(breaks=RIGHT_ONE)
def accounts_not_told_apart() -> Patches:
    """A receipt belongs to the first message of that number, whosoever it is."""

    def key(_account: str, msgid: int) -> str:
        return f"#msgid#{msgid}"

    right = receipts.Receipts.settle

    def settle(self: Any, account: str, receipt: Any, **told: Any) -> Any:
        found = self._index.by_msgid(account, int(receipt.msgid))
        for owner in ("shop-a", "shop-b"):
            if found and self._ledger.look_up(owner, found) is not None:
                account = owner
        return right(self, account, receipt, **told)

    return [
        (ledger_items, "msgid_key", key),
        (receipt_index, "msgid_key", key),
        (receipts.Receipts, "settle", settle),
    ]


@in_place_of(callback_events, "_settle", breaks=NONE_LOST)
def taken_for_others_at_once(right: Any, record: Any) -> Any:
    """A receipt whose message is not known yet is taken for another program's."""
    return right(record._replace(receive_count=len(callback_events.PAUSES) + 1))


@in_place_of(receipts.Receipts, "settle", breaks=NONE_LOST)
def storage_errors_forgotten(right: Any, self: Any, account: str, receipt: Any, *, is_last: bool) -> Any:
    """A receipt that the ledger did not take is gone."""
    try:
        return right(self, account, receipt, is_last=is_last)
    except StorageError:
        return receipts.Settled(receipts.Match.OF_OTHERS)


@bug(breaks=NONE_LOST)
def lost_answers_not_looked_for() -> Patches:
    """A message whose answer was lost stays unknown."""
    return [(receipts.Receipts, "_in_doubt", lambda *_: None)]


BUGS = {name: found for name, found in list(vars().items()) if isinstance(found, Bug)}


def plant(name: str) -> AbstractContextManager[None]:
    """Have the bug of this name for a while."""
    return BUGS[name].planted()
