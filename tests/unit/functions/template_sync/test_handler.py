from __future__ import annotations

import json
from typing import Any

import pytest

from functions.template_sync.handler import lambda_handler
from tests.fakes import FakeContext, Service, answer, metrics
from tests.fakes.templates import MEETING, PRIZE
from wechat_notify.core.templates.template import Family


def sync(event: Any, *, seconds_left: float = 600.0) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(json.dumps(lambda_handler(event, FakeContext(seconds_left))))
    return answered


@pytest.fixture
def listed(service: Service) -> Service:
    service.wechat.lists = {
        ("wx-shop", Family.SUBSCRIPTION): [MEETING],
        ("wx-shop", Family.TEMPLATE): [PRIZE],
        ("wx-bank", Family.TEMPLATE): answer(45009),
    }
    service.add_account("bank")
    return service


def test_every_account(listed: Service, capsys: pytest.CaptureFixture[str]) -> None:
    report = sync({})
    assert report["synced"] == {"bank": 0, "shop": 2}
    assert [(each["account"], each["family"], each["errcode"]) for each in report["failed"]] == [
        ("bank", "template", 45009)
    ]
    (line,) = listed.lines("templates not read")
    assert (line["account"], line["family"], line["errcode"]) == ("bank", "template", 45009)
    (line,) = listed.lines("invocation finished")
    assert (line["synced"], line["failed"]) == (2, 1)
    counted = [metric for metric in metrics(capsys.readouterr().out) if metric.name == "TemplateSyncFailed"]
    assert [(metric.dimensions, metric.value) for metric in counted] == [({}, 1), ({"account": "bank"}, 1)]


def test_one_account(listed: Service) -> None:
    assert sync({"account": "shop"}) == {"synced": {"shop": 2}, "failed": []}
    assert listed.ledger_store.templates.keys() == {"shop"}


def test_unknown_account(listed: Service) -> None:
    assert sync({"account": "cafe"})["failed"] == [{"account": "cafe", "error": "unknown_account"}]
    assert listed.lines("templates not read")[0]["error"] == "unknown_account"


def test_left_out_templates_are_logged(listed: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wechat_notify.core.templates.sync.MAX_BYTES", 300)
    sync({"account": "shop"})
    assert [line["count"] for line in listed.lines("templates left out")] == [1]


@pytest.mark.parametrize(
    "event", [None, [], "shop", {"acount": "shop"}, {"account": None}, {"account": "../shop"}]
)
def test_malformed_events_are_refused(listed: Service, event: Any) -> None:
    """A misspelt account must not read everybody's."""
    assert sync(event)["result"] == "bad_request"
    assert listed.ledger_store.templates == {}


def shares(capsys: pytest.CaptureFixture[str]) -> list[float]:
    found = metrics(capsys.readouterr().out)
    return [each.value for each in found if each.name == "TemplateSyncFailedShare"]


def test_share_of_accounts_without_lists(listed: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """One list of two is one; an account by itself is no run for all."""
    sync({})
    assert shares(capsys) == [0]
    listed.wechat.lists["wx-bank", Family.SUBSCRIPTION] = answer(45009)
    sync({})
    assert shares(capsys) == [50]
    sync({"account": "bank"})
    assert shares(capsys) == []
