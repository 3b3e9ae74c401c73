"""What an entry becomes by each call."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import OPENID, START, FakeHashes, answer, body
from tests.unit.core.delivery.ledger_case import CALLS, LEASE, WRITES, LedgerCase, keyed
from wechat_notify.core.delivery.entry import EXHAUSTED, HELD, TRY_AGAIN, Entry
from wechat_notify.core.delivery.ledger import Written
from wechat_notify.core.delivery.results import IdReused, InFlight, NotDue, Replayed
from wechat_notify.core.errors import IllegalTransitionError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.messages.fingerprint import canonical
from wechat_notify.core.outcomes import Status

QUEUED, SENDING, SENT, FAILED = Status.QUEUED, Status.SENDING, Status.SENT, Status.FAILED
EXPIRED, CANCELLED, UNKNOWN = Status.EXPIRED, Status.CANCELLED, Status.UNKNOWN
IN_DOUBT: dict[str, Any] = {"lost_at": START - 1}
ALIVE: dict[str, Any] = {"lease_until": START + 0.001}
DEAD: dict[str, Any] = {"lease_until": START}
UNCHANGED: list[Status | None] = [None] * 6
# By state: its status, its fields, and the status that each of the CALLS writes; None: the entry stays.
STATES: dict[str, tuple[Status, dict[str, Any], list[Status | None]]] = {
    "queued": (QUEUED, {}, [SENDING, None, None, FAILED, EXPIRED, CANCELLED]),
    "queued_in_doubt": (QUEUED, IN_DOUBT, [UNKNOWN, None, None, UNKNOWN, UNKNOWN, UNKNOWN]),
    "sending": (SENDING, ALIVE, UNCHANGED),
    "sending_in_doubt": (SENDING, ALIVE | IN_DOUBT, UNCHANGED),
    "abandoned": (SENDING, DEAD, [UNKNOWN] * 5 + [None]),
    "abandoned_in_doubt": (SENDING, DEAD | IN_DOUBT, [UNKNOWN] * 5 + [None]),
    "try_again": (FAILED, {"reason": TRY_AGAIN}, [SENDING, SENDING, QUEUED, FAILED, EXPIRED, None]),
    "failed": (FAILED, {}, UNCHANGED),
    "exhausted": (FAILED, {"reason": EXHAUSTED}, UNCHANGED),
    "sent": (SENT, {}, UNCHANGED),
    "delivered": (Status.DELIVERED, {}, UNCHANGED),
    "undelivered": (Status.UNDELIVERED, {}, UNCHANGED),
    "expired": (EXPIRED, {}, UNCHANGED),
    "cancelled": (CANCELLED, {"reason": "cancelled"}, UNCHANGED),
    "unknown": (UNKNOWN, IN_DOUBT, UNCHANGED),
    "unknown_without_time": (UNKNOWN, {}, UNCHANGED),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", STATES)
def test_entry_by_state_and_call(case: LedgerCase, state: str, call: str) -> None:
    status, fields, by_call = STATES[state]
    becomes = by_call[list(CALLS).index(call)]
    before = case.store_entry(status, **fields)
    found = CALLS[call](case)
    entry = found.entry
    assert entry == case.entry
    if becomes is None:
        assert type(found) is (InFlight if "lease_until" in fields and fields != DEAD else Replayed) or (
            state.startswith("abandoned")
        )
        assert (entry, found.status) == (before, status)
        assert isinstance(found, Written) or found.outcome is before.outcome
    else:
        assert isinstance(found, Written)
        assert (entry.status, entry.version) == (becomes, before.version + 1)
        claimed = becomes is SENDING
        assert entry.attempts == before.attempts + claimed
        assert entry.lease_until == (START + LEASE if claimed else None)
    if becomes is UNKNOWN:
        assert entry.lost_at == (fields.get("lost_at") or before.updated_at)
        assert entry.reason == ("cancelled" if call == "cancel" else "answer_not_recorded")
    wrote = becomes is not None
    puts, reads = (wrote, 1) if call == "cancel" else (1 + wrote, 0)
    assert (case.store.puts, case.store.reads) == (puts, reads)


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("state", STATES)
def test_other_message_never_changes_entry(case: LedgerCase, state: str, call: str) -> None:
    status, fields, _ = STATES[state]
    before = case.store_entry(status, **fields)
    found = CALLS[call](case.other_content())
    assert isinstance(found, IdReused)
    assert (found.entry, case.entry, found.outcome) == (before, before, before.outcome)


@pytest.mark.parametrize("status", Status)
def test_first_states(case: LedgerCase, status: Status) -> None:
    if status in {QUEUED, SENDING, FAILED, EXPIRED}:
        assert case.set_status(status).entry.status is status
        assert (case.store.puts, case.store.reads) == (1, 0)
    else:
        with pytest.raises(IllegalTransitionError):
            case.set_status(status)
        assert case.store.entries == {}


# ---- messages in doubt


@pytest.mark.parametrize(
    ("content", "later"),
    [(body(delivery="at_least_once"), 86400.0), (body("template"), 479.0)],
    ids=["at_least_once", "template"],
)
@pytest.mark.parametrize("status", [QUEUED, SENDING, UNKNOWN])
@pytest.mark.parametrize("call", WRITES)
def test_repeatable_message_in_doubt(
    content: dict[str, Any], later: float, status: Status, call: str
) -> None:
    case = LedgerCase(content)
    case.store_entry(status, lost_at=START - 0.5)
    case.clock.advance(later)
    goes_on = {"queue": SENDING, "http": SENDING, "accept": QUEUED}
    becomes = goes_on.get(call, UNKNOWN)
    if status is QUEUED and call in {"http", "accept"}:
        becomes = QUEUED
    entry = CALLS[call](case).entry
    assert (entry.status, entry.lost_at) == (becomes, START - 0.5)


@pytest.mark.parametrize("status", [QUEUED, SENDING, UNKNOWN])
@pytest.mark.parametrize(
    ("content", "later", "answers_lost"),
    [(body("template"), 480.0, 1), (body(), 0.0, 1), (body(delivery="at_least_once"), 0.0, 4)],
    ids=["template_too_late", "once", "four_copies"],
)
def test_unrepeatable_message_in_doubt(
    content: dict[str, Any], later: float, answers_lost: int, status: Status
) -> None:
    case = LedgerCase(content)
    case.store_entry(status, lost_at=START, answers_lost=answers_lost)
    case.clock.advance(later)
    found = case.claim()
    assert found.entry.status is UNKNOWN
    assert isinstance(found, Written) == (status is not UNKNOWN)


@pytest.mark.parametrize("call", WRITES)
def test_cancelled_in_doubt_is_final(call: str) -> None:
    case = LedgerCase(body(delivery="at_least_once"))
    case.store_entry(QUEUED, **IN_DOUBT)
    cancelled = case.cancel().entry
    assert (cancelled.status, cancelled.reason) == (UNKNOWN, "cancelled")
    found = CALLS[call](case)
    assert (type(found), found.entry) == (Replayed, cancelled)


@pytest.mark.parametrize("call", ["queue", "http"])
def test_claim_after_abandoned_claim(call: str) -> None:
    """The dead holder's copy may have been accepted, however the next one ends."""
    case = LedgerCase(body("template"))
    dead = case.claim(case.another()).entry
    case.clock.advance(LEASE)
    second = CALLS[call](case).entry
    assert (second.status, second.lost_at, second.answers_lost) == (SENDING, dead.updated_at, 1)
    case.clock.advance(480 - LEASE)  # by now WeChat drops no copy any more
    assert case.ledger.finish(second, UNKNOWN, lost_at=second.lost_at).lost_at == START
    assert CALLS[call](case).entry.status is UNKNOWN


