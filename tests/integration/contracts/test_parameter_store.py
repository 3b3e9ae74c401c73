"""The parameter store: the fake, and SSM."""

import pytest

from tests.integration.contracts.samples import TOKEN, Store
from wechat_notify.core.errors import UnknownAccountError
from wechat_notify.core.tokens.token import AccessToken

RENEWED = AccessToken("58_token", 2_000_007_200.0, 2_000_000_000.0)


def test_saved_token_is_read_and_loaded(store: Store) -> None:
    store.add("shop")
    assert store.reader.read("shop") is None
    assert store.accounts.load("shop").token is None
    for token in (TOKEN, RENEWED):
        store.accounts.save("shop", token)
        assert store.reader.read("shop") == token
        assert store.accounts.load("shop").token == token
        assert [account.token for account in store.accounts.load_all()] == [token]


def test_account_with_credentials_has_a_source(store: Store) -> None:
    store.add("shop")
    account = store.accounts.load("shop")
    assert (account.name, account.problem) == ("shop", None)
    assert account.source is not None


def test_invalid_credentials_are_a_problem(store: Store) -> None:
    store.add_broken("broken")
    account = store.accounts.load("broken")
    assert account.source is None
    assert account.problem
    assert "app_secret" in account.problem.en
    assert "app_secret" in account.problem.zh


@pytest.mark.parametrize("name", ["nobody", "", "a/b"])
def test_unknown_account_is_raised(store: Store, name: str) -> None:
    store.add("shop")
    store.accounts.save("shop", TOKEN)
    with pytest.raises(UnknownAccountError):
        store.accounts.load(name)


def test_a_token_alone_makes_no_account(store: Store) -> None:
    store.accounts.save("left-over", TOKEN)
    assert store.reader.read("left-over") == TOKEN
    assert list(store.accounts.load_all()) == []
    with pytest.raises(UnknownAccountError):
        store.accounts.load("left-over")


def test_all_accounts_are_loaded(store: Store) -> None:
    names = [f"shop-{number}" for number in range(12)]
    for name in names:
        store.add(name)
    store.add_broken("broken")
    store.accounts.save("shop-3", TOKEN)
    loaded = {account.name: account for account in store.accounts.load_all()}
    assert loaded.keys() == {*names, "broken"}
    assert [name for name, account in loaded.items() if account.source is None] == ["broken"]
    assert [name for name, account in loaded.items() if account.token] == ["shop-3"]
