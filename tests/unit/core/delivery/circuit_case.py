"""Two processes that share an account's circuits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.fakes import Clock, FakeLedgerStore, answer, message
from wechat_notify.core.delivery.circuit import AccountCircuits, Admission, Circuit, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import DomainEvent, Outcome

BEIJING = timezone(timedelta(hours=8))
RESET = datetime(2026, 3, 2, tzinfo=BEIJING).timestamp()
"""The midnight after the tests begin."""
SKEW = 120.0
MESSAGE = message()
OTHER_KIND = message("template")
OTHER_TEMPLATE = message(template_id="another")
ADMITTED = Admission()


@dataclass
class CircuitCase:
    store: FakeLedgerStore = field(default_factory=FakeLedgerStore)
    clock: Clock = field(default_factory=Clock)
    writers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    events: list[DomainEvent] = field(default_factory=list)
    """Those of the last answer."""

    def __post_init__(self) -> None:
        self.first, self.second = self.another(), self.another()

    def another(self, clock: Clock | None = None) -> Circuits:
        return Circuits(
            self.store,
            now=(clock or self.clock).now,
            writer=lambda: f"writer-{next(self.writers)}",
            quota_reset=QuotaReset(BEIJING),
        )

    def admit(
        self, message: Message = MESSAGE, *, account: str = "shop", by: Circuits | None = None
    ) -> Admission:
        """As an attempt does it: a message whose probe is due takes it."""
        circuits = by or self.first
        circuits.prefetch([account])
        admission = circuits.admit(account, message)
        return circuits.probe(account, message) if admission.probe_due else admission

    def record(
        self,
        outcome: Outcome | int,
        admission: Admission = ADMITTED,
        *,
        message: Message = MESSAGE,
        by: Circuits | None = None,
    ) -> tuple[Circuit | None, list[DomainEvent]]:
        outcome = answer(outcome) if isinstance(outcome, int) else outcome
        circuit, self.events = (by or self.first).record("shop", message, outcome, admission)
        return circuit, self.events

    def hold(self, outcome: Outcome | int, admission: Admission = ADMITTED, **given: Any) -> Circuit:
        """Record an answer that holds something; return its circuit."""
        circuit, _ = self.record(outcome, admission, **given)
        assert circuit is not None
        return circuit

    @property
    def names(self) -> list[str]:
        """What was announced of the last answer."""
        return [event.detail_type for event in self.events]

    def probe_at_end(self, circuit: Circuit) -> Admission:
        """Let the hold run out; return the admission of the next message."""
        self.advance_to(circuit.held_until)
        return self.admit()

    @property
    def stored(self) -> dict[str, Circuit]:
        existing = self.store.circuits.get("shop", AccountCircuits("shop"))
        return {circuit.scope: circuit for circuit in existing.circuits}

    def advance_to(self, at: float) -> None:
        self.clock.advance(at - self.clock.now())

    def seconds_held(self, by: Circuits | None = None) -> float:
        """For how long the next message has to wait."""
        held = self.admit(by=by).held
        assert held is not None
        return held.held_until - self.clock.now()

    def fail(self, method: str) -> None:
        self.store.failing = {method: "ThrottlingException"}

    def always_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every write meet a version that somebody else wrote."""

        def put(circuits: AccountCircuits) -> AccountCircuits:
            self.store.circuit_puts += 1
            assert self.store.circuit_puts < 50
            existing = self.store.circuits[circuits.account]
            return replace(existing, version=circuits.version, writer="another")

        monkeypatch.setattr(self.store, "put_circuits", put)
