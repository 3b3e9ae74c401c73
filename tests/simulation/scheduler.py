"""One thread, virtual time: what waits is a greenlet, and the heap says whose turn it is.

Everything that would wait for the network, a lock or a clock gives way to the hub here, which resumes what
is due next. Events at the same time come in the order in which they were scheduled, so that a seed gives
one history and no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Any, Self

from greenlet import getcurrent, greenlet


class Killed(BaseException):
    """The process is gone: no ``except Exception`` may stop it on its way out."""


class Process:
    """What dies as one: the greenlets that one invocation runs in."""

    def __init__(self) -> None:
        self.dead = False
        self.tasks: list[Task] = []


class Task(greenlet):
    """One line of execution of a process."""

    process: Process
    on_the_wire: Callable[[], Any] | None = None
    """A request that has left and may arrive, whatever becomes of its sender."""

    def __init__(self, run: Callable[[], Any], hub: greenlet, process: Process) -> None:
        super().__init__(run, hub)
        self.process = process
        process.tasks.append(self)


class Scheduler:
    """Virtual time in seconds since the epoch, and what is to happen in it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._hub = getcurrent()

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Do something at a time; it may not wait for anything."""
        heappush(self._heap, (when, next(self._order), action))

    def spawn(self, function: Callable[[], Any], process: Process) -> Task:
        """Begin another line of execution, once those before it have had their turn."""

        def run() -> None:
            try:
                function()
            except Killed:
                if not process.dead:
                    raise

        task = Task(run, self._hub, process)
        self.at(self.now, task.switch)
        return task

    def sleep(self, seconds: float) -> None:
        """Let time pass for whoever calls."""
        heappush(self._heap, (self.now + seconds, next(self._order), getcurrent().switch))
        self._hub.switch()

    def park(self) -> None:
        """Wait until somebody schedules this task's ``switch``."""
        self._hub.switch()

    def kill(self, process: Process) -> None:
        """End a process where it stands; called from the hub."""
        process.dead = True
        for task in process.tasks:
            if not task.dead:
                task.throw(Killed)

    def run(self, until: float, done: Callable[[], bool]) -> None:
        """Let happen what is due, until it is done or the time has come."""
        heap = self._heap
        while heap and heap[0][0] <= until and not done():
            when, _, action = heappop(heap)
            self.now = when
            action()


class _Waiter:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.woken = False
        self.got = False

    def wake(self, *, got: bool) -> None:
        if not self.woken:
            self.woken, self.got = True, got
            self.task.switch()


class Lock:
    """Stands in for ``threading.Lock``."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._held = False
        self._waiters: deque[_Waiter] = deque()

    def acquire(self, timeout: float = -1) -> bool:
        if not self._held:
            self._held = True
            return True
        task = getcurrent()
        assert isinstance(task, Task)
        waiter = _Waiter(task)
        self._waiters.append(waiter)
        if timeout >= 0:
            self._scheduler.at(self._scheduler.now + timeout, lambda: waiter.wake(got=False))
        self._scheduler.park()
        return waiter.got

    def release(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.woken and not waiter.task.process.dead:
                # Still held, for the next one.
                self._scheduler.at(self._scheduler.now, partial(self._hand_over, waiter))
                return
        self._held = False

    def _hand_over(self, waiter: _Waiter) -> None:
        if waiter.woken or waiter.task.process.dead:
            self.release()
        else:
            waiter.wake(got=True)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Pool:
    """Stands in for ``ThreadPoolExecutor``, as far as its ``map`` goes."""

    def __init__(self, scheduler: Scheduler, max_workers: int) -> None:
        self._scheduler = scheduler
        self._max_workers = max_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        todo = list(items)
        if len(todo) <= 1:
            return iter([function(item) for item in todo])
        caller = getcurrent()
        assert isinstance(caller, Task)
        results: list[Any] = [None] * len(todo)
        errors: dict[int, Exception] = {}
        numbers = iter(range(len(todo)))
        working = min(self._max_workers, len(todo))

        def work() -> None:
            nonlocal working
            for number in numbers:
                try:
                    results[number] = function(todo[number])
                except Exception as error:  # noqa: BLE001 - raised by whoever asks for the result
                    errors[number] = error
            working -= 1
            if not working:
                self._scheduler.at(self._scheduler.now, caller.switch)

        for _ in range(working):
            self._scheduler.spawn(work, caller.process)
        self._scheduler.park()
        if errors:
            raise errors[min(errors)]
        return iter(results)
