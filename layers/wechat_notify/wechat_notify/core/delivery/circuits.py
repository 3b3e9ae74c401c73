"""Circuits: parts of an account that wait, because WeChat would answer every message as it did the last.

A circuit is open from such an answer on: nothing more goes to its part of the account (all of it, one
kind, one template). When its time is up, one message is sent as a probe; its answer closes the circuit or
holds it for longer. A used-up daily quota is such a circuit whose time is the reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from wechat_notify.core.delivery.circuit import AccountCircuits, Admission, Circuit, CircuitStore, QuotaReset
from wechat_notify.core.errors import StorageError
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import DomainEvent, ErrorClass, HoldScope, Outcome
from wechat_notify.core.texts import iso_time, without_none

_READ_AGAIN_AFTER = 1.0
"""Seconds after which what the store said is read again: so long others may go on in ignorance."""
_FIRST_HOLD = {ErrorClass.TOKEN: 60.0, ErrorClass.RATE_LIMIT: 60.0}
_FIRST_HOLD_ELSE = 300.0
_MAX_HOLD = 3600.0
"""Seconds of a hold: doubled with each failed probe, up to this."""
_LATE_RESET = 3600.0
"""Seconds after the daily reset in which a used-up quota means that WeChat resets later than assumed: the
time is not documented, and a whole day must not be lost to it."""
_DAY = 86400.0
_PROBE = 60.0
"""Seconds for which one probe keeps the other messages waiting."""
_MAX_WRITES = 8
_MAX_KNOWN = 10_000


class Circuits:
    """The open circuits of the accounts that this process sends for."""

    def __init__(
        self,
        store: CircuitStore,
        *,
        now: Callable[[], float],
        writer: Callable[[], str],
        quota_reset: QuotaReset,
    ) -> None:
        self._store = store
        self._now = now
        self._writer = writer
        self._quota_reset = quota_reset
        self._known: dict[str, tuple[float, AccountCircuits]] = {}

    def prefetch(self, accounts: Iterable[str]) -> None:
        """Read what is older than a second; where the store fails, what is known goes on counting."""
        now = self._now()
        stale = {
            account
            for account in accounts
            if account not in self._known or now - self._known[account][0] >= _READ_AGAIN_AFTER
        }
        if not stale:
            return
        try:
            found = self._store.read_circuits(sorted(stale))
        except StorageError:
            return
        if len(self._known) > _MAX_KNOWN:  # any name can stand in a queue message
            self._known.clear()
        for account in stale:
            self._known[account] = (now, found.get(account) or AccountCircuits(account))

    def admit(self, account: str, message: Message) -> Admission:
        """Return a message's admission, as far as this process knows; nothing is written."""
        waiting = self._waiting(self._of(account), message)
        if not waiting:
            return Admission()
        held = max(waiting, key=lambda circuit: circuit.held_until)
        return Admission(held) if held.held_until > self._now() else Admission(probe_due=True)

    def probe(self, account: str, message: Message) -> Admission:
        """Let a message that is to be sent find out whether a hold is over, and no other one meanwhile."""
        until = round(self._now() + _PROBE, 3)  # as it is stored
        attempts = 0
        while (admission := self.admit(account, message)).probe_due:
            known = self._of(account)
            waiting = self._waiting(known, message)
            marked = [replace(circuit, held_until=until) for circuit in waiting]
            attempts += 1
            try:
                if self._put(known, _replaced(known.circuits, marked)):
                    return Admission(probed=tuple(waiting), probed_until=until)
            except StorageError:
                attempts = _MAX_WRITES
            if attempts == _MAX_WRITES:  # the next one may have more luck
                return Admission(marked[0])
        return admission

    def release_probe(self, account: str, admission: Admission) -> None:
        """Let another message be the probe: this one was not sent.

        Where the store fails, that happens by itself a minute later.
        """
        if not admission.probed:
            return
        for _ in range(_MAX_WRITES):
            known = self._of(account)
            marked = {c.scope for c in known.circuits if c.held_until == admission.probed_until}
            mine = [circuit for circuit in admission.probed if circuit.scope in marked]
            if not mine:
                return
            try:
                if self._put(known, _replaced(known.circuits, mine)):
                    return
            except StorageError:
                return

    def _waiting(self, known: AccountCircuits, message: Message) -> list[Circuit]:
        """The circuits that concern a message and that it has to wait for, or to be the probe of."""
        if not known.circuits:
            return []
        scopes = _scopes(message).values()
        now = self._now()
        return [
            circuit
            for circuit in known.circuits
            if circuit.scope in scopes and (circuit.held_until > now or circuit.needs_probe)
        ]

    def record(
        self, account: str, message: Message, outcome: Outcome, admission: Admission
    ) -> tuple[Circuit | None, list[DomainEvent]]:
        """Update the circuits with an outcome; return the one that it holds, and the events to publish.

        Where the store fails this process remembers by itself, and the others find out by themselves.
        """
        scope = _scopes(message)[outcome.holds] if outcome.holds else None
        opened: Circuit | None = None
        closed: list[Circuit] = []
        existing: Circuit | None = None
        for _ in range(_MAX_WRITES):
            known = self._of(account)
            if scope is None and not known.circuits:
                return None, []
            existing = next((circuit for circuit in known.circuits if circuit.scope == scope), None)
            probed = {circuit.scope for circuit in admission.probed}
            closed = [c for c in known.circuits if _judged(outcome) and c.scope in probed - {scope}]
            opened = existing
            if scope and (existing is None or scope in probed or self._gives_way(existing, outcome)):
                opened = self._opened(scope, existing, outcome)
            if opened is existing and not closed:
                return opened, []
            circuits = _replaced(known.circuits, (opened,) if opened else (), without=closed)
            try:
                if self._put(known, circuits):
                    break
            except StorageError:
                self._known[account] = (self._now(), replace(known, circuits=circuits))
                break
        events = [circuit_event("circuit.closed", account, circuit) for circuit in closed]
        if opened and (existing is None or existing.error_class is not opened.error_class):
            name = "quota.reached" if opened.error_class is ErrorClass.QUOTA else "circuit.opened"
            if opened.needs_probe:  # a limit per minute is not worth a word
                events.append(circuit_event(name, account, opened, outcome))
        return opened, events

    def _gives_way(self, existing: Circuit, outcome: Outcome) -> bool:
        """Return whether an outcome may replace an open circuit: others were under way when it opened."""
        is_limit = existing.error_class is ErrorClass.RATE_LIMIT
        is_short = is_limit and outcome.error_class is not ErrorClass.RATE_LIMIT
        return is_short or existing.held_until <= self._now()

    def _opened(self, scope: str, existing: Circuit | None, outcome: Outcome) -> Circuit:
        now = self._now()
        opened = Circuit(scope, outcome.error_class, outcome.errcode, now, now, 0, outcome.hint)
        if existing is None:
            return replace(opened, held_until=self._held_until(opened, outcome, first=True))
        if existing.error_class is outcome.error_class:
            opened = replace(opened, opened_at=existing.opened_at, probes=existing.probes + 1)
            return replace(opened, held_until=self._held_until(opened, outcome, first=False))
        if outcome.error_class is ErrorClass.RATE_LIMIT:
            # It says nothing of the cause that holds already, and that must not be forgotten for it.
            return replace(existing, held_until=now + (outcome.retry_after or _PROBE))
        return replace(opened, held_until=self._held_until(opened, outcome, first=True))

    def _held_until(self, opened: Circuit, outcome: Outcome, *, first: bool) -> float:
        now = self._now()
        if not opened.needs_probe:
            return now + (outcome.retry_after or _PROBE)
        hold = _FIRST_HOLD.get(outcome.error_class, _FIRST_HOLD_ELSE) * 2.0 ** min(opened.probes, 16)
        held_until = now + max(min(_MAX_HOLD, hold), outcome.retry_after or 0.0)
        if not outcome.until_reset:
            return held_until
        reset = self._quota_reset.next(now)
        is_late = reset - now > _DAY - _LATE_RESET
        return reset if first and not is_late else min(reset, held_until)

    def _of(self, account: str) -> AccountCircuits:
        return self._known[account][1] if account in self._known else AccountCircuits(account)

    def _put(self, known: AccountCircuits, circuits: tuple[Circuit, ...]) -> bool:
        """Store the circuits; False where others came first, whose circuits are known afterwards."""
        wanted = replace(known, version=known.version + 1, writer=self._writer(), circuits=circuits)
        existing = self._store.put_circuits(wanted)
        self._known[known.account] = (self._now(), existing or wanted)
        return existing is None


