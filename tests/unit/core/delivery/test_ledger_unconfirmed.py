"""Claims that may have been stored although the store did not say so; nothing was sent under them."""

from __future__ import annotations

import pytest

from tests.fakes import START, body
from tests.unit.core.delivery.ledger_case import LEASE, LedgerCase
from wechat_notify.core.delivery.entry import Entry
from wechat_notify.core.delivery.ledger import Written
from wechat_notify.core.delivery.results import InFlight
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.outcomes import Status


@pytest.mark.parametrize(
    ("takes_queued", "status", "reason"),
    [(True, Status.QUEUED, None), (False, Status.FAILED, "try_again")],
)
def test_release_at_once(case: LedgerCase, *, takes_queued: bool, status: Status, reason: str | None) -> None:
    case.lose_claim(takes_queued=takes_queued)
    entry = case.entry
    assert (entry.status, entry.reason, entry.attempts, entry.lost_at) == (status, reason, 0, None)
    assert (entry.writer, entry.version, entry.updated_at) == ("writer-1", 2, START)
    assert (case.store.patient_puts, case.ledger._unconfirmed) == (0, {})
    again = case.claim(case.another(), takes_queued=takes_queued).entry
    assert (again.status, again.lost_at, again.attempts) == (Status.SENDING, None, 1)


def test_release_when_store_answers(case: LedgerCase) -> None:
    case.lose_claim(silent=True)
    assert isinstance(case.claim(case.another()), InFlight)
    case.clock.advance(5)
    case.ledger.release_unconfirmed()
    assert (case.entry.status, case.entry.updated_at) == (Status.QUEUED, START + 5)
    assert isinstance(case.claim(case.another()), Written)


def test_own_claim_is_taken_over(case: LedgerCase) -> None:
    """While it cannot be released, the same process claims it again without any doubt."""
    case.lose_claim(silent=True)
    case.clock.advance(5)
    again = case.claim().entry
    assert (again.status, again.lost_at, again.attempts) == (Status.SENDING, None, 1)
    assert [change.at for change in again.timeline] == [START, START, START + 5]


def test_look_up_knows_own_claim(case: LedgerCase) -> None:
    """The claim ran out before it could be released."""
    case.lose_claim(silent=True)
    case.clock.advance(LEASE)
    entry = case.look_up().entry
    assert (entry.status, entry.attempts, entry.lost_at) == (Status.QUEUED, 0, None)


@pytest.mark.parametrize(("later", "kept"), [(0.0, True), (LEASE - 0.001, True), (LEASE, False)])
def test_late_claim_is_awaited(
    case: LedgerCase, monkeypatch: pytest.MonkeyPatch, later: float, *, kept: bool
) -> None:
    """The write was still on its way when the store was read; it counts until its lease is over."""
    put, late = case.store.put, []

    def delay(entry: Entry, **_: bool) -> Entry | None:
        late.append(entry)
        raise StorageError("write", "ReadTimeout")

    monkeypatch.setattr(case.store, "put", delay)
    with pytest.raises(StorageError):
        case.claim()
    monkeypatch.setattr(case.store, "put", put)
    case.clock.advance(later)
    case.ledger.release_unconfirmed()
    assert bool(case.ledger._unconfirmed) is kept
    put(late[0])
    case.ledger.release_unconfirmed()
    assert case.entry.status is (Status.QUEUED if kept else Status.SENDING)


def test_one_claim_stops_no_other(case: LedgerCase) -> None:
    """The first was never stored and is asked about again; the second is released all the same."""
    case.store.failing = {"put": "ThrottlingException"}
    with pytest.raises(StorageError):
        case.ledger.claim(SendRequest("order-0", "shop", case.content), case.message, 60.0, takes_queued=True)
    case.lose_claim(silent=True)
    case.ledger.release_unconfirmed()
    assert (case.entry.status, list(case.ledger._unconfirmed)) == (Status.QUEUED, ["writer-1"])


@pytest.mark.parametrize("version", [1, 2])
def test_settled_claim_stops_no_other(case: LedgerCase, version: int) -> None:
    """The first was released by somebody else meanwhile."""
    case.lose_claim(silent=True)
    other = case.entry._replace(version=version, writer="another", status=Status.QUEUED)
    case.store.entries["shop", "order-1"] = other
    case.store.losing_answers = 1
    case.store.failing = {"read": "ReadTimeout"}
    with pytest.raises(StorageError):
        case.ledger.claim(SendRequest("order-2", "shop", case.content), case.message, 60.0, takes_queued=True)
    case.store.failing = {}
    case.ledger.release_unconfirmed()
    assert (case.entry, case.ledger._unconfirmed) == (other, {})
    assert case.store.entries["shop", "order-2"].status is Status.QUEUED


def test_unknown_claim_counts_as_released(case: LedgerCase) -> None:
    """Another thread released it first."""
    assert case.ledger._release("nobody") is True


def test_at_most_a_thousand_are_kept(case: LedgerCase) -> None:
    case.store.failing = {"put": "ReadTimeout", "read": "ReadTimeout"}
    for _ in range(1100):
        with pytest.raises(StorageError):
            case.claim()
    assert len(case.ledger._unconfirmed) == 1000
    case.store.failing = {}
    case.clock.advance(LEASE)
    for _ in range(100):
        case.ledger.release_unconfirmed()
    assert case.ledger._unconfirmed == {}


def test_ten_are_released_in_turn(case: LedgerCase) -> None:
    """A failed claim costs one more read; later ones are looked at ten at a time."""
    case.store.failing = {"put": "ThrottlingException"}
    for _ in range(50):
        with pytest.raises(StorageError):
            case.claim()
    assert case.store.reads == 50
    kept = list(case.ledger._unconfirmed)
    case.ledger.release_unconfirmed()
    assert case.store.reads == 60
    assert list(case.ledger._unconfirmed) == [*kept[10:], *kept[:10]]


@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize("takes_queued", [True, False])
def test_release_happens_once(*, in_doubt: bool, takes_queued: bool) -> None:
    """The answer to the release is lost as well; what is stored then stays as it is."""
    case = LedgerCase(body("template"))
    if in_doubt:
        case.ledger.finish(case.claim().entry, Status.UNKNOWN, lost_at=START, answers_lost=1)
    case.store.losing_answers = 2
    with pytest.raises(StorageError):
        case.claim(takes_queued=takes_queued)
    released = case.entry
    case.ledger.release_unconfirmed()
    assert (case.entry, case.ledger._unconfirmed) == (released, {})
    without_queue = Status.UNKNOWN if in_doubt else Status.FAILED
    assert released.status is (Status.QUEUED if takes_queued else without_queue)
    reason = "answer_not_recorded" if in_doubt else "try_again"
    assert (released.attempts, released.reason) == (in_doubt, None if takes_queued else reason)


def test_release_keeps_the_pause(case: LedgerCase) -> None:
    """To a process whose clock is behind, the next attempt may not be due yet."""
    due = START + 30.0
    case.ledger.finish(case.claim().entry, Status.QUEUED, next_attempt_at=due)
    case.clock.advance(31.0)
    case.lose_claim()
    assert (case.entry.status, case.entry.next_attempt_at) == (Status.QUEUED, due)
