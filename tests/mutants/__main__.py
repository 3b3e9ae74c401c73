"""``python -m tests.mutants``: changes to the core that no test notices; exit code 1 where there are any.

mutmut makes the changes, and runs for each the tests that reach it. What it needs besides is here: a copy of
the project with the package where mutmut looks for one, the sample, and the report.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPY = ROOT / ".mutants"
LAYER = Path("layers/wechat_notify")
PACKAGE = Path("wechat_notify")
MUTATED = PACKAGE / "core"
TESTS = Path("tests/unit")
IMPORTS = Path("imports.txt")
LOG = Path("mutmut.log")
ACCEPTED = Path(__file__).with_name("accepted.toml")

# A process that imported the tests and ran none forks one for each mutant. pytest must not collect them
# there, or it gives some of them other names. Its warning of libraries that were imported before it could
# rewrite their assertions does not matter here. Hypothesis' profile draws the same examples in each run.
# A mutant has 15 s, and fifteen times what its tests take without it.
CONFIGURATION = f"""\
[mutmut]
source_paths={PACKAGE}
only_mutate={MUTATED}/*
pytest_add_cli_args_test_selection={TESTS}
pytest_add_cli_args=
  --hypothesis-profile=ci
  -Wignore::pytest.PytestAssertRewriteWarning
process_isolation=forkserver
forkserver_warmup=import
preload_modules_file={IMPORTS}
timeout_multiplier=15.0
timeout_constant=1.0
use_git_change_detection=false
on_dependency_change=ignore
also_copy=
"""

KILLED, TIMED_OUT, SURVIVED, UNREACHED = "killed", "timed out", "survived", "unreached"
# pytest's exit codes, the system's, and mutmut's 33. mutmut takes 255 for a timeout, but that is a run of
# pytest that did not begin: like every other code, it says nothing about the mutant.
OUTCOMES: dict[int | None, str] = {
    1: KILLED,
    3: KILLED,
    0: SURVIVED,
    33: UNREACHED,
    -signal.SIGXCPU: TIMED_OUT,
    -signal.SIGKILL: TIMED_OUT,
}


class Mutant(NamedTuple):
    """One change, by mutmut's name."""

    name: str
    file: Path


class Change(NamedTuple):
    """What a mutant changes, without its file and line, so that it is known again when code moves."""

    function: str
    was: str
    becomes: str


class Survivor(NamedTuple):
    """A mutant that no test noticed."""

    file: Path
    line: int
    change: Change
    diff: str
    reached: bool


def lay_out() -> None:
    """Copy what git has or would add, with the package on top."""
    shutil.rmtree(COPY, ignore_errors=True)
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - fixed words
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    others = "".join(f"  {path.name}\n" for path in sorted(COPY.iterdir()))
    shutil.copytree(COPY / LAYER / PACKAGE, COPY / PACKAGE)
    (COPY / "setup.cfg").write_text(CONFIGURATION + others, "utf-8")
    # conftest.py first, as pytest imports it.
    files = sorted((COPY / TESTS).rglob("*.py"), key=lambda file: (file.name != "conftest.py", file))
    modules = (".".join(file.relative_to(COPY).with_suffix("").parts) for file in files)
    (COPY / IMPORTS).write_text("".join(f"{module}\n" for module in modules), "utf-8")


def all_mutants() -> Iterator[Mutant]:
    """Every change that mutmut would make."""
    from mutmut.mutation.file_mutation import mutate_file_contents  # noqa: PLC0415 - not in .venv
    from mutmut.utils.format_utils import get_mutant_name  # noqa: PLC0415 - not in .venv

    for file in sorted(MUTATED.rglob("*.py")):
        for name in mutate_file_contents(str(file), file.read_text("utf-8")).mutant_names:
            yield Mutant(get_mutant_name(file, name), file)


def sample(mutants: Sequence[Mutant], count: int | None, seed: int) -> list[Mutant]:
    """Draw so many. The place of each depends on its name alone: a larger sample holds the smaller one."""

    def place(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).hexdigest()

    return sorted(mutants, key=place)[:count]


def run(mutants: Sequence[Mutant], jobs: int) -> None:
    """Have mutmut run them: its progress is for terminals, all that it prints is in the log."""
    command = [
        sys.executable,
        "-m",
        "mutmut",
        "run",
        "--max-children",
        str(jobs),
        *(mutant.name for mutant in mutants),
    ]
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    terminal, out = sys.stderr.isatty(), sys.stderr
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - this interpreter, and names from mutmut
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                if terminal and f" {PACKAGE}." not in line:
                    out.write(f"\r\x1b[K{line.strip():.100}")
                    out.flush()
        finally:
            if terminal:
                out.write("\r\x1b[K")
                out.flush()
    if process.returncode:
        last = "\n".join(line[:300] for line in LOG.read_text("utf-8").splitlines()[-40:])
        sys.exit(f"{last}\n\nmutmut ended with {process.returncode}; {COPY / LOG} is all that it said")


def outcomes_of(mutants: Sequence[Mutant]) -> dict[Mutant, str]:
    """What became of each."""
    codes: dict[str, int | None] = {}
    for file in {mutant.file for mutant in mutants}:
        codes |= json.loads(Path("mutants", f"{file}.meta").read_text("utf-8"))["exit_code_by_key"]
    return {mutant: OUTCOMES.get(codes[mutant.name], f"exit code {codes[mutant.name]}") for mutant in mutants}


def survivor(mutant: Mutant, *, reached: bool) -> Survivor:
    """Look up where it is and what it changes."""
    from mutmut.mutation.data import MutantLineSpans  # noqa: PLC0415 - not in .venv
    from mutmut.mutation.diff_apply import generated_function_names  # noqa: PLC0415 - not in .venv
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key  # noqa: PLC0415 - not in .venv

    function, of_class = orig_function_and_class_names_from_key(mutant.name)
    names = generated_function_names(mutant.name)
    sources = MutantLineSpans.load(mutant.file).read_function_sources(names)
    before, after = (
        _from_def(source.replace(name, function)) for source, name in zip(sources, names, strict=True)
    )
    blocks = difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    changed = [block[1:] for block in blocks if block[0] != "equal"]
    diff = list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]
    change = Change(
        f"{of_class}.{function}" if of_class else function,
        "\n".join(line.strip() for start, end, _, _ in changed for line in before[start:end]),
        "\n".join(line.strip() for _, _, start, end in changed for line in after[start:end]),
    )
    return Survivor(
        LAYER / mutant.file,
        _line_of_def(mutant.file, function, of_class) + changed[0][0],
        change,
        "\n".join(line for line in diff if not line.startswith("@@")),
        reached,
    )


def _from_def(source: str) -> list[str]:
    lines = textwrap.dedent(source).rstrip().splitlines()
    while not lines[0].startswith(("def ", "async def ")):
        del lines[0]
    return lines


def _line_of_def(file: Path, function: str, of_class: str | None) -> int:
    body: list[ast.stmt] = ast.parse(file.read_text("utf-8")).body
    if of_class:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == of_class).body
    functions = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return next(node.lineno for node in functions if node.name == function)


def accepted() -> set[Change]:
    """The changes that are known to be no gap in the tests."""
    entries = tomllib.loads(ACCEPTED.read_text("utf-8")).get("accepted", ())
    return {Change(entry["function"], entry["was"], entry["becomes"]) for entry in entries}


def report(outcomes: dict[Mutant, str], total: int, seconds: float) -> bool:
    """Print the survivors and the numbers; return whether there is anything to do."""
    known = accepted()
    survivors = [
        survivor(mutant, reached=outcome == SURVIVED)
        for mutant, outcome in outcomes.items()
        if outcome in {SURVIVED, UNREACHED}
    ]
    new = sorted(each for each in survivors if each.change not in known)
    # Only where all mutants were run does a missing one mean something.
    stale = sorted(known - {each.change for each in survivors}) if len(outcomes) == total else []
    say = sys.stdout.write
    for each in new:
        note = "" if each.reached else " (no test reaches it)"
        say(f"{each.file}:{each.line} {each.change.function}{note}\n{textwrap.indent(each.diff, '    ')}\n\n")
    for change in stale:
        say(f"{ACCEPTED.relative_to(ROOT)}: {change.function}, {change.becomes!r} is no survivor any more\n")

    numbers = Counter(outcomes.values())
    found, unaccepted = numbers[KILLED] + numbers[TIMED_OUT], len(new)
    unclear = {word: numbers[word] for word in sorted(numbers.keys() - set(OUTCOMES.values()))}
    say(
        f"{len(outcomes):,} of {total:,} mutants in {seconds:,.0f} s: {numbers[KILLED]:,} killed, "
        f"{numbers[TIMED_OUT]:,} timed out, {unaccepted:,} survived, {len(survivors) - unaccepted:,} accepted"
        + "".join(f", {number:,} with {word}" for word, number in unclear.items())
        + f". Score: {100 * found / max(found + unaccepted, 1):.1f} %\n"
    )
    return bool(new or stale or unclear)


def _number(text: str) -> int | None:
    return None if text == "all" else int(text)


def main() -> int:
    """Copy, draw, run, report."""
    parser = argparse.ArgumentParser(
        prog="make mutants", description="Changes to the core that no test notices."
    )
    parser.add_argument("--mutants", type=_number, default=400, help="how many, or all")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    options = parser.parse_args()
    lay_out()
    os.chdir(COPY)  # where mutmut looks for everything
    every = list(all_mutants())
    drawn = sample(every, options.mutants, options.seed)
    start = time.monotonic()
    try:
        run(drawn, options.jobs)
    except KeyboardInterrupt:
        return 130
    return int(report(outcomes_of(drawn), len(every), time.monotonic() - start))


if __name__ == "__main__":
    sys.exit(main())
