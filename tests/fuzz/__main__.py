"""``python -m tests.fuzz``: callbacks of bytes that a coverage-guided fuzzer chooses; 1 on a finding.

What is found is written to ``.fuzz/``, and its name is the argument that repeats it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from local.simulator.receipts import FORMS, WITH_RECEIPTS, Callback, Receipt, request_of
from tests.fuzz.targets import (
    TARGETS,
    fuzz_body,
    fuzz_encrypted,
    fuzz_plain,
    fuzz_shaped,
    fuzz_signed,
    fuzz_stranger,
)
from tests.unit.wechat.callbacks import samples

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = ROOT / ".fuzz"
WORDS: Final = Path(__file__).with_name("words.dict")
_MAX_BYTES: Final = 4096
_TIMEOUT: Final = 20
"""Seconds that one input may take on a busy machine; it takes less than one hundredth of one."""
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE: Final = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_PROGRESS: Final = re.compile(r"#\d+\s")


def main() -> int:
    """Fuzz for so many seconds, or repeat what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("repeat", nargs="?", type=Path, help="an input that was found")
    options = parser.parse_args()
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        inputs.mkdir()
        for number, sample in enumerate(seeds()):
            (inputs / str(number)).write_bytes(sample)
        run = [str(options.repeat)] if options.repeat else [
            str(inputs), f"-dict={WORDS}", f"-max_total_time={options.seconds}", f"-seed={options.seed}",
            f"-max_len={_MAX_BYTES}", f"-timeout={_TIMEOUT}", "-print_final_stats=1",
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - the module beside this one
            [sys.executable, "-m", "tests.fuzz.child", f"-artifact_prefix={FOUND}/", *run],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=ROOT,
        )
    output = done.stdout + done.stderr
    if done.returncode:
        print("\n".join(line for line in output.splitlines() if not _PROGRESS.match(line)))
        print(f"What was found is in {FOUND.name}/; make fuzz REPEAT={FOUND.name}/<name> repeats it.")
        return 1
    if executions := _EXECUTIONS.search(output):
        coverage, features, kept = (int(each) for each in _COVERAGE.findall(output)[-1])
        print(
            f"{int(executions[1]):,} inputs in {options.seconds} s, seed {options.seed}: nothing found. "
            f"{coverage:,} branches and {features:,} features were reached, by {kept:,} inputs."
        )
    return 0


def seeds() -> list[bytes]:
    """WeChat's sample callbacks and the simulator's receipts, once for each target."""
    receipts = [
        request_of(
            Callback("", "token", mode="plain", form=form), Receipt("wx", "o-1", path, "T", 1), 1, Random(1)
        ).body
        for form in FORMS
        for path in WITH_RECEIPTS
    ]
    messages = [
        samples.SECURE_MESSAGE,
        samples.PLATFORM_MESSAGE,
        b"<!DOCTYPE x []><xml/>",
        b"<xml><a>",
        *receipts,
    ]
    starts = {
        fuzz_body: b"",
        fuzz_encrypted: b"",
        fuzz_plain: b"\x10\x80\0",
        fuzz_signed: b"",
        fuzz_stranger: b"0\0",
    }
    inputs = [
        bytes([TARGETS.index(each)]) + start + message
        for each, start in starts.items()
        for message in messages
    ]
    return [*inputs, bytes([TARGETS.index(fuzz_shaped), *range(256)])]


if __name__ == "__main__":
    sys.exit(main())
