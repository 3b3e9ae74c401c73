"""Real threads, held up where a test wants them: a group is written when the test lets it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from wechat_notify.aws import group_commit
from wechat_notify.aws.group_commit import GroupCommit

WAIT = 10.0
"""Seconds after which a test is given up; nothing here takes that long."""


class StoreDownError(Exception):
    """What a store raises that cannot be reached."""


class Put(NamedTuple):
    key: str
    value: int = 0


class Store:
    """Answers each group with its values, when it is let through."""

    def __init__(self) -> None:
        self.groups: list[list[Put]] = []
        self._turns = threading.Semaphore(0)

    def write(self, group: Sequence[Put]) -> list[int]:
        self.groups.append(list(group))
        assert self._turns.acquire(timeout=WAIT)
        if any(put.value < 0 for put in group):
            raise StoreDownError
        return [put.value for put in group]

    def let_through(self, groups: int = 1) -> None:
        for _ in range(groups):
            self._turns.release()


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Threads:
    """Threads that write one after the other, as far as a store that holds them lets them."""

    def __init__(self, pool: ThreadPoolExecutor, max_size: int) -> None:
        self.store = Store()
        self._commit = GroupCommit[Put, int](self.store.write, max_size)
        self._pool = pool

    def write(self, *puts: Put) -> list[Future[int | None]]:
        """Begin a write in a thread for each, and wait until each is being written or waits."""
        begun: list[Future[int | None]] = []
        for put in puts:
            before = self._known()
            begun.append(self._pool.submit(self._commit.write, put))
            until(lambda before=before: self._known() > before)  # type: ignore[misc]
        return begun

    def _known(self) -> int:
        return len(self._commit._waiting) + sum(map(len, self.store.groups))


@pytest.fixture(autouse=True)
def max_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that nobody wakes is given up here before it ends by itself."""
    monkeypatch.setattr(group_commit, "MAX_WAIT", 2 * WAIT)


@contextmanager
def threads(max_size: int = 25) -> Iterator[Threads]:
    with ThreadPoolExecutor(40) as pool:
        made = Threads(pool, max_size)
        try:
            yield made
        finally:
            made.store.let_through(40)


def results(begun: Sequence[Future[int | None]]) -> list[int | None]:
    return [each.result(WAIT) for each in begun]


@pytest.mark.parametrize(
    ("keys", "max_size", "groups"),
    [
        ("a", 25, ["a"]),
        ("abcdefghij", 25, ["a", "bcdefghij"]),
        ("abcdefgh", 3, ["a", "bcd", "efg", "h"]),
        ("zabac", 25, ["z", "abc", "a"]),
    ],
    ids=["one", "those that come meanwhile", "at most so many", "no key twice"],
)
def test_groups(keys: str, max_size: int, groups: list[str]) -> None:
    puts = [Put(key, number) for number, key in enumerate(keys)]
    with threads(max_size) as run:
        begun = run.write(*puts)
        run.store.let_through(len(groups))
        assert results(begun) == list(range(len(keys)))
    assert ["".join(put.key for put in group) for group in run.store.groups] == groups


def test_error_is_raised_in_writing_thread() -> None:
    """The thread that wrote the group hears it; the others are told that nothing is known."""
    with threads() as run:
        first = run.write(Put("first"))
        others = run.write(Put("a", -1), Put("b", 2))
        run.store.let_through(2)
        assert results(first) == [0]
        with pytest.raises(StoreDownError):
            others[0].result(WAIT)
        assert others[1].result(WAIT) is None
        after = run.write(Put("c", 3))
        run.store.let_through()
        assert results(after) == [3]


def test_slow_call_blocks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAIT", 0.01)
    with threads() as run:
        run.write(Put("slow"))
        run.write(Put("a", 1))
        until(lambda: len(run.store.groups) == 2)
        run.write(Put("b", 2))
        until(lambda: len(run.store.groups) == 3)
    assert run.store.groups == [[Put("slow")], [Put("a", 1)], [Put("b", 2)]]


@pytest.mark.parametrize("max_wait", [0.0001, WAIT])
def test_every_write_gets_its_own_answer(monkeypatch: pytest.MonkeyPatch, max_wait: float) -> None:
    """Whatever the threads do: none is forgotten, written twice or told another's answer."""
    monkeypatch.setattr(group_commit, "MAX_WAIT", max_wait)
    written: list[Put] = []

    def write(group: Sequence[Put]) -> list[int]:
        assert 1 <= len({put.key for put in group}) == len(group) <= 5
        written.extend(group)
        time.sleep(0.0002)
        return [put.value for put in group]

    commit = GroupCommit[Put, int](write, 5)
    puts = [Put(str(number % 7), number) for number in range(2000)]
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(commit.write, puts)) == list(range(2000))
    assert sorted(written, key=lambda put: put.value) == puts
    assert (commit._waiting, commit._writers) == ([], 0)
