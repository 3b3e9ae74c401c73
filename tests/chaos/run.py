"""One run: messages go in at every door, things go wrong, and nobody leaves before all is quiet."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import heappop, heappush
from typing import Any

import pytest

from tests.chaos.aws import Aws
from tests.chaos.service import Crashed, Lambda
from tests.chaos.wechat import Arrival, WeChatProcess, number_in
from tests.chaos.workload import (
    ACCOUNTS,
    CANARY,
    QUOTA_ACCOUNT,
    QUOTA_KIND,
    QUOTA_PATH,
    TEMPLATE,
    Door,
    Fate,
    Handed,
    Mix,
    messages,
    unreadable,
)
from tests.fakes import api_event
from tests.fakes.aws.sqs import Stored, records, succeeded
from wechat_notify.core.errors import RefresherBusyError, StorageError
from wechat_notify.core.tokens.refresher import BEIJING

SPEED = 20.0
"""The service's seconds in a real one. Where nothing happens at all, its clock leaps to what happens next."""
_BEGIN = datetime(2026, 3, 1, 23, 0, tzinfo=BEIJING).timestamp()
RESET = datetime(2026, 3, 2, tzinfo=BEIJING).timestamp()
"""When the daily quota is new: long after the messages are handed over, some ten leaps later."""
_QUOTA_SHARE, _MIN_QUOTA = 0.6, 20
"""The part of the messages of one kind and account that a day's quota allows: all the others have to fit into
the next day's. Of fewer messages the repeats would be too large a part."""
_WORKERS = 12
_BATCH_SIZE = 10
_SCHEDULE = 300.0
_LATENCY = 0.003
_TOKEN_SECONDS = 1500
_MAX_ATTEMPTS = 14
"""A caller's; the waits between them are longer than any claim."""
_PATIENCE = 7200.0
_MAX_LASTS = 2 * 86400.0
_MIN_REAL, _REAL_A_MESSAGE = 90.0, 0.02
"""Real seconds after which a run is given up."""
_AT_ONCE = 40
_DIES_WITHIN = 6
"""Steps that a message takes, about."""
_SECRETS = {f"wx-{account}": f"{CANARY}-{account}" for account in ACCOUNTS}
_OK, _CONFLICT, _TOO_MANY, _SERVER_ERROR, _GATEWAY_TIMEOUT = 200, 409, 429, 500, 504
_MAX_UNKNOWN = 2
"""Times after which a caller believes that nobody knows."""


