from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import (
    START,
    Clock,
    FakeWeChat,
    Service,
    access_tokens,
    answer,
    highest,
    lowest,
    unreachable,
)
from wechat_notify.core.delivery.sender import Sender
from wechat_notify.core.errors import (
    RefresherBusyError,
    StorageError,
    TokenUnavailableError,
    UnknownAccountError,
)
from wechat_notify.core.outcomes import Bilingual, ErrorClass, Outcome
from wechat_notify.core.tokens import access_tokens as tokens_module
from wechat_notify.core.tokens import refresher
from wechat_notify.core.tokens.access_tokens import AccessToken, AccessTokens, Grant
from wechat_notify.core.tokens.refresher import Refreshed

BEIJING = timezone(timedelta(hours=8))

Ask = Callable[[], object]


def plenty() -> float:
    """Seconds left."""
    return 60.0


def failure(call: Ask) -> Outcome:
    with pytest.raises(TokenUnavailableError) as caught:
        call()
    return caught.value.outcome


def token(value: str = "T1", *, at: float = START, life: float = 7200.0) -> AccessToken:
    return AccessToken(value, at + life, at)


# ---------------------------------------------------------------- the token itself


def test_a_token_is_not_shown_by_its_repr_or_in_its_digest() -> None:
    secret = token("57_secret")
    assert "57_secret" not in f"{secret!r} {secret} {secret.digest} {Grant('57_secret', 7200.0)!r}"
    assert token("a").digest != token("b").digest


