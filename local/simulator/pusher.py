"""Pushes events as WeChat does: again where they are not taken, and after too many failures not at all."""

import heapq
import http.client
import itertools
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from local.simulator.receipts import Push, PushRequest, request_of

_REPEATS = 3
_ANSWER_SECONDS = 5.0
_FAILURES = 5
"""Events in a row that were not taken, after which nothing is pushed for a while."""
_AT_ONCE = 4
_TAKEN = (b"success", b"")


@dataclass(slots=True)
class Pauses:
    """Seconds: before an event, before a late one, before a repeat, and without pushes after failures."""

    soon: float = 0.1
    late: float = 3.0
    repeat: float = 5.0
    mark_fail: float = 60.0


class Pusher:
    """Pushes events in threads of its own.

    Parameters
    ----------
    clock
        WeChat's time in epoch seconds; pauses go by the real one.
    rng
        Where nonces come from.
    """

    def __init__(self, clock: Callable[[], float], rng: Random) -> None:
        self.pauses = Pauses()
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._rng = rng
        self._due: list[tuple[float, int, Push, int]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_stopped = False
        self._failures = 0
        self._silent_until = 0.0
        self._threads = ThreadPoolExecutor(_AT_ONCE, "push")
        self._dispatcher: threading.Thread | None = None
        # The host's proxies do not reach the loopback interface.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def take(self, push: Push) -> None:
        """Push an event in due time; an early one is pushed when this returns."""
        if push.when == "early":
            self._push(push, 0)
            return
        self._schedule(push, 0, self.pauses.late if push.when == "late" else self.pauses.soon)

    def notify(self, request: PushRequest) -> None:
        """Push an event of a third-party platform, and again where it is not taken."""
        with suppress(RuntimeError):  # it has stopped
            self._threads.submit(self._push_until_taken, request)

    def ask(self, request: PushRequest) -> tuple[int, bytes]:
        """Push a message, and return what is answered: the status, and the body."""
        given = _given(request)
        try:
            with self._opener.open(given, timeout=_ANSWER_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def reset(self) -> None:
        """Forget what is due, the counts and the failures."""
        with self._changed:
            self._due.clear()
            self.counts.clear()
            self.pauses = Pauses()
            self._failures, self._silent_until = 0, 0.0

    def stop(self) -> None:
        """Push nothing more; what is on its way ends within its time for an answer."""
        with self._changed:
            self._is_stopped = True
            self._due.clear()
            self._changed.notify_all()
        if self._dispatcher is not None:
            self._dispatcher.join()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _schedule(self, push: Push, repeats: int, seconds: float) -> None:
        with self._changed:
            if self._is_stopped:
                return
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), push, repeats))
            if self._dispatcher is None:
                self._dispatcher = threading.Thread(target=self._dispatch, name="receipts", daemon=True)
                self._dispatcher.start()
            self._changed.notify_all()

    def _dispatch(self) -> None:
        while True:
            with self._changed:
                while not self._is_stopped and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._is_stopped:
                    return
                _, _, push, repeats = heapq.heappop(self._due)
                self._threads.submit(self._push, push, repeats)

    def _push_until_taken(self, request: PushRequest) -> None:
        if request.late:
            with self._changed:
                if self._changed.wait_for(lambda: self._is_stopped, self.pauses.late):
                    return
        for _ in range(_REPEATS):
            if self._is_taken(request):
                return
            with self._changed:
                if self._changed.wait_for(lambda: self._is_stopped, self.pauses.repeat):
                    return
        self._is_taken(request)

    def _push(self, push: Push, repeats: int) -> None:
        with self._changed:
            if time.monotonic() < self._silent_until:
                self.counts["not_pushed"] += 1
                return
            request = request_of(push.callback, push.event, int(self._clock()), self._rng)
        taken = [self._is_taken(request) for _ in range(push.times)]
        is_taken = all(taken)
        with self._changed:
            self.counts["taken" if is_taken else "not_taken"] += 1
            if is_taken:
                self._failures = 0
                return
            if repeats == _REPEATS:
                self.counts["given_up"] += 1
                self._failures += 1
                if self._failures >= _FAILURES:
                    self._failures, self._silent_until = 0, time.monotonic() + self.pauses.mark_fail
                return
        self._schedule(push, repeats + 1, self.pauses.repeat)

    def _is_taken(self, request: PushRequest) -> bool:
        with (
            suppress(OSError, http.client.HTTPException),
            self._opener.open(_given(request), timeout=_ANSWER_SECONDS) as answer,
        ):
            return answer.status == http.client.OK and answer.read(64) in _TAKEN
        return False


def _given(request: PushRequest) -> urllib.request.Request:
    return urllib.request.Request(  # noqa: S310 - the address that somebody set
        request.url, request.body, {"Content-Type": request.content_type}, method="POST"
    )
