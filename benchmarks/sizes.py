"""What a message weighs on its way: what the cost model reckons with."""

from __future__ import annotations

from benchmarks.figures import Comparison
from benchmarks.handlers import PRODUCT
from benchmarks.processes import Server, Worker

REQUEST_CASE = "a request to WeChat"
CLAIM_CASE = "the ledger's item when it is claimed"
SENT_CASE = "the ledger's item when it is sent"
PUTS_CASE = "writes to the ledger a message"
QUEUE_LOG_CASE = "log of send_queue a message, in batches of 10"
API_LOG_CASE = "log of send_api a call"
_BATCH = 10


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:  # noqa: ARG001 - as the others
    """Bytes; they are the same in every round."""
    worker = Worker(server, "benchmarks.handlers:Product")
    worker.call("batch", size=1)
    before = server.stats()
    logged = worker.call("logged", size=_BATCH)
    after = server.stats()
    called = worker.call("logged", size=0)
    worker.close()
    messages = after["requests"] - before["requests"]
    found = {
        REQUEST_CASE: ("bytes", (after["bytes_in"] - before["bytes_in"]) / messages),
        CLAIM_CASE: ("bytes", after["item_sending"]),
        SENT_CASE: ("bytes", after["item_sent"]),
        PUTS_CASE: ("writes", (after["puts"] - before["puts"]) / messages),
        QUEUE_LOG_CASE: ("bytes", logged / _BATCH),
        API_LOG_CASE: ("bytes", called),
    }
    return [
        Comparison("sizes", case, unit, PRODUCT, {PRODUCT: [value]}) for case, (unit, value) in found.items()
    ]
