"""What the figures are to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks import calls, cold_start, handlers, transport
from benchmarks.charts import number
from benchmarks.figures import Comparison, Results


class Target(NamedTuple):
    """One target: a figure, its limit and perhaps an aim beyond that.

    ``peer`` is whom the ratio is taken against; without one the figure itself counts. ``most`` says
    that less is better.
    """

    text: str
    section: str
    case: str
    subject: str
    limit: float
    unit: str = ""
    aim: float | None = None
    peer: str | None = None
    most: bool = True
    scale: float = 1.0


def _reach(concurrency: int) -> Target:
    return Target(
        f"reach at 50 ms with {concurrency} at a time, of what the latency allows",
        "transport",
        transport.reach_case(concurrency),
        transport.PRODUCT,
        0.95,
        most=False,
        scale=0.05 / concurrency,
    )


_FULL, _BARE = handlers.PRODUCT, handlers.WITHOUT
TARGETS = (
    Target(
        "transport, CPU over TLS ÷ wechatpy",
        "transport",
        "CPU a message over TLS, one after the other",
        transport.PRODUCT,
        0.25,
        aim=0.12,
        peer=transport.WECHATPY,
    ),
    *(
        Target(
            f"send_queue in batches of {size}, {what}",
            "handlers",
            handlers.queue_case(size),
            subject,
            0.20,
            aim=0.08,
            peer=peer,
        )
        for size in handlers.BATCHES
        for what, subject, peer in (
            ("without ledger ÷ naive", _BARE, handlers.NAIVE),
            ("with ledger ÷ naive with idempotency", _FULL, handlers.IDEMPOTENT),
            ("with ledger ÷ naive without", _FULL, handlers.NAIVE),
        )
    ),
    Target(
        "a new TLS connection, CPU",
        "transport",
        "CPU of a new TLS connection",
        transport.PRODUCT,
        2.0,
        "ms",
    ),
    *(_reach(concurrency) for concurrency in transport.CONCURRENCY),
    *(
        Target(
            f"{function} start {how} ÷ {peer}",
            "cold start",
            cold_start.case(function, cached=cached),
            cold_start.PRODUCT,
            0.45,
            aim=0.30 if function == "send_queue" else None,
            peer=peer,
        )
        for function in ("send_queue", "send_api")
        for cached, how in ((True, "with page cache"), (False, "without page cache"))
        for peer in (cold_start.NAIVE, cold_start.IDEMPOTENT)
    ),
    Target("validate + serialise", "calls", calls.MESSAGE_CASE, calls.PRODUCT, 15.0, "µs"),
    Target(
        "send_queue, memory after a start",
        "cold start",
        cold_start.MEMORY_CASE,
        cold_start.PRODUCT,
        50.0,
        "MB",
    ),
    Target(
        "send_queue, memory after 1,000 messages",
        "cold start",
        cold_start.MEMORY_LATER_CASE,
        cold_start.PRODUCT,
        50.0,
        "MB",
    ),
    *(
        Target(
            f"the CPU of 128 MB at 80 ms, batches of {size}, {what}",
            "handlers",
            handlers.small_case(size),
            subject,
            150.0,
            "msg/s",
            most=False,
        )
        for size in handlers.SMALL_BATCHES
        for what, subject in (("without ledger", _BARE), ("with ledger", _FULL))
    ),
)


def value(target: Target, comparison: Comparison) -> float:
    """The figure that the target is about."""
    if target.peer is None:
        return comparison.value(target.subject).median * target.scale
    against = Comparison(**{**vars(comparison), "peer": target.peer, "baselines": {}})
    ratio = against.ratio(target.subject)
    return ratio.median if ratio else float("nan")


def table(results: Results, *, measured_only: bool = False) -> list[str]:
    """Each target, its figure, and by how much it was missed."""
    lines = ["| target | limit | aim | measured | |", "|---|---|---|---|---|"]
    for target in TARGETS:
        comparison = results.find(target.section, target.case)
        sign = "≤" if target.most else "≥"
        limit = f"{sign} {_with_unit(target.limit, target.unit)}"
        aim = "" if target.aim is None else f"{sign} {number(target.aim)}"
        if comparison is None or target.subject not in comparison.rounds:
            if measured_only:
                continue
            lines.append(f"| {target.text} | {limit} | {aim} | not measured | |")
            continue
        found = value(target, comparison)
        measured, verdict = _with_unit(found, target.unit), _verdict(target, found)
        lines.append(f"| {target.text} | {limit} | {aim} | {measured} | {verdict} |")
    return lines


def _verdict(target: Target, found: float) -> str:
    reached: Callable[[float], bool] = found.__le__ if target.most else found.__ge__
    if target.aim is not None and reached(target.aim):
        return "aim reached"
    if reached(target.limit):
        return "reached"
    missed = found / target.limit if target.most else target.limit / found
    return f"**missed**, {missed:.1f} ×" if missed >= 1.05 else "**missed**, just"  # noqa: PLR2004 - 5 %


def _with_unit(figure: float, unit: str) -> str:
    return f"{number(figure)} {unit}".strip()
