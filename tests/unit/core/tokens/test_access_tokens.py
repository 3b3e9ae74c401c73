from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.fakes import START, Service, access_tokens, answer, highest, lowest
from tests.unit.core.tokens.shared import failure, token
from wechat_notify.core.errors import TokenUnavailableError, UnknownAccountError
from wechat_notify.core.outcomes import ErrorClass, Outcome, Status
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.tokens import access_tokens as module
from wechat_notify.core.tokens.access_tokens import BUSY, STORE_DOWN, AccessTokens
from wechat_notify.core.tokens.token import AccessToken, Grant

Jitter = Callable[[float, float], float]


@pytest.fixture
def tokens(service: Service) -> AccessTokens:
    return access_tokens(service.store, service.refresher, service.clock, highest)


# ---------------------------------------------------------------- the token itself


def test_token_is_not_shown() -> None:
    secret = token("57_secret")
    assert "57_secret" not in f"{secret!r} {secret} {secret.digest} {Grant('57_secret', 7200.0)!r}"
    assert str(TokenUnavailableError(answer(40125))) == "no access token: config 40125"


def test_digest() -> None:
    assert token("a").digest == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.mark.parametrize(("passed", "usable"), [(0, True), (7189.9, True), (7190, False), (7200, False)])
def test_token_is_usable_until_expiry(passed: float, *, usable: bool) -> None:
    assert token().usable(START + passed) is usable


def test_outcomes() -> None:
    down = Bilingual("The token store did not answer; try again shortly.", "令牌存储暂时不可用，请稍后重试。")
    busy = Bilingual(
        "The token is being refreshed; try again shortly.", "access_token 正在刷新，请稍后重试。"
    )
    for outcome, hint in ((STORE_DOWN, down), (BUSY, busy)):
        assert outcome == Outcome(Status.FAILED, ErrorClass.TRANSIENT, hint, retryable=True, retry_after=2.0)


# ---------------------------------------------------------------- the cache


@pytest.mark.parametrize(("jitter", "age"), [(lowest, 30), (highest, 60)])
def test_cached_token_is_read_again(service: Service, jitter: Jitter, age: float) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, jitter)
    tokens.get("shop")
    service.store.tokens["shop"] = token("newer")
    service.clock.advance(age - 0.1)
    assert (tokens.get("shop").value, service.store.reads) == ("token-1-of-wx-shop", ["shop"])
    service.clock.advance(0.2)
    assert tokens.get("shop").value == "newer"


def test_cached_token_expires(service: Service, tokens: AccessTokens) -> None:
    service.store.tokens["shop"] = token("short", life=20)
    assert tokens.get("shop").value == "short"
    service.clock.advance(11)
    assert tokens.get("shop").value == "token-1-of-wx-shop"
    assert service.refresher.asked == [("shop", None)]


def test_older_stored_token_is_not_taken(service: Service, tokens: AccessTokens) -> None:
    """Parameter Store may show an older version for a moment."""
    old = tokens.get("shop")
    service.clock.advance(10)
    service.wechat.renew("wx-shop")
    new = tokens.replace("shop", old, 12.0)
    service.clock.advance(61)
    service.store.tokens["shop"] = old
    assert tokens.get("shop") == new


def test_moved_expiry_is_taken_over(service: Service, tokens: AccessTokens) -> None:
    old = tokens.get("shop")
    service.store.tokens["shop"] = moved = AccessToken(old.value, old.expires_at + 61, old.obtained_at)
    service.clock.advance(61)
    assert tokens.get("shop") is moved


@pytest.mark.parametrize("tokens_stored", [True, False])
def test_made_up_accounts_are_forgotten(
    service: Service, tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch, *, tokens_stored: bool
) -> None:
    monkeypatch.setattr(module, "_MAX_CACHED", 10)
    good = tokens.get("shop")
    for number in range(50):
        if tokens_stored:
            service.add_account(f"shop-{number}")
        with suppress(UnknownAccountError):
            tokens.get(f"shop-{number}")
        assert len(tokens._cache) <= 10
    service.store.reads.clear()
    if not tokens_stored:
        assert (tokens.get("shop"), service.store.reads) == (good, [])


# ---------------------------------------------------------------- nothing stored


def test_refresher_is_asked_for_one(service: Service, tokens: AccessTokens) -> None:
    service.add_account("new", stored=False)
    assert tokens.get("new").value == service.store.tokens["new"].value == "token-1-of-wx-new"
    assert service.refresher.asked == [("new", None)]


def test_unknown_account_is_remembered(service: Service, tokens: AccessTokens) -> None:
    for _ in range(3):
        with pytest.raises(UnknownAccountError, match=r"^nobody$"):
            tokens.get("nobody")
    assert len(service.refresher.asked) == 1
    service.add_account("nobody", stored=False)
    service.clock.advance(9.9)
    with pytest.raises(UnknownAccountError):
        tokens.get("nobody")
    service.clock.advance(0.2)
    assert tokens.get("nobody").value == "token-1-of-wx-nobody"


