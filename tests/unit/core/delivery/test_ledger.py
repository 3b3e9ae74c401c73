from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import OPENID, START, answer, body, lost
from tests.unit.core.delivery.ledger_case import CALLS, LEASE, SECONDS, WRITES, Found, LedgerCase, keyed
from wechat_notify.core.delivery.entry import EXHAUSTED, TRY_AGAIN
from wechat_notify.core.delivery.ledger import Written
from wechat_notify.core.delivery.results import IdReused, InFlight, NotOurs, Replayed
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import Status


def test_good_message_is_two_writes(case: LedgerCase) -> None:
    claimed = case.claim().entry
    case.clock.advance(0.25)
    entry = case.ledger.finish(claimed, Status.SENT, outcome=answer(0, msgid=7))
    assert (case.store.puts, case.store.reads, entry) == (2, 0, case.entry)
    assert (entry.account, entry.id, entry.kind) == ("shop", "order-1", "subscription")
    assert (entry.template_id, entry.openid_hash) == ("J5tWfHcX2mNq8sVb", keyed(OPENID))
    assert (entry.version, entry.attempts, entry.lease_until, entry.lost_at) == (2, 1, None, None)
    assert (entry.created_at, entry.updated_at) == (START, START + 0.25)
    assert [(change.status, change.at, change.errcode) for change in entry.timeline] == [
        (Status.SENDING, START, None),
        (Status.SENT, START + 0.25, 0),
    ]
    assert OPENID not in repr(entry._replace(openid_hash=None))


def test_patient_writes(case: LedgerCase) -> None:
    """What must not be lost is written patiently."""
    case.set_status(Status.QUEUED)
    claimed = case.claim().entry
    assert case.store.patient_puts == 0
    case.ledger.finish(claimed, Status.FAILED, reason=TRY_AGAIN)
    assert case.store.patient_puts == 1
    case.set_status(Status.EXPIRED)
    assert case.store.patient_puts == 3  # the first one met the entry


# ---- leases


@pytest.mark.parametrize(("later", "after"), [(0.0, LEASE), (LEASE - 0.001, 1.0), (LEASE, None)])
def test_claim_lasts_for_its_lease(case: LedgerCase, later: float, after: float | None) -> None:
    assert case.claim().entry.lease_until == START + SECONDS + 120.0
    case.clock.advance(later)
    found = case.claim()
    assert (found.after if isinstance(found, InFlight) else None) == after
    assert isinstance(found, InFlight) or found.entry.status is Status.UNKNOWN


# ---- finishing


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (Status.SENT, Status.SENT),
        (Status.FAILED, Status.FAILED),
        (Status.QUEUED, Status.UNKNOWN),
        (Status.UNKNOWN, Status.UNKNOWN),
    ],
)
def test_late_answer_still_counts(case: LedgerCase, status: Status, becomes: Status) -> None:
    """The claim was given up while its holder was alive."""
    claimed = case.claim().entry
    case.clock.advance(LEASE)
    assert case.claim().entry.status is Status.UNKNOWN
    entry = case.ledger.finish(claimed, status, outcome=answer(0))
    assert (entry.status, entry) == (becomes, case.entry)
    assert (entry.writer == claimed.writer) == (becomes is not Status.UNKNOWN)


@pytest.mark.parametrize(("status", "becomes"), [(Status.SENT, Status.SENT), (Status.FAILED, Status.UNKNOWN)])
def test_late_answer_after_second_copy(status: Status, becomes: Status) -> None:
    """A refusal says nothing of a copy that went out since."""
    case = LedgerCase(body(delivery="at_least_once"))
    claimed = case.claim().entry
    case.clock.advance(LEASE)
    second = case.claim().entry
    case.ledger.finish(second, Status.UNKNOWN, outcome=lost(), lost_at=START)
    assert case.ledger.finish(claimed, status, outcome=answer(0)).status is becomes


@pytest.mark.parametrize("status", [Status.SENDING, Status.QUEUED, Status.SENT, Status.FAILED])
def test_finish_keeps_others_entry(case: LedgerCase, status: Status) -> None:
    claimed = case.claim().entry
    other = claimed._replace(version=2, writer="another", status=status)
    case.store.entries["shop", "order-1"] = other
    assert case.ledger.finish(claimed, Status.SENT) == case.entry == other


# ---- looking up, and what an earlier call left


def test_look_up_ends_abandoned_claim() -> None:
    case = LedgerCase(body("template"))
    case.claim()
    case.clock.advance(LEASE - 1)
    found = case.look_up()
    assert (type(found), found.status) == (InFlight, Status.SENDING)
    case.clock.advance(1)
    found = case.look_up()
    assert isinstance(found, Written)
    entry = found.entry
    assert (entry.status, entry.reason, entry) == (Status.UNKNOWN, "answer_not_recorded", case.entry)
    assert (entry.lost_at, entry.answers_lost) == (START, 1)
    assert isinstance(case.look_up(), Replayed)
    case.clock.advance(3600)
    assert case.claim().entry == entry  # an hour later it is not sent again


