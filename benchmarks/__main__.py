"""``python -m benchmarks [--quick] [SECTION …]``: measure, write the results, renew the pages in docs.

A quick run, one of some sections only, or of fewer rounds writes to .local/bench and leaves docs alone.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import cold_start, cost_page, fan_out, figures, handlers, libraries, report, sizes
from benchmarks.figures import Comparison, Results
from benchmarks.processes import ROOT, serving

_SECTIONS = {
    "sizes": sizes.measure,
    "libraries": libraries.measure,
    "handlers": handlers.measure,
    "fan-out": fan_out.measure,
    "cold-start": cold_start.measure,
}
_ROUNDS = 5
_PARTIAL = ROOT / ".local" / "bench" / "latest.json"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(_SECTIONS))
    parser.add_argument("--quick", action="store_true", help="one round of little, for development")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--noise", default="", help="a sentence for the report about what else was running")
    parser.add_argument("--report", action="store_true", help="only renew the pages from the last results")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(_SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if not given.report:
        method = {"rounds": 1 if given.quick else given.rounds, "quick": given.quick, "noise": given.noise}
        results = Results(figures.machine(), method, _run(given.sections or list(_SECTIONS), given))
        print(report.terminal(results))
        partial = given.quick or bool(given.sections) or given.rounds < _ROUNDS
        path = _PARTIAL if partial else figures.LATEST
        figures.save(results, path)
        print(f"\nWritten to {path.relative_to(ROOT)}")
        if partial:
            return
    report.write(figures.load())
    cost_page.write(figures.load())


def _run(sections: list[str], given: argparse.Namespace) -> list[Comparison]:
    found: list[Comparison] = []
    with serving() as server:
        for name in sections:
            began = time.monotonic()
            if name == "cold-start" and (reason := cold_start.unavailable()):
                print(f"{name}: left out, because {reason}", file=sys.stderr)
                continue
            found += _SECTIONS[name](server, 1 if given.quick else given.rounds, quick=given.quick)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
