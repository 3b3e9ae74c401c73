"""The parts of the function callback_events."""

from __future__ import annotations

from functools import cache

from wechat_notify import bootstrap
from wechat_notify.aws.platform_parameters import Tickets
from wechat_notify.aws.queue import Queue
from wechat_notify.aws.receipt_index import ReceiptIndex
from wechat_notify.core.delivery.receipts import Receipts


@cache
def receipts() -> Receipts:
    """Settles messages by their receipts."""
    index = ReceiptIndex(bootstrap.aws(), bootstrap.settings().ledger_table, bootstrap.ledger_table())
    return Receipts(bootstrap.ledger(), index, bootstrap.openid_hasher())


@cache
def tickets() -> Tickets:
    """The tickets of third-party platforms."""
    return Tickets(bootstrap.aws(), bootstrap.settings().parameter_path)


@cache
def queue() -> Queue:
    """The queue of what WeChat has told."""
    return Queue(bootstrap.aws(), bootstrap.settings().callback_queue_url)
