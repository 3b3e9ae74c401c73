"""cdk-nag on templates: ``python -m scanners.nag TEMPLATES.json``, of ``scanners.transform``.

Its rule packs ``AwsSolutions`` and ``Serverless``. It runs on Node: ``make scan-nag`` leaves it out, with a
word, where there is none.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from scanners.excuses import CDK_NAG, Finding, Templates, complaints, read, take_excuses

_PLANTED: Final = {"Type": "AWS::SQS::Queue"}
"""A queue without a dead letter queue."""
_PLANTED_NAME: Final = "PlantedQueue"
_PLANTED_CHECKS: Final = ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy")
"""One of each pack."""


def findings_of(template: str, lines: Iterable[dict[str, str]]) -> dict[Finding, str]:
    """The titles of the rules that a template breaks, by the lines of a report.

    A rule that cannot judge a resource (``UNKNOWN``: a property behind a condition) is a finding too.
    """
    return {
        Finding(template, line["resourceId"].rpartition("/")[2], line["ruleId"]): line["ruleInfo"]
        for line in lines
        if line["compliance"] not in ("Compliant", "N/A")
    }


def scan(templates: Templates) -> dict[Finding, str]:
    """The titles of the rules that templates break."""
    import aws_cdk  # noqa: PLC0415 - it starts Node
    import cdk_nag  # noqa: PLC0415
    from aws_cdk.cloudformation_include import CfnInclude  # noqa: PLC0415

    found: dict[Finding, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        # cfn-lint validates the templates; here that would take three times as long as the rules.
        app = aws_cdk.App(
            outdir=folder,
            analytics_reporting=False,
            tree_metadata=False,
            builtin_cloud_formation_validation=False,
        )
        stacks = {f"Stack{number}": name for number, name in enumerate(templates)}
        for stack, name in stacks.items():
            path = Path(folder, f"{stack}.json")
            path.write_text(json.dumps(templates[name]), encoding="utf-8")
            CfnInclude(aws_cdk.Stack(app, stack), "template", template_file=str(path))
        formats = [cdk_nag.NagReportFormat.JSON]
        for pack in (cdk_nag.AwsSolutionsChecks, cdk_nag.ServerlessChecks):
            aws_cdk.Aspects.of(app).add(pack(reports=True, report_formats=formats))
        app.synth()
        for stack, name in stacks.items():
            for path in Path(folder).glob(f"*--{stack}-NagReport.json"):
                report: dict[str, Any] = json.loads(path.read_text("utf-8"))
                found |= findings_of(name, report["lines"])
    return found


def main() -> None:
    """Scan the templates of the file that is named."""
    templates = read(Path(sys.argv[1]))
    excused = take_excuses(templates, CDK_NAG)
    findings = scan({**templates, _PLANTED_NAME: {"Resources": {_PLANTED_NAME: _PLANTED}}})
    for check in _PLANTED_CHECKS:
        if not findings.pop(Finding(_PLANTED_NAME, _PLANTED_NAME, check), None):
            raise SystemExit(f"cdk-nag does not find {check} in a queue that has no dead letter queue")
    told = complaints(
        {each: title for each, title in findings.items() if each.template != _PLANTED_NAME}, excused
    )
    if told:
        raise SystemExit("\n".join([*told, f"cdk-nag: {len(told)} to fix, or to excuse beside the resource"]))


if __name__ == "__main__":
    main()
