"""Receipts find their messages: the index of the ledger's table, and the fake's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.aws.samples import SENT
from tests.integration.contracts.samples import ReceiptsAt
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual

MSGID = 1_864_323_726_461_255_680
HASH = str(SENT.openid_hash)
LOST = Outcome(Status.UNKNOWN, ErrorClass.UNKNOWN, Bilingual("", ""), cause="ReadTimeout")


def of_id(message_id: str, **fields: Any) -> Entry:
    return SENT._replace(id=message_id, version=1, **fields)


def test_sent_message_is_found_by_msgid(receipts: ReceiptsAt) -> None:
    receipts.store.put(of_id("order-1"))
    receipts.store.put(of_id("order-1", account="bank"))
    assert receipts.index.by_msgid("shop", MSGID) == "order-1"
    assert receipts.index.by_msgid("bank", MSGID) == "order-1"
    assert receipts.index.by_msgid("cafe", MSGID) is None
    assert receipts.index.by_msgid("shop", MSGID + 1) is None
    assert list(receipts.index.by_receiver("shop", HASH)) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"status": Status.UNKNOWN, "outcome": LOST}, True),
        ({"status": Status.QUEUED, "outcome": LOST, "lost_at": SENT.updated_at}, True),
        ({"status": Status.QUEUED, "outcome": LOST}, False),
        ({"outcome": SENT.outcome and SENT.outcome._replace(msgid=None)}, True),
        ({"status": Status.SENDING, "outcome": None}, False),
        ({"status": Status.FAILED, "outcome": LOST}, False),
        ({"status": Status.UNKNOWN, "outcome": LOST, "kind": "one_time_subscription"}, False),
    ],
)
def test_doubts_are_found_by_receiver(receipts: ReceiptsAt, fields: dict[str, Any], *, found: bool) -> None:
    receipts.store.put(of_id("order-1", **fields))
    assert list(receipts.index.by_receiver("shop", HASH)) == (["order-1"] if found else [])
    assert list(receipts.index.by_receiver("bank", HASH)) == []


def test_settled_doubt_has_its_msgid(receipts: ReceiptsAt) -> None:
    doubt = of_id("order-1", status=Status.UNKNOWN, outcome=LOST)
    receipts.store.put(doubt)
    receipts.store.put(doubt._replace(version=2, status=Status.DELIVERED, outcome=SENT.outcome))
    assert receipts.index.by_msgid("shop", MSGID) == "order-1"
    assert list(receipts.index.by_receiver("shop", HASH)) == []
    assert receipts.index.read_many("shop", ["order-1", "order-2"]).keys() == {"order-1"}
