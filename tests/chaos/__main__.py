"""``python -m tests.chaos``: one run and its verdict; exit code 1 where a rule was broken."""

from __future__ import annotations

import argparse
import sys

from tests.chaos.run import run
from tests.chaos.verdict import judge


def main() -> int:
    """Run, print, and say by the exit code how it went."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description="The service while everything goes wrong."
    )
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="which messages, and the chances of faults")
    options = parser.parse_args()
    terminal, out = sys.stderr.isatty(), sys.stderr

    def progress(handed_over: int, count: int) -> None:
        if terminal:
            done = "waiting for the last ones" if handed_over == count else ""
            out.write(f"\r\x1b[K{handed_over:,} of {count:,} messages handed over  {done}")
            out.flush()

    try:
        history = run(options.messages, options.seed, progress=progress)
    except KeyboardInterrupt:
        return 130
    finally:
        if terminal:
            out.write("\r\x1b[K")
            out.flush()
    verdict = judge(history)
    sys.stdout.write(f"{verdict.text()}\n")
    return 0 if verdict.sound else 1


if __name__ == "__main__":
    sys.exit(main())
