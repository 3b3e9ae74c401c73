"""Receipts and the messages that they settle."""

import itertools
from typing import Any

import pytest

from tests.fakes.clock import Clock
from tests.fakes.hashes import FakeHashes
from tests.fakes.ledger_store import FakeLedgerStore
from wechat_notify.core.callbacks.events import Receipt
from wechat_notify.core.delivery.entry import NOT_RECORDED, Change, Entry
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.delivery.receipts import Match, Receipts, Settled
from wechat_notify.core.errors import StorageError
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual

MSGID = 9_300_000_000_000_000_123
NOW = Clock().now()
ACCEPTED = Outcome(Status.SENT, ErrorClass.SUCCESS, Bilingual("", ""), errcode=0, msgid=MSGID)
LOST = Outcome(Status.UNKNOWN, ErrorClass.UNKNOWN, Bilingual("", ""), cause="ReadTimeout")
DELIVERED = Receipt(str(MSGID), "openid-1", delivered=True, reason=None, at=int(NOW) + 5)
KEYED = FakeHashes(lambda openid: f"#{openid}", lambda openid: f"earlier#{openid}")


def blocked(template_id: str | None = None) -> Receipt:
    return Receipt(
        str(MSGID), "openid-1", delivered=False, reason="user block", at=int(NOW) + 5, template_id=template_id
    )


class Case:
    """A ledger with entries of the account ``shop``."""

    def __init__(self) -> None:
        self.store = FakeLedgerStore()
        self.callbacks = itertools.count()
        self.clock = Clock(NOW + 10)
        ledger = Ledger(self.store, now=self.clock.now, writer=lambda: "receipts", keyed_hash=KEYED)
        self.receipts = Receipts(ledger, self.store, KEYED)

    def add(self, message_id: str = "m-1", status: Status = Status.SENT, **fields: Any) -> Entry:
        given: dict[str, Any] = {
            "kind": "template",
            "openid_hash": "#openid-1",
            "attempts": 1,
            "outcome": ACCEPTED if status is Status.SENT else LOST,
            "lost_at": None if status is Status.SENT else NOW,
        }
        times = {name: fields.pop(name, NOW) for name in ("created_at", "updated_at")}
        given |= {**times, **fields}
        entry = Entry("shop", message_id, status, "print", "sender", **given)
        self.store.entries["shop", message_id] = entry
        return entry

    def settle(
        self, receipt: Receipt = DELIVERED, *, is_last: bool = False, callback: str | None = None
    ) -> Settled:
        """Settle it as a callback that was never here before, or by its id."""
        callback = callback or f"callback-{next(self.callbacks)}"
        return self.receipts.settle("shop", receipt, is_last=is_last, callback=callback)

    def status(self, message_id: str = "m-1") -> Status:
        return self.store.entries["shop", message_id].status


@pytest.fixture
def case() -> Case:
    return Case()


def test_callback_that_settled_and_comes_again_is_told_again(case: Case) -> None:
    """The function may have been stopped between the two."""
    case.add()
    assert case.settle(callback="a").match is Match.SETTLED
    assert case.settle(callback="a").match is Match.SETTLED
    assert case.settle(callback="b").match is Match.REPEATED


@pytest.mark.parametrize(
    ("receipt", "status", "reason"),
    [(DELIVERED, Status.DELIVERED, None), (blocked(), Status.UNDELIVERED, "user block")],
)
def test_sent_message_is_settled(case: Case, receipt: Receipt, status: Status, reason: str | None) -> None:
    case.add()
    match, entry = case.settle(receipt)

    assert match is Match.SETTLED
    assert entry is not None
    assert (entry.status, entry.reason, entry.outcome) == (status, reason, ACCEPTED)
    assert entry.timeline == (Change(status, NOW + 10, 0, reason),)
    assert case.status() is status


def test_repeat_changes_nothing(case: Case) -> None:
    """Nor does a second receipt that says otherwise: the first one counts."""
    case.add()
    case.settle()
    version = case.store.entries["shop", "m-1"].version

    assert [case.settle().match, case.settle(blocked()).match] == [Match.REPEATED, Match.REPEATED]
    assert case.store.entries["shop", "m-1"].version == version


def test_receipt_before_the_answer(case: Case) -> None:
    case.add(status=Status.SENDING, outcome=None, lost_at=None)

    assert case.settle().match is Match.TOO_EARLY
    case.add()
    assert case.settle().match is Match.SETTLED


def test_receipt_of_other_senders(case: Case) -> None:
    case.add()
    others = Receipt("1", "openid-1", delivered=True, reason=None, at=int(NOW))

    assert [case.settle(others).match, case.settle(others, is_last=True).match] == [
        Match.TOO_EARLY,
        Match.OF_OTHERS,
    ]


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.QUEUED])
def test_lost_answer_is_settled(case: Case, status: Status) -> None:
    """The queue's repeat of it then meets a message that was delivered, and sends nothing."""
    case.add(status=status)

    assert case.settle().match is Match.TOO_EARLY
    match, entry = case.settle(is_last=True)

    assert match is Match.SETTLED
    assert entry is not None
    assert entry.outcome is not None
    assert (entry.status, entry.outcome.msgid, entry.outcome.status) == (Status.DELIVERED, MSGID, Status.SENT)


