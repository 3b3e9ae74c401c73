"""The ledger's and the tokens' states under any order of what can happen to them."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes import (
    START,
    Clock,
    FakeHashes,
    FakeLedgerStore,
    FakeParameterStore,
    FakeRefresher,
    FakeWeChat,
    lowest,
    message,
)
from wechat_notify.core.delivery.entry import CLOCK_SKEW, Entry
from wechat_notify.core.delivery.ledger import Ledger, Written
from wechat_notify.core.errors import StorageError, TokenUnavailableError
from wechat_notify.core.messages.envelope import SendRequest
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens.access_tokens import AccessTokens
from wechat_notify.core.tokens.refresher import TokenRefresher

WRITERS = st.integers(0, 2)
SECONDS = 60.0
_LEGAL = {
    None: {"queued", "sending", "failed", "expired"},
    "queued": {"sending", "failed", "expired", "cancelled", "unknown"},
    "sending": {"sending", "queued", "sent", "failed", "unknown"},
    # Refused again: a message that was never attempted has no claim to its first reason.
    "failed": {"sending", "queued", "expired", "failed"},
    "unknown": {"sending", "queued", "sent", "failed"},
}


class Ledgers(RuleBasedStateMachine):
    """Three processes at one message, with clocks that differ and a store that fails and loses answers."""

    @initialize(at_least_once=st.booleans(), kind=st.sampled_from(["subscription", "template"]))
    def begin(self, at_least_once: bool, kind: str) -> None:  # noqa: FBT001 - drawn
        self.store = FakeLedgerStore()
        self.time = START
        self.message = message(kind)
        self.request = SendRequest("order-1", "shop", {"kind": kind}, at_least_once=at_least_once)
        self.skews = (-CLOCK_SKEW / 2, 0.0, CLOCK_SKEW / 2)
        self.writes = 0
        self.ledgers = [
            Ledger(
                self.store,
                now=partial(self._now, skew),
                writer=self._writer,
                keyed_hash=FakeHashes(lambda text: text[-16:]),
            )
            for skew in self.skews
        ]
        self.claims: dict[int, tuple[float, Entry]] = {}
        """By process: until when it lives, and what it claimed."""

    def _now(self, skew: float) -> float:
        return self.time + skew

    def _writer(self) -> str:
        self.writes += 1
        return f"writer-{self.writes}"

    @rule(failing=st.booleans(), losing=st.integers(0, 2))
    def faults(self, failing: bool, losing: int) -> None:  # noqa: FBT001 - drawn
        self.store.failing = {"put": "ProvisionedThroughputExceededException"} if failing else {}
        self.store.losing_answers = losing

    @rule(seconds=st.sampled_from([0.5, 30.0, 59.0, 61.0, 200.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.claims = {who: claim for who, claim in self.claims.items() if claim[0] > self.time}

    @rule(who=WRITERS, takes_queued=st.booleans())
    def claim(self, who: int, takes_queued: bool) -> None:  # noqa: FBT001 - drawn
        if who in self.claims:
            return
        try:
            found = self.ledgers[who].claim(self.request, self.message, SECONDS, takes_queued=takes_queued)
        except StorageError:
            return
        if isinstance(found, Written) and found.entry.status is Status.SENDING:
            assert not self.claims, "somebody alive has it"
            self.claims[who] = (self.time + SECONDS, found.entry)

    @precondition(lambda self: bool(getattr(self, "claims", None)))
    @rule(status=st.sampled_from([Status.SENT, Status.FAILED, Status.UNKNOWN, Status.QUEUED]), data=st.data())
    def finish(self, status: Status, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.claims)))
        _, entry = self.claims.pop(who)
        errors = {Status.UNKNOWN: ErrorClass.UNKNOWN, Status.SENT: ErrorClass.SUCCESS}
        outcome = Outcome(status, errors.get(status, ErrorClass.TRANSIENT), Bilingual("a", "b"))
        lost_at = entry.lost_at
        if status is Status.UNKNOWN:
            lost_at = lost_at or entry.updated_at
        elif status in {Status.FAILED, Status.QUEUED} and lost_at is not None:
            status = Status.UNKNOWN
        try:
            self.ledgers[who].finish(entry, status, outcome=outcome, lost_at=lost_at)
        except StorageError:
            return

    @rule(who=WRITERS, status=st.sampled_from([Status.QUEUED, Status.EXPIRED, Status.FAILED]))
    def note(self, who: int, status: Status) -> None:
        try:
            self.ledgers[who].set_status(self.request, self.message, status)
        except StorageError:
            return

    @rule(who=WRITERS)
    def cancel(self, who: int) -> None:
        try:
            self.ledgers[who].cancel("shop", "order-1")
        except StorageError:
            return

    @invariant()
    def history_is_legal(self) -> None:
        history = getattr(self, "store", None) and self.store.history
        before: Entry | None = None
        for entry in history or ():
            assert entry.version == (before.version + 1 if before else 1)
            assert str(entry.status) in _LEGAL[str(before.status) if before else None]
            assert entry.timeline[-1].status is entry.status
            assert len(entry.timeline) == min(40, entry.version)
            given_back = before is not None and before.status is Status.SENDING  # nothing was sent under it
            assert entry.attempts >= (before.attempts - given_back if before else 0)
            assert (entry.lease_until is None) == (entry.status is not Status.SENDING)
            if before and before.lost_at is not None and entry.status is not Status.SENT:
                assert entry.lost_at is not None
                assert entry.status not in {Status.FAILED, Status.CANCELLED, Status.EXPIRED}
            before = entry

    @invariant()
    def who_lives_is_undisturbed(self) -> None:
        for _, claimed in getattr(self, "claims", {}).values():
            existing = self.store.entries["shop", "order-1"]
            assert (existing.version, existing.writer) == (claimed.version, claimed.writer)


class Tokens(RuleBasedStateMachine):
    """Two senders and the refresher over WeChat's own rules."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.wechat = FakeWeChat(self.clock)
        self.store = FakeParameterStore()
        self.store.sources["shop"] = self.wechat.app("wx-shop")
        self.refresher = TokenRefresher(self.store, now=self.clock.now)
        self.asked = FakeRefresher(self.refresher)
        self.senders = [
            AccessTokens(self.store, self.asked, now=self.clock.now, sleep=self.clock.sleep, jitter=lowest)
            for _ in range(2)
        ]
        self.held: list[Any] = [None, None]
        self.forced: list[float] = []

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0, 400.0, 6000.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def run_by_schedule(self) -> None:
        before = len(self.wechat.fetches)
        self.refresher.refresh_all(lambda: 120.0)
        self._note_forced(before)

    @rule(who=st.integers(0, 1))
    def get(self, who: int) -> None:
        before = len(self.wechat.fetches)
        try:
            self.held[who] = self.senders[who].get("shop")
            assert self.held[who].usable(self.clock.now())
        except TokenUnavailableError:
            assert (
                "save" in self.store.failing or "read" in self.store.failing or "load" in self.store.failing
            )
        self._note_forced(before)

    @rule(who=st.integers(0, 1))
    def be_rejected(self, who: int) -> None:
        rejected = self.held[who]
        if rejected is None or self.wechat.is_good(rejected.value):
            return
        before = len(self.wechat.fetches)
        stored = self.store.tokens.get("shop")
        good = stored is not None and self.wechat._tokens.app_with(stored.value, for_seconds=10)
        try:
            self.held[who] = self.senders[who].replace("shop", rejected, 0.0)
            assert self.held[who].value != rejected.value
        except TokenUnavailableError:
            pass
        if good:
            assert len(self.wechat.fetches) == before, "the store had a good one"
        assert len(self.wechat.fetches) - before <= 2
        self._note_forced(before)

    @precondition(lambda self: hasattr(self, "wechat") and self.wechat._apps["wx-shop"].token)
    @rule(replaced=st.booleans())
    def end_an_epoch(self, replaced: bool) -> None:  # noqa: FBT001 - drawn
        if replaced:
            self.wechat.renew("wx-shop")
        else:
            self.wechat.reject("wx-shop")

    @rule(failing=st.sampled_from([{}, {"save": "ThrottlingException"}, {"read": "ThrottlingException"}]))
    def faults(self, failing: dict[str, str]) -> None:
        self.store.failing = dict(failing)

    def _note_forced(self, before: int) -> None:
        self.forced += [self.clock.now() for _, force in self.wechat.fetches[before:] if force]

    @invariant()
    def force_is_seldom(self) -> None:
        forced = getattr(self, "forced", [])
        assert all(after - first >= 30 for first, after in pairwise(forced))
        days = [int((at + 8 * 3600) // 86_400) for at in forced]
        assert all(days.count(day) <= 20 for day in days)


_SETTINGS = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("machine", [Ledgers, Tokens])
def test_states(machine: type[RuleBasedStateMachine]) -> None:
    from hypothesis.stateful import run_state_machine_as_test  # noqa: PLC0415 - beside its only use

    run_state_machine_as_test(machine, settings=_SETTINGS)
