"""What an answer holds, for how long, and what is announced of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import START, Clock, answer, lost
from tests.unit.core.delivery.circuit_case import (
    ADMITTED,
    MESSAGE,
    OTHER_KIND,
    OTHER_TEMPLATE,
    RESET,
    SKEW,
    CircuitCase,
)
from wechat_notify.core.delivery.circuit import Circuit, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome


def test_read_again_after_a_second() -> None:
    """Many accounts together, and once in vain where the table does not know them."""
    circuits = CircuitCase(clock=Clock(1000.0))
    for accounts, pause, reads in (("abc", 0.0, 1), ("ab", 0.5, 1), ("ad", 0.5, 2), ("ab", 0.0, 3)):
        circuits.first.prefetch(accounts)
        assert circuits.store.circuit_reads == reads
        circuits.clock.advance(pause)


def test_unreadable_table_forgets_nothing(circuits: CircuitCase) -> None:
    circuits.fail("read_circuits")
    assert circuits.admit() == ADMITTED
    circuits.store.failing.clear()
    circuits.hold(45009)
    circuits.fail("read_circuits")
    circuits.clock.advance(3600)
    assert circuits.admit().held is not None


def test_unwritable_circuit_is_remembered(circuits: CircuitCase) -> None:
    """By the process that opened it alone."""
    circuits.fail("put_circuits")
    circuits.admit()
    circuit = circuits.hold(45009)
    assert circuits.names == ["quota.reached"]
    assert circuits.admit().held == circuit
    assert circuits.admit(by=circuits.second) == ADMITTED


def test_others_know_within_a_second(circuits: CircuitCase) -> None:
    circuits.admit(by=circuits.second)
    circuit = circuits.hold(48001)
    assert circuits.admit(by=circuits.second) == ADMITTED
    circuits.clock.advance(1)
    assert circuits.admit(by=circuits.second).held == circuit


def test_invented_names_are_forgotten(circuits: CircuitCase) -> None:
    for number in range(3):
        circuits.first.prefetch(f"made-up-{number}-{each}" for each in range(10_001))
        assert len(circuits.first._known) == 10_001


@pytest.mark.parametrize(
    ("holds", "scope", "held"),
    [
        (HoldScope.ACCOUNT, "account", [MESSAGE, OTHER_TEMPLATE, OTHER_KIND]),
        (HoldScope.KIND, "kind:subscription", [MESSAGE, OTHER_TEMPLATE]),
        (HoldScope.TEMPLATE, "template:J5tWfHcX2mNq8sVb", [MESSAGE, OTHER_KIND]),
    ],
)
def test_scope_of_a_hold(circuits: CircuitCase, holds: HoldScope, scope: str, held: list[Message]) -> None:
    assert circuits.hold(answer(48001, holds=holds)).scope == scope
    others = [MESSAGE, OTHER_TEMPLATE, OTHER_KIND]
    assert [other for other in others if circuits.admit(other).held] == held
    assert circuits.admit(account="bank") == ADMITTED


@pytest.mark.parametrize(
    ("outcome", "seconds", "event"),
    [
        (answer(40013), 300, "circuit.opened"),
        (answer(48001), 300, "circuit.opened"),
        (answer(40001), 60, "circuit.opened"),
        (answer(45011, holds=HoldScope.ACCOUNT), 60, "circuit.opened"),
        (answer(45009), RESET + SKEW - START, "quota.reached"),
        (answer(45009, until_reset=False), 300, "quota.reached"),
        (answer(45011), 60, None),
        (answer(45011, retry_after=None), 60, None),
        (answer(45011, retry_after=30.0), 30, None),
        (answer(40013, retry_after=30.0), 300, "circuit.opened"),
        (answer(40013, retry_after=86400.0), 86400, "circuit.opened"),
    ],
    ids=lambda value: str(value.errcode) if isinstance(value, Outcome) else None,
)
def test_first_hold(circuits: CircuitCase, outcome: Outcome, seconds: float, event: str | None) -> None:
    circuit = circuits.hold(outcome)
    assert (circuit.opened_at, circuit.held_until) == (START, START + seconds)
    assert (circuit.errcode, circuit.probes, circuit.hint) == (outcome.errcode, 0, outcome.hint)
    assert circuits.names == ([event] if event else [])
    circuits.advance_to(circuit.held_until - 0.001)
    assert circuits.admit().held == circuit


def test_longest_hold_counts(circuits: CircuitCase) -> None:
    circuits.hold(48001)
    quota = circuits.hold(45009, message=OTHER_KIND)
    circuits.clock.advance(10)
    account = circuits.hold(40013)
    assert circuits.admit(OTHER_KIND).held == quota
    assert circuits.admit().held == account
    assert set(circuits.stored) == {"kind:subscription", "kind:template", "account"}


# ---- answers that were under way, and conflicts


@pytest.mark.parametrize("errcode", [48001, 45009, 45011])
def test_late_answers_change_nothing(circuits: CircuitCase, errcode: int) -> None:
    """Of messages that were under way when the circuit opened."""
    circuit = circuits.hold(errcode)
    circuits.clock.advance(5)
    assert circuits.record(errcode) == (circuit, [])
    assert circuits.record(0) == (None, [])
    assert circuits.record(40003) == (None, [])
    assert circuits.record(errcode, by=circuits.second) == (circuit, [])
    assert circuits.stored == {circuit.scope: circuit}


def test_two_processes_announce_once(circuits: CircuitCase) -> None:
    circuits.admit()
    circuits.admit(by=circuits.second)
    circuits.hold(45009)
    assert circuits.names == ["quota.reached"]
    assert circuits.record(45009, by=circuits.second) == (circuits.stored["kind:subscription"], [])


def test_others_circuits_are_kept(circuits: CircuitCase) -> None:
    circuits.admit()
    circuits.admit(by=circuits.second)
    circuits.hold(48001)
    circuits.hold(40013, by=circuits.second)
    circuits.hold(45009, message=OTHER_KIND)
    assert set(circuits.stored) == {"kind:subscription", "account", "kind:template"}


def test_contended_record_ends(circuits: CircuitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    circuits.hold(40013)
    circuits.always_second(monkeypatch)
    assert circuits.hold(48001).errcode == 48001


def test_longer_hold_replaces_minute(circuits: CircuitCase) -> None:
    """And not the other way round."""
    circuits.hold(45011)
    circuits.clock.advance(5)
    circuit = circuits.hold(48001)
    assert (circuit.errcode, circuit.opened_at, circuit.held_until) == (48001, START + 5, START + 305)
    assert circuits.names == ["circuit.opened"]
    assert circuits.record(45011) == (circuit, [])


def test_minute_is_over_without_probe(circuits: CircuitCase) -> None:
    for _ in range(2):  # and never doubled
        assert circuits.hold(45011).held_until == circuits.clock.now() + 60
        assert circuits.events == []
        circuits.clock.advance(60)
        assert [circuits.admit(), circuits.admit(by=circuits.second)] == [ADMITTED] * 2
    assert circuits.store.circuit_puts == 2


# ---- quotas and their reset


def test_quota_holds_until_the_reset(circuits: CircuitCase) -> None:
    circuit = circuits.hold(answer(45009, "reach max api daily quota limit rid: 1"))
    (event,) = circuits.events
    assert (event.detail_type, event.detail) == (
        "quota.reached",
        {
            "account": "shop",
            "scope": "kind:subscription",
            "class": "quota",
            "errcode": 45009,
            "opened_at": "2026-03-01T07:04:05.000Z",
            "held_until": "2026-03-01T16:02:00.000Z",
            "errmsg": "reach max api daily quota limit rid: 1",
            "rid": "66695e1c-5d4a8e9f-0b2c3d4e",
            "hint": {"en": "What to do about 45009.", "zh": "如何处理 45009。"},
        },
    )
    circuits.record(0, circuits.probe_at_end(circuit))
    assert circuits.names == ["circuit.closed"]
    circuits.clock.advance(3600)  # the quota of the new day
    again = circuits.hold(45009, circuits.admit())
    assert (again.held_until, circuits.names) == (RESET + 86400 + SKEW, ["quota.reached"])


@pytest.mark.parametrize(
    ("errcodes", "held"),
    [
        ((45009, 45009, 45009, 45009, 45009), [600, 1200, 2400, 3600, 3600]),
        ((45009, 45011, 45009), [600, 60, 1200]),
        ((45011, 45009), [60, 600]),
    ],
)
def test_late_reset_is_probed_for(circuits: CircuitCase, errcodes: tuple[int, ...], held: list[int]) -> None:
    """It costs no second day, and a limit per minute in between does not make the quota a new one."""
    circuit = circuits.hold(45009)
    seconds = []
    for errcode in errcodes:
        circuit = circuits.hold(errcode, circuits.probe_at_end(circuit))
        assert circuits.events == []
        seconds.append(circuit.held_until - circuits.clock.now())
    assert seconds == held


def test_quota_right_after_the_reset(circuits: CircuitCase) -> None:
    """A refusal that WeChat makes before it looks at the quota closes the circuit too early."""
    circuits.record(43101, circuits.probe_at_end(circuits.hold(45009)))
    assert circuits.stored == {}
    assert circuits.hold(45009).held_until - circuits.clock.now() == 300


@pytest.mark.parametrize(
    ("at", "held_until"),
    [
        (RESET + SKEW + 3599, RESET + SKEW + 3599 + 300),
        (RESET + SKEW + 3601, RESET + 86400 + SKEW),
    ],
)
def test_quota_in_the_morning(circuits: CircuitCase, at: float, held_until: float) -> None:
    circuits.advance_to(at)
    assert circuits.hold(45009).held_until == held_until


def test_second_quota_ends_at_reset(circuits: CircuitCase) -> None:
    circuits.hold(45009)
    circuits.advance_to(RESET + 86400 + SKEW - 100)
    assert circuits.hold(45009, circuits.admit()).held_until == RESET + 86400 + SKEW


def test_quota_replaces_another_hold(circuits: CircuitCase) -> None:
    """It is a quota of this day, and no late reset."""
    circuit = circuits.hold(48001)
    assert circuits.hold(45009, circuits.probe_at_end(circuit)).held_until == RESET + SKEW


# ---- any sequence

outcomes = st.sampled_from(
    [*map(answer, (0, 0, 0, -1, 40001, 40013, 43101, 43107, 45009, 45009, 45011, 48001)), lost()]
)
what = st.sampled_from([MESSAGE, OTHER_KIND, OTHER_TEMPLATE])
seconds = st.sampled_from([0.0, 1.0, 60.0, 600.0, 86400.0])


@given(st.lists(st.tuples(st.sampled_from(["first", "second"]), what, outcomes, seconds), max_size=20))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_hold_lasts_for_ever(steps: list[tuple[str, Message, Outcome, float]]) -> None:
    case = CircuitCase()
    for process, message, outcome, pause in steps:
        by: Circuits = getattr(case, process)
        admission = case.admit(message, by=by)
        if admission.held:
            assert case.clock.now() < admission.held.held_until <= case.clock.now() + 86400 + 2 * SKEW
        else:
            circuit, _ = case.record(outcome, admission, message=message, by=by)
            if outcome.holds:
                assert circuit is not None
                assert circuit == case.stored[circuit.scope]
                assert circuit.held_until > case.clock.now()
        case.clock.advance(pause)
    case.clock.advance(86400 * 2)
    for message in (MESSAGE, OTHER_KIND, OTHER_TEMPLATE):
        admission = case.admit(message)
        assert admission.held is None
        case.record(0, admission, message=message)
    case.clock.advance(1)
    assert {circuit.error_class for circuit in case.stored.values()} <= {ErrorClass.RATE_LIMIT}
    assert case.admit(by=case.second) == ADMITTED


# ---- the reset of a quota, and what needs a probe


@pytest.mark.parametrize(
    ("zone", "after_midnight", "now", "reset"),
    [
        (8, 0, "2026-03-02T00:01:59+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:02:00+08:00", "2026-03-03T00:00:00+08:00"),
        (8, 6.5, "2026-03-02T06:33:00+08:00", "2026-03-03T06:30:00+08:00"),
        (-5, 0, "2026-12-31T23:59:00+08:00", "2027-01-01T13:00:00+08:00"),
    ],
)
def test_next_reset(zone: float, after_midnight: float, now: str, reset: str) -> None:
    quotas = QuotaReset(timezone(timedelta(hours=zone)), after_midnight * 3600)
    expected = datetime.fromisoformat(reset).timestamp()
    assert quotas.next(datetime.fromisoformat(now).timestamp()) == expected + SKEW


@given(
    st.floats(START, START + 86400 * 800),
    st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    st.integers(0, 86399),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_reset_within_a_day(now: float, zone: timezone, after_midnight: int) -> None:
    reset = QuotaReset(zone, after_midnight).next(now)
    assert now < reset <= now + 86400
    local = datetime.fromtimestamp(reset - SKEW, zone)
    assert (local.hour * 60 + local.minute) * 60 + local.second == after_midnight


@pytest.mark.parametrize(
    ("scope", "error_class", "needs_probe"),
    [
        ("kind:subscription", ErrorClass.RATE_LIMIT, False),
        ("account", ErrorClass.RATE_LIMIT, True),
        ("kind:subscription", ErrorClass.QUOTA, True),
    ],
)
def test_limit_per_minute_just_ends(scope: str, error_class: ErrorClass, *, needs_probe: bool) -> None:
    assert Circuit(scope, error_class, 45011, START, START).needs_probe is needs_probe
