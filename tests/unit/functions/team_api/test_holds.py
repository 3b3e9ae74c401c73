from __future__ import annotations

import pytest

from tests.fakes import START, Service
from tests.unit.functions.team_api.calls import call
from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual

LIST, END = "GET holds", "DELETE holds/{hold}"
HINT = Bilingual("the daily quota is used up", "当日配额已用完")
QUOTA = Circuit("kind:template", ErrorClass.QUOTA, 45009, START - 60, START + 3600, 0, HINT)
OVER = Circuit("kind:subscription", ErrorClass.RATE_LIMIT, 45011, START - 60, START - 1)
PERMISSION = Circuit("template:T-1", ErrorClass.PERMISSION, 48001, START - 60, START + 300, probes=2)


@pytest.fixture
def held(service: Service) -> Service:
    circuits = AccountCircuits("shop", 1, "writer", (PERMISSION, OVER, QUOTA))
    service.ledger_store.circuits["shop"] = circuits
    return service


@pytest.mark.usefixtures("held")
def test_holds_longest_first() -> None:
    """A limit per minute that is over is no hold any more."""
    response = call(LIST)
    assert response.status == 200
    assert response.content == {
        "account": "shop",
        "holds": [
            {
                "id": "kind:template",
                "scope": "kind",
                "kind": "template",
                "errcode": 45009,
                "hint": HINT.as_dict(),
                "class": "quota",
                "opened_at": "2026-03-01T07:03:05.000Z",
                "held_until": "2026-03-01T08:04:05.000Z",
                "failed_probes": 0,
            },
            {
                "id": "template:T-1",
                "scope": "template",
                "template_id": "T-1",
                "errcode": 48001,
                "class": "permission",
                "opened_at": "2026-03-01T07:03:05.000Z",
                "held_until": "2026-03-01T07:09:05.000Z",
                "failed_probes": 2,
            },
        ],
    }


@pytest.mark.usefixtures("service")
def test_account_without_holds() -> None:
    assert call(LIST).content == {"account": "shop", "holds": []}


def test_hold_ends_and_others_stay(held: Service) -> None:
    ended = call(END, hold="kind:template")
    assert (ended.status, ended.content["id"]) == (200, "kind:template")
    assert held.ledger_store.circuits["shop"].circuits == (PERMISSION, OVER)
    assert [event.detail_type for event in held.bus.events] == ["circuit.closed"]
    (line,) = held.lines("hold ended by request")
    assert (line["account"], line["hold"]) == ("shop", "kind:template")


@pytest.mark.parametrize("hold", ["account", "kind:nothing", ""])
def test_unknown_hold(held: Service, hold: str) -> None:
    refused = call(END, hold=hold)
    assert (refused.status, refused.problem) == (404, "unknown-hold")
    assert held.bus.events == []


@pytest.mark.parametrize("route", [LIST, END])
def test_account_name(held: Service, route: str) -> None:
    assert call(route, account="Shop").problem == "account-name"
    assert held.ledger_store.circuit_reads == 0


@pytest.mark.parametrize(("route", "method"), [(LIST, "read_circuits"), (END, "put_circuits")])
def test_ledger_does_not_answer(held: Service, route: str, method: str) -> None:
    held.ledger_store.failing[method] = "ThrottlingException"
    assert call(route, hold="kind:template").status == 503


def test_others_write_in_between(held: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hold is ended after the version that came first; endless writers are given up on."""
    store, put = held.ledger_store, held.ledger_store.put_circuits
    writes = iter(range(1))

    def contended(circuits: AccountCircuits) -> AccountCircuits | None:
        if next(writes, None) is not None:
            existing = store.circuits["shop"]
            put(AccountCircuits("shop", existing.version + 1, "another", (QUOTA,)))
        return put(circuits)

    monkeypatch.setattr(store, "put_circuits", contended)
    assert call(END, hold="kind:template").status == 200
    assert store.circuits["shop"].circuits == ()

    writes = iter(range(100))
    store.circuits["shop"] = AccountCircuits("shop", 9, "writer", (QUOTA,))
    assert call(END, hold="kind:template").problem == "storage"
