"""pip-audit on the locked requirements: ``python -m scanners.libraries LOCK ...``.

Vulnerabilities come from the package index. Where that does not answer, or does not know the packages, the
check is left out, with a word. One that has to stay is excused beside its package in the ``.in`` file::

    # excused: GHSA-xxxx-xxxx-xxxx the reason
"""

from __future__ import annotations

import json
import re
import subprocess  # nosec B404 # pip-audit alone
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

_TIMEOUT: Final = 60
"""Seconds for one lock file."""
_EXCUSE: Final = re.compile(r"^# excused: (\S+) +(\S.*)$", re.MULTILINE)


class Report(NamedTuple):
    """What pip-audit says of the packages of lock files.

    ``unknown`` are those of which it knows nothing. A finding reads ``package version: id (aliases)``.
    """

    known: set[str]
    unknown: set[str]
    findings: dict[str, set[str]]


def read(answers: Iterable[dict[str, Any]]) -> Report:
    """The report of pip-audit's JSON documents; findings by their text, with all ids that they have."""
    report = Report(set(), set(), {})
    for package in (each for answer in answers for each in answer["dependencies"]):
        if "skip_reason" in package:
            report.unknown.add(package["name"])
            continue
        report.known.add(package["name"])
        for each in package["vulns"]:
            ids = [each["id"], *each["aliases"]]
            aliases = ", ".join(each["aliases"])
            told = f"{package['name']} {package['version']}: {each['id']} ({aliases})"
            report.findings[told] = set(ids)
    return report


def audit(lock: str) -> dict[str, Any] | None:
    """pip-audit's document for a lock file; None where nothing answers in time."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--requirement", lock]
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run(  # noqa: S603 # nosec B603 # a fixed command
            [*command, *options], capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
        document: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return document


def main() -> None:
    """Audit the lock files that are named."""
    answers = []
    for lock in sys.argv[1:]:
        answer = audit(lock)
        if answer is None:
            print("pip-audit is left out: no package index answers")  # noqa: T201 - a word for the terminal
            return
        answers.append(answer)
    report = read(answers)
    if not report.known:
        print("pip-audit is left out: the package index tells of no vulnerabilities")  # noqa: T201 - as above
        return
    excused = {
        vulnerability
        for lock in sys.argv[1:]
        for vulnerability, _ in _EXCUSE.findall(Path(lock).with_suffix(".in").read_text("utf-8"))
    }
    told = sorted(text for text, ids in report.findings.items() if not ids & excused)
    if told:
        raise SystemExit(
            "\n".join([*told, f"pip-audit: {len(told)} to update, or to excuse in the .in file"])
        )


if __name__ == "__main__":
    main()
