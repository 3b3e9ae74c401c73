"""Platforms and merchants in SSM."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.integration.conftest import PATH
from tests.integration.contracts.samples import TOKEN, Aws, Source
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.parameters import Accounts, AuthorizerCredentials, ComponentCredentials, StoredTokens
from wechat_notify.aws.platform_parameters import PlatformParameters, Tickets
from wechat_notify.core.callbacks.events import Ticket
from wechat_notify.core.errors import AccountTakenError, NotAPlatformError, UnknownAccountError
from wechat_notify.core.platform.ports import Component, Merchant

Put = Callable[[str, str], None]
APP = '{"type": "app", "app_id": "wxapp", "app_secret": "s"}'
PLATFORM = '{"type": "component", "app_id": "wxp", "app_secret": " s\\n"}'
MERCHANT = Merchant("wxshop", "wxShop", "platform", (7, 89), 100, None)


@pytest.fixture
def store(clients: Clients) -> PlatformParameters:
    return PlatformParameters(clients, PATH)


@pytest.fixture
def accounts(clients: Clients) -> Accounts:
    return Accounts(clients, PATH, Source)


def test_platform_is_read(store: PlatformParameters, put: Put) -> None:
    put("platform/credentials", PLATFORM)
    put("newer/credentials", PLATFORM.replace("{", '{"token_parameter": "access_token",', 1))
    assert store.read_component("platform") == Component("platform", "wxp", "s")
    assert store.read_component("newer").token_parameter == "access_token"


def test_what_is_no_platform(store: PlatformParameters, put: Put) -> None:
    put("shop/credentials", APP)
    put("broken/credentials", "{")
    for name in ("shop", "broken"):
        with pytest.raises(NotAPlatformError):
            store.read_component(name)
    for name in ("nobody", "No/Name"):
        with pytest.raises(UnknownAccountError):
            store.read_component(name)


@pytest.mark.parametrize(
    "merchant",
    [MERCHANT, Merchant("wxshop", "wxShop", "platform", None, 0, 200), Merchant("shop", "wxs", "p", ())],
)
def test_merchant_is_saved(store: PlatformParameters, merchant: Merchant) -> None:
    assert store.read_merchant(merchant.account) is None
    store.save_merchant(merchant)
    assert store.read_merchant(merchant.account) == merchant


@pytest.mark.parametrize("credentials", [APP, PLATFORM, "{"])
def test_account_of_another_kind(store: PlatformParameters, put: Put, credentials: str) -> None:
    put("shop/credentials", credentials)
    with pytest.raises(AccountTakenError):
        store.read_merchant("shop")


def test_newest_ticket_wins(clients: Clients, store: PlatformParameters, aws: Aws) -> None:
    tickets = Tickets(clients, PATH)
    kept = [tickets.save("platform", Ticket("wxp", f"t{at}", at)) for at in (200, 100, 200, 300)]
    assert kept == [True, False, False, True]
    assert tickets.save("platform", Ticket("wxp", "another", 300))  # of the same second
    assert tickets.save("platform", Ticket("wxp", "t300", 300))
    assert store.read_ticket("platform") == Ticket("wxp", "t300", 300)
    assert store.read_ticket("nobody") is None
    parameter = aws("ssm").get_parameter(Name=f"{PATH}/platform/ticket")["Parameter"]
    assert parameter["Type"] == "SecureString"


@pytest.mark.parametrize("value", ["ticket", "[]", '{"at": 1}', '{"app_id": "a", "ticket": "t", "at": "x"}'])
def test_unreadable_ticket_is_replaced(clients: Clients, put: Put, value: str) -> None:
    put("platform/ticket", value)
    tickets = Tickets(clients, PATH)
    assert tickets.read("platform") is None
    assert tickets.save("platform", Ticket("wxp", "t", 1))


def test_time_of_a_request(store: PlatformParameters) -> None:
    assert store.read_ticket_request("platform") == 0.0
    store.save_ticket_request("platform", 1234.5)
    assert store.read_ticket_request("platform") == 1234.0


def test_tokens_are_deleted(
    store: PlatformParameters, accounts: Accounts, clients: Clients, aws: Aws
) -> None:
    store.save_refresh_token("wxshop", "refresh")
    accounts.save("wxshop", TOKEN)
    stored = aws("ssm").get_parameter(Name=f"{PATH}/wxshop/refresh-token")["Parameter"]
    assert (stored["Type"], store.read_refresh_token("wxshop")) == ("SecureString", "refresh")
    for _ in range(2):
        store.delete_tokens("wxshop")
    assert store.read_refresh_token("wxshop") is None
    assert StoredTokens(clients, PATH).read("wxshop") is None


def test_platform_token_is_apart(accounts: Accounts, clients: Clients, put: Put) -> None:
    """No sender reads it."""
    put("platform/credentials", PLATFORM)
    accounts.save("platform", TOKEN, sends=False)
    assert StoredTokens(clients, PATH).read("platform") is None
    account = accounts.load("platform")
    assert (account.token, account.sends) == (TOKEN, False)
    assert isinstance(account.source, Source)
    assert isinstance(account.source.credentials, ComponentCredentials)


def test_revoked_merchants_are_not_refreshed(accounts: Accounts, store: PlatformParameters, put: Put) -> None:
    put("shop/credentials", APP)
    store.save_merchant(MERCHANT)
    store.save_merchant(Merchant("wxgone", "wxgone", "platform", (7,), 100, 200))
    assert sorted(account.name for account in accounts.load_all()) == ["shop", "wxshop"]
    source = accounts.load("wxgone").source
    assert isinstance(source, Source)
    assert isinstance(source.credentials, AuthorizerCredentials)


def test_permissions_travel_with_the_token(accounts: Accounts, clients: Clients, aws: Aws) -> None:
    """And stand nowhere else: another version of the service reads the token as well."""
    accounts.save("wxshop", replace(TOKEN, permissions=(7, 89)))
    found = StoredTokens(clients, PATH).read("wxshop")
    assert found
    assert found.permissions == (7, 89)
    accounts.save("shop", TOKEN)
    value = aws("ssm").get_parameter(Name=f"{PATH}/shop/access-token", WithDecryption=True)
    assert "permissions" not in json.loads(value["Parameter"]["Value"])
