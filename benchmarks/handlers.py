"""Whole handlers, warm: a batch of the queue, a call of the API, and how many messages little CPU can send.

Calls to AWS go to the server over TLS, the naive handlers' by boto3. "without ledger" is the same handler
with a ledger that keeps nothing: what it is compared with keeps nothing either.
"""

from __future__ import annotations

import importlib
import os
import sys
from tempfile import TemporaryFile
from typing import Any

from benchmarks import events
from benchmarks.cost import Assumptions
from benchmarks.figures import Comparison
from benchmarks.processes import Server, interleaved, limited, values, workers
from benchmarks.worker import measured, resident_mb

PRODUCT = "wechat_notify"
WITHOUT = "wechat_notify, without ledger"
NAIVE = "naive"
IDEMPOTENT = "naive, idempotent"
_OPTIONS = {
    PRODUCT: "benchmarks.handlers:Product",
    WITHOUT: "benchmarks.handlers:WithoutLedger",
    NAIVE: "benchmarks.handlers:Naive",
    IDEMPOTENT: "benchmarks.handlers:Idempotent",
}
_LIKE_WITH_LIKE = {PRODUCT: IDEMPOTENT, IDEMPOTENT: NAIVE}
BATCHES = (10, 100, 1000)
SMALL = 128.0
"""Megabytes of the smallest function."""


class Product:
    """The service's functions."""

    package = "functions.{}.handler"

    def __init__(self, accounts: int = 1) -> None:
        os.environ["PARAMETER_PATH"] = f"/wechat-notify/bench/accounts-{accounts}"
        self._accounts = accounts
        self._context = events.Context()
        self._handlers: dict[str, Any] = {}
        self.prepare()

    def prepare(self) -> None:
        """Put something in a part's place, before it is made."""

    def handler(self, function: str) -> Any:
        """A function's handler."""
        if function not in self._handlers:
            module = importlib.import_module(self.package.format(function))
            self._handlers[function] = module.lambda_handler
        return self._handlers[function]

    def batch(self, size: int, repeat: int = 1) -> dict[str, float]:
        """CPU and wall seconds of a message in batches of the queue."""
        handler = self.handler("send_queue")
        batches = [events.batch(size, self._accounts) for _ in range(repeat)]
        answers: list[Any] = []
        took = measured(lambda: answers.extend(handler(batch, self._context) for batch in batches))
        returned = sum(len(answer["batchItemFailures"]) for answer in answers)
        if returned:
            raise RuntimeError(f"{returned} messages were returned")
        each = size * repeat
        return {"cpu": took["cpu"] / each, "wall": took["wall"] / each, "rss": resident_mb()}

    def request(self, count: int) -> dict[str, float]:
        """CPU seconds of a call of the API."""
        handler = self.handler("send_api")
        requests = [events.request() for _ in range(count)]
        answers: list[Any] = []
        took = measured(lambda: answers.extend(handler(request, self._context) for request in requests))
        wrong = [answer for answer in answers if answer["statusCode"] != 200]  # noqa: PLR2004 - HTTP's own
        if wrong:
            raise RuntimeError(wrong[0]["body"])
        return {"cpu": took["cpu"] / count}

    def logged(self, size: int) -> int:
        """Bytes that a batch of so many messages writes to the log; a call of the API where it is 0."""
        sys.stdout.flush()
        with TemporaryFile() as file:
            before = os.dup(1)
            os.dup2(file.fileno(), 1)
            try:
                if size:
                    self.batch(size)
                else:
                    self.request(1)
                sys.stdout.flush()
            finally:
                os.dup2(before, 1)
                os.close(before)
            return file.tell()

    def refresh(self) -> dict[str, float]:
        """CPU seconds of an account's token in one refresh of them all."""
        handler = self.handler("token_refresh")
        took = measured(lambda: handler({}, self._context))
        return {"cpu": took["cpu"] / self._accounts}


class WithoutLedger(Product):
    """The service's functions without their ledger, to be compared with the naive ones."""

    def prepare(self) -> None:
        """Put something that keeps nothing behind the ledger and its table."""
        from wechat_notify import bootstrap  # noqa: PLC0415 - only in this worker

        for name, nothing in (("ledger", _NoLedger()), ("ledger_table", _NoTable())):
            setattr(bootstrap, name, lambda nothing=nothing: nothing)


