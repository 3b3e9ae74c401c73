"""The message that finds out whether a hold is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import START, answer, lost
from tests.unit.core.delivery.circuit_case import ADMITTED, MESSAGE, CircuitCase
from wechat_notify.core.delivery.circuit import AccountCircuits, Admission
from wechat_notify.core.outcomes import HoldScope, Outcome


def test_one_message_probes_for_all(circuits: CircuitCase) -> None:
    circuit = circuits.hold(48001)
    probe = circuits.probe_at_end(circuit)
    assert (probe.held, probe.probed) == (None, (circuit,))
    assert circuits.seconds_held() == circuits.seconds_held(by=circuits.second) == 60
    closed, (event,) = circuits.record(0, probe)
    assert (closed, event.detail_type) == (None, "circuit.closed")
    assert event.detail == {
        "account": "shop",
        "scope": "kind:subscription",
        "class": "permission",
        "errcode": 48001,
        "opened_at": "2026-03-01T07:04:05.000Z",
    }
    assert (circuits.admit(), circuits.stored) == (ADMITTED, {})


@pytest.mark.parametrize(
    ("outcome", "held"),
    [
        (answer(40013), [600, 1200, 2400, 3600, 3600]),
        (answer(45011, holds=HoldScope.ACCOUNT), [120, 240, 480, 960, 1920]),
    ],
    ids=["config", "refused_app"],
)
def test_hold_doubles_to_an_hour(circuits: CircuitCase, outcome: Outcome, held: list[int]) -> None:
    circuit = circuits.hold(outcome)
    seconds = []
    for _ in held:
        probe = circuits.probe_at_end(circuit)
        assert [probed.scope for probed in probe.probed] == ["account"]
        circuit = circuits.hold(outcome, probe)
        assert circuits.events == []
        seconds.append(circuit.held_until - circuits.clock.now())
    assert (seconds, circuit.opened_at, circuit.probes) == (held, START, len(held))


def test_hundred_thousand_probes(circuits: CircuitCase) -> None:
    many = replace(circuits.hold(40013), probes=100_000, held_until=START)
    circuits.store.circuits["shop"] = AccountCircuits("shop", 1, "w", (many,))
    circuits.clock.advance(1)
    assert circuits.hold(40013, circuits.admit()).held_until == circuits.clock.now() + 3600


@pytest.mark.parametrize(
    "outcome",
    [
        lost(),
        answer(-1),
        answer(43117),
        answer(40001, holds=None),
        answer(47003, unjudged=True),
    ],
    ids=lambda outcome: str(outcome.errcode or outcome.cause),
)
def test_undecided_probe(circuits: CircuitCase, outcome: Outcome) -> None:
    """It leaves the circuit to the next one."""
    circuit = circuits.hold(48001)
    assert circuits.record(outcome, circuits.probe_at_end(circuit)) == (None, [])
    assert circuits.seconds_held() == 60


def test_answer_closes_the_circuit(circuits: CircuitCase) -> None:
    """Whatever WeChat says of the message itself."""
    circuits.record(43101, circuits.probe_at_end(circuits.hold(40013)))
    assert circuits.names == ["circuit.closed"]
    assert circuits.admit() == ADMITTED


def test_probe_opens_another_circuit(circuits: CircuitCase) -> None:
    quota, events = circuits.record(45009, circuits.probe_at_end(circuits.hold(40013)))
    assert [(event.detail_type, event.detail["scope"]) for event in events] == [
        ("circuit.closed", "account"),
        ("quota.reached", "kind:subscription"),
    ]
    assert circuits.stored == {"kind:subscription": quota}


def test_other_class_begins_anew(circuits: CircuitCase) -> None:
    circuit = circuits.hold(45103, circuits.probe_at_end(circuits.hold(48001)))
    now = circuits.clock.now()
    assert (circuit.opened_at, circuit.held_until, circuit.probes) == (now, now + 300, 0)
    assert circuits.names == ["circuit.opened"]


def test_expired_hold_without_probe(circuits: CircuitCase) -> None:
    """A message that was under way for long finds the hold over, and its answer holds anew."""
    circuit = circuits.hold(48001)
    circuits.advance_to(circuit.held_until)
    assert circuits.hold(48001).held_until == circuits.clock.now() + 600


def test_message_probes_all_its_circuits(circuits: CircuitCase) -> None:
    for errcode in (40013, 48001, 43107):
        circuits.hold(errcode)
    circuits.clock.advance(300)
    probe = circuits.admit()
    scopes = {"account", "kind:subscription", "template:J5tWfHcX2mNq8sVb"}
    assert {circuit.scope for circuit in probe.probed} == scopes
    assert {circuit.held_until for circuit in circuits.stored.values()} == {START + 360}
    circuits.record(0, probe)
    assert (circuits.names, circuits.stored) == (["circuit.closed"] * 3, {})


def test_second_hold_prevents_a_probe(circuits: CircuitCase) -> None:
    circuits.hold(48001)
    circuits.clock.advance(100)
    account = circuits.hold(40013)
    circuits.clock.advance(200)
    assert circuits.admit() == Admission(held=account)


def test_one_of_two_processes_probes(circuits: CircuitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = circuits.hold(48001)
    circuits.advance_to(circuit.held_until)
    circuits.first.prefetch(["shop"])
    circuits.second.prefetch(["shop"])
    put = circuits.store.put_circuits
    others: list[Admission] = []

    def another_comes_first(wanted: AccountCircuits) -> AccountCircuits | None:
        monkeypatch.setattr(circuits.store, "put_circuits", put)
        others.append(circuits.second.probe("shop", MESSAGE))
        return put(wanted)

    monkeypatch.setattr(circuits.store, "put_circuits", another_comes_first)
    mine = circuits.first.probe("shop", MESSAGE)
    assert (bool(others[0].probed), mine.probed) == (True, ())
    assert mine.held is not None
    assert mine.held.held_until == circuits.clock.now() + 60


@pytest.mark.parametrize("trouble", ["failing", "contended"])
def test_unstored_probe_has_to_wait(
    circuits: CircuitCase, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    circuit = circuits.hold(48001)
    circuits.advance_to(circuit.held_until)
    if trouble == "failing":
        circuits.fail("put_circuits")
    else:
        circuits.always_second(monkeypatch)
    assert circuits.seconds_held() == 60


def test_repeated_write_is_recognised(circuits: CircuitCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an answer that was lost."""
    put = circuits.store.put_circuits

    def twice(wanted: AccountCircuits) -> AccountCircuits | None:
        put(wanted)
        return put(wanted)

    monkeypatch.setattr(circuits.store, "put_circuits", twice)
    circuit = circuits.hold(48001)
    assert circuits.names == ["circuit.opened"]
    assert circuits.probe_at_end(circuit).probed
    assert circuits.store.circuits["shop"].version == 2


# ---- a probe that was not sent


def test_released_probe_is_anothers(circuits: CircuitCase) -> None:
    circuits.hold(48001)
    circuits.hold(40013)
    circuits.clock.advance(301)
    before = circuits.stored
    admission = circuits.admit()
    assert circuits.seconds_held(by=circuits.second) == 60
    circuits.first.release_probe("shop", admission)
    assert circuits.stored == before
    circuits.clock.advance(1)
    assert circuits.admit(by=circuits.second).probed


def test_settled_probe_is_not_released(circuits: CircuitCase) -> None:
    admission = circuits.probe_at_end(circuits.hold(48001))
    again = circuits.hold(48001, admission)
    puts = circuits.store.circuit_puts
    for settled in (admission, ADMITTED):
        circuits.first.release_probe("shop", settled)
    assert (circuits.stored[again.scope], circuits.store.circuit_puts) == (again, puts)


def test_failing_release_changes_nothing(circuits: CircuitCase) -> None:
    admission = circuits.probe_at_end(circuits.hold(48001))
    circuits.fail("put_circuits")
    circuits.first.release_probe("shop", admission)
    assert circuits.seconds_held() == 60
