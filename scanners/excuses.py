"""Findings in templates, and what excuses them.

A finding is excused beside its resource, in the form of the scanner that has it::

    Metadata:
      checkov:
        skip:
          - {id: CKV_AWS_117, comment: "the reason"}
      cdk_nag:
        rules_to_suppress:
          - {id: AwsSolutions-VPC7, reason: "the reason"}

In the ``Metadata`` of the template it is an excuse for all of its resources. The scanners do not see the
excuses, so that one that no finding needs is found as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

EVERY_RESOURCE: Final = "*"

Templates = dict[str, dict[str, Any]]
"""CloudFormation templates by their paths."""


class Form(NamedTuple):
    """The names under which a scanner looks for excuses."""

    scanner: str
    excuses: str
    reason: str


CHECKOV: Final = Form("checkov", "skip", "comment")
CDK_NAG: Final = Form("cdk_nag", "rules_to_suppress", "reason")


class Finding(NamedTuple):
    """A rule that a resource of a template breaks."""

    template: str
    resource: str
    check: str

    def __str__(self) -> str:
        return f"{self.template}: {self.resource}: {self.check}"


def read(path: Path) -> Templates:
    """The templates that ``scanners.transform`` has written."""
    templates: Templates = json.loads(path.read_text("utf-8"))
    return templates


def take_excuses(templates: Templates, form: Form) -> dict[Finding, str]:
    """The reason of each excuse in a scanner's form, which are taken out of the templates."""
    found = {}
    for name, template in templates.items():
        for resource, each in {EVERY_RESOURCE: template, **template["Resources"]}.items():
            for excuse in each.get("Metadata", {}).pop(form.scanner, {}).get(form.excuses, []):
                finding = Finding(name, resource, excuse["id"])
                found[finding] = str(excuse.get(form.reason, "")).strip()
    return found


def complaints(findings: dict[Finding, str], excused: dict[Finding, str]) -> list[str]:
    """The findings without an excuse, the excuses without a reason, and those without a finding."""
    excuses = {each: each if each in excused else each._replace(resource=EVERY_RESOURCE) for each in findings}
    unneeded = excused.keys() - excuses.values()
    return [
        *(f"{each}: {title}" for each, title in sorted(findings.items()) if excuses[each] not in excused),
        *(f"{each}: the excuse has no reason" for each, reason in sorted(excused.items()) if not reason),
        *(f"{each}: the excuse is for no finding" for each in sorted(unneeded)),
    ]