@pytest.mark.parametrize("down", [False, True])
def test_unknown_account_comes(service: Service, tokens: AccessTokens, *, down: bool) -> None:
    """The store knows it, or the refresher where the store does not answer."""
    with pytest.raises(UnknownAccountError):
        tokens.get("nobody")
    service.add_account("nobody", stored=not down)
    service.store.failing = {"read": "ThrottlingException"} if down else {}
    assert tokens.get("nobody").value == "token-1-of-wx-nobody"


def test_removed_account(service: Service, tokens: AccessTokens) -> None:
    tokens.get("shop")
    service.clock.advance(61)
    service.store.tokens.clear()
    service.store.sources.clear()
    with pytest.raises(UnknownAccountError):
        tokens.get("shop")
    assert tokens._cache["shop"].token is None  # nor for those who do not wait for the lock


# ---------------------------------------------------------------- stores in trouble


@pytest.mark.parametrize("busy", [True, False])
def test_good_token_while_nobody_answers(service: Service, tokens: AccessTokens, *, busy: bool) -> None:
    good = tokens.get("shop")
    service.clock.advance(61)
    service.store.failing = {"read": "ThrottlingException"}
    service.refresher.busy = 1000 if busy else 0
    service.refresher.down = None if busy else "ServiceException"
    assert tokens.get("shop", 12.0) is good
    assert service.clock.slept == []
    service.clock.advance(7200)
    assert failure(lambda: tokens.get("shop")) == (BUSY if busy else STORE_DOWN)


def test_neither_store_nor_refresher_answers(service: Service, tokens: AccessTokens) -> None:
    service.store.failing = {"read": "ThrottlingException", "load": "ThrottlingException"}
    assert failure(lambda: tokens.get("shop")) == STORE_DOWN


# ---------------------------------------------------------------- a rejected token


def test_rejected_token_is_replaced_from_store(service: Service, tokens: AccessTokens) -> None:
    old = tokens.get("shop")
    service.wechat.renew("wx-shop")
    service.token_refresher.refresh("shop")
    assert tokens.replace("shop", old, 12.0).value == "token-2-of-wx-shop"
    assert service.refresher.asked == []


def test_rejected_token_is_replaced_by_refresher(service: Service, tokens: AccessTokens) -> None:
    """It is named by its digest; a second thread takes what the first one got."""
    old = tokens.get("shop")
    service.wechat.renew("wx-shop")
    service.forget()
    new = tokens.replace("shop", old, 12.0)
    assert new.value == "token-2-of-wx-shop"
    assert tokens.get("shop") is tokens.replace("shop", old, 12.0) is new
    assert service.refresher.asked == [("shop", old.digest)]
    assert service.wechat.fetches == [("wx-shop", False)]
    assert service.store.reads == ["shop"]


def test_failed_replacement_does_not_stop_get(service: Service, tokens: AccessTokens) -> None:
    old = tokens.get("shop")
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    assert failure(lambda: tokens.replace("shop", old, 12.0)).errcode == 40164
    assert tokens.get("shop") == old


# ---------------------------------------------------------------- whether an account is known


def test_account_with_expired_token(service: Service, tokens: AccessTokens) -> None:
    service.clock.advance(8000)
    assert [tokens.has_credentials("shop") for _ in range(5)] == [True] * 5
    assert (service.refresher.asked, service.store.reads) == ([], ["shop"])


def test_account_without_token_is_asked_for(service: Service, tokens: AccessTokens) -> None:
    service.add_account("new", stored=False)
    known = [tokens.has_credentials(account) for account in ("new", "nobody", "nobody")]
    assert known == [True, False, False]
    assert service.refresher.asked == [("new", None), ("nobody", None)]


@pytest.mark.parametrize("account", ["shop", "nobody"])
def test_account_while_store_is_down(service: Service, tokens: AccessTokens, account: str) -> None:
    service.store.failing = {"read": "ThrottlingException"}
    assert tokens.has_credentials(account)
    assert service.refresher.asked == []


@pytest.mark.parametrize("trouble", ["WeChat", "refresher", "busy"])
def test_account_that_is_refused(service: Service, tokens: AccessTokens, trouble: str) -> None:
    service.add_account("new", stored=False)
    service.wechat.refuse_tokens("wx-new", answer(40164))
    service.refresher.down = "ServiceException" if trouble == "refresher" else None
    service.refresher.busy = 1000 if trouble == "busy" else 0
    assert tokens.has_credentials("new")
    assert service.refresher.asked[0] == ("new", None)
