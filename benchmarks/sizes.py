"""What a message weighs on its way: what the cost model reckons with."""

from __future__ import annotations

from benchmarks.figures import PRODUCT, Comparison
from benchmarks.handlers import Product
from benchmarks.processes import Server, workers

SECTION = "sizes"
REQUEST_CASE = "a request to WeChat"
CLAIM_CASE = "the ledger's item when it is claimed"
SENT_CASE = "the ledger's item when it is sent"
PUTS_CASE = "writes to the ledger a message"
QUEUE_LOG_CASE = "log of send_queue a message, in batches of 10"
API_LOG_CASE = "log of send_api a call"
_BATCH = 10


def measure(server: Server, _rounds: int, *, quick: bool) -> list[Comparison]:  # noqa: ARG001 - as the others
    """Bytes; they are the same in every round."""
    with workers(server, {PRODUCT: Product}) as made:
        worker = made[PRODUCT]
        worker.call("batch", size=1, count=1)
        before = server.stats()
        logged = worker.call("logged", what="batch", size=_BATCH, count=_BATCH)
        after = server.stats()
        called = worker.call("logged", what="request", count=1)
    messages = after["requests"] - before["requests"]
    found = {
        REQUEST_CASE: (after["bytes_in"] - before["bytes_in"]) / messages,
        CLAIM_CASE: after["item_sending"],
        SENT_CASE: after["item_sent"],
        PUTS_CASE: (after["puts"] - before["puts"]) / messages,
        QUEUE_LOG_CASE: logged / _BATCH,
        API_LOG_CASE: called,
    }
    return [
        Comparison(SECTION, case, "writes" if case == PUTS_CASE else "bytes", {PRODUCT: [value]})
        for case, value in found.items()
    ]