class _NoLedger:
    """Lets every message through, and knows none."""

    def release_unsent(self) -> None:
        pass

    def claim(self, request: Any, _message: Any, _seconds: float, *, takes_queued: bool) -> Any:  # noqa: ARG002 - as it is called
        from wechat_notify.core.delivery.entry import Entry  # noqa: PLC0415 - only in this worker
        from wechat_notify.core.delivery.ledger import Written  # noqa: PLC0415 - the same
        from wechat_notify.core.outcomes import Status  # noqa: PLC0415 - the same

        return Written(Entry(request.account, request.id, Status.SENDING, "", "", 0.0, 0.0))

    def finish(self, entry: Any, status: Any, **_fields: Any) -> Any:
        return entry._replace(status=status)


class _NoTable:
    """A ``CircuitStore`` where no circuit is open."""

    def read_circuits(self, _accounts: Any) -> dict[str, Any]:
        return {}


class Naive(Product):
    """What a good engineer writes in a hurry."""

    package = "benchmarks.naive.{}"


class Idempotent(Product):
    """The same with Powertools' idempotency."""

    package = "benchmarks.naive.{}_idempotent"


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """The handlers side by side."""
    found: list[Comparison] = []
    with workers(server, _OPTIONS) as made:
        for size in BATCHES[:1] if quick else BATCHES:
            repeat = max(1, (20 if quick else 1000) // size)
            told = {"size": size, "repeat": repeat}
            took = interleaved(made, rounds, "batch", told)
            found.append(_comparison(queue_case(size), values(took, "cpu")))
        count = 10 if quick else 500
        took = interleaved(made, rounds, "request", {"count": count})
        found.append(_comparison(API_CASE, values(took, "cpu")))
    return [*found, *_little_cpu(server, 1 if quick else rounds, quick=quick)]


def queue_case(size: int) -> str:
    """The name of the comparison."""
    return f"send_queue, CPU a message in batches of {size}"


API_CASE = "send_api, CPU a call"
SMALL_BATCHES = (10, 100)
"""The usual one, and the largest that the template lets a batch be."""


def small_case(size: int) -> str:
    """The name of the comparison."""
    return f"send_queue, messages a second at 80 ms with the CPU of {SMALL:.0f} MB, batches of {size}"


def _little_cpu(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """One batch at a time under a quota, for some seconds.

    The naive handlers send one by one: to them the size is all the same, and they are measured once.
    """
    given = Assumptions()
    usual, *larger = SMALL_BATCHES[:1] if quick else SMALL_BATCHES
    messages = {PRODUCT: 300, WITHOUT: 500}
    rates: dict[int, dict[str, list[float]]] = {
        size: {name: [] for name in _OPTIONS} for size in (usual, *larger)
    }
    how = ""
    with workers(server, _OPTIONS, wechat="wechat_tls_80") as made:
        for name, worker in made.items():
            worker.call("batch", size=100 if name in messages else 2)
        for _ in range(rounds):
            for name, worker in made.items():
                for size in (usual, *larger) if name in messages else (usual,):
                    count = usual if quick else messages.get(name, 40)
                    with limited(worker.pid, SMALL) as how:
                        took = worker.call("batch", size=size, repeat=count // size)
                    rates[size][name].append(1 / took["wall"])
    for size in larger:
        rates[size] |= {name: rates[usual][name] for name in _OPTIONS if name not in messages}

    def note(size: int) -> str:
        allowed = min(size, given.side_by_side) / given.wechat_seconds
        return (
            f"{how}; the latency allows {allowed:.0f} where messages are sent side by side; "
            f"the naive ones are sent one by one, in batches of {usual}"
        )

    return [
        Comparison("handlers", small_case(size), "msg/s", NAIVE, found, note(size), _LIKE_WITH_LIKE)
        for size, found in rates.items()
    ]


def _comparison(case: str, seconds: dict[str, list[float]]) -> Comparison:
    scaled = {name: [1e6 * value for value in each] for name, each in seconds.items()}
    return Comparison("handlers", case, "µs", NAIVE, scaled, baselines=_LIKE_WITH_LIKE)
