from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import START, Clock, FakeLedgerStore, answer, lost, message, unreachable
from wechat_notify.core.delivery.circuit import AccountCircuits, Admission, Circuit, QuotaReset
from wechat_notify.core.delivery.circuits import Circuits
from wechat_notify.core.messages.kinds import Message
from wechat_notify.core.outcomes import DomainEvent, ErrorClass, Holds, Outcome

BEIJING = timezone(timedelta(hours=8))
RESET = datetime(2026, 3, 2, tzinfo=BEIJING).timestamp()
"""The midnight after the tests begin."""
SKEW = 120.0
MESSAGE = message()
OTHER_KIND = message("template")
OTHER_TEMPLATE = message(template_id="another")
THROUGH = Admission()


@dataclass
class Watch:
    """Two processes that share a table."""

    store: FakeLedgerStore = field(default_factory=FakeLedgerStore)
    clock: Clock = field(default_factory=Clock)
    reset: QuotaReset = field(default_factory=lambda: QuotaReset(BEIJING))
    writers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.first, self.second = self.another(), self.another()

    def another(self, clock: Clock | None = None) -> Circuits:
        now = (clock or self.clock).now
        return Circuits(
            self.store, now=now, writer=lambda: f"writer-{next(self.writers)}", quota_reset=self.reset
        )

    def admit(
        self, message: Message = MESSAGE, *, account: str = "shop", circuits: Circuits | None = None
    ) -> Admission:
        circuits = circuits or self.first
        circuits.prefetch([account])
        admission = circuits.admit(account, message)
        return circuits.probe(account, message) if admission.probe_due else admission

    def record(
        self,
        outcome: Outcome,
        admission: Admission = THROUGH,
        *,
        message: Message = MESSAGE,
        circuits: Circuits | None = None,
    ) -> tuple[Circuit | None, list[DomainEvent]]:
        return (circuits or self.first).record("shop", message, outcome, admission)

    def hold(self, errcode: int, **given: Any) -> Circuit:
        """Let an answer hold what it holds."""
        circuit, _ = self.record(answer(errcode), **given)
        assert circuit is not None
        return circuit

    def stored(self) -> dict[str, Circuit]:
        existing = self.store.circuits.get("shop", AccountCircuits("shop"))
        return {circuit.scope: circuit for circuit in existing.circuits}

    def pass_time_to(self, at: float) -> None:
        self.clock.advance(at - self.clock.now())


@pytest.fixture
def watch() -> Watch:
    return Watch()


def held_for(admission: Admission, watch: Watch) -> float:
    assert admission.held is not None
    return admission.held.held_until - watch.clock.now()


# ---------------------------------------------------------------- what is read, and how often


def test_a_good_message_costs_one_read_a_second_and_no_write(watch: Watch) -> None:
    for _ in range(10):
        assert watch.admit() == THROUGH
        assert watch.record(answer(0)) == (None, [])
        watch.clock.advance(0.0999)
    assert (watch.store.circuit_reads, watch.store.circuit_puts) == (1, 0)
    watch.clock.advance(0.1)
    watch.admit()
    assert watch.store.circuit_reads == 2


def test_the_accounts_of_a_batch_are_read_together(watch: Watch) -> None:
    watch.first.prefetch(["a", "b", "c"])
    watch.first.prefetch(["a", "b"])
    assert watch.store.circuit_reads == 1
    watch.first.prefetch(["a", "d"])
    assert watch.store.circuit_reads == 2


def test_a_table_that_cannot_be_read_stops_nothing_and_forgets_nothing(watch: Watch) -> None:
    watch.store.failing = {"read_circuits": "ThrottlingException"}
    assert watch.admit() == THROUGH
    watch.store.failing.clear()
    watch.hold(45009)
    watch.store.failing = {"read_circuits": "ThrottlingException"}
    watch.clock.advance(3600)
    assert watch.admit().held is not None


def test_a_process_remembers_by_itself_what_cannot_be_stored(watch: Watch) -> None:
    watch.store.failing = {"put_circuits": "ThrottlingException"}
    watch.admit()
    circuit, events = watch.record(answer(45009))
    assert circuit is not None
    assert [domain_event.detail_type for domain_event in events] == ["quota.reached"]
    assert watch.admit().held == circuit
    assert watch.admit(circuits=watch.second) == THROUGH