@given(
    life=st.floats(0, 7200, allow_nan=False),
    passed=st.floats(0, 8000, allow_nan=False),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_token_is_usable_until_ten_seconds_before_it_expires(life: float, passed: float) -> None:
    assert token(life=life).usable(START + passed) == (START + passed < START + life - 10)


# ---------------------------------------------------------------- stores in trouble


class SlowStore:
    """A store that answers when it is let, and never well."""

    def __init__(self) -> None:
        self.reads = 0
        self.answer = threading.Event()
        self.asked = threading.Event()

    def read(self, _account: str) -> AccessToken | None:
        self.reads += 1
        self.asked.set()
        assert self.answer.wait(10)
        raise StorageError("read the access token", "ThrottlingException")


def test_a_good_token_is_used_while_the_store_is_silent(service: Service) -> None:
    """A token that is good for an hour is read again: one thread does that, and no other waits for it."""
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    good = tokens.get("shop")
    service.clock.advance(61)
    slow = SlowStore()
    tokens._reader = slow
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(tokens.get, "shop", 12.0)
        assert slow.asked.wait(10)
        others = [pool.submit(tokens.get, "shop", 12.0) for _ in range(19)]
        assert [other.result(10) for other in others] == [good] * 19
        slow.answer.set()
        assert first.result(10) == good
    assert (slow.reads, service.refresher.asked) == (1, [])
    assert tokens.get("shop") == good  # and the store is not asked for every message
    assert slow.reads == 1


@pytest.mark.parametrize("trouble", ["busy", "down"])
def test_a_good_token_is_used_while_nobody_answers(service: Service, trouble: str) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    good = tokens.get("shop")
    service.clock.advance(61)
    service.store.failing = {"read": "ThrottlingException"}
    service.refresher.busy = 1000 if trouble == "busy" else 0
    service.refresher.down = "ServiceException" if trouble == "down" else None
    assert tokens.get("shop", 12.0) == good
    assert service.clock.slept == []


def test_the_store_does_not_bring_an_older_token_back(service: Service) -> None:
    """Parameter Store may show an older version for a moment."""
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    old = tokens.get("shop")
    service.clock.advance(10)
    service.wechat.renew("wx-shop")
    new = tokens.replace("shop", old, 12.0)
    service.clock.advance(61)
    service.store.tokens["shop"] = old
    assert tokens.get("shop") == new


def test_an_account_that_is_removed_is_not_sent_for(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    tokens.get("shop")
    service.clock.advance(61)
    service.store.tokens.clear()
    service.store.sources.clear()
    with pytest.raises(UnknownAccountError):
        tokens.get("shop")


def test_made_up_accounts_are_not_remembered_for_ever(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "_MAX_CACHED", 100)
    tokens = access_tokens(service.store, service.refresher, service.clock)
    good = tokens.get("shop")
    for number in range(1000):
        with pytest.raises(UnknownAccountError):
            tokens.get(f"nobody-{number}")
        assert len(tokens._cache) <= 100
    service.store.reads.clear()
    assert (tokens.get("shop"), service.store.reads) == (good, [])  # those with a token stay


def test_ten_thousand_accounts_at_a_time_are_remembered(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "_MAX_CACHED", 10)
    tokens = access_tokens(service.store, service.refresher, service.clock)
    for number in range(30):
        service.add_account(f"shop-{number}")
        tokens.get(f"shop-{number}")
        assert len(tokens._cache) <= 10


# ---------------------------------------------------------------- the sender's cache


def test_a_cached_token_is_not_read_again(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    first = tokens.get("shop")
    service.clock.advance(59.9)
    assert tokens.get("shop") is first
    assert service.store.reads == ["shop"]


@pytest.mark.parametrize(("jitter", "age"), [(lowest, 30), (highest, 60)])
def test_a_cached_token_is_read_again_after_its_jittered_age(
    service: Service, jitter: Callable[[float, float], float], age: float
) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, jitter)
    tokens.get("shop")
    service.store.tokens["shop"] = token("newer")
    service.clock.advance(age - 0.1)
    assert tokens.get("shop").value != "newer"
    service.clock.advance(0.2)
    assert tokens.get("shop").value == "newer"


def test_a_cached_token_is_not_used_beyond_its_expiry(service: Service) -> None:
    service.store.tokens["shop"] = token("short", life=20)
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    assert tokens.get("shop").value == "short"
    service.clock.advance(11)
    assert tokens.get("shop").value == "token-1-of-wx-shop"
    assert service.refresher.asked == [("shop", None)]


@given(
    steps=st.lists(st.floats(0, 400, allow_nan=False), min_size=1, max_size=15),
    life=st.floats(310, 1000, allow_nan=False),
    jitter=st.sampled_from([lowest, highest]),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_sender_ever_uses_an_expired_token_or_one_that_is_a_minute_older_than_the_store(
    steps: list[float], life: float, jitter: Callable[[float, float], float]
) -> None:
    service = Service()
    clock, wechat = service.clock, FakeWeChat(service.clock, life=life)
    service.store.sources["shop"] = wechat.app("wx-shop")
    service.store.tokens.clear()
    tokens = access_tokens(service.store, service.refresher, clock, jitter)
    replaced_at: dict[str, float] = {}
    for step in steps:
        clock.advance(step)
        used = tokens.get("shop")
        assert used.usable(clock.now())
        assert clock.now() - replaced_at.get(used.value, clock.now()) < 60
        replaced_at[service.store.tokens["shop"].value] = clock.now()
        wechat.renew("wx-shop")
        service.token_refresher.refresh("shop")


def test_the_tokens_of_two_accounts_are_kept_apart(service: Service) -> None:
    service.add_account("bank")
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert {tokens.get("shop").value, tokens.get("bank").value} == {
        "token-1-of-wx-shop",
        "token-1-of-wx-bank",
    }


def test_where_none_is_stored_the_refresher_is_asked(service: Service) -> None:
    service.add_account("new", stored=False)
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert tokens.get("new").value == "token-1-of-wx-new"
    assert service.refresher.asked == [("new", None)]
    assert service.store.tokens["new"].value == "token-1-of-wx-new"


def test_an_unknown_account_is_asked_about_once_in_ten_seconds(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    for _ in range(3):
        with pytest.raises(UnknownAccountError):
            tokens.get("nobody")
    assert len(service.refresher.asked) == 1
    service.add_account("nobody", stored=False)
    service.clock.advance(10.1)
    assert tokens.get("nobody").value == "token-1-of-wx-nobody"


def test_an_account_that_has_a_token_by_now_is_no_longer_unknown(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    with pytest.raises(UnknownAccountError):
        tokens.get("nobody")
    service.add_account("nobody")
    assert tokens.get("nobody").value == "token-1-of-wx-nobody"


def test_a_store_that_is_down_does_not_stop_a_sender_with_a_good_token(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    first = tokens.get("shop")
    service.store.failing = {"read": "ThrottlingException"}
    service.refresher.down = "ServiceException"
    service.clock.advance(61)
    assert tokens.get("shop") is first
    service.clock.advance(7200)
    assert failure(lambda: tokens.get("shop")).error_class is ErrorClass.TRANSIENT


def test_where_the_store_cannot_be_read_the_refresher_may_answer(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    service.store.failing = {"read": "ThrottlingException"}
    assert tokens.get("shop").value == "token-1-of-wx-shop"


def test_where_neither_answers_the_sender_is_told_to_come_again(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    service.store.failing = {"read": "ThrottlingException", "load": "ThrottlingException"}
    outcome = failure(lambda: tokens.get("shop"))
    assert (outcome.error_class, outcome.retryable, outcome.retry_after) == (ErrorClass.TRANSIENT, True, 2.0)


def test_a_busy_refresher_is_waited_for_while_the_store_is_watched(service: Service) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 3
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    assert tokens.get("shop", 5.0).value == "token-1-of-wx-shop"
    assert service.clock.slept == pytest.approx([0.4, 0.6, 0.9])
    assert len(service.store.reads) == 4


def test_a_token_that_appears_in_the_store_ends_the_wait(service: Service) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000

    def sleep(seconds: float) -> None:
        service.clock.sleep(seconds)
        service.store.tokens["shop"] = token("meanwhile", at=service.clock.now())

    tokens = access_tokens(service.store, service.refresher, service.clock)
    tokens._sleep = sleep
    assert tokens.get("shop", 5.0).value == "meanwhile"
    assert service.refresher.try_again_count == 1


def test_a_refresher_that_stays_busy_is_waited_for_as_long_as_there_is_patience(service: Service) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    outcome = failure(lambda: tokens.get("shop", 5.0))
    assert (outcome.error_class, outcome.retryable, outcome.retry_after) == (ErrorClass.TRANSIENT, True, 2.0)
    assert sum(service.clock.slept) == pytest.approx(5.0)


def test_those_who_queue_behind_a_failure_do_not_wait_for_it_in_turn(service: Service) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    first = failure(lambda: tokens.get("shop", 5.0))
    waited, asked = sum(service.clock.slept), len(service.refresher.asked)
    assert [failure(lambda: tokens.get("shop", 5.0)) for _ in range(9)] == [first] * 9
    assert (sum(service.clock.slept), len(service.refresher.asked)) == (waited, asked)
    service.refresher.busy = 0
    service.clock.advance(2.1)
    assert tokens.get("shop", 5.0).value == "token-1-of-wx-shop"


def test_a_rejected_token_that_cannot_be_replaced_does_not_stop_those_who_ask_for_one(
    service: Service,
) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    token = tokens.get("shop")
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    failure(lambda: tokens.replace("shop", token, 12.0))
    assert tokens.get("shop") == token


def test_the_failure_of_one_account_is_not_that_of_another(service: Service) -> None:
    service.add_account("bank", stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(40125))
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert failure(lambda: tokens.get("bank")).errcode == 40125
    assert tokens.get("shop").value == "token-1-of-wx-shop"


# ---------------------------------------------------------------- one thread at a time


@pytest.fixture
def held_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[AccessTokens]:
    """A sender of which one thread hangs while it gets the token of the account ``slow``."""
    monkeypatch.setattr(tokens_module, "LONGEST_LOCK", 0.05)
    service.add_account("slow", stored=False)
    hanging, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        assert go_on.wait(10)

    service.refresher.while_running = hang
    tokens = access_tokens(service.store, service.refresher, service.clock)
    thread = threading.Thread(target=tokens.get, args=("slow",))
    thread.start()
    assert hanging.wait(5)
    yield tokens
    go_on.set()
    thread.join()
    assert tokens.get("slow").value == "token-1-of-wx-slow"


@pytest.mark.parametrize("call", ["get", "replace"])
def test_a_thread_does_not_wait_for_another_one_for_ever(held_up: AccessTokens, call: str) -> None:
    started = time.perf_counter()
    if call == "get":
        outcome = failure(lambda: held_up.get("slow"))
    else:
        outcome = failure(lambda: held_up.replace("slow", token("the rejected one"), 12.0))
    assert 0.04 < time.perf_counter() - started < 5
    assert (outcome.error_class, outcome.retryable, outcome.retry_after) == (ErrorClass.TRANSIENT, True, 2.0)


def test_a_thread_that_hangs_holds_up_its_own_account_alone(held_up: AccessTokens) -> None:
    assert held_up.get("shop").value == "token-1-of-wx-shop"


def test_a_message_that_waited_in_vain_for_another_thread_was_not_attempted(
    service: Service, held_up: AccessTokens
) -> None:
    sender = Sender(held_up, service.wechat, now=service.clock.now, clock=service.clock.now)
    outcome = failure(lambda: sender.token("slow", plenty))
    assert (outcome.error_class, outcome.retryable) == (ErrorClass.TRANSIENT, True)
    assert service.wechat.attempts == []


def test_a_rejected_token_does_not_come_back_while_its_replacement_fails(service: Service) -> None:
    """One thread finds a token good, another one has it rejected in vain, then the store goes silent."""
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    old = tokens.get("shop")
    service.clock.advance(61)
    service.store.failing = {"read": "ThrottlingException"}
    service.refresher.down = "ServiceException"
    lock = SlowLock(service.clock, 0.0)
    lock.before = lambda: failure(lambda: tokens.replace("shop", old, 12.0))
    tokens._cache["shop"].lock = cast("Any", lock)
    assert failure(lambda: tokens.get("shop")).error_class is ErrorClass.TRANSIENT
    assert tokens._cache["shop"].token is None


def test_a_removed_account_has_no_token_for_anybody(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    tokens.get("shop")
    del service.store.sources["shop"], service.store.tokens["shop"]
    service.clock.advance(61)
    with pytest.raises(UnknownAccountError):
        tokens.get("shop")
    assert tokens._cache["shop"].token is None  # nor for those who do not wait for the lock


def test_a_cached_token_makes_an_account_known_at_once(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    tokens.get("shop")
    answers: list[bool] = []
    with tokens._cache["shop"].lock:  # another thread reads it again, from a store that is slow
        thread = threading.Thread(target=lambda: answers.append(tokens.known("shop")))
        thread.start()
        thread.join(1)
        assert answers == [True]


@pytest.mark.parametrize("call", ["get", "replace"])
def test_patience_counts_the_wait_for_another_thread(service: Service, call: str) -> None:
    service.store.tokens.clear()
    service.refresher.busy = 1000
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    lock = SlowLock(service.clock, 4.0)
    tokens._cache["shop"] = cached = tokens_module._Cached()
    cached.lock = cast("Any", lock)
    started = service.clock.now()
    if call == "get":
        failure(lambda: tokens.get("shop", 6.0))
    else:
        failure(lambda: tokens.replace("shop", token("the rejected one"), 6.0))
    assert service.clock.now() - started == pytest.approx(6.0)
    assert lock.timeouts == [tokens_module.LONGEST_LOCK]


def test_a_replacement_waits_for_another_thread_no_longer_than_its_patience(service: Service) -> None:
    """The message is claimed: what is waited beyond that is missing where the answer is written down."""
    tokens = access_tokens(service.store, service.refresher, service.clock, highest)
    old = tokens.get("shop")
    lock = SlowLock(service.clock, 100.0)
    tokens._cache["shop"].lock = cast("Any", lock)
    failure(lambda: tokens.replace("shop", old, 3.8))
    assert lock.timeouts == [3.8]


class SlowLock:
    """A lock that another thread holds for ``held`` seconds; ``before`` precedes the first wait for it."""

    def __init__(self, clock: Clock, held: float) -> None:
        self.timeouts: list[float] = []
        self.before: Ask | None = None
        self._clock, self._held = clock, held

    def acquire(self, *, timeout: float) -> bool:
        before, self.before = self.before, None
        if before:
            before()
        self.timeouts.append(timeout)
        self._clock.advance(min(timeout, self._held))
        return timeout >= self._held

    def release(self) -> None:
        pass


# ---------------------------------------------------------------- whether an account is known


def test_an_account_with_a_stored_token_is_known_even_where_it_expired(service: Service) -> None:
    service.clock.advance(8000)
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert tokens.known("shop")
    assert service.refresher.asked == []


def test_a_known_account_is_looked_up_once(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert [tokens.known("shop") for _ in range(5)] == [True] * 5
    assert len(service.store.reads) == 1


def test_an_account_without_a_stored_token_is_known_if_the_refresher_gets_one(service: Service) -> None:
    service.add_account("new", stored=False)
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert tokens.known("new")
    assert service.refresher.asked == [("new", None)]
    assert not tokens.known("nobody")
    assert not tokens.known("nobody")
    assert service.refresher.asked == [("new", None), ("nobody", None)]


@pytest.mark.parametrize("account", ["shop", "nobody"])
def test_a_store_that_is_down_makes_no_account_unknown(service: Service, account: str) -> None:
    service.store.failing = {"read": "ThrottlingException"}
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert tokens.known(account)
    assert service.refresher.asked == []


@pytest.mark.parametrize("trouble", ["WeChat", "refresher", "busy"])
def test_an_account_that_gets_no_token_for_the_moment_is_known(service: Service, trouble: str) -> None:
    service.add_account("new", stored=False)
    service.wechat.refuse_tokens("wx-new", answer(40164))
    service.refresher.down = "ServiceException" if trouble == "refresher" else None
    service.refresher.busy = 1000 if trouble == "busy" else 0
    assert access_tokens(service.store, service.refresher, service.clock).known("new")
    assert service.refresher.asked[0] == ("new", None)


# ---------------------------------------------------------------- a rejected token


def test_a_rejected_token_is_replaced_by_what_the_store_has_by_now(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    old = tokens.get("shop")
    service.wechat.renew("wx-shop")
    service.token_refresher.refresh("shop")
    assert tokens.replace("shop", old, 12.0).value == "token-2-of-wx-shop"
    assert service.refresher.asked == []


def test_a_rejected_token_that_is_still_stored_is_named_to_the_refresher_by_its_digest(
    service: Service,
) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    old = tokens.get("shop")
    service.wechat.renew("wx-shop")
    new = tokens.replace("shop", old, 12.0)
    assert new.value == "token-2-of-wx-shop"
    assert service.refresher.asked == [("shop", old.digest)]
    assert service.wechat.fetches == [("wx-shop", False)]
    assert tokens.get("shop") is new


def test_the_second_thread_of_a_process_takes_what_the_first_one_got(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    old = tokens.get("shop")
    service.wechat.renew("wx-shop")
    service.forget()
    assert tokens.replace("shop", old, 12.0) is tokens.replace("shop", old, 12.0)
    assert len(service.refresher.asked) == 1
    assert len(service.store.reads) == 1


def test_a_rejected_token_is_not_used_again_when_it_could_not_be_replaced(service: Service) -> None:
    tokens = access_tokens(service.store, service.refresher, service.clock)
    old = tokens.get("shop")
    service.refresher.down = "ServiceException"
    failure(lambda: tokens.replace("shop", old, 12.0))
    service.store.failing = {"read": "ThrottlingException"}
    assert failure(lambda: tokens.get("shop")).error_class is ErrorClass.TRANSIENT


def test_two_hundred_senders_that_are_rejected_together_lead_to_one_call(service: Service) -> None:
    rejected = service.store.tokens["shop"]
    service.wechat.renew("wx-shop")
    service.refresher.while_running = lambda: time.sleep(0.02)
    senders = [access_tokens(service.store, service.refresher, service.clock, highest) for _ in range(200)]
    for sender in senders:
        assert sender.get("shop") == rejected
        sender._sleep = lambda _seconds: time.sleep(0.005)  # the fake clock stands: nobody gives up
    together = threading.Barrier(200)
    results: list[str] = []

    def replace_token(index: int) -> None:
        together.wait()
        results.append(senders[index].replace("shop", rejected, 12.0).value)

    threads = [threading.Thread(target=replace_token, args=(index,)) for index in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["token-2-of-wx-shop"] * 200
    assert service.wechat.fetches == [("wx-shop", False)]
    assert len(service.store.saves) == 1


def test_the_fake_refresher_lets_in_one_at_a_time(service: Service) -> None:
    def ask_again() -> None:
        with pytest.raises(RefresherBusyError):
            service.refresher.ask("shop", None)

    service.refresher.while_running = ask_again
    assert service.refresher.ask("shop", None).value == "token-1-of-wx-shop"
    assert service.refresher.try_again_count == 1


# ---------------------------------------------------------------- the refresher


def test_a_new_account_gets_its_first_token(service: Service) -> None:
    service.add_account("new", stored=False)
    result = service.token_refresher.refresh("new")
    assert result == Refreshed("new", result.token, calls=1, changed=True)
    assert result.token == AccessToken("token-1-of-wx-new", START + 7200, START)
    assert service.store.saves == [("new", result.token)]


def test_a_token_that_is_still_the_same_is_not_written(service: Service) -> None:
    service.clock.advance(300.7)
    result = service.token_refresher.refresh("shop")
    assert (result.calls, result.changed, result.failure) == (1, False, None)
    assert result.token is not None
    assert result.token.obtained_at == START
    assert service.store.saves == []


def test_a_renewed_token_is_written_with_its_remaining_time(service: Service) -> None:
    service.clock.advance(6950)
    result = service.token_refresher.refresh("shop")
    assert result.changed
    assert service.store.tokens["shop"] == AccessToken("token-2-of-wx-shop", START + 14150, START + 6950)


def test_an_expiry_that_moved_is_written(service: Service) -> None:
    stored = service.store.tokens["shop"]
    service.store.tokens["shop"] = replace(stored, expires_at=stored.expires_at - 61)
    assert service.token_refresher.refresh("shop").changed
    assert service.store.tokens["shop"] == stored


def test_all_accounts_are_refreshed_and_a_failing_one_stops_no_other(service: Service) -> None:
    for account in ("zoo", "bank", "cafe", "dead"):
        service.add_account(account, stored=False)
    service.wechat.refuse_tokens("wx-bank", answer(40164, "invalid ip 198.51.100.7, not in whitelist"))
    service.store.sources["cafe"] = service.wechat.app("wx-cafe", "another secret")
    service.wechat.refuse_tokens("wx-dead", answer(40243))
    service.store.broken["typo"] = Bilingual("wrong: app_id", "有误：app_id")
    results = service.token_refresher.refresh_all(plenty)
    assert [result.account for result in results] == ["bank", "cafe", "dead", "shop", "typo", "zoo"]
    failures = {result.account: result.failure for result in results if result.failure}
    assert {account: outcome.errcode for account, outcome in failures.items()} == {
        "bank": 40164,
        "cafe": 40125,
        "dead": 40243,
        "typo": None,
    }
    assert "198.51.100.7" in str(failures["bank"].errmsg)
    assert (failures["typo"].error_class, failures["typo"].retryable) == (ErrorClass.CONFIG, False)
    assert "wrong: app_id" in failures["typo"].hint.en
    assert {account for account, _ in service.store.saves} == {"zoo"}


def test_an_account_that_breaks_the_refresher_stops_no_other(service: Service) -> None:
    class Broken:
        def fetch(self, *, force: bool) -> Grant:
            raise RuntimeError(f"force={force}, 57_secret")

    service.add_account("bank", stored=False)
    service.store.sources["bank"] = Broken()
    bank, shop = service.token_refresher.refresh_all(plenty)
    assert bank.failure is not None
    assert (bank.failure.error_class, bank.failure.errcode) == (ErrorClass.OTHER, None)
    assert "RuntimeError" in bank.failure.hint.en
    assert "57_secret" not in repr(bank)
    assert shop.token is not None


def test_many_accounts_are_refreshed_at_the_same_time(service: Service) -> None:
    for index in range(16):
        service.add_account(f"team-{index}", stored=False)
    del service.store.sources["shop"]
    together = threading.Barrier(16, timeout=5)  # breaks unless all sixteen are under way

    def wait_for_all(_app_id: str) -> None:
        together.wait()

    service.wechat.while_fetching = wait_for_all
    assert all(result.changed for result in service.token_refresher.refresh_all(plenty))


@pytest.mark.parametrize(("seconds_left", "fetches"), [(58.0, 2), (57.9, 0)])
def test_no_account_is_begun_that_could_be_cut_off(
    service: Service, seconds_left: float, fetches: int
) -> None:
    service.add_account("bank", stored=False)
    results = service.token_refresher.refresh_all(lambda: seconds_left)
    assert [result.account for result in results] == ["bank", "shop"]
    assert len(service.wechat.fetches) == sum(result.calls for result in results) == fetches
    for result in results:
        assert (result.token is None) == (result.failure is not None) == (fetches == 0)
        assert result.stored
        if result.failure:
            assert (result.failure.error_class, result.failure.retryable) == (ErrorClass.TRANSIENT, True)
            assert "out of time" in result.failure.hint.en


def test_accounts_that_there_is_no_time_for_do_not_hide_those_that_were_refreshed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "_CONCURRENT_ACCOUNTS", 1)
    for account in ("bank", "cafe"):
        service.add_account(account, stored=False)
    service.wechat.while_fetching = lambda _app_id: service.clock.advance(20)
    stopped_at = service.clock.now() + 88
    results = service.token_refresher.refresh_all(lambda: stopped_at - service.clock.now())
    assert [(result.account, result.failure is None) for result in results] == [
        ("bank", True),
        ("cafe", True),
        ("shop", False),
    ]
    assert service.store.tokens["cafe"].value == "token-1-of-wx-cafe"


def test_no_accounts_are_no_trouble(service: Service) -> None:
    service.store.sources.clear()
    assert service.token_refresher.refresh_all(plenty) == []


def test_a_token_that_could_not_be_stored_is_used_and_reported(service: Service) -> None:
    service.wechat.renew("wx-shop")
    service.store.failing = {"save": "ThrottlingException"}
    result = service.token_refresher.refresh("shop")
    assert (result.stored, result.changed, result.failure) == (False, True, None)
    assert result.token is not None
    assert result.token.value == "token-2-of-wx-shop"
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert tokens.replace("shop", service.store.tokens["shop"], 12.0).value == "token-2-of-wx-shop"


def test_a_store_that_cannot_be_read_is_an_error_of_the_whole_refresh(service: Service) -> None:
    service.store.failing = {"load": "AccessDeniedException", "load_all": "AccessDeniedException"}
    with pytest.raises(StorageError):
        service.token_refresher.refresh("shop")
    with pytest.raises(StorageError):
        service.token_refresher.refresh_all(plenty)


def test_wechat_is_not_asked_where_the_store_has_another_usable_token(service: Service) -> None:
    result = service.token_refresher.replace("shop", token("the rejected one").digest)
    assert (result.token, result.calls) == (service.store.tokens["shop"], 0)
    assert service.wechat.fetches == []


def test_a_sender_without_a_token_gets_the_stored_one(service: Service) -> None:
    assert service.token_refresher.replace("shop", None).calls == 0


def test_a_stored_token_that_ran_out_is_renewed_without_force(service: Service) -> None:
    service.clock.advance(7195)
    result = service.token_refresher.replace("shop", None)
    assert service.wechat.fetches == [("wx-shop", False)]
    assert (result.forced, result.changed) == (False, True)


def rejected_and_handed_out_again(service: Service) -> Refreshed:
    stored = service.store.tokens["shop"]
    service.wechat.reject("wx-shop")
    return service.token_refresher.replace("shop", stored.digest)


def test_force_is_used_only_after_normal_mode_handed_out_the_rejected_token(service: Service) -> None:
    result = rejected_and_handed_out_again(service)
    assert service.wechat.fetches == [("wx-shop", False), ("wx-shop", True)]
    assert (result.calls, result.forced, result.changed, result.failure) == (2, True, True, None)
    assert service.store.tokens["shop"] == AccessToken(
        "token-2-of-wx-shop", START + 7200, START, "2026-03-01", 1, START
    )


def test_a_forced_refresh_is_counted_before_it_is_made(service: Service) -> None:
    counted: list[int] = []
    service.wechat.while_fetching = lambda _app_id: counted.append(service.store.tokens["shop"].forced_count)
    rejected_and_handed_out_again(service)
    assert counted == [0, 1]


def test_a_forced_refresh_that_cannot_be_counted_is_not_made(service: Service) -> None:
    service.store.failing = {"save": "ThrottlingException"}
    result = rejected_and_handed_out_again(service)
    assert service.wechat.fetches == [("wx-shop", False)]
    assert result.failure is not None
    assert (result.failure.error_class, result.failure.retryable) == (ErrorClass.TRANSIENT, True)


def test_the_next_forced_refresh_waits_for_half_a_minute(service: Service) -> None:
    rejected_and_handed_out_again(service)
    service.clock.advance(20)
    service.forget()
    result = rejected_and_handed_out_again(service)
    assert service.wechat.fetches == [("wx-shop", False)]
    assert result.failure is not None
    assert (result.failure.error_class, result.failure.retry_after) == (ErrorClass.TOKEN, 20.0)
    service.clock.advance(19.9)
    assert rejected_and_handed_out_again(service).failure is not None
    service.clock.advance(0.2)
    assert rejected_and_handed_out_again(service).failure is None
    assert service.store.tokens["shop"].forced_count == 2


def test_until_then_those_who_were_rejected_cost_one_call_in_five_seconds(service: Service) -> None:
    rejected_and_handed_out_again(service)
    service.clock.advance(29)
    service.forget()
    for _ in range(20):
        failure = rejected_and_handed_out_again(service).failure
        assert failure is not None
        assert failure.error_class is ErrorClass.TOKEN
        service.clock.advance(0.49)
    assert len(service.wechat.fetches) == 2
    service.clock.advance(2)
    assert rejected_and_handed_out_again(service).token is not None


def test_the_twenty_first_forced_refresh_of_a_day_in_beijing_is_not_made(service: Service) -> None:
    for _ in range(20):
        assert rejected_and_handed_out_again(service).forced
        service.clock.advance(40)
    service.forget()
    result = rejected_and_handed_out_again(service)
    assert (result.forced, service.wechat.fetches) == (False, [("wx-shop", False)])
    assert result.failure is not None
    assert (result.failure.error_class, result.failure.retryable) == (ErrorClass.TOKEN, True)
    assert "20" in result.failure.hint.en
    midnight = datetime(2026, 3, 2, tzinfo=BEIJING).timestamp()
    service.clock.advance(midnight - service.clock.now() - 1)
    service.token_refresher.refresh("shop")
    assert rejected_and_handed_out_again(service).failure is not None
    service.clock.advance(5)  # so long the answer before counts
    assert rejected_and_handed_out_again(service).failure is None
    assert (service.store.tokens["shop"].forced_day, service.store.tokens["shop"].forced_count) == (
        "2026-03-02",
        1,
    )


def test_a_scheduled_refresh_keeps_the_count_of_forced_ones(service: Service) -> None:
    rejected_and_handed_out_again(service)
    service.wechat.renew("wx-shop")
    assert service.token_refresher.refresh("shop").changed
    assert (service.store.tokens["shop"].forced_count, service.store.tokens["shop"].forced_at) == (1, START)


def lose_the_answer_to_a_forced_refresh(service: Service) -> None:
    """The account's token stays the rejected one, and one use of force is gone."""
    rejected = service.store.tokens["shop"].digest
    calls: list[str] = []

    def lose_the_second(app_id: str) -> None:
        calls.append(app_id)
        if len(calls) == 2:
            service.wechat.refuse_tokens("wx-shop", unreachable())

    service.wechat.while_fetching = lose_the_second
    result = service.token_refresher.replace("shop", rejected)
    assert (result.forced, result.failure) == (True, unreachable())
    service.wechat.while_fetching = lambda _app_id: None
    service.wechat.refusals.clear()
    service.forget()


def test_a_store_that_shows_an_older_version_gives_no_force_back(service: Service) -> None:
    older = service.store.tokens["shop"]
    lose_the_answer_to_a_forced_refresh(service)
    assert service.store.tokens["shop"].forced_count == 1
    service.store.tokens["shop"] = older
    service.clock.advance(20)
    result = service.token_refresher.replace("shop", older.digest)
    assert (result.forced, service.wechat.fetches) == (False, [("wx-shop", False)])
    assert result.failure is not None
    assert (result.failure.error_class, result.failure.retry_after) == (ErrorClass.TOKEN, 20.0)
    service.store.tokens["shop"] = older
    service.clock.advance(20)
    assert service.token_refresher.replace("shop", older.digest).forced
    stored = service.store.tokens["shop"]
    assert (stored.value, stored.forced_count, stored.forced_at) == ("token-2-of-wx-shop", 2, START + 40)


def test_force_stays_used_up_where_the_store_shows_an_older_version(service: Service) -> None:
    older = service.store.tokens["shop"]
    for _ in range(20):
        assert rejected_and_handed_out_again(service).forced
        service.clock.advance(40)
    service.wechat.reject("wx-shop")
    token = service.store.tokens["shop"]
    service.store.tokens["shop"] = replace(token, forced_count=older.forced_count, forced_at=0.0)
    result = service.token_refresher.replace("shop", token.digest)
    assert not result.forced
    assert result.failure is not None
    assert "20" in result.failure.hint.en


@pytest.mark.parametrize("shown", ["older", "none"])
def test_an_ordinary_refresh_does_not_write_back_what_an_older_version_says_of_force(
    service: Service, shown: str
) -> None:
    older = service.store.tokens["shop"]
    rejected_and_handed_out_again(service)
    newest = service.store.tokens["shop"]
    if shown == "older":
        service.store.tokens["shop"] = older
    else:
        del service.store.tokens["shop"]
    assert service.token_refresher.refresh("shop").changed
    assert service.store.tokens["shop"] == newest


def test_what_one_account_used_of_its_force_is_not_another_ones(service: Service) -> None:
    service.add_account("bank")
    rejected_and_handed_out_again(service)
    rejected = service.store.tokens["bank"].digest
    service.wechat.reject("wx-bank")
    assert service.token_refresher.replace("bank", rejected).forced
    assert service.store.tokens["bank"].forced_count == 1


def test_what_another_refresher_used_of_the_force_counts_too(service: Service) -> None:
    rejected_and_handed_out_again(service)
    service.clock.advance(40)
    service.store.tokens["shop"] = replace(
        service.store.tokens["shop"], forced_count=5, forced_at=service.clock.now()
    )
    assert not rejected_and_handed_out_again(service).forced
    service.clock.advance(40)
    assert rejected_and_handed_out_again(service).forced
    assert service.store.tokens["shop"].forced_count == 6


def test_a_token_that_stays_the_rejected_one_is_not_handed_out(service: Service) -> None:
    stored = service.store.tokens["shop"]
    service.wechat._apps["wx-shop"].forced.append(START - 1)  # WeChat remembers one that we do not
    result = service.token_refresher.replace("shop", stored.digest)
    assert (result.token, result.forced) == (None, True)
    assert result.failure is not None
    assert (result.failure.error_class, result.failure.retry_after) == (ErrorClass.TOKEN, 30.0)


def test_a_failing_token_endpoint_is_told_to_the_sender(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", unreachable())
    tokens = access_tokens(service.store, service.refresher, service.clock)
    assert failure(lambda: tokens.get("shop")) == unreachable()


@given(
    st.lists(
        st.tuples(
            st.floats(0, 4000, allow_nan=False), st.sampled_from(["reject", "renew", "refresh", "get"])
        ),
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_whatever_happens_force_stays_within_wechats_limits(steps: list[tuple[float, str]]) -> None:
    service = Service()
    forced: list[float] = []
    for wait, step in steps:
        service.clock.advance(wait % 45 if step == "reject" else wait)
        service.forget()
        if step == "reject":
            service.token_refresher.refresh("shop")
            rejected_and_handed_out_again(service)
        elif step == "renew":
            service.wechat.renew("wx-shop")
        elif step == "refresh":
            service.token_refresher.refresh("shop")
        else:
            service.token_refresher.replace("shop", None)
        forced += [service.clock.now()] * service.wechat.fetches.count(("wx-shop", True))
    assert all(later - earlier >= 30 for earlier, later in pairwise(forced))
    days = [datetime.fromtimestamp(at, BEIJING).date() for at in forced]
    assert all(days.count(day) <= 20 for day in days)


def test_errors_hold_no_token() -> None:
    assert str(TokenUnavailableError(answer(40125))) == "no access token: config 40125"
