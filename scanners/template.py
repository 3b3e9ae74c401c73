"""checkov on templates: ``python -m scanners.template template.yaml=TRANSFORMED.json TEMPLATE.yaml ...``.

The name before ``=`` stands in what is told.

A finding is excused beside its resource, in checkov's own form::

    Metadata:
      checkov:
        skip:
          - {id: CKV_AWS_117, comment: "the reason"}

The metadata is taken out before the scan, so that an excuse that no finding needs is found as well.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

_PLANTED: Final = {"Type": "AWS::S3::Bucket"}
"""A bucket that is not encrypted, not versioned and not closed."""
_PLANTED_NAME: Final = "PlantedBucket"
_PLANTED_CHECK: Final = "CKV_AWS_53"


class Finding(NamedTuple):
    """A rule that a resource of a template breaks."""

    template: str
    resource: str
    check: str

    def __str__(self) -> str:
        return f"{self.template}: {self.resource}: {self.check}"


def read(path: Path) -> dict[str, Any]:
    """A template of JSON or YAML, with CloudFormation's short forms."""
    if path.suffix == ".json":
        template: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return template
    from checkov.cloudformation.parser import parse  # noqa: PLC0415 - it takes seconds

    parsed, _ = parse(str(path))
    return json.loads(json.dumps(parsed))  # type: ignore[no-any-return] # without the parser's own classes


def excuses(name: str, template: dict[str, Any]) -> dict[Finding, str]:
    """The reason of each excuse of a template, which are taken out of it."""
    found = {}
    for resource, each in template["Resources"].items():
        for skip in each.get("Metadata", {}).pop("checkov", {}).get("skip", []):
            found[Finding(name, resource, skip["id"])] = str(skip.get("comment", "")).strip()
    return found


def complaints(findings: dict[Finding, str], excused: dict[Finding, str]) -> list[str]:
    """The findings without an excuse, the excuses without a reason, and those without a finding."""
    return [
        *(f"{each}: {title}" for each, title in sorted(findings.items()) if each not in excused),
        *(f"{each}: the excuse has no reason" for each, reason in sorted(excused.items()) if not reason),
        *(f"{each}: the excuse is for no finding" for each in sorted(excused) if each not in findings),
    ]


def scan(templates: dict[str, dict[str, Any]]) -> dict[Finding, str]:
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
    """Scan the templates that are named."""
    logging.disable(logging.WARNING)
    named = (given.rpartition("=") for given in sys.argv[1:])
    templates = {name or path: read(Path(path)) for name, _, path in named}
    excused: dict[Finding, str] = {}
    for name, template in templates.items():
        excused |= excuses(name, template)
    findings = scan({**templates, _PLANTED_NAME: {"Resources": {_PLANTED_NAME: _PLANTED}}})
    if Finding(_PLANTED_NAME, _PLANTED_NAME, _PLANTED_CHECK) not in findings:
        raise SystemExit(f"checkov does not find {_PLANTED_CHECK} in a bucket that is open to all")
    told = complaints(
        {each: title for each, title in findings.items() if each.template != _PLANTED_NAME}, excused
    )
    if told:
        raise SystemExit("\n".join([*told, f"checkov: {len(told)} to fix, or to excuse beside the resource"]))


if __name__ == "__main__":
    main()