@pytest.mark.parametrize(
    ("status", "answers_lost", "counted"),
    [(UNKNOWN, 0, 1), (UNKNOWN, 2, 2), (SENDING, 0, 1), (SENDING, 2, 3)],
)
def test_counted_losses(status: Status, answers_lost: int, counted: int) -> None:
    """Entries of an older version counted none; an abandoned claim is one more."""
    case = LedgerCase(body("template"))
    case.store_entry(status, lost_at=START, answers_lost=answers_lost)
    assert case.claim().entry.answers_lost == counted


def test_pause_carries_the_outcome(case: LedgerCase) -> None:
    before = case.store_entry(QUEUED, next_attempt_at=START + 0.5)
    found = case.claim()
    assert isinstance(found, NotDue)
    assert (found.entry, found.outcome, found.after) == (before, before.outcome, 1.0)
    case.clock.advance(0.5)
    assert case.claim().entry.status is SENDING


def test_held_message_keeps_its_entry(case: LedgerCase) -> None:
    """A message that waits already is written again only for another reason."""
    case.set_status(QUEUED)
    held = case.set_status(QUEUED, reason=HELD)
    assert (isinstance(held, Written), held.entry.reason) == (True, HELD)
    assert isinstance(case.set_status(QUEUED, reason=HELD), Replayed)
    assert isinstance(case.set_status(QUEUED), Replayed)
    assert isinstance(case.set_status(QUEUED, reason="requeued"), Written)


# ---- whose id it is