class Run:
    """The producers, the event source, the schedule and the callers of one run; then all that happened.

    Parameters
    ----------
    count
        Messages to be handed over.
    seed
        Makes the messages and the chances of faults the same; threads and sockets keep their own order.
    """

    def __init__(self, count: int, seed: int, mix: Mix, wechat: WeChatProcess) -> None:
        self.seed = seed
        self.seconds = 0.0
        self.unfinished: str | None = None
        """Why the run was given up."""
        self.killed: set[int] = set()
        """Messages that an invocation was at when it was killed."""
        self.epochs = self.refreshes = 0
        """Of the tokens: times when all were rejected, and scheduled refreshes."""
        self.answers: list[str] = []
        """Of the HTTP API."""
        self.stats: dict[str, Any] = {}
        self._mix = mix
        self._wechat = wechat
        self._clock = wechat.clock
        self._rng = random.Random(seed)  # noqa: S311 - nothing here is secret
        self.handed = list(messages(count, random.Random(seed), self._clock.now()))  # noqa: S311
        self.unreadable = unreadable(max(3, count // 1000))
        self.aws = Aws(self._clock, self._rng, mix, changed=self._wake)
        self.aws.parameters.sources = dict.fromkeys(ACCOUNTS, _NOBODY)
        self._queue = self.aws.queue
        self.lambdas = Lambda(self.aws, wechat.url, _SECRETS)
        self._chunks = self._source()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._busy = 0
        self._handed_over = 0
        self._given_out = False
        self._over = False
        self._harness_errors: list[BaseException] = []

    @property
    def arrivals(self) -> list[Arrival]:
        """What WeChat saw."""
        return self._wechat.arrivals

    def go(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Run:
        """Run to the end; ``progress`` hears now and then how many messages have been handed over."""
        began = time.monotonic()
        self._prepare()
        with pytest.MonkeyPatch.context() as patch:
            self.lambdas.lend(patch)
            try:
                self._work(began, progress)
            finally:
                self.lambdas.close()
        self._wechat.look()
        self.stats = self._wechat.ask("stats")
        self.seconds = time.monotonic() - began
        if self._harness_errors:
            raise self._harness_errors[0]
        return self

    # What goes wrong at WeChat

    def _prepare(self) -> None:
        tell, mix = self._wechat.tell, self._mix
        tell("settings", latency=_LATENCY, token_seconds=_TOKEN_SECONDS)
        for account in ACCOUNTS:
            tell("templates", app_id=f"wx-{account}", template_id=TEMPLATE)
        if mix.quota:
            affected = [
                each
                for each in self.handed
                if (each.account, each.body["kind"]) == (QUOTA_ACCOUNT, QUOTA_KIND) and each.fate is Fate.NONE
            ]
            if len(affected) >= _MIN_QUOTA:
                daily = int(len(affected) * _QUOTA_SHARE)
                tell("quotas", app_id=f"wx-{QUOTA_ACCOUNT}", path=QUOTA_PATH, daily=daily)
        silent, at_once = {"seconds": 30}, {"seconds": 0.02}
        for path, factor in (("/cgi-bin/message/*", 1.0), ("/cgi-bin/stable_token", mix.token / 0.09)):
            faults: list[tuple[float, dict[str, Any]]] = [
                (mix.timeout_before * mix.silent, {"effect": "timeout", "when": "before", **silent}),
                (mix.timeout_before * (1 - mix.silent), {"effect": "timeout", "when": "before", **at_once}),
                (mix.timeout_after * mix.silent, {"effect": "timeout", "when": "after", **silent}),
                (mix.timeout_after * (1 - mix.silent), {"effect": "timeout", "when": "after", **at_once}),
                (mix.reset / 2, {"effect": "reset", "when": "before"}),
                (mix.reset / 2, {"effect": "reset", "when": "after"}),
                (mix.status / 2, {"effect": "status", "when": "before", "status": 502}),
                (mix.status / 2, {"effect": "status", "when": "after", "status": 504}),
                (mix.busy, {"effect": "errcode", "errcode": -1}),
                (mix.odd, {"effect": "truncated"}),
                (mix.odd, {"effect": "html"}),
                (mix.odd, {"effect": "redirect"}),
                (mix.odd, {"effect": "drip", "seconds": 2}),
            ]
            if path != "/cgi-bin/stable_token":
                faults.append((mix.template, {"effect": "errcode", "errcode": 40037}))
            for probability, fault in faults:
                if probability:
                    tell("faults", path=path, probability=min(1.0, probability * factor), **fault)

    def _epoch(self) -> None:
        """WeChat rejects every token; every second time it goes on handing them out until it is forced."""
        self.epochs += 1
        self._wechat.tell("tokens/revoke", sticky=self.epochs % 2 == 0)

    # The event loop: threads that do what is due, and a clock that leaps when nothing is

    def _work(self, began: float, progress: Callable[[int, int], None]) -> None:
        self._at(self._clock.now(), self._refresh)
        workers = [threading.Thread(target=self._worker, name=f"chaos-{n}") for n in range(_WORKERS)]
        real_most = _MIN_REAL + _REAL_A_MESSAGE * len(self.handed)
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers):
                with self._changed:
                    self._changed.wait_for(lambda: self._over, 0.25)
                self._wechat.look()
                progress(self._handed_over, len(self.handed))
                if time.monotonic() - began > real_most or self._clock.now() > _BEGIN + _MAX_LASTS:
                    self.unfinished = f"{len(self._queue)} on the queue, {len(self._agenda)} on the agenda"
                    break
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            for worker in workers:
                worker.join()

    def _worker(self) -> None:
        try:
            while job := self._next():
                try:
                    job()
                finally:
                    with self._changed:
                        self._busy -= 1
                        self._changed.notify()
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for this one
            self._harness_errors.append(error)
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        """What is due, soonest or next; None where the run is over."""
        with self._changed:
            while not self._over:
                now = self._clock.now()
                job = self._due(now)
                if job:
                    self._busy += 1
                    return job
                upcoming = [at for at in (self._queue.next_visible_at(), self._agenda_at()) if at is not None]
                if not self._busy:
                    if not len(self._queue) and self._waiting_for_nothing():
                        self._over = True
                        self._changed.notify_all()
                        return None
                    self._clock.leap(min(upcoming) - now)
                    continue
                real = (min(upcoming, default=now + 1) - now) / SPEED
                self._changed.wait(min(0.1, max(0.001, real)))
        return None

    def _due(self, now: float) -> Callable[[], None] | None:
        agenda_at, queue_at = self._agenda_at(), self._queue.next_visible_at()
        if agenda_at is not None and agenda_at <= now:
            return heappop(self._agenda)[2]
        if queue_at is not None and queue_at <= now:
            batch = self._queue.receive(_BATCH_SIZE, self._rng, self._mix.delivered_twice)
            if batch:
                return lambda: self._poll(batch)
        chunk = next(self._chunks, None)
        if chunk is None:
            self._given_out = True
            return None
        return lambda: self._hand_over(chunk)

    def _agenda_at(self) -> float | None:
        return self._agenda[0][0] if self._agenda else None

    def _waiting_for_nothing(self) -> bool:
        # The schedule is always on the agenda.
        return self._given_out and len(self._agenda) <= 1

    def _at(self, when: float, job: Callable[[], None]) -> None:
        with self._changed:
            heappush(self._agenda, (when, next(self._order), job))
            self._changed.notify()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    # Producers

    def _source(self) -> Iterator[list[Handed]]:
        for start in range(0, len(self.handed), _AT_ONCE):
            yield self.handed[start : start + _AT_ONCE]

    def _hand_over(self, chunk: list[Handed]) -> None:
        for handed in chunk:
            if handed.door is Door.QUEUE:
                for _ in range(1 + handed.twice):
                    self._queue.put(handed.envelope)
                handed.acknowledged = True
            else:
                self._at(self._clock.now(), _Caller(self, handed).call)
            if handed.cancel_after is not None:
                self._at(self._clock.now() + handed.cancel_after, lambda handed=handed: self._cancel(handed))  # type: ignore[misc]
            if handed.number % self._mix.messages_an_epoch == self._mix.messages_an_epoch // 2:
                self._epoch()
            share = max(1, len(self.handed) // len(self.unreadable))
            if handed.number % share == 0 and handed.number // share < len(self.unreadable):
                self._queue.put(self.unreadable[handed.number // share])
        self._handed_over += len(chunk)
        self._wake()

    def _refresh(self) -> None:
        with contextlib.suppress(RefresherBusyError, StorageError):  # the next run comes
            self.lambdas.refresh(None)
        self.refreshes += 1
        self._at(self._clock.now() + _SCHEDULE, self._refresh)

    # The queue's event source: what is not reported as failed is deleted, unless there was no answer

    def _poll(self, batch: list[Stored]) -> None:
        receipts = [stored.receipt or "" for stored in batch]
        try:
            answer = self.lambdas.invoke("send_queue", {"Records": records(batch)}, _DIES_WITHIN * len(batch))
        except Crashed:
            self.killed |= {number for stored in batch if (number := number_in(stored.body)) is not None}
            return
        for receipt in succeeded(batch, receipts, answer):
            self._queue.delete(receipt)

    # HTTP

    def api(self, method: str, handed: Handed) -> dict[str, Any] | None:
        """The API's answer, None where the function died; an API gateway makes a 500 of that."""
        message = handed.body if method == "POST" else None
        event = api_event(method, handed.account, handed.id, message, wait=handed.door is not Door.ASYNC)
        try:
            answer: dict[str, Any] = self.lambdas.invoke("send_api", event, _DIES_WITHIN)
        except Crashed:
            self.killed.add(handed.number)
            return None
        self.answers.append(answer["body"])
        return answer

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        """Do something after so many of the service's seconds."""
        self._at(self._clock.now() + seconds, job)

    def _cancel(self, handed: Handed) -> None:
        answer = self.api("DELETE", handed)
        handed.cancelled = handed.cancelled or (answer is not None and answer["statusCode"] == _OK)


class _Caller:
    """Somebody who hands over a message by HTTP and goes by what the answer says.

    With a key of their own they repeat whatever went wrong; without one only what the answer of a
    synchronous call calls ``retryable``, since that must not send twice.
    """

    def __init__(self, run: Run, handed: Handed) -> None:
        self._run = run
        self.handed = handed

    def call(self) -> None:
        """Make one attempt, and plan the next."""
        handed = self.handed
        answer = self._run.api("POST", handed)
        status = answer["statusCode"] if answer else _SERVER_ERROR
        handed.statuses.append(status)
        if status // 100 == 2:
            handed.acknowledged = True
            return
        body = json.loads(answer["body"]) if answer else {}
        again = status in {_CONFLICT, _TOO_MANY} or status >= _SERVER_ERROR
        if handed.id is None:
            again = handed.door is Door.SYNC and body.get("retryable") is True
        again = again and handed.statuses.count(_GATEWAY_TIMEOUT) < _MAX_UNKNOWN
        attempts = len(handed.statuses)
        said = float(answer["headers"].get("Retry-After", 0)) if answer else 0.0
        if again and attempts < _MAX_ATTEMPTS and said <= _PATIENCE:
            self._run.later(max(said, min(300.0, 2.0**attempts)), self.call)


_NOBODY: Any = None
"""Each sandbox puts its own client in this place."""


def wechat_for(seed: int) -> WeChatProcess:
    """A WeChat that knows the accounts, at the time at which a run begins."""
    return WeChatProcess(_SECRETS, now=_BEGIN, speed=SPEED, seed=seed)


def run(
    count: int,
    seed: int = 1,
    mix: Mix | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Run:
    """One run with a WeChat of its own."""
    with wechat_for(seed) as wechat:
        return Run(count, seed, mix or Mix(), wechat).go(progress)