def test_look_up_loses_to_holder(case: LedgerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder was alive after all, and recorded its answer between the read and the write."""
    claimed = case.claim().entry
    case.clock.advance(LEASE)
    case.before_next_put(monkeypatch, lambda: case.ledger.finish(claimed, Status.SENT, outcome=answer(0)))
    found = case.look_up()
    assert isinstance(found, Replayed)
    assert (found.status, found.entry, found.outcome) == (Status.SENT, case.entry, answer(0))


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        (Status.QUEUED, {}, Replayed),
        (Status.SENDING, {"lease_until": START + 1}, InFlight),
        (Status.SENDING, {"lease_until": START}, Written),
        (Status.SENT, {}, Replayed),
        (Status.FAILED, {}, Replayed),
        (Status.FAILED, {"attempts": 0}, None),
        (Status.FAILED, {"attempts": 0, "reason": EXHAUSTED}, Replayed),
        (Status.FAILED, {"reason": TRY_AGAIN}, None),
        (Status.UNKNOWN, {}, Replayed),
    ],
)
def test_find_replay(
    case: LedgerCase, status: Status, fields: dict[str, Any], expected: type[Found] | None
) -> None:
    before = case.store_entry(status, **fields)
    found = case.ledger.find_replay(case.request)
    assert (type(found) if found else None) is expected
    if expected is Written:
        assert case.entry.status is Status.UNKNOWN
    else:
        assert case.store.puts == 0
    if isinstance(found, Replayed | InFlight):
        assert (found.entry, found.outcome) == (before, before.outcome)


@pytest.mark.parametrize(("attempts", "expected"), [(1, IdReused), (0, None)])
def test_find_replay_of_other_message(
    case: LedgerCase, attempts: int, expected: type[IdReused] | None
) -> None:
    before = case.store_entry(Status.FAILED, attempts=attempts)
    found = case.ledger.find_replay(case.other_content().request)
    assert (type(found) if found else None) is expected
    if isinstance(found, IdReused):
        assert (found.entry, found.outcome) == (before, before.outcome)


def test_unknown_id(case: LedgerCase) -> None:
    assert case.ledger.find_replay(case.request) is None
    assert case.ledger.cancel("shop", "order-1") is None
    assert case.ledger.look_up("shop", "order-1") is None
    assert case.store.entries == {}


# ---- lost answers of the table, and races


@pytest.mark.parametrize("call", WRITES)
def test_repeated_write_is_recognised(case: LedgerCase, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    case.repeat_puts(monkeypatch)
    found = CALLS[call](case)
    assert (isinstance(found, Written), found.entry) == (True, case.entry)


def test_repeated_finish_is_recognised(case: LedgerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = case.claim().entry
    case.repeat_puts(monkeypatch)
    entry = case.ledger.finish(claimed, Status.SENT)
    assert (entry.status, entry, len(case.store.history)) == (Status.SENT, case.entry, 2)


def test_one_of_two_claims_wins(case: LedgerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Written | NotOurs] = []
    case.before_next_put(monkeypatch, lambda: taken.append(case.claim(case.another())))
    taken.append(case.claim())
    assert [type(found) for found in taken] == [Written, InFlight]


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [("cancel", "queue", Status.CANCELLED), ("queue", "cancel", Status.SENDING)],
)
def test_cancellation_races_with_claim(
    case: LedgerCase, monkeypatch: pytest.MonkeyPatch, first: str, second: str, status: Status
) -> None:
    case.set_status(Status.QUEUED)
    case.before_next_put(monkeypatch, lambda: CALLS[first](case))
    found = CALLS[second](case)
    assert (isinstance(found, Written), found.status) == (False, status)


def test_blocker_races_with_claim(case: LedgerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process took the message between the read and the write: it is in flight, not over."""
    case.claim()
    case.clock.advance(LEASE)
    insisting = case.request._replace(at_least_once=True)
    case.before_next_put(
        monkeypatch,
        lambda: case.another().claim(insisting, case.message, SECONDS, takes_queued=True),
    )
    found = case.ledger.find_blocker(case.request, case.message, takes_queued=True)
    assert isinstance(found, InFlight)
    assert found.entry == case.entry


def test_contended_writes_end(case: LedgerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = case.claim().entry
    case.always_second(monkeypatch, Status.UNKNOWN)
    with pytest.raises(StorageError, match="record what came of the message: Contended"):
        case.ledger.finish(claimed, Status.SENT)
    assert case.store.puts == 9
    case.store_entry(Status.QUEUED)
    case.always_second(monkeypatch, Status.QUEUED)
    with pytest.raises(StorageError, match="write the message's entry: Contended"):
        case.claim()
    assert case.store.puts == 8
    assert isinstance(case.cancel(), Replayed)
    assert case.store.puts == 16