@pytest.mark.parametrize("call", ["queue", "http", "accept"])
def test_refused_message_frees_its_id(case: LedgerCase, call: str) -> None:
    """The corrected message under the same id is another one, and is sent."""
    wrong, reason = SendRequest("order-1", "shop", body(touser="wrong")), "invalid_message"
    case.ledger.set_status(wrong, None, FAILED, reason=reason)
    case.clock.advance(5)
    entry = CALLS[call](case).entry
    assert (entry.version, entry.created_at, entry.writer) == (2, START + 5, "writer-2")
    assert (entry.openid_hash, entry.reason) == (keyed(OPENID), None)
    assert [change.status for change in entry.timeline] == [FAILED, entry.status]
    assert not isinstance(case.ledger.set_status(wrong, None, FAILED, reason=reason), Written)
    assert case.entry == entry


def test_wrong_copy_spares_try_again(case: LedgerCase) -> None:
    """A late copy of the row that was corrected does not end what its caller is to repeat."""
    before = case.set_status(FAILED, reason=TRY_AGAIN, outcome=answer(-1)).entry
    found = CALLS["refuse"](case.other_content())
    assert isinstance(found, IdReused)
    assert (case.entry, found.outcome) == (before, before.outcome)


def test_refused_message_is_refused_again(case: LedgerCase) -> None:
    first = case.set_status(FAILED, reason="unknown_account", outcome=answer(47003))
    again = case.set_status(FAILED, reason="unknown_account")
    assert isinstance(again, Replayed)
    assert (again.entry, again.outcome) == (first.entry, first.entry.outcome)
    assert case.claim().entry.status is SENDING  # when its account exists


def test_exhausted_message_is_final(case: LedgerCase) -> None:
    given_up = case.set_status(FAILED, reason=EXHAUSTED).entry
    found = case.claim()
    assert (type(found), found.entry) == (Replayed, given_up)


def test_keyed_fingerprint_of_old_entries(case: LedgerCase) -> None:
    case.store_entry(QUEUED, fingerprint=keyed(canonical(case.content)))
    assert isinstance(case.claim(), Written)
    case.store_entry(QUEUED, fingerprint=keyed(canonical(body(touser="another"))))
    assert isinstance(case.claim(), IdReused)


def test_keyed_fingerprint_under_an_earlier_key(case: LedgerCase) -> None:
    case.store_entry(QUEUED, fingerprint=keyed(f"earlier {canonical(case.content)}"))
    assert isinstance(case.claim(), Written)


def test_fingerprint_needs_no_key(case: LedgerCase) -> None:
    case.set_status(QUEUED)
    other = case.another(keyed_hash=FakeHashes(lambda text: f"other {text}"))
    assert isinstance(case.claim(other), Written)


# ---- any sequence of calls

LEGAL = {
    "queued": "queued sending failed expired cancelled unknown delivered undelivered",
    "sending": "sending queued sent failed expired unknown",
    "sent": "delivered undelivered",
    "failed": "sending queued failed expired",
    "unknown": "sending queued sent failed delivered undelivered",
}
"""Written down a second time, from the design's picture."""
steps = st.lists(
    st.one_of(
        st.sampled_from(list(CALLS)),
        st.sampled_from([SENT, FAILED, QUEUED, UNKNOWN, TRY_AGAIN]),
        st.sampled_from([1.0, LEASE / 2, LEASE, 600.0]),
    ),
    max_size=25,
)


@given(steps, st.sampled_from([body(), body("template"), body(delivery="at_least_once")]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_sequence_sends_twice(steps: list[str | Status | float], content: dict[str, Any]) -> None:
    case = LedgerCase(content)
    claims: list[Entry] = []
    in_doubt_since: float | None = None
    for step in steps:
        if isinstance(step, float):
            case.clock.advance(step)
        elif step == "cancel":
            case.ledger.cancel("shop", "order-1")
        elif step in CALLS:
            found = CALLS[str(step)](case)
            if isinstance(found, Written) and found.status is SENDING:
                may_repeat = content.get("delivery") or (
                    content["kind"] == "template"
                    and in_doubt_since is not None
                    and case.clock.now() < in_doubt_since + 480
                )
                assert in_doubt_since is None or may_repeat
                in_doubt_since = in_doubt_since or case.clock.now()
                claims.append(found.entry)
        elif claims:
            status, reason = (FAILED, TRY_AGAIN) if step == TRY_AGAIN else (Status(step), None)
            claimed = claims.pop()
            nothing_went_out = claimed.lost_at is None and status in {FAILED, QUEUED}
            if claimed.lost_at is not None and status in {FAILED, QUEUED}:
                status, reason = UNKNOWN, None  # as is decided where an earlier copy is in doubt
            lost_at = None if nothing_went_out or status is SENT else in_doubt_since
            entry = case.ledger.finish(claimed, status, reason=reason, lost_at=lost_at)
            if entry.writer == claimed.writer and nothing_went_out:
                in_doubt_since = None
    versions = [entry.version for entry in case.store.history]
    assert versions == list(range(1, len(versions) + 1))
    for before, after in itertools.pairwise(case.store.history):
        assert after.status.value in LEGAL[before.status.value].split()