def test_another_process_knows_within_a_second(watch: Watch) -> None:
    watch.admit(circuits=watch.second)
    circuit = watch.hold(48001)
    assert watch.admit(circuits=watch.second) == THROUGH
    watch.clock.advance(1)
    assert watch.admit(circuits=watch.second).held == circuit


def test_any_number_of_made_up_names_is_not_remembered_for_ever(watch: Watch) -> None:
    for number in range(10_010):
        watch.first.prefetch([f"made-up-{number}"])
    assert len(watch.first._known) <= 10_001


# ---------------------------------------------------------------- what an answer holds

SCOPES = {
    Holds.ACCOUNT: ("account", {"same": False, "kind": False, "template": False}),
    Holds.KIND: ("kind:subscription", {"same": False, "kind": True, "template": False}),
    Holds.TEMPLATE: ("template:J5tWfHcX2mNq8sVb", {"same": False, "kind": False, "template": True}),
}


@pytest.mark.parametrize(("holds", "scope", "goes_on"), [(key, *value) for key, value in SCOPES.items()])
def test_an_answer_holds_as_much_as_it_speaks_about(
    watch: Watch, holds: Holds, scope: str, goes_on: dict[str, bool]
) -> None:
    circuit, _ = watch.record(answer(48001, holds=holds))
    assert circuit is not None
    assert circuit.scope == scope
    others = {"same": MESSAGE, "kind": OTHER_KIND, "template": OTHER_TEMPLATE}
    assert {name: watch.admit(other) == THROUGH for name, other in others.items()} == goes_on
    assert watch.admit(account="bank") == THROUGH


@pytest.mark.parametrize(
    ("errcode", "seconds"),
    [(40013, 300), (48001, 300), (43107, 300), (45103, 300), (40001, 60), (45011, 60)],
)
def test_a_hold_begins_with_the_time_of_its_class(watch: Watch, errcode: int, seconds: float) -> None:
    circuit = watch.hold(errcode)
    assert (circuit.opened_at, circuit.held_until) == (START, START + seconds)
    assert (circuit.errcode, circuit.probes) == (errcode, 0)
    watch.clock.advance(seconds - 0.001)
    assert watch.admit().held == circuit


@pytest.mark.parametrize("retry_after", [30.0, 3600.0, 86400.0])
def test_a_hold_is_not_shorter_than_the_error_asks(watch: Watch, retry_after: float) -> None:
    circuit, _ = watch.record(answer(40013, retry_after=retry_after))
    assert circuit is not None
    assert circuit.held_until == START + max(300, retry_after)


@pytest.mark.parametrize("errcode", [0, -1, 40003, 40037, 40241, 43101, 43108, 43117, 47003, 99999])
def test_what_speaks_about_one_message_holds_no_other(watch: Watch, errcode: int) -> None:
    assert watch.record(answer(errcode)) == (None, [])
    assert watch.admit() == THROUGH
    assert watch.store.circuit_puts == 0


def test_of_several_circuits_a_message_waits_for_the_longest(watch: Watch) -> None:
    watch.hold(48001)
    quota = watch.hold(45009, message=OTHER_KIND)
    account = watch.hold(40013)
    assert watch.admit(OTHER_KIND).held == quota
    held = watch.admit().held
    assert held is not None
    assert held.held_until == account.held_until
    assert set(watch.stored()) == {"kind:subscription", "kind:template", "account"}


# ---------------------------------------------------------------- probes