def _scopes(message: Message) -> dict[HoldScope, str]:
    return {
        HoldScope.ACCOUNT: "account",
        HoldScope.KIND: f"kind:{message.kind}",
        HoldScope.TEMPLATE: f"template:{message.template_id}",
    }


def _replaced(
    circuits: Iterable[Circuit], new: Sequence[Circuit], without: Iterable[Circuit] = ()
) -> tuple[Circuit, ...]:
    gone = {circuit.scope for circuit in (*new, *without)}
    return (*(circuit for circuit in circuits if circuit.scope not in gone), *new)


def _judged(outcome: Outcome) -> bool:
    """Return whether WeChat looked at the message itself, so that nothing stands before it any more."""
    return (
        outcome.errcode is not None
        and not outcome.unjudged
        and outcome.error_class not in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT, ErrorClass.TOKEN}
    )


def circuit_event(name: str, account: str, circuit: Circuit, outcome: Outcome | None = None) -> DomainEvent:
    """The event that a circuit was opened (with the ``outcome`` that did it) or closed."""
    detail = {
        "account": account,
        "scope": circuit.scope,
        "class": circuit.error_class.value,
        **without_none(errcode=circuit.errcode),
        "opened_at": iso_time(circuit.opened_at),
    }
    if outcome:
        answer = without_none(errmsg=outcome.errmsg, rid=outcome.rid)
        detail |= {"held_until": iso_time(circuit.held_until), **answer, "hint": outcome.hint.as_dict()}
    return DomainEvent(name, detail)
