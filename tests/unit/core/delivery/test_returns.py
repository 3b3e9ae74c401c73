"""Held messages: parked as delayed copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tests.fakes import START, Service, answer, body
from tests.unit.core.delivery.batches import (
    FINISHED,
    PARKED,
    RETURNED,
    UNTIL_RESET,
    batch_sender,
    dispositions,
    entry,
    handle,
    hold,
    record,
    single,
    status,
)
from wechat_notify.core.delivery.records import HELD_SINCE, Record
from wechat_notify.core.delivery.retry_policy import GIVE_UP_AFTER
from wechat_notify.core.messages.envelope import parse_queue_body
from wechat_notify.core.outcomes import DelayedMessage, Status


@pytest.mark.parametrize("errcode", [45009, 45011])
def test_parked_copy_is_the_message(service: Service, errcode: int) -> None:
    service.wechat.plan.append(answer(errcode))
    item = single(service, expires_at="2026-03-03T00:00:00Z", message=body(delivery="at_least_once"))
    assert (item.disposition, status(item), service.queue.handed_out_again) == (PARKED, Status.QUEUED, {})
    (text,) = service.queue.bodies
    parked = parse_queue_body(text, default_id="another")
    assert parked == item.request
    assert (parked.id, parked.at_least_once) == ("m1", True)
    assert parked.expires_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert service.queue.attributes == [{HELD_SINCE: str(int(START))}]
    assert service.queue.groups == ["shop"]
    assert (entry(service).status, entry(service).attempts) == (Status.QUEUED, 1)


DAY = 86400


@pytest.mark.parametrize(
    ("since", "kept"),
    [
        (str(int(START)), True),
        (str(int(START) + 900 + 300), True),
        (str(int(START) + 900 + 301), False),
        (str(int(START) + 900 - 14 * DAY), None),
        (str(int(START) + 900 - 14 * DAY - 1), False),
        ("", False),
        ("yesterday", False),
        ("-5", False),
        ("1.5", False),
        ("\u00b2", False),
        ("\u0661" * 10, False),
        ("0", False),
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
        (1.0, 1, 2),
        (60.0, 60, 120),
        (300.0, 300, 600),
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


def test_crash_before_parking(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is finished before its copy is on the queue."""

    class CrashError(BaseException):
        """The process is gone."""

    def die(_items: Sequence[DelayedMessage]) -> list[int]:
        raise CrashError

    hold(service)
    with monkeypatch.context() as patched:
        patched.setattr(service.queue, "send_delayed", die)
        with pytest.raises(CrashError):
            handle(service, record())
    assert single(service, receive_count=2).disposition is PARKED
    assert len(service.queue.bodies) == 1


def test_crash_after_parking(service: Service) -> None:
    """It makes two copies and one message."""
    hold(service)
    single(service)
    single(service, receive_count=2)  # the first one's end never reached SQS
    service.clock.advance(UNTIL_RESET)
    pairs = zip(service.queue.bodies, service.queue.attributes, strict=True)
    copies = [
        Record(f"copy-{number}", f"receipt-{number}", text, 1, attributes)
        for number, (text, attributes) in enumerate(pairs)
    ]
    handled = handle(service, *copies)
    assert [status(item) for item in handled.values()] == [Status.SENT] * 2
    assert len(service.wechat.attempts) == 1


def test_parked_for_three_days(service: Service) -> None:
    service.clock.advance(GIVE_UP_AFTER + 1)
    hold(service)
    item = single(service, attributes={HELD_SINCE: str(int(START))})
    assert (item.disposition, status(item)) == (FINISHED, Status.FAILED)
    assert (entry(service).reason, service.queue.bodies) == ("retries_exhausted", [])


def test_backlog_waits_for_the_reset(service: Service) -> None:
    """The queue as SQS keeps it, with a clock, until the last message of a used-up quota is sent."""
    service.add_account("bank")
    chance = iter(range(10**6))

    def jitter(low: float, high: float) -> float:
        return low + (high - low) * ((next(chance) * 0.6180339887) % 1)

    sender = batch_sender(service, jitter)
    waiting = [(START, record(number)) for number in range(60)]
    sent_at: list[float] = []
    service.wechat.plan.append(answer(45009))
    while waiting:
        waiting.sort(key=lambda each: each[0])
        service.clock.advance(max(0.0, waiting[0][0] - service.clock.now()))
        batch, later = waiting[:10], waiting[10:]
        due = [kept for at, kept in batch if at <= service.clock.now()]
        waiting = [*batch[len(due) :], *later]
        puts = len(service.queue.bodies)
        for item in sender.send(due, lambda: 60.0):
            assert item.disposition in {FINISHED, PARKED}
            sent_at += [service.clock.now()] * (item.disposition is FINISHED)
        for index in range(puts, len(service.queue.bodies)):
            text, attributes = service.queue.bodies[index], service.queue.attributes[index]
            copy = Record(f"copy-{index}", f"copy-{index}", text, 1, attributes)
            waiting.append((service.clock.now() + service.queue.delays[index], copy))
        assert status(single(service, id=f"other-{puts}", account="bank")) is Status.SENT
    assert service.queue.handed_out_again == {}  # nothing of it was ever in flight
    attempts = [token for _, token in service.wechat.attempts if token.endswith("shop")]
    assert (len(sent_at), len(attempts)) == (60, 61)
    reset = START + UNTIL_RESET
    assert min(sent_at) >= reset
    assert reset + 300 < max(sent_at) <= reset + 1800
    assert len(set(map(round, sent_at))) > 30
    entries = [entry(service, f"m{number}") for number in range(60)]
    assert {(kept.status, kept.attempts <= 2) for kept in entries} == {(Status.SENT, True)}