def test_settled_doubt_is_found_by_msgid(case: Case) -> None:
    case.add(status=Status.UNKNOWN)
    case.settle(is_last=True)

    assert case.settle().match is Match.REPEATED


@pytest.mark.parametrize(
    "fields",
    [
        {"openid_hash": "#openid-2"},
        {"kind": "subscription"},
        {"kind": "one_time_subscription"},
        {"lost_at": NOW - 1000, "updated_at": NOW - 950},
        {"lost_at": NOW + 100},
        {"status": Status.QUEUED, "lost_at": None},
        {"status": Status.FAILED},
    ],
)
def test_doubt_that_does_not_fit(case: Case, fields: dict[str, Any]) -> None:
    case.add(**{"status": Status.UNKNOWN, **fields})

    assert case.settle(is_last=True).match is Match.OF_OTHERS


@pytest.mark.parametrize(("template_id", "match"), [("t-1", Match.SETTLED), ("t-2", Match.OF_OTHERS)])
def test_doubt_with_a_template(case: Case, template_id: str, match: Match) -> None:
    case.add(status=Status.UNKNOWN, kind="mini_program_subscription", template_id="t-1")

    assert case.settle(blocked(template_id=template_id), is_last=True).match is match


def test_answer_that_comes_in_between(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index still has the message among those in doubt; the receipt is about another copy, or message."""
    doubted = case.add(status=Status.UNKNOWN)
    case.add(outcome=ACCEPTED._replace(msgid=MSGID + 1))
    monkeypatch.setattr(case.store, "by_receiver", lambda *_: ["m-1"])
    monkeypatch.setattr(case.store, "read_many", lambda *_: {"m-1": doubted})

    assert case.settle(is_last=True).match is Match.OF_OTHERS
    assert case.status() is Status.SENT


def test_double_is_found_by_its_receiver(case: Case) -> None:
    """WeChat refused the repeat, for it had the message: its answer has no msgid."""
    double = ACCEPTED._replace(msgid=None, errcode=40241, error_class=ErrorClass.DUPLICATE)
    case.add(outcome=double, created_at=NOW - 200)

    assert case.settle().match is Match.TOO_EARLY
    assert case.settle(is_last=True).match is Match.SETTLED


def test_abandoned_claim_is_settled(case: Case) -> None:
    """Its function ended before it could record the answer, and nobody has looked since."""
    case.add(status=Status.SENDING, lost_at=None, lease_until=NOW - 1, outcome=None)
    ledger = case.receipts._ledger
    found = ledger.record_receipt("shop", "m-1", delivered=True, reason=None, msgid=MSGID, writer="c")

    assert isinstance(found, Written)
    assert [change.status for change in found.entry.timeline] == [Status.UNKNOWN, Status.DELIVERED]


def test_two_in_doubt_are_left(case: Case) -> None:
    case.add("m-1", Status.UNKNOWN)
    case.add("m-2", Status.UNKNOWN)

    assert case.settle(is_last=True).match is Match.OF_OTHERS
    assert [case.status("m-1"), case.status("m-2")] == [Status.UNKNOWN, Status.UNKNOWN]


def test_claim_that_was_given_up(case: Case) -> None:
    """An abandoned claim was found ``unknown``: it has no time at which its answer was lost."""
    case.add(status=Status.UNKNOWN, outcome=None, lost_at=None, reason=NOT_RECORDED)

    assert case.settle(is_last=True).match is Match.SETTLED


def test_write_that_comes_in_between(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.add()
    put = case.store.put
    others = iter([True])

    def put_after_another(entry: Entry, *, patient: bool = False) -> Entry | None:
        if next(others, False):
            existing = case.store.entries["shop", "m-1"]
            case.store.entries["shop", "m-1"] = existing._replace(version=existing.version + 1)
        return put(entry, patient=patient)

    monkeypatch.setattr(case.store, "put", put_after_another)

    assert case.settle().match is Match.SETTLED


@pytest.mark.parametrize("method", ["by_msgid", "read", "put"])
def test_storage_that_fails(case: Case, method: str) -> None:
    case.add()
    case.store.failing[method] = "InternalServerError"

    with pytest.raises(StorageError):
        case.settle()


@pytest.mark.parametrize(
    ("receipt", "detail_type"), [(DELIVERED, "message.delivered"), (blocked(), "message.undelivered")]
)
def test_events(case: Case, receipt: Receipt, detail_type: str) -> None:
    case.add()
    _, entry = case.settle(receipt)
    assert entry is not None
    (event,) = message_events(entry)

    assert event.detail_type == detail_type
    assert event.detail.get("reason") == receipt.reason
