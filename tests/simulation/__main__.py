"""``python -m tests.simulation``: one run from a seed, and exit code 1 where a promise was broken."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.oracle import Report, run


def main() -> int:
    """Run, judge, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", help="the name of a bug of planted_bugs to run with")
    options = parser.parse_args()
    began = time.process_time()
    report = _run(options.seed, options.messages, options.planted)
    _tell(report)
    sys.stdout.write(f"{'CPU seconds':40} {time.process_time() - began:.1f}\n")
    if not report.broken:
        return 0
    sys.stdout.write(f"\n{len(report.broken)} broken:\n")
    first = {line.partition(":")[0]: line for line in reversed(report.broken)}
    for line in first.values():
        sys.stdout.write(f"  {line[:1000]}\n")
    messages = _fewest(options.seed, options.messages, options.planted)
    sys.stdout.write(f"\nSEED={options.seed} MESSAGES={messages} make simulate\n")
    return 1


def _run(seed: int, messages: int, planted: str | None) -> Report:
    if planted is None:
        return run(seed, messages, thorough=messages <= _MAX_THOROUGH)
    from tests.simulation.planted_bugs import plant  # noqa: PLC0415 - for whoever asks for one

    with plant(planted):
        return run(seed, messages)


_MAX_THOROUGH = 20_000
"""Messages up to which every log line is written."""


def _fewest(seed: int, messages: int, planted: str | None) -> int:
    """The first of some smaller runs of the seed that breaks a promise too: it is read faster."""
    for fewer in (50, 200, 1000, 5000):
        if fewer < messages and _run(seed, fewer, planted).broken:
            return fewer
    return messages


def _tell(report: Report) -> None:
    for name, value in report.counts.items():
        if isinstance(value, dict):
            sys.stdout.write(f"{name}\n")
            for each, count in value.items():
                sys.stdout.write(f"    {each:36} {count}\n")
        else:
            sys.stdout.write(f"{name:40} {value}\n")


if __name__ == "__main__":
    sys.exit(main())
