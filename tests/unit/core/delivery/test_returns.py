"""Held messages: parked as delayed copies."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.fakes import START, Service, answer, body
from tests.unit.core.delivery.batches import (
    FINISHED,
    PARKED,
    RETURNED,
    batch_sender,
    dispositions,
    entry,
    handle,
    hold,
    record,
    single,
    status,
)
from wechat_notify.core.delivery.records import HELD_SINCE
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.outcomes import Status


def test_parked_copy_is_the_message(service: Service) -> None:
    service.wechat.plan.append(answer(45009))
    item = single(service, expires_at="2026-03-03T00:00:00Z", message=body(delivery="at_least_once"))
    assert (item.disposition, status(item), service.queue.handed_out_again) == (PARKED, Status.QUEUED, {})
    (text,) = service.queue.bodies
    parked = parse_queue_body(text, default_id="another")
    assert parked == item.request
    assert (parked.id, parked.at_least_once) == ("m1", True)
    assert parked.expires_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert service.queue.attributes == [{HELD_SINCE: str(int(START))}]
    assert service.queue.groups == ["shop"]


DAY = 86400


@pytest.mark.parametrize(
    ("since", "kept"),
    [
        (str(int(START) + 900 + 300), True),
        (str(int(START) + 900 + 301), False),
        (str(int(START) + 900 - 14 * DAY), None),
        (str(int(START) + 900 - 14 * DAY - 1), False),
        ("", False),
        ("1.5", False),
        ("\u00b2", False),
        ("\u0661" * 10, False),
        ("9" * 400, False),
    ],
)
def test_held_since_is_checked(service: Service, since: str, kept: bool | None) -> None:  # noqa: FBT001
    """A time that a producer made up counts as none; None: it is so old that the message is given up."""
    service.clock.advance(900)
    hold(service)
    item = single(service, attributes={HELD_SINCE: since})
    if kept is None:
        assert (item.disposition, entry(service).reason) == (FINISHED, "retries_exhausted")
        return
    assert item.disposition is PARKED
    assert service.queue.attributes == [{HELD_SINCE: since if kept else str(int(START) + 900)}]
    assert (("shop", "m1") in service.ledger_store.entries) is not kept


@pytest.mark.parametrize(
    ("held_for", "least", "most"),
    [
        (60.0, 60, 120),
        (600.0, 600, 900),
        (899.0, 899, 900),
        (900.0, 750, 900),
        (86400.0, 750, 900),
    ],
)
def test_copies_are_spread_out(service: Service, held_for: float, least: int, most: int) -> None:
    """And never later than SQS can do."""
    hold(service, 40013)
    (circuit,) = service.ledger_store.circuits["shop"].circuits
    for jitter in (lambda low, _high: low, lambda _low, high: high):
        service.clock.advance(circuit.held_until - held_for - service.clock.now())
        batch_sender(service, jitter).send([record()], lambda: 60.0)
    assert service.queue.delays == [least, most]


def test_unparked_record_goes_back(service: Service) -> None:
    hold(service)
    service.queue.failing_entries = {1}
    handled = handle(service, *map(record, range(1, 4)))
    assert Counter(dispositions(handled)) == {PARKED: 2, RETURNED: 1}
    (returned,) = [item for item in handled.values() if item.disposition is RETURNED]
    assert service.queue.handed_out_again == {returned.record.receipt_handle: 60.0}
    parked = {parse_queue_body(text, "").id for text in service.queue.bodies}
    assert parked | {returned.record.message_id} == {"m1", "m2", "m3"}


def test_silent_queue_parks_nothing(service: Service) -> None:
    hold(service)
    service.queue.failing = "ServiceUnavailable"
    handled = handle(service, record(1), record(2))
    assert dispositions(handled) == [RETURNED] * 2
    assert "ServiceUnavailable" in str(handled["m1"].detail)
