"""The keys of callbacks in SSM."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import Clock
from tests.integration.conftest import PATH
from wechat_notify.aws.callback_keys import CallbackAccounts, StoredCallbackKeys
from wechat_notify.aws.clients import Clients
from wechat_notify.core.errors import StorageError, UnusableKeysError

Put = Callable[[str, str], None]
KEY = {"token": "first", "encoding_aes_key": "K" * 43}
NEWER = {"token": "second", "encoding_aes_key": "L" * 43}


def value(*keys: dict[str, Any], **changes: Any) -> str:
    return json.dumps({"app_id": "wxshop", "keys": list(keys), **changes})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clients: Clients, clock: Clock) -> StoredCallbackKeys:
    return StoredCallbackKeys(clients, PATH, clock=clock.now)


def tokens(keys: StoredCallbackKeys, *, newer: bool = False) -> list[str]:
    found = keys.read("shop", newer=newer)
    return [each.token for each in found.keys] if found else []


def test_keys_newest_first(keys: StoredCallbackKeys, put: Put) -> None:
    put("shop/callback", value(NEWER, KEY))
    found = keys.read("shop")
    assert found is not None
    assert (found.app_id, found.mode, tokens(keys)) == ("wxshop", "secure", ["second", "first"])
    assert "first" not in repr(found)
    assert "KKK" not in repr(found)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "{",
        "[]",
        value(),
        value(KEY, KEY, KEY, KEY),
        value({"token": "first"}),
        value({**KEY, "encoding_aes_key": "short"}),
        value({**KEY, "token": ""}),
        value(KEY, mode="open"),
        value(KEY, app_id=""),
        value(KEY, app_secret="what is it here for"),
    ],
)
def test_unusable_keys_are_told_from_none(
    keys: StoredCallbackKeys, clock: Clock, put: Put, stored: str | None
) -> None:
    if stored is None:
        assert keys.read("shop") is None
        return
    put("shop/callback", stored)
    for newer in (False, True):  # the second time SSM is not asked
        with pytest.raises(UnusableKeysError):
            keys.read("shop", newer=newer)
    put("shop/callback", value(KEY))
    clock.advance(10)
    assert tokens(keys) == ["first"]


def test_plain_mode_needs_no_key(keys: StoredCallbackKeys, put: Put) -> None:
    put("shop/callback", value({"token": "first"}, mode="plain"))
    assert tokens(keys) == ["first"]


def test_changed_keys_are_read_again(keys: StoredCallbackKeys, clock: Clock, put: Put) -> None:
    put("shop/callback", value(KEY))
    assert tokens(keys) == ["first"]
    put("shop/callback", value(NEWER))
    clock.advance(200)
    assert tokens(keys) == ["first"]
    assert tokens(keys, newer=True) == ["second"]
    put("shop/callback", value(KEY))
    clock.advance(301)
    assert tokens(keys) == ["first"]


def test_strangers_cause_few_reads(keys: StoredCallbackKeys, clock: Clock, put: Put) -> None:
    """Whoever sends wrong signatures makes SSM be asked every ten seconds and no more."""
    put("shop/callback", value(KEY))
    assert tokens(keys) == ["first"]
    clock.advance(9)
    put("shop/callback", value(NEWER))
    assert tokens(keys, newer=True) == ["first"]
    clock.advance(2)
    assert tokens(keys, newer=True) == ["second"]


def test_account_without_keys_is_asked_for_again(keys: StoredCallbackKeys, clock: Clock, put: Put) -> None:
    assert tokens(keys) == []
    put("shop/callback", value(KEY))
    assert tokens(keys) == []
    clock.advance(1.1)
    assert tokens(keys) == ["first"]


def test_made_up_accounts_cost_no_read(clients: Clients, keys: StoredCallbackKeys, put: Put) -> None:
    """The AWS account has few reads a second, and the senders need them for their tokens.

    The names come in one page, though a platform may have a thousand merchants: WeChat waits for them.
    """
    put("shop/callback", value(KEY))
    for number in range(51):
        put(f"a-merchant-{number:02}/refresh-token", "r")
    asked: list[str] = []
    clients.ssm.meta.events.register("before-call.ssm", lambda model, **_: asked.append(model.name))
    assert [keys.read(f"made-up-{number}") for number in range(20)] == [None] * 20
    assert tokens(keys) == ["first"]
    assert asked == ["DescribeParameters", "GetParameter"]


def test_known_keys_outlast_an_outage(
    clients: Clients, keys: StoredCallbackKeys, clock: Clock, put: Put
) -> None:
    """WeChat stops pushing for a minute after failures; and SSM is asked again every ten seconds at most."""
    put("shop/callback", value(KEY))
    assert tokens(keys) == ["first"]
    asked: list[int] = []

    def refuse(**_: object) -> None:
        asked.append(1)
        raise StorageError("read", "ServiceUnavailable")

    clients.ssm.meta.events.register("before-call.ssm", refuse)
    clock.advance(301)
    assert [tokens(keys), tokens(keys), tokens(keys, newer=True)] == [["first"]] * 3
    clock.advance(11)
    assert tokens(keys) == ["first"]
    assert len(asked) == 2
    clients.ssm.meta.events.unregister("before-call.ssm", refuse)
    put("shop/callback", value(NEWER))
    clock.advance(11)
    assert tokens(keys) == ["second"]


def test_names_come_in_pages(clients: Clients, clock: Clock, put: Put) -> None:
    for number in range(60):
        put(f"shop-{number:02}/callback", value(KEY))
    accounts = CallbackAccounts(clients, PATH, clock=clock.now)
    assert accounts.has_keys("shop-00")
    assert accounts.has_keys("shop-59")


def test_accounts_with_keys(clients: Clients, clock: Clock, put: Put) -> None:
    accounts = CallbackAccounts(clients, PATH, clock=clock.now)
    put("shop/callback", value(KEY))
    put("bank/credentials", "{}")
    assert [accounts.has_keys(name) for name in ("shop", "bank", "sho")] == [True, False, False]
    put("bank/callback", value(KEY))
    assert not accounts.has_keys("bank")
    clock.advance(301)
    assert accounts.has_keys("bank")


def test_merchants(clients: Clients, clock: Clock, put: Put) -> None:
    """Their events come under their platform's keys."""
    put("platform/callback", value(KEY))
    put("wxshop/refresh-token", "r")
    put("bank/access-token", "{}")
    names = ("platform", "wxshop", "bank")
    for merchants in (True, False):
        accounts = CallbackAccounts(clients, PATH, clock=clock.now, merchants=merchants)
        assert [accounts.has_keys(name) for name in names] == [True, merchants, False]


def test_platforms(clients: Clients, clock: Clock, put: Put) -> None:
    """A token makes one, and it is noticed within a second."""
    keys = StoredCallbackKeys(clients, PATH, clock=clock.now)
    put("bank/callback", value(KEY))
    put("platform/callback", value(KEY))
    assert [keys.is_platform(name) for name in ("bank", "platform")] == [False, False]
    put("platform/component-access-token", "{}")
    clock.advance(1)
    assert [keys.is_platform(name) for name in ("bank", "platform")] == [False, True]


def test_ssm_that_does_not_answer(clients_at: Callable[..., Clients], clock: Clock) -> None:
    clients = clients_at("http://127.0.0.1:9")
    with pytest.raises(StorageError):
        StoredCallbackKeys(clients, PATH, clock=clock.now).read("shop")
    with pytest.raises(StorageError):
        CallbackAccounts(clients, PATH, clock=clock.now).has_keys("shop")
