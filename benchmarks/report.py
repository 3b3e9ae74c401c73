"""What a run found, as tables: for a terminal, and in ``docs/performance.md`` between its marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import handlers, libraries, targets
from benchmarks.figures import PRODUCT, Comparison, Results, Spread, number

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_MARKED = re.compile(r"(<!-- begin (\w+)[^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def terminal(results: Results) -> str:
    """The run for a terminal."""
    sections = dict.fromkeys(each.section for each in results.comparisons)
    tables = [f"\n{section}\n\n{_section(results, section)}" for section in sections]
    if results.method["quick"]:
        return "\n".join([*tables, "\nOne round of little: nothing to hold against the targets."])
    return "\n".join([*tables, "\n" + _targets(results)])


def write(results: Results) -> None:
    """Renew the tables of the page, and leave its text alone."""
    tables = {
        "run": _run(results),
        "targets": _targets(results),
        "parts": _parts(results),
        "handlers": _section(results, "handlers"),
        "fan_out": _section(results, "fan-out"),
        "starts": _section(results, "cold start"),
        "libraries": _section(results, "libraries"),
    }
    page = PAGE.read_text(encoding="utf-8")
    renewed = _MARKED.sub(lambda found: f"{found[1]}{tables[found[2]]}\n{found[3]}", page)
    PAGE.write_text(renewed, encoding="utf-8")


def _run(results: Results) -> str:
    machine, method = results.machine, results.method
    told = (
        f"{machine['cores']} cores of {machine['processor']} ({machine['architecture']}), Linux "
        f"{machine['kernel']}, {machine['python']}; {method['rounds']} rounds. {method['noise']}"
    )
    return told.strip()


def _targets(results: Results) -> str:
    return _table(["target", "limit", "aim", "measured", ""], targets.rows(results))


def _parts(results: Results) -> str:
    """Of what the CPU of a message is made, in the usual batch."""
    whole = results.find(handlers.SECTION, handlers.queue_case(10))
    parts = {
        "the POST to WeChat (requests)": (libraries.POST_CASE, 1.0),
        "the claim and the result in the ledger (boto3, ten in a call)": (libraries.GROUP_CASE, 2.0),
        "the body's check, and WeChat's JSON (pydantic)": (libraries.CHECK_CASE, 1.0),
        "the invocation's log line (Powertools), a tenth": (libraries.LINE_CASE, 0.1),
    }
    found = {
        name: factor * each.value().median
        for name, (case, factor) in parts.items()
        if (each := results.find(libraries.SECTION, case))
    }
    if whole is None:
        return ""
    total = whole.value().median
    found["the rest: smaller groups, threads, entries, metrics, our own code"] = total - sum(found.values())
    rows = [[name, number(took), f"{100 * took / total:.0f} %"] for name, took in found.items()]
    return _table(
        ["part of a message", "CPU, µs", ""], [*rows, ["**a message**", f"**{number(total)}**", ""]]
    )


def _section(results: Results, section: str) -> str:
    """A section's comparisons; the ratio is that to the last of the peers."""
    rows = [_row(each) for each in results.comparisons if each.section == section]
    return _table(["median", PRODUCT, "peers", "ratio to the last (min – max)"], rows)


def _row(comparison: Comparison) -> list[str]:
    named = comparison.case + (f" ({comparison.note})" if comparison.note else "")
    peers = [name for name in comparison.rounds if name != PRODUCT]
    ratio = comparison.ratio()
    return [
        named,
        f"{number(comparison.value().median)} {comparison.unit}",
        "; ".join(f"{name} {number(comparison.value(name).median)}" for name in peers),
        _ratio(ratio) if ratio else "",
    ]


def _ratio(ratio: Spread) -> str:
    return f"{number(ratio.median)} ({number(ratio.low)} – {number(ratio.high)})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
