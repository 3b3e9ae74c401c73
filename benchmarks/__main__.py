"""``python -m benchmarks [--quick] [SECTION …]``: measure, write the results, renew the pages in docs.

A quick run, one of some sections only, or of fewer rounds writes to .local/bench and leaves docs alone.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import calls, cold_start, cost, growth, handlers, report, sizes, transport
from benchmarks.figures import Comparison, Results, machine
from benchmarks.processes import ROOT, Cores, serving

_SECTIONS = {
    "sizes": sizes.measure,
    "calls": calls.measure,
    "transport": transport.measure,
    "handlers": handlers.measure,
    "cold-start": cold_start.measure,
    "growth": growth.measure,
}
_ROUNDS = 5
_QUICK = ROOT / ".local" / "bench" / "latest.json"


def main() -> int:
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
    if given.rounds < 1:
        parser.error("--rounds: one at least")
    if not given.report:
        results = _run(given.sections or list(_SECTIONS), 1 if given.quick else given.rounds, given)
        print(report.terminal(results))
        partial = given.quick or bool(given.sections) or given.rounds < _ROUNDS
        path = _QUICK if partial else report.LATEST
        report.save(results, path)
        print(f"\nWritten to {path.relative_to(ROOT)}")
        if partial:
            return 0
    report.write(report.load())
    cost.write()
    return 0


def _run(sections: list[str], rounds: int, given: argparse.Namespace) -> Results:
    found: list[Comparison] = []
    method: dict[str, object] = {"rounds": rounds, "quick": given.quick, "noise": given.noise}
    cores = Cores.found()
    method["pinning"] = (
        "one core for server and client"
        if cores.client is None
        else "the server on one core, what is measured on another"
    )
    with serving() as server:
        for name in sections:
            began = time.monotonic()
            if name == "cold-start":
                if reason := cold_start.available():
                    print(f"{name}: left out, because {reason}", file=sys.stderr)
                    continue
                method["layers"] = cold_start.layers()
            found += _SECTIONS[name](server, rounds, quick=given.quick)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return Results(machine(), method, found)


if __name__ == "__main__":
    sys.exit(main())
