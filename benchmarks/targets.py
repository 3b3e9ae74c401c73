"""What the figures are to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks import cold_start, handlers, transport
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
        0.85,
        most=False,
        scale=0.05 / concurrency,
    )


_LIMITS = {10: (0.45, 0.35), 100: (0.35, 0.25), 1000: (0.35, 0.25)}
"""By the size of a batch: the limit and the aim."""
TARGETS = (
    *(
        Target(
            f"send_queue in batches of {size} ÷ naive with idempotency",
            "handlers",
            handlers.queue_case(size),
            handlers.PRODUCT,
            limit,
            aim=aim,
            peer=handlers.IDEMPOTENT,
        )
        for size, (limit, aim) in _LIMITS.items()
    ),
    Target(
        "a new TLS connection, CPU",
        "transport",
        "CPU of a new TLS connection",
        transport.PRODUCT,
        3.0,
        "ms",
    ),
    *(_reach(concurrency) for concurrency in transport.CONCURRENCY),
    *(
        Target(
            f"{function} start {how} ÷ {cold_start.IDEMPOTENT}",
            "cold start",
            cold_start.case(function, cached=cached),
            cold_start.PRODUCT,
            0.70,
            aim=0.60,
            peer=cold_start.IDEMPOTENT,
        )
        for function in ("send_queue", "send_api")
        for cached, how in ((True, "with page cache"), (False, "without page cache"))
    ),
    *(
        Target(text, "cold start", case, cold_start.PRODUCT, 80.0, "MB")
        for text, case in (
            ("send_queue, memory after a start", cold_start.MEMORY_CASE),
            ("send_queue, memory after 1,000 messages", cold_start.MEMORY_LATER_CASE),
        )
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
