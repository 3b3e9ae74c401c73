"""checkov on templates: ``python -m scanners.template TEMPLATES.json``, of ``scanners.transform``."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from scanners.excuses import CHECKOV, Finding, Templates, complaints, read, take_excuses

_PLANTED: Final = {"Type": "AWS::S3::Bucket"}
"""A bucket that is not encrypted, not versioned and not closed."""
_PLANTED_NAME: Final = "PlantedBucket"
_PLANTED_CHECK: Final = "CKV_AWS_53"


def scan(templates: Templates) -> dict[Finding, str]:
    """The titles of the rules that templates break."""
    os.environ["LOG_LEVEL"] = "ERROR"
    from checkov.cloudformation.runner import Runner  # noqa: PLC0415 - it takes seconds, and reads the variable
    from checkov.runner_filter import RunnerFilter  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for number, (name, template) in enumerate(templates.items()):
            path = Path(folder, f"{number}.json")
            path.write_text(json.dumps(template, indent=1), encoding="utf-8")
            files[str(path)] = name
        report = Runner().run(
            root_folder=None, files=list(files), runner_filter=RunnerFilter(framework=["cloudformation"])
        )
    if report.parsing_errors:
        raise SystemExit(f"checkov cannot read {', '.join(report.parsing_errors)}")
    return {
        Finding(
            files[record.file_abs_path], record.resource.rpartition(".")[2], record.check_id
        ): record.check_name
        for record in report.failed_checks
    }


def main() -> None:
    """Scan the templates of the file that is named."""
    logging.disable(logging.WARNING)
    templates = read(Path(sys.argv[1]))
    excused = take_excuses(templates, CHECKOV)
    findings = scan({**templates, _PLANTED_NAME: {"Resources": {_PLANTED_NAME: _PLANTED}}})
    if not findings.pop(Finding(_PLANTED_NAME, _PLANTED_NAME, _PLANTED_CHECK), None):
        raise SystemExit(f"checkov does not find {_PLANTED_CHECK} in a bucket that is open to all")
    told = complaints(
        {each: title for each, title in findings.items() if each.template != _PLANTED_NAME}, excused
    )
    if told:
        raise SystemExit("\n".join([*told, f"checkov: {len(told)} to fix, or to excuse beside the resource"]))


if __name__ == "__main__":
    main()
