"""What the figures are to reach, and whether they do."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks import cold_start, fan_out, handlers, libraries
from benchmarks.figures import Results, number


class Target(NamedTuple):
    """One target: a figure, its limit and perhaps an aim beyond that.

    Without a unit it is the ratio to the peer. ``scale`` is what the figure is multiplied with; ``most`` says
    that less is better.
    """

    text: str
    section: str
    case: str
    limit: float
    aim: float | None = None
    unit: str = ""
    scale: float | None = None
    most: bool = True


TARGETS = (
    *(
        Target(
            f"send_queue in batches of {size} ÷ idempotent naive",
            handlers.SECTION,
            handlers.queue_case(size),
            *most,
        )
        for size, most in {10: (0.45, 0.35), 100: (0.35, 0.25)}.items()
    ),
    *(
        Target(
            f"{function} start {how} page cache ÷ idempotent naive",
            cold_start.SECTION,
            cold_start.case(function, cached=how == "with"),
            0.70,
            0.60,
        )
        for function in cold_start.FUNCTIONS
        for how in ("with", "without")
    ),
    Target(
        "messages a second at 80 ms with the CPU of 768 MB ÷ what the latency allows",
        handlers.SECTION,
        handlers.reach_case(handlers.LONG),
        0.85,
        scale=1 / handlers.MOST,
        most=False,
    ),
    *(
        Target(f"broadcasts: {case}", fan_out.SECTION, case, 5000.0, unit="rows/s", most=False)
        for case in (fan_out.CHECK_CASE, fan_out.RELEASE_CASE)
    ),
    Target(f"broadcasts: {fan_out.memory_case()}", fan_out.SECTION, fan_out.memory_case(), 128.0, unit="MB"),
    *(
        Target(f"{case}, CPU", libraries.SECTION, case, 3.0, unit="ms")
        for case in libraries.CONNECTION_CASES.values()
    ),
    *(
        Target(case, cold_start.SECTION, case, 80.0, unit="MB")
        for case in (cold_start.MEMORY_CASE, cold_start.MEMORY_LATER_CASE)
    ),
)


def rows(results: Results) -> list[list[str]]:
    """Each target with its limit, its aim, what was measured and whether that reaches it."""
    return [_row(target, results) for target in TARGETS]


def _row(target: Target, results: Results) -> list[str]:
    sign = "≤" if target.most else "≥"
    limit = f"{sign} {number(target.limit)} {target.unit}".strip()
    aim = "" if target.aim is None else f"{sign} {number(target.aim)}"
    found = _value(target, results)
    if found is None:
        return [target.text, limit, aim, "", "not measured"]
    return [target.text, limit, aim, f"{number(found)} {target.unit}".strip(), _verdict(target, found)]


def _value(target: Target, results: Results) -> float | None:
    comparison = results.find(target.section, target.case)
    if comparison is None:
        return None
    if target.unit or target.scale:
        return comparison.value().median * (target.scale or 1)
    ratio = comparison.ratio()
    return ratio.median if ratio else None


def _verdict(target: Target, found: float) -> str:
    reached = found.__le__ if target.most else found.__ge__
    if target.aim is not None and reached(target.aim):
        return "aim reached"
    return "reached" if reached(target.limit) else "**missed**"
