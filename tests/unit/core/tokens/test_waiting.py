"""A busy refresher and other threads: who waits for whom, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.fakes import Clock, Service, access_tokens, highest, lowest
from tests.unit.core.tokens.shared import failure, token
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.tokens import access_tokens as module
from wechat_notify.core.tokens.access_tokens import BUSY, AccessTokens


@pytest.fixture
def tokens(service: Service) -> AccessTokens:
    return access_tokens(service.store, service.refresher, service.clock, highest)


@pytest.fixture
def busy(service: Service) -> Service:
    """Nothing is stored, and somebody else has the refresher."""
    service.store.tokens.clear()
    service.refresher.busy = 1000
    return service


# ---------------------------------------------------------------- a busy refresher


@pytest.mark.parametrize(
    ("jitter", "slept"),
    [(highest, [0.4, 0.6, 0.9, 1.35, 2.0, 2.0, 2.0, 0.75]), (lowest, [0.1] * 8)],
)
def test_pauses(busy: Service, jitter: Callable[[float, float], float], slept: list[float]) -> None:
    tokens = access_tokens(busy.store, busy.refresher, busy.clock, jitter)
    assert failure(lambda: tokens.get("shop", 10.0)) == BUSY
    assert busy.clock.slept[:8] == pytest.approx(slept)
    assert sum(busy.clock.slept) == pytest.approx(10.0)
    assert len(busy.store.reads) == len(busy.clock.slept) + 1


def test_impatient_caller_does_not_wait(busy: Service, tokens: AccessTokens) -> None:
    assert failure(lambda: tokens.get("shop")) == BUSY
    assert (busy.clock.slept, len(busy.refresher.asked)) == ([], 1)


def test_deadline_counts_after_second_read(service: Service, tokens: AccessTokens) -> None:
    """A good token is read again and is gone: the refresher is still waited for."""
    tokens.get("shop")
    service.clock.advance(61)
    service.store.tokens.clear()
    service.refresher.busy = 2
    assert tokens.get("shop", 5.0).value == "token-1-of-wx-shop"
    assert service.clock.slept == pytest.approx([0.4, 0.6])


def test_stored_token_ends_the_wait(busy: Service, tokens: AccessTokens) -> None:
    def sleep(seconds: float) -> None:
        busy.clock.sleep(seconds)
        busy.store.tokens["shop"] = token("meanwhile", at=busy.clock.now())

    tokens._sleep = sleep
    assert tokens.get("shop", 5.0).value == "meanwhile"
    assert busy.refresher.try_again_count == 1


def test_failure_answers_the_next_ones(busy: Service, tokens: AccessTokens) -> None:
    """Those who queue behind it do not wait for it in turn."""
    failure(lambda: tokens.get("shop", 5.0))
    waited, asked = sum(busy.clock.slept), len(busy.refresher.asked)
    assert waited == pytest.approx(5.0)
    busy.clock.advance(1.9)
    assert [failure(lambda: tokens.get("shop", 5.0)) for _ in range(9)] == [BUSY] * 9
    assert (sum(busy.clock.slept), len(busy.refresher.asked)) == (waited, asked)
    busy.refresher.busy = 0
    busy.clock.advance(0.2)
    assert tokens.get("shop", 5.0).value == "token-1-of-wx-shop"


# ---------------------------------------------------------------- other threads


class SlowLock:
    """A lock that another thread holds for ``held`` seconds; ``before`` precedes the first wait for it."""

    def __init__(self, clock: Clock, held: float) -> None:
        self.timeouts: list[float] = []
        self.before: Callable[[], object] | None = None
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


def locked(service: Service, tokens: AccessTokens, held: float) -> SlowLock:
    lock = SlowLock(service.clock, held)
    tokens._cache.setdefault("shop", module._Cached()).lock = cast("Any", lock)
    return lock


@pytest.mark.parametrize("replaces", [False, True])
def test_patience_counts_the_lock(busy: Service, tokens: AccessTokens, *, replaces: bool) -> None:
    lock = locked(busy, tokens, 4.0)
    started = busy.clock.now()
    rejected = token("the rejected one")
    failure(lambda: tokens.replace("shop", rejected, 6.0) if replaces else tokens.get("shop", 6.0))
    assert busy.clock.now() - started == pytest.approx(6.0)
    assert lock.timeouts == [5.0]


def test_replacement_waits_as_told(service: Service, tokens: AccessTokens) -> None:
    """The message is claimed: what is waited beyond that is missing where the answer is recorded."""
    old = tokens.get("shop")
    lock = locked(service, tokens, 100.0)
    assert failure(lambda: tokens.replace("shop", old, 3.8)) == BUSY
    assert lock.timeouts == [3.8]


def test_good_token_does_not_wait(service: Service, tokens: AccessTokens) -> None:
    good = tokens.get("shop")
    service.clock.advance(61)
    lock = locked(service, tokens, 4.0)
    assert tokens.get("shop", 12.0) is good
    assert lock.timeouts == [0.0]


def test_rejected_token_does_not_come_back(service: Service, tokens: AccessTokens) -> None:
    """One thread finds a token good, another one has it rejected in vain, then the store goes silent."""
    old = tokens.get("shop")
    service.clock.advance(61)
    service.store.failing = {"read": "ThrottlingException"}
    service.refresher.down = "ServiceException"
    locked(service, tokens, 0.0).before = lambda: failure(lambda: tokens.replace("shop", old, 12.0))
    assert failure(lambda: tokens.get("shop")).error_class is ErrorClass.TRANSIENT
    assert tokens._cache["shop"].token is None


def test_cached_token_makes_known_at_once(service: Service, tokens: AccessTokens) -> None:
    tokens.get("shop")
    lock = locked(service, tokens, 100.0)
    assert tokens.has_credentials("shop")
    assert lock.timeouts == []


@pytest.fixture
def held_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[AccessTokens]:
    """A sender of which one thread hangs while it gets the token of the account ``slow``."""
    monkeypatch.setattr(module, "MAX_LOCK_WAIT", 0.05)
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


def test_hanging_thread_holds_one_account(held_up: AccessTokens) -> None:
    rejected, started = token("the rejected one"), time.perf_counter()
    assert failure(lambda: held_up.get("slow")) == BUSY
    assert failure(lambda: held_up.replace("slow", rejected, 12.0)) == BUSY
    assert 0.08 < time.perf_counter() - started < 5
    assert held_up.get("shop").value == "token-1-of-wx-shop"
