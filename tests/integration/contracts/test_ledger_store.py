"""The ledger's table: the fake, and DynamoDB. The emulator is held to it in tests/e2e."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import fakes
from tests.fakes.templates import MEETING, PRIZE, WASHER
from tests.integration.contracts.samples import LedgerAt, entry
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.delivery.entry import Change, Entry
from wechat_notify.core.outcomes import ErrorClass, HoldScope, Outcome, Status
from wechat_notify.core.templates.template import AccountTemplates
from wechat_notify.core.texts import Bilingual

CIRCUIT = Circuit("account", ErrorClass.QUOTA, 45009, fakes.START, fakes.START + 32_155.75)


FULL: dict[str, Any] = {
    "status": Status.UNKNOWN,
    "kind": "mini_program_subscription",
    "template_id": "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
    "openid_hash": "0123456789abcdef",
    "attempts": 3,
    "expires_at": fakes.START + 3600.125,
    "lease_until": fakes.START + 0.001,
    "lost_at": fakes.START + 2.999,
    "answers_lost": 2,
    "next_attempt_at": fakes.START + 12.25,
    "resumed_at": fakes.START + 0.5,
    "reason": "answer_not_recorded",
    "outcome": Outcome(
        Status.FAILED,
        ErrorClass.QUOTA,
        Bilingual("The day's quota is used up 🌙.", "当日额度已用完\u3000。"),
        retryable=True,
        errcode=-1,
        errmsg="",
        rid="66695e1c-5d4a8e9f-0b2c3d4e",
        msgid=2**63 - 1,
        field="thing1",
        retry_after=0.5,
        unjudged=True,
        repeats=0,
        holds=HoldScope.TEMPLATE,
    ),
    "timeline": (
        Change(Status.SENDING, fakes.START),
        Change(Status.UNKNOWN, fakes.START + 0.25, reason="answer_not_recorded"),
        Change(Status.FAILED, fakes.START + 1.125, errcode=45009, reason=""),
    ),
}


class TestLedgerStore:
    """What ``LedgerStore`` and ``CircuitStore`` promise; tests/e2e holds the emulator's table to it too."""

    def test_other_entry_is_none(self, ledger: LedgerAt) -> None:
        """A separator in a name leads to no other account's entries."""
        ledger.store.put(entry(ledger.account, "b#c"))
        assert ledger.store.read(ledger.account, "2") is None
        assert ledger.store.read(f"{ledger.account}-2", "b#c") is None
        assert ledger.store.read(f"{ledger.account}#b", "c") is None

    def test_successive_versions_are_stored(self, ledger: LedgerAt) -> None:
        for version in (1, 2, 3):
            wanted = entry(ledger.account, version=version, status=Status.QUEUED)
            assert ledger.store.put(wanted, patient=version == 3) is None
            assert ledger.store.read(ledger.account, "1") == wanted

    def test_every_field_is_kept(self, ledger: LedgerAt) -> None:
        full = entry(ledger.account, "a#b/c~!", **FULL)
        assert {name for name, usual in Entry._field_defaults.items() if getattr(full, name) == usual} == {
            "version"
        }
        assert ledger.store.put(full) is None
        assert ledger.store.read(ledger.account, "a#b/c~!") == full

    def test_second_first_put_finds_the_first(self, ledger: LedgerAt) -> None:
        first = entry(ledger.account, **FULL)
        ledger.store.put(first)
        assert ledger.store.put(entry(ledger.account, writer="another")) == first
        assert ledger.store.read(ledger.account, "1") == first

    def test_own_put_again_counts_as_stored(self, ledger: LedgerAt) -> None:
        """A put is repeated where its answer was lost."""
        first = entry(ledger.account, **FULL)
        assert [ledger.store.put(first) for _ in range(2)] == [None, None]
        assert ledger.store.read(ledger.account, "1") == first

    @pytest.mark.parametrize("version", [2, 3, 5])
    def test_only_the_next_version_is_stored(self, ledger: LedgerAt, version: int) -> None:
        existing = [entry(ledger.account, version=number) for number in (1, 2, 3)]
        for each in existing:
            ledger.store.put(each)
        assert ledger.store.put(entry(ledger.account, version=version, writer="late")) == existing[-1]
        assert ledger.store.read(ledger.account, "1") == existing[-1]

    def test_deleted_entry_can_be_put_again(self, ledger: LedgerAt) -> None:
        for version in (1, 7):
            again = entry(ledger.account, version=version)
            assert ledger.store.put(again) is None
            assert ledger.store.read(ledger.account, "1") == again
            ledger.delete("1")
            assert ledger.store.read(ledger.account, "1") is None

    def test_one_of_many_concurrent_puts_wins(self, ledger: LedgerAt) -> None:
        wanted = [entry(ledger.account, writer=f"writer {number}") for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            existing = list(pool.map(ledger.store.put, wanted))
        (winner,) = [mine for mine, found in zip(wanted, existing, strict=True) if found is None]
        assert [found for found in existing if found is not None] == [winner] * 7

    def test_accounts_without_circuits_are_left_out(self, ledger: LedgerAt) -> None:
        assert ledger.store.read_circuits([]) == {}
        assert ledger.store.read_circuits([ledger.account]) == {}
        # Any name can stand in a queue message, and it must not spoil the others' reading.
        open_now = AccountCircuits(ledger.account, 1, "writer", (CIRCUIT,))
        ledger.store.put_circuits(open_now)
        strange = ["", "a#b", "x" * 3000, ledger.account]
        assert ledger.store.read_circuits(strange) == {ledger.account: open_now}

    def test_circuits_are_stored_read_and_closed(self, ledger: LedgerAt) -> None:
        limited = Circuit(
            "template:T-1_深",
            ErrorClass.RATE_LIMIT,
            None,
            fakes.START + 0.001,
            fakes.START + 60.5,
            4,
            Bilingual("Add 203.0.113.7 to the whitelist.", "请将 203.0.113.7 加入白名单。"),
        )
        for version, circuits in enumerate(((CIRCUIT, limited), (limited,), ()), 1):
            wanted = AccountCircuits(ledger.account, version, "writer", circuits)
            assert ledger.store.put_circuits(wanted) is None
            assert ledger.store.read_circuits([ledger.account]) == {ledger.account: wanted}

    def test_circuits_of_another_version_are_refused(self, ledger: LedgerAt) -> None:
        existing = AccountCircuits(ledger.account, 1, "first", (CIRCUIT,))
        assert ledger.store.put_circuits(existing) is None
        for version in (1, 3):
            assert ledger.store.put_circuits(AccountCircuits(ledger.account, version, "late")) == existing
        assert ledger.store.read_circuits([ledger.account]) == {ledger.account: existing}

    def test_circuits_of_many_accounts_are_read(self, ledger: LedgerAt) -> None:
        names = [f"{ledger.account}-{number}" for number in range(130)]
        stored = {name: AccountCircuits(name, 1, "writer", (CIRCUIT,)) for name in names[::2]}
        for circuits in stored.values():
            ledger.store.put_circuits(circuits)
        assert ledger.store.read_circuits(iter(names * 2)) == stored

    def test_templates_are_stored_and_read(self, ledger: LedgerAt) -> None:
        assert ledger.store.read_templates(ledger.account) is None
        empty, full = (
            AccountTemplates(
                ledger.account, version, "writer", fakes.START, fakes.START + 0.5, None, templates
            )
            for version, templates in enumerate(((), (WASHER, MEETING, PRIZE)), 1)
        )
        for wanted in (empty, full):
            assert ledger.store.put_templates(wanted) is None
            assert ledger.store.read_templates(ledger.account) == wanted
        assert ledger.store.put_templates(full._replace(writer="late")) == full
