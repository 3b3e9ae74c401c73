from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import START, Service, answer
from tests.fakes.templates import MEETING, PRIZE, account_templates
from wechat_notify.core.templates import sync
from wechat_notify.core.templates.sync import Synced
from wechat_notify.core.templates.template import Enumeration, Family

SUBSCRIPTION, TEMPLATE = ("wx-shop", Family.SUBSCRIPTION), ("wx-shop", Family.TEMPLATE)


@pytest.fixture
def listed(service: Service) -> Service:
    service.wechat.lists = {SUBSCRIPTION: [MEETING], TEMPLATE: [PRIZE]}
    return service


def test_both_lists_are_stored(listed: Service) -> None:
    assert listed.template_sync.sync("shop") == Synced("shop", 2)
    stored = listed.ledger_store.templates["shop"]
    assert stored.templates == (MEETING, PRIZE)
    assert (stored.version, stored.subscription_at, stored.template_at) == (1, START, START)


def test_failed_list_keeps_its_last_state(listed: Service) -> None:
    listed.template_sync.sync("shop")
    listed.wechat.lists = {SUBSCRIPTION: answer(45009), TEMPLATE: []}
    listed.clock.sleep(60)
    result = listed.template_sync.sync("shop")
    assert (result.templates, result.error) == (1, None)
    assert [(family, failure.errcode) for family, failure in result.failures] == [
        (Family.SUBSCRIPTION, 45009)
    ]
    stored = listed.ledger_store.templates["shop"]
    assert stored.templates == (MEETING,)
    assert (stored.subscription_at, stored.template_at, stored.updated_at) == (START, START + 60, START + 60)


def test_expired_token_keeps_everything(listed: Service) -> None:
    """It is not replaced: that is token_refresh's part. The record is renewed all the same."""
    listed.ledger_store.templates["shop"] = account_templates(MEETING)
    listed.store.tokens["shop"] = replace(listed.store.tokens["shop"], expires_at=START)
    result = listed.template_sync.sync("shop")
    assert [family for family, _ in result.failures] == list(Family)
    assert listed.ledger_store.templates["shop"].templates == (MEETING,)
    assert listed.ledger_store.templates["shop"].version == 2
    assert listed.store.saves == []


@pytest.mark.parametrize("store", ["read_templates", "put_templates"])
def test_broken_table_is_told(listed: Service, store: str) -> None:
    listed.ledger_store.failing[store] = "InternalServerError"
    assert listed.template_sync.sync("shop") == Synced("shop", error="InternalServerError")


def test_account_without_token(service: Service) -> None:
    assert service.template_sync.sync("bank") == Synced("bank", error="unknown_account")


def test_large_lists_are_cut(listed: Service) -> None:
    """An item of DynamoDB has 400 KB; a template that is not stored is not checked."""
    large = MEETING._replace(id="large", content="字" * (sync.MAX_BYTES // 3))
    listed.wechat.lists[SUBSCRIPTION] = [large, MEETING]
    assert listed.template_sync.sync("shop") == Synced("shop", 2, dropped=1)
    assert listed.ledger_store.templates["shop"].templates == (MEETING, PRIZE)


def test_small_enumerations_count_in_full(listed: Service) -> None:
    """DynamoDB counts the names of their attributes: these have 500 KB, and texts of 50 KB."""
    listed.wechat.lists[SUBSCRIPTION] = [MEETING._replace(enumerations=(Enumeration("a", ("b",)),) * 25_000)]
    assert listed.template_sync.sync("shop") == Synced("shop", 1, dropped=1)


def test_one_account_stops_no_other(listed: Service) -> None:
    for account in ("bank", "cafe"):
        listed.add_account(account)
    listed.wechat.lists["wx-bank", Family.TEMPLATE] = None  # type: ignore[assignment] # an unexpected error
    results = listed.template_sync.sync_all(lambda: 600.0)
    assert [(each.account, each.error) for each in results] == [
        ("bank", "TypeError"),
        ("cafe", None),
        ("shop", None),
    ]


def test_without_time_nothing_is_begun(listed: Service) -> None:
    assert listed.template_sync.sync_all(lambda: sync.TIME_FOR_AN_ACCOUNT - 1) == [
        Synced("shop", error="no_time")
    ]
    assert listed.ledger_store.templates == {}


def test_no_accounts(listed: Service) -> None:
    listed.store.tokens.clear()
    assert listed.template_sync.sync_all(lambda: 600.0) == []
