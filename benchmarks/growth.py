"""How the cost of a message grows: with the batch, with the accounts, with what waits on the queue."""

from __future__ import annotations

from benchmarks.figures import Comparison
from benchmarks.handlers import NAIVE, PRODUCT, WITHOUT
from benchmarks.processes import Server, Worker, interleaved, values, workers

BATCHES = (1, 10, 100, 1000, 10_000)
ACCOUNTS = (1, 10, 100, 1000)
DEPTHS = (10, 100, 1000, 10_000)
_LONG = 1000
"""More than this is left to the service: the naive handler's rounds would take minutes."""
_MANY = 100
"""Accounts beyond which the naive handlers are left out: each makes a connection of its own."""
_SUBJECTS = {
    PRODUCT: "benchmarks.handlers:Product",
    WITHOUT: "benchmarks.handlers:WithoutLedger",
    NAIVE: "benchmarks.handlers:Naive",
}


def batch_case(size: int) -> str:
    """The name of the comparison."""
    return f"batch of {size}, CPU a message"


def accounts_case(count: int) -> str:
    """The name of the comparison."""
    return f"{count} accounts, CPU a message of the first batch of 1000"


def later_case(count: int) -> str:
    """The name of the comparison."""
    return f"{count} accounts, CPU a message of the next batch of 1000"


def refresh_case(count: int) -> str:
    """The name of the comparison."""
    return f"{count} accounts, CPU an account of token_refresh"


def depth_case(depth: int) -> str:
    """The name of the comparison."""
    return f"{depth} messages on the queue, CPU a message in batches of 10"


def memory_case(depth: int) -> str:
    """The name of the comparison."""
    return f"{depth} messages on the queue, memory after them"


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """Cost by size."""
    found: list[Comparison] = []
    with workers(server, _SUBJECTS) as made:
        for size in BATCHES[:1] if quick else BATCHES:
            some = {name: each for name, each in made.items() if size <= _LONG or name != NAIVE}
            told = {"size": size, "repeat": max(1, (20 if quick else 100) // size)}
            took = interleaved(some, rounds, "batch", told)
            found.append(_comparison(batch_case(size), values(took, "cpu")))
    for count in () if quick else ACCOUNTS:
        found += _by_accounts(server, rounds, count)
    with workers(server, _SUBJECTS) as made:
        for depth in DEPTHS[:1] if quick else DEPTHS:
            some = {name: each for name, each in made.items() if depth <= _LONG or name != NAIVE}
            told = {"size": 10, "repeat": depth // 10}
            took = interleaved(some, rounds, "batch", told)
            found.append(_comparison(depth_case(depth), values(took, "cpu")))
            found.append(
                Comparison(
                    "growth",
                    memory_case(depth),
                    "MB",
                    NAIVE,
                    values(took, "rss"),
                    "the events of all of them with it, a kilobyte a message" if depth >= _LONG else "",
                )
            )
    return found


def _by_accounts(server: Server, rounds: int, count: int) -> list[Comparison]:
    some = _SUBJECTS if count <= _MANY else (PRODUCT, WITHOUT)
    subjects = {name: _SUBJECTS[name] for name in some}
    first: dict[str, list[float]] = {name: [] for name in subjects}
    later: dict[str, list[float]] = {name: [] for name in subjects}
    refresh: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            worker = Worker(server, subject, accounts=count)
            worker.call("batch", size=1)  # the clients are there before: the accounts are what is measured
            first[name].append(worker.call("batch", size=1000)["cpu"])
            later[name].append(worker.call("batch", size=1000)["cpu"])
            refresh[name].append(worker.call("refresh")["cpu"])
            worker.close()
    return [
        _comparison(accounts_case(count), first),
        _comparison(later_case(count), later),
        _comparison(refresh_case(count), refresh),
    ]


def _comparison(case: str, seconds: dict[str, list[float]]) -> Comparison:
    scaled = {name: [1e6 * value for value in each] for name, each in seconds.items()}
    note = "" if NAIVE in scaled else "the naive handlers are left out: their rounds would take minutes"
    return Comparison("growth", case, "µs", NAIVE, scaled, note)
