"""Whole handlers, warm: a batch of the queue, a call of the API, and how far little CPU reaches.

Calls to AWS go to the server over TLS, through boto3.
"""

from __future__ import annotations

import importlib
import os
import sys
from http import HTTPStatus
from tempfile import TemporaryFile
from typing import Any

from benchmarks import events
from benchmarks.cost import Assumptions, Setting
from benchmarks.figures import IDEMPOTENT, NAIVE, PRODUCT, Comparison
from benchmarks.processes import Server, interleaved, measured, workers

SECTION = "handlers"
BATCHES = (1, 10, 100)
"""The smallest, the usual and the largest that the template allows."""
API_CASE = "send_api, CPU a call"
LONG = 1000
"""Messages of a batch in which the first claims and the last answers do not count: 20 are in flight."""
MOST = Assumptions().side_by_side / Assumptions().wechat_seconds
"""Messages a second that the latency allows for the number in flight."""


def reach_case(size: int) -> str:
    """The name of the comparison."""
    return f"send_queue, WeChat at 80 ms and the CPU of {Setting().memory} MB, a batch of {size}"


def queue_case(size: int) -> str:
    """The name of the comparison."""
    return f"send_queue, CPU a message in batches of {size}"


class Product:
    """The service's functions."""

    package = "functions.{}.handler"

    def __init__(self) -> None:
        self._context = events.Context()

    def handler(self, function: str) -> Any:
        """A function's handler."""
        return importlib.import_module(self.package.format(function)).lambda_handler

    def batch(self, size: int, count: int) -> dict[str, float]:
        """So many messages in batches of the queue."""
        handler = self.handler("send_queue")

        def send(batch: dict[str, Any]) -> None:
            if returned := handler(batch, self._context)["batchItemFailures"]:
                raise RuntimeError(f"{len(returned)} messages were returned")

        took = measured(send, [events.batch(size) for _ in range(max(1, count // size))], size)
        return took | {"rate": 1 / took["wall"]}

    def request(self, count: int) -> dict[str, float]:
        """So many calls of the API."""
        handler = self.handler("send_api")

        def send(request: dict[str, Any]) -> None:
            if (answer := handler(request, self._context))["statusCode"] != HTTPStatus.OK:
                raise RuntimeError(answer["body"])

        return measured(send, [events.request() for _ in range(count)])

    def logged(self, what: str, **told: int) -> int:
        """Bytes that a batch or a request writes to the log."""
        sys.stdout.flush()
        with TemporaryFile() as file:
            before = os.dup(1)
            os.dup2(file.fileno(), 1)
            try:
                getattr(self, what)(**told)
                sys.stdout.flush()
            finally:
                os.dup2(before, 1)
                os.close(before)
            return file.tell()


class Naive(Product):
    """What a good engineer writes in a hurry."""

    package = "benchmarks.naive.{}"


class Idempotent(Product):
    """The same with Powertools' idempotency."""

    package = "benchmarks.naive.{}_idempotent"


_SUBJECTS: dict[str, type[Product]] = {PRODUCT: Product, NAIVE: Naive, IDEMPOTENT: Idempotent}


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """The handlers side by side."""
    found: list[Comparison] = []
    with workers(server, _SUBJECTS) as made:
        for size in BATCHES:
            took = interleaved(made, rounds, "batch", size=size, count=20 if quick else 500)
            found.append(Comparison.of(SECTION, queue_case(size), "µs", took))
        took = interleaved(made, rounds, "request", count=10 if quick else 300)
        found.append(Comparison.of(SECTION, API_CASE, "µs", took))
    with workers(server, {PRODUCT: Product}, wechat="wechat_tls_80") as made:
        for size in (BATCHES[-1], LONG):
            took = interleaved(made, rounds, "batch", megabytes=Setting().memory, size=size, count=size)
            note = f"the latency allows {MOST:.0f}"
            found.append(Comparison.of(SECTION, reach_case(size), "msg/s", took, field="rate", note=note))
    return found
