"""Group commit: what several threads write at the same time goes to the store in one call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

MAX_WAIT = 0.1
"""Seconds for which a write waits at most for the one before it to end. A call to DynamoDB takes a tenth of
that; where it takes longer, because it is repeated, what waits goes out beside it."""


class Keyed(Protocol):
    """Something that is written under a key."""

    @property
    def key(self) -> str:
        """The item's key; one group holds no key twice."""


W = TypeVar("W", bound=Keyed)
R = TypeVar("R")


class GroupCommit(Generic[W, R]):
    """Writes groups: the first thread writes alone, and those that come meanwhile are the next group.

    Nobody waits for a group to fill up. A thread that waits is woken when its write is done, or to write the
    next group itself; there is no thread beside those that write.

    Parameters
    ----------
    write : Callable
        Writes a group, and returns the answer to each in order.
    max_size : int
        The maximum size of a group.
    """

    def __init__(self, write: Callable[[Sequence[W]], Sequence[R]], max_size: int) -> None:
        self._write_group = write
        self._max_size = max_size
        self._lock = threading.Lock()
        self._waiting: list[_Write[W, R]] = []
        self._writers = 0

    def write(self, wanted: W) -> R | None:
        """Write in a group; return the answer, None where another thread's call failed.

        Raises whatever the call raises that this thread makes.
        """
        own = _Write[W, R](wanted)
        with self._lock:
            self._waiting.append(own)
            own.leads = not self._writers
            self._writers += own.leads
        if not own.leads:
            self._wait(own)
        if own.leads:
            self._lead(own)
        return own.answer

    def _wait(self, own: _Write[W, R]) -> None:
        """Wait until the write is done, or this thread's to do."""
        if own.woken.acquire(timeout=MAX_WAIT):
            return
        with self._lock:
            if own.leads:
                return
            if own in self._waiting:
                own.leads = True
                self._writers += 1
                return
        own.woken.acquire()  # its group is being written

    def _lead(self, own: _Write[W, R]) -> None:
        group = [own]
        try:
            group = self._take_group(own)
            answers = self._write_group([each.wanted for each in group])
            for each, answer in zip(group, answers, strict=True):
                each.answer = answer
        finally:
            self._hand_over()
            for each in group:
                if each is not own:
                    each.woken.release()

    def _take_group(self, own: _Write[W, R]) -> list[_Write[W, R]]:
        group = {own.wanted.key: own}
        with self._lock:
            for each in self._waiting:
                if len(group) == self._max_size:
                    break
                if not each.leads:
                    group.setdefault(each.wanted.key, each)
            taken = {id(each) for each in group.values()}
            self._waiting = [each for each in self._waiting if id(each) not in taken]
        return list(group.values())

    def _hand_over(self) -> None:
        """Wake one that waits, to write the next group."""
        with self._lock:
            for each in self._waiting:
                if not each.leads:
                    each.leads = True
                    each.woken.release()
                    return
            self._writers -= 1


class _Write(Generic[W, R]):
    """One write of a thread, which waits for ``woken``; ``leads`` says that it writes the next group."""

    def __init__(self, wanted: W) -> None:
        self.wanted = wanted
        self.answer: R | None = None
        self.leads = False
        self.woken = threading.Lock()
        self.woken.acquire()
