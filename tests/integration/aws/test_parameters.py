"""Accounts and tokens in SSM."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.aws.samples import TOKEN, Aws, Source
from tests.integration.conftest import PATH, ClientsAt
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.parameters import AccountNames, Accounts, StoredTokens
from wechat_notify.core.errors import (
    StorageError,
    UnknownAccountError,
)

Put = Callable[[str, str], None]


NOBODY = "http://127.0.0.1:9"


def app(app_id: str) -> str:
    return json.dumps({"type": "app", "app_id": app_id, "app_secret": f"secret of {app_id}"})


@pytest.fixture
def accounts(clients: Clients) -> Accounts:
    return Accounts(clients, PATH, Source)


def test_saved_token_is_encrypted_and_readable(aws: Aws, clients: Clients, accounts: Accounts) -> None:
    accounts.save("shop", TOKEN)
    assert StoredTokens(clients, PATH).read("shop") == TOKEN
    stored = aws("ssm").get_parameter(Name=f"{PATH}/shop/access-token")["Parameter"]
    assert stored["Type"] == "SecureString"


@pytest.mark.parametrize("value", ["", " ", "57_token", "[]", '{"value": "t"}', '{"value": 1}', '"text"'])
def test_unreadable_stored_token_is_none(clients: Clients, accounts: Accounts, put: Put, value: str) -> None:
    put("shop/access-token", value or "-")
    put("shop/credentials", app("wxshop"))
    assert StoredTokens(clients, PATH).read("shop") is None
    account = accounts.load("shop")
    assert account.token is None
    assert account.source


def test_account_has_credentials_and_token(accounts: Accounts, put: Put) -> None:
    put("shop/credentials", ' {"type": "app", "app_id": " wxshop\\n", "app_secret": " s3cret\\n"} ')
    assert accounts.load("shop").token is None
    accounts.save("shop", TOKEN)
    account = accounts.load("shop")
    assert (account.name, account.token, account.problem) == ("shop", TOKEN, None)
    assert isinstance(account.source, Source)
    credentials = account.source.credentials
    assert (credentials.app_id, credentials.app_secret) == ("wxshop", "s3cret")


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "../shop", "shop ", "shop\n", "é", "a" * 65, "a_b"])
def test_invalid_name_is_not_requested(clients_at: ClientsAt, name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(clients_at(NOBODY), PATH, Source).load(name)


@pytest.mark.parametrize("name", ["a", "0", "-", "a" * 64, "shop-2"])
def test_valid_name_is_requested(clients_at: ClientsAt, name: str) -> None:
    with pytest.raises(StorageError, match="EndpointConnectionError"):
        Accounts(clients_at(NOBODY), PATH, Source).load(name)


def test_accounts_are_listed_over_pages(accounts: Accounts, put: Put) -> None:
    for number in range(13):
        put(f"shop-{number}/credentials", app(f"wx{number}"))
    for number in range(0, 13, 2):
        put(
            f"shop-{number}/access-token",
            json.dumps({"value": f"t{number}", "expires_at": 9, "obtained_at": 1}),
        )
    listed = {account.name: account for account in accounts.load_all()}
    assert listed.keys() == {f"shop-{number}" for number in range(13)}
    for number in range(13):
        account = listed[f"shop-{number}"]
        assert isinstance(account.source, Source)
        assert account.source.credentials.app_id == f"wx{number}"
        assert (account.token.value if account.token else None) == (None if number % 2 else f"t{number}")


def test_other_parameters_are_ignored(aws: Aws, accounts: Accounts, put: Put) -> None:
    put("shop/credentials", app("wxshop"))
    put("shop/notes", "call the agency")
    put("shop/old/credentials", "deeper")
    put("only-a-token/access-token", "{}")
    put("credentials", "at the top")
    put("access-token", "at the top")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/credentials", Value=app("wxx"), Type="SecureString")
    assert [account.name for account in accounts.load_all()] == ["shop"]


def test_names_are_listed_without_values(aws: Aws, clients: Clients, put: Put) -> None:
    """Over pages, and of this stage alone."""
    for number in range(60):
        put(f"shop-{number:02}/access-token", "{}")
        put(f"shop-{number:02}/credentials", app("wxshop"))
    put("new/credentials", app("wxnew"))
    put("My_Shop/access-token", "{}")
    put("shop/old/access-token", "{}")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/access-token", Value="{}", Type="SecureString")
    names = AccountNames(clients, PATH).with_token()
    assert names == [f"shop-{number:02}" for number in range(60)]


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ("wxshop", "JSON"),
        ("[]", "JSON"),
        ('{"type": "authorizer", "app_id": "a", "app_secret": "s"}', "type"),
        ('{"app_id": "a", "app_secret": "s"}', "type"),
        ('{"type": "app", "app_id": "", "app_secret": "s"}', "app_id"),
        ('{"type": "app", "app_id": "a", "app_secret": " "}', "app_secret"),
        ('{"type": "app", "app_id": 5}', "app_id, app_secret"),
        ('{"type": "app", "app_id": "a", "app_secret": "s", "token": "t"}', "an unknown field"),
    ],
)
def test_invalid_credentials_concern_one_account(
    accounts: Accounts, put: Put, credentials: str, named: str
) -> None:
    put("broken/credentials", credentials)
    put("shop/credentials", app("wxshop"))
    by_name = {account.name: account for account in accounts.load_all()}
    assert by_name["shop"].source
    assert by_name["broken"] == accounts.load("broken")
    assert by_name["broken"].source is None
    problem = by_name["broken"].problem
    assert problem is not None
    assert problem.en == f'must be {{"type": "app", "app_id", "app_secret"}}; wrong: {named}'


def test_invalid_name_is_listed_with_problem(accounts: Accounts, put: Put) -> None:
    put("My_Shop/credentials", app("wxshop"))
    (account,) = accounts.load_all()
    assert account.source is None
    assert "a-z, 0-9 and -" in str(account.problem)