def test_when_a_hold_is_over_one_message_finds_out_for_the_others(watch: Watch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    probe = watch.admit()
    assert probe.held is None
    assert [c.scope for c in probe.probed] == [circuit.scope]
    assert held_for(watch.admit(), watch) == 60
    assert held_for(watch.admit(circuits=watch.second), watch) == 60
    circuit_, events = watch.record(answer(0), probe)
    assert circuit_ is None
    assert [(n.detail_type, n.detail["scope"]) for n in events] == [("circuit.closed", circuit.scope)]
    assert (watch.admit(), watch.stored()) == (THROUGH, {})


def test_a_probe_that_never_comes_back_is_followed_by_another(watch: Watch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    watch.admit()
    watch.clock.advance(59.9)
    assert watch.admit().held is not None
    watch.clock.advance(0.1)
    assert watch.admit().probed


def test_a_hold_is_doubled_with_each_probe_up_to_an_hour_and_announced_once(watch: Watch) -> None:
    circuit, events = watch.record(answer(40013))
    announced = [domain_event.detail_type for domain_event in events]
    seconds = []
    for _ in range(7):
        assert circuit is not None
        watch.pass_time_to(circuit.held_until)
        probe = watch.admit()
        assert probe.probed
        circuit, events = watch.record(answer(40013), probe)
        assert circuit is not None
        seconds.append(circuit.held_until - watch.clock.now())
        announced += [domain_event.detail_type for domain_event in events]
    assert circuit is not None
    assert seconds == [600, 1200, 2400, 3600, 3600, 3600, 3600]
    assert (circuit.opened_at, circuit.probes, announced) == (START, 7, ["circuit.opened"])


def test_a_circuit_that_was_probed_a_thousand_times_is_held_for_an_hour(watch: Watch) -> None:
    many = replace(watch.hold(40013), probes=100_000, held_until=START)
    watch.store.circuits["shop"] = AccountCircuits("shop", 1, "w", (many,))
    watch.clock.advance(1)
    circuit, _ = watch.record(answer(40013), watch.admit())
    assert circuit is not None
    assert circuit.held_until == watch.clock.now() + 3600


UNDECIDED = [lost(), unreachable(), answer(-1), answer(43108), answer(43117)]


@pytest.mark.parametrize("outcome", UNDECIDED, ids=lambda outcome: str(outcome.errcode))
def test_a_probe_that_finds_nothing_out_leaves_the_circuit_to_the_next(
    watch: Watch, outcome: Outcome
) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    assert watch.record(outcome, watch.admit()) == (None, [])
    assert held_for(watch.admit(), watch) == 60


@pytest.mark.parametrize("errcode", [0, 40003, 40037, 40241, 43101, 47003, 99999])
def test_whatever_wechat_says_of_the_message_itself_closes_the_circuit(watch: Watch, errcode: int) -> None:
    circuit = watch.hold(40013)
    watch.pass_time_to(circuit.held_until)
    _, events = watch.record(answer(errcode), watch.admit())
    assert [domain_event.detail_type for domain_event in events] == ["circuit.closed"]
    assert watch.admit() == THROUGH


def test_what_was_not_judged_closes_nothing(watch: Watch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    _, events = watch.record(answer(47003)._replace(unjudged=True), watch.admit())
    assert (events, set(watch.stored())) == ([], {circuit.scope})


def test_a_probe_that_meets_another_wall_closes_the_one_and_opens_the_other(watch: Watch) -> None:
    account = watch.hold(40013)
    watch.pass_time_to(account.held_until)
    quota, events = watch.record(answer(45009), watch.admit())
    assert quota is not None
    assert [(n.detail_type, n.detail["scope"]) for n in events] == [
        ("circuit.closed", "account"),
        ("quota.reached", "kind:subscription"),
    ]
    assert watch.stored() == {"kind:subscription": quota}


def test_one_message_probes_all_that_hold_it(watch: Watch) -> None:
    watch.hold(40013)
    watch.hold(48001)
    watch.hold(43107)
    watch.clock.advance(300)
    probe = watch.admit()
    assert {circuit.scope for circuit in probe.probed} == {
        "account",
        "kind:subscription",
        "template:J5tWfHcX2mNq8sVb",
    }
    _, events = watch.record(answer(0), probe)
    assert [domain_event.detail_type for domain_event in events] == ["circuit.closed"] * 3
    assert watch.stored() == {}


def test_where_one_of_two_circuits_still_holds_nothing_is_probed(watch: Watch) -> None:
    watch.hold(48001)
    watch.clock.advance(100)
    account = watch.hold(40013)
    watch.clock.advance(200)
    assert watch.admit().held == account
    assert watch.admit().probed == ()


def test_of_two_processes_one_probes(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = watch.hold(48001)
    watch.admit(circuits=watch.second)
    watch.pass_time_to(circuit.held_until)
    watch.first.prefetch(["shop"])
    watch.second.prefetch(["shop"])
    put = watch.store.put_circuits
    others: list[Admission] = []

    def another_comes_first(circuits: AccountCircuits) -> AccountCircuits | None:
        monkeypatch.setattr(watch.store, "put_circuits", put)
        others.append(watch.second.probe("shop", MESSAGE))
        return put(circuits)

    monkeypatch.setattr(watch.store, "put_circuits", another_comes_first)
    mine = watch.first.probe("shop", MESSAGE)
    assert others[0].probed
    assert (mine.probed, held_for(mine, watch)) == ((), 60)


def test_a_table_that_takes_no_probe_lets_none_through(watch: Watch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    watch.store.failing = {"put_circuits": "ThrottlingException"}
    assert held_for(watch.admit(), watch) == 60


def test_a_probe_whose_write_is_always_second_waits(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    monkeypatch.setattr(watch.store, "put_circuits", always_second(watch))
    assert held_for(watch.admit(), watch) == 60


def always_second(watch: Watch) -> Callable[[AccountCircuits], AccountCircuits]:
    def put(circuits: AccountCircuits) -> AccountCircuits:
        watch.store.circuit_puts += 1
        assert watch.store.circuit_puts < 50
        existing = watch.store.circuits[circuits.account]
        return replace(existing, version=circuits.version, writer="another")

    return put


def test_a_write_whose_answer_was_lost_is_known_again(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    put = watch.store.put_circuits

    def twice(circuits: AccountCircuits) -> AccountCircuits | None:
        put(circuits)
        return put(circuits)

    monkeypatch.setattr(watch.store, "put_circuits", twice)
    circuit, events = watch.record(answer(48001))
    assert circuit is not None
    assert len(events) == 1
    watch.pass_time_to(circuit.held_until)
    assert watch.admit().probed
    assert watch.store.circuits["shop"].version == 2


def test_a_probe_is_given_back_as_it_was(watch: Watch) -> None:
    watch.hold(48001)
    watch.hold(40013)
    watch.clock.advance(301)
    before = watch.stored()
    admission = watch.admit()
    assert held_for(watch.admit(circuits=watch.second), watch) == 60
    watch.first.release_probe("shop", admission)
    assert watch.stored() == before
    watch.clock.advance(1)
    assert watch.admit(circuits=watch.second).probed


def test_what_was_settled_meanwhile_is_not_given_back(watch: Watch) -> None:
    watch.hold(48001)
    watch.clock.advance(301)
    admission = watch.admit()
    again, _ = watch.record(answer(48001), admission)
    watch.first.release_probe("shop", admission)
    assert again is not None
    assert watch.stored()[again.scope] == again


def test_giving_back_costs_nothing_where_nothing_was_taken(watch: Watch) -> None:
    watch.first.release_probe("shop", THROUGH)
    assert watch.store.circuit_puts == 0


def test_a_table_that_does_not_take_a_probe_back_changes_nothing(watch: Watch) -> None:
    watch.hold(48001)
    watch.clock.advance(301)
    admission = watch.admit()
    watch.store.failing = {"put_circuits": "ThrottlingException"}
    watch.first.release_probe("shop", admission)
    assert held_for(watch.admit(), watch) == 60


# ---------------------------------------------------------------- quotas that WeChat renews late


def quota_days(watch: Watch, *errcodes: int) -> list[float]:
    """Seconds for which each of these answers to a probe holds, beginning with 45009 in the afternoon."""
    held = []
    circuit = watch.hold(45009)
    for errcode in errcodes:
        watch.pass_time_to(circuit.held_until)
        found, _ = watch.record(answer(errcode), watch.admit())
        assert found is not None
        circuit = found
        held.append(circuit.held_until - watch.clock.now())
    return held


@pytest.mark.parametrize(
    ("errcodes", "held"),
    [
        ((45009,), [600]),
        ((45009, 45009, 45009), [600, 1200, 2400]),
        ((45009, 45011, 45009), [600, 60, 1200]),
        ((45011, 45009), [60, 600]),
    ],
)
def test_a_late_reset_costs_no_day(watch: Watch, errcodes: tuple[int, ...], held: list[float]) -> None:
    """A limit per minute in between does not make the used-up quota a new one."""
    assert quota_days(watch, *errcodes) == held


def test_a_quota_that_looked_renewed_costs_no_day(watch: Watch) -> None:
    """A refusal that WeChat makes before it looks at the quota closes the circuit too early."""
    circuit = watch.hold(45009)
    watch.pass_time_to(circuit.held_until)
    watch.record(answer(43101), watch.admit())
    assert watch.stored() == {}
    again = watch.hold(45009)
    assert again.held_until - watch.clock.now() == 300


def test_a_quota_used_up_in_the_morning_holds_until_the_reset(watch: Watch) -> None:
    watch.pass_time_to(RESET + SKEW + 3601)
    assert watch.hold(45009).held_until == RESET + 86400 + SKEW


@pytest.mark.parametrize("outcome", [answer(45009, until_reset=False)])
def test_another_quota_waits_five_minutes_at_first(watch: Watch, outcome: Outcome) -> None:
    circuit, _ = watch.record(outcome)
    assert circuit is not None
    assert circuit.held_until - watch.clock.now() == 300


def test_a_refused_app_is_probed_and_announced(watch: Watch) -> None:
    refused = answer(45011, holds=Holds.ACCOUNT)
    circuit, events = watch.record(refused)
    assert circuit is not None
    assert [domain_event.detail_type for domain_event in events] == ["circuit.opened"]
    watch.pass_time_to(circuit.held_until)
    probe = watch.admit()
    assert [each.scope for each in probe.probed] == ["account"]
    again, _ = watch.record(refused, probe)
    assert again is not None
    assert again.held_until - watch.clock.now() == 120


# ---------------------------------------------------------------- stragglers and conflicts


@pytest.mark.parametrize("errcode", [40013, 48001, 43107, 45103, 45009, 45011, 40001])
def test_who_was_under_way_when_a_circuit_opened_neither_prolongs_nor_closes_it(
    watch: Watch, errcode: int
) -> None:
    circuit = watch.hold(errcode)
    watch.clock.advance(5)
    assert watch.record(answer(errcode)) == (circuit, [])
    assert watch.record(answer(0)) == (None, [])
    assert watch.record(answer(40003)) == (None, [])
    assert watch.record(answer(errcode), circuits=watch.second) == (circuit, [])
    assert watch.stored() == {circuit.scope: circuit}


def test_two_processes_that_meet_the_same_wall_at_once_announce_it_once(watch: Watch) -> None:
    watch.admit()
    watch.admit(circuits=watch.second)
    _, first = watch.record(answer(45009))
    circuit, second = watch.record(answer(45009), circuits=watch.second)
    assert [domain_event.detail_type for domain_event in first + second] == ["quota.reached"]
    assert circuit == watch.stored()["kind:subscription"]


def test_circuits_that_others_open_meanwhile_are_kept(watch: Watch) -> None:
    watch.admit()
    watch.admit(circuits=watch.second)
    watch.hold(48001)
    watch.hold(40013, circuits=watch.second)
    watch.hold(45009, message=OTHER_KIND)
    assert set(watch.stored()) == {"kind:subscription", "account", "kind:template"}


def test_a_circuit_that_cannot_be_written_for_all_the_others_is_given_up(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.hold(40013)
    monkeypatch.setattr(watch.store, "put_circuits", always_second(watch))
    circuit, _ = watch.record(answer(48001))
    assert circuit is not None


@pytest.mark.parametrize("errcode", [45009, 48001, 45103])
def test_a_limit_per_minute_gives_way_to_what_holds_for_longer(watch: Watch, errcode: int) -> None:
    minute = watch.hold(45011)
    watch.clock.advance(5)
    circuit, events = watch.record(answer(errcode))
    assert circuit is not None
    assert (circuit.error_class, circuit.opened_at) == (answer(errcode).error_class, START + 5)
    assert circuit.held_until > minute.held_until
    assert len(events) == 1


@pytest.mark.parametrize("errcode", [45009, 48001])
def test_a_limit_per_minute_shortens_no_longer_hold(watch: Watch, errcode: int) -> None:
    circuit = watch.hold(errcode)
    watch.clock.advance(5)
    assert watch.record(answer(45011)) == (circuit, [])


def test_an_error_of_another_class_is_a_circuit_of_its_own_time(watch: Watch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    circuit, events = watch.record(answer(45103), watch.admit())  # type: ignore[assignment]
    now = watch.clock.now()
    assert (circuit.opened_at, circuit.held_until, circuit.probes) == (now, now + 300, 0)
    assert [domain_event.detail_type for domain_event in events] == ["circuit.opened"]


# ---------------------------------------------------------------- limits per minute


def test_a_limit_per_minute_is_over_with_the_minute_for_everybody(watch: Watch) -> None:
    circuit, events = watch.record(answer(45011))
    assert circuit is not None
    assert (circuit.held_until, events) == (START + 60, [])
    watch.clock.advance(60)
    assert [watch.admit(), watch.admit(), watch.admit(circuits=watch.second)] == [THROUGH] * 3
    assert watch.store.circuit_puts == 1


def test_a_limit_per_minute_is_never_doubled(watch: Watch) -> None:
    for _ in range(5):
        circuit = watch.hold(45011)
        assert circuit.held_until == watch.clock.now() + 60
        watch.clock.advance(60)


def test_a_limit_without_a_time_of_its_own_holds_for_a_minute(watch: Watch) -> None:
    circuit, _ = watch.record(answer(45011, retry_after=None))
    assert circuit is not None
    assert circuit.held_until == START + 60


# ---------------------------------------------------------------- the daily quota


def test_a_quota_holds_until_the_reset_by_the_slowest_clock(watch: Watch) -> None:
    circuit, events = watch.record(answer(45009, "reach max api daily quota limit rid: 1"))
    assert circuit is not None
    assert circuit.held_until == RESET + SKEW
    (domain_event,) = events
    assert domain_event.detail_type == "quota.reached"
    assert domain_event.detail == {
        "account": "shop",
        "scope": "kind:subscription",
        "class": "quota",
        "errcode": 45009,
        "opened_at": "2026-03-01T07:04:05.000Z",
        "held_until": "2026-03-01T16:02:00.000Z",
        "errmsg": "reach max api daily quota limit rid: 1",
        "rid": "66695e1c-5d4a8e9f-0b2c3d4e",
        "hint": {"en": "What to do about 45009.", "zh": "如何处理 45009。"},
    }
    watch.pass_time_to(RESET + SKEW - 0.001)
    assert watch.admit().held == circuit
    assert watch.admit(OTHER_KIND) == THROUGH
    assert watch.admit(account="bank") == THROUGH
    watch.clock.advance(0.001)
    assert watch.record(answer(0), watch.admit())[1][0].detail_type == "circuit.closed"


def test_a_quota_that_is_not_new_after_the_reset_is_probed_for_and_not_held_for_another_day(
    watch: Watch,
) -> None:
    circuit = watch.hold(45009)
    seconds, announced = [], []
    for _ in range(5):
        watch.pass_time_to(circuit.held_until)
        circuit, events = watch.record(answer(45009), watch.admit())  # type: ignore[assignment]
        seconds.append(circuit.held_until - watch.clock.now())
        announced += events
    assert (seconds, announced) == ([600, 1200, 2400, 3600, 3600], [])


def test_a_second_quota_holds_at_most_until_the_next_reset(watch: Watch) -> None:
    circuit = watch.hold(45009)
    watch.pass_time_to(RESET + 86400 + SKEW - 100)
    circuit, _ = watch.record(answer(45009), watch.admit())  # type: ignore[assignment]
    assert circuit.held_until == RESET + 86400 + SKEW


def test_a_quota_of_a_new_day_is_announced_again(watch: Watch) -> None:
    circuit = watch.hold(45009)
    watch.pass_time_to(circuit.held_until)
    watch.record(answer(0), watch.admit())
    watch.clock.advance(3600)
    again, events = watch.record(answer(45009), watch.admit())
    assert again is not None
    assert again.held_until == RESET + 86400 + SKEW
    assert [domain_event.detail_type for domain_event in events] == ["quota.reached"]


@pytest.mark.parametrize(
    ("zone", "after_midnight", "now", "reset"),
    [
        (8, 0, "2026-03-01T15:04:05+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-01T23:59:59+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:00:00+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:01:59+08:00", "2026-03-02T00:00:00+08:00"),
        (8, 0, "2026-03-02T00:02:00+08:00", "2026-03-03T00:00:00+08:00"),
        (8, 6.5, "2026-03-02T03:00:00+08:00", "2026-03-02T06:30:00+08:00"),
        (8, 6.5, "2026-03-02T06:33:00+08:00", "2026-03-03T06:30:00+08:00"),
        (8, 23.5, "2026-03-02T23:00:00+08:00", "2026-03-02T23:30:00+08:00"),
        (8, 23.5, "2026-03-02T00:30:00+08:00", "2026-03-02T23:30:00+08:00"),
        (0, 0, "2026-03-02T00:30:00+08:00", "2026-03-02T08:00:00+08:00"),
        (-5, 0, "2026-12-31T23:59:00+08:00", "2027-01-01T13:00:00+08:00"),
        (8, 0, "2028-02-28T12:00:00+08:00", "2028-02-29T00:00:00+08:00"),
    ],
)
def test_the_next_reset(zone: float, after_midnight: float, now: str, reset: str) -> None:
    quotas = QuotaReset(timezone(timedelta(hours=zone)), after_midnight * 3600)
    expected = datetime.fromisoformat(reset).timestamp()
    assert quotas.next(datetime.fromisoformat(now).timestamp()) == expected + SKEW


@given(
    st.floats(START, START + 86400 * 800),
    st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    st.integers(0, 86399),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_reset_is_at_its_time_of_day_within_the_next_day(
    now: float, zone: timezone, after_midnight: int
) -> None:
    reset = QuotaReset(zone, after_midnight).next(now)
    assert now < reset <= now + 86400
    local = datetime.fromtimestamp(reset - SKEW, zone)
    assert (local.hour * 60 + local.minute) * 60 + local.second == after_midnight


@pytest.mark.parametrize("skew", [-60.0, 60.0])
@pytest.mark.parametrize("seconds", [-90.0, -30.0, 0.0, 30.0])
def test_around_midnight_no_clock_within_a_minute_takes_one_day_for_the_next(
    watch: Watch, skew: float, seconds: float
) -> None:
    # WeChat answered before its reset, or moments after it; whoever hears it may be a minute off.
    clock = Clock(RESET + seconds + skew)
    circuit, _ = watch.record(answer(45009), circuits=watch.another(clock))
    assert circuit is not None
    assert circuit.held_until == RESET + SKEW


# ---------------------------------------------------------------- what is announced


@pytest.mark.parametrize(
    ("errcode", "name"),
    [
        (40013, "circuit.opened"),
        (48001, "circuit.opened"),
        (43107, "circuit.opened"),
        (45103, "circuit.opened"),
        (40001, "circuit.opened"),
        (45009, "quota.reached"),
        (45011, None),
    ],
)
def test_what_is_announced_of_a_circuit_that_opens(watch: Watch, errcode: int, name: str | None) -> None:
    _, events = watch.record(answer(errcode))
    assert [domain_event.detail_type for domain_event in events] == ([name] if name else [])


def test_a_circuit_that_closes_is_announced_with_when_it_opened(watch: Watch) -> None:
    circuit = watch.hold(48001)
    watch.pass_time_to(circuit.held_until)
    _, (domain_event,) = watch.record(answer(0), watch.admit())
    assert domain_event == DomainEvent(
        "circuit.closed",
        {
            "account": "shop",
            "scope": "kind:subscription",
            "class": "permission",
            "errcode": 48001,
            "opened_at": "2026-03-01T07:04:05.000Z",
        },
    )


# ---------------------------------------------------------------- whatever happens

outcomes = st.sampled_from(
    [*map(answer, (0, 0, 0, -1, 40001, 40013, 43101, 43107, 45009, 45009, 45011, 48001)), lost()]
)
who = st.sampled_from(["first", "second"])
what = st.sampled_from([MESSAGE, OTHER_KIND, OTHER_TEMPLATE])


@given(
    st.lists(st.tuples(who, what, outcomes, st.sampled_from([0.0, 1.0, 60.0, 600.0, 86400.0])), max_size=20)
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_nothing_is_held_for_ever_and_no_circuit_is_lost(
    steps: list[tuple[str, Message, Outcome, float]],
) -> None:
    watch = Watch()
    for process, given_message, outcome, seconds in steps:
        circuits: Circuits = getattr(watch, process)
        admission = watch.admit(given_message, circuits=circuits)
        if admission.held:
            assert watch.clock.now() < admission.held.held_until <= watch.clock.now() + 86400 + 2 * SKEW
        else:
            circuit, _ = watch.record(outcome, admission, message=given_message, circuits=circuits)
            if outcome.holds:
                assert circuit is not None
                assert circuit == watch.stored()[circuit.scope]
                assert circuit.held_until > watch.clock.now()
        watch.clock.advance(seconds)
    watch.clock.advance(86400 * 2)
    for given_message in (MESSAGE, OTHER_KIND, OTHER_TEMPLATE):
        admission = watch.admit(given_message)
        assert admission.held is None
        watch.record(answer(0), admission, message=given_message)
    watch.clock.advance(1)
    assert {circuit.error_class for circuit in watch.stored().values()} <= {ErrorClass.RATE_LIMIT}
    assert watch.admit(circuits=watch.second) == THROUGH
