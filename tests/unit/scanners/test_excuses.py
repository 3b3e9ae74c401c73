from typing import Any

import pytest

from scanners.excuses import CDK_NAG, CHECKOV, EVERY_RESOURCE, Finding, Form, complaints, take_excuses
from scanners.nag import findings_of

OPEN = Finding("template.yaml", "Bucket", "CKV_AWS_53")
OTHER = OPEN._replace(resource="OtherBucket")
ANY = OPEN._replace(resource=EVERY_RESOURCE)
TITLE = "Ensure it is closed"


@pytest.mark.parametrize("form", [CHECKOV, CDK_NAG], ids=lambda form: form.scanner)
def test_excuses_are_taken_out(form: Form) -> None:
    """The scanner would leave out what is excused, and nobody would see that an excuse is for nothing."""
    skips = [{"id": "CKV_AWS_53", form.reason: " it is meant to be open "}]

    def excused() -> dict[str, Any]:
        return {"Metadata": {"Other": 1, form.scanner: {form.excuses: skips}}}

    source = excused() | {"Resources": {"Bucket": excused(), "Plain": {}}}

    assert take_excuses({"template.yaml": source}, form) == dict.fromkeys(
        (ANY, OPEN), "it is meant to be open"
    )
    assert source == {
        "Metadata": {"Other": 1},
        "Resources": {"Bucket": {"Metadata": {"Other": 1}}, "Plain": {}},
    }


@pytest.mark.parametrize(
    ("findings", "excused", "told"),
    [
        ([OPEN], {OPEN: "it is meant to be open"}, []),
        ([OPEN, OTHER], {ANY: "they are meant to be open"}, []),
        ([OPEN, OTHER], {}, [f"{OPEN}: {TITLE}", f"{OTHER}: {TITLE}"]),
        ([OPEN, OTHER], {OPEN: "it is meant to be open"}, [f"{OTHER}: {TITLE}"]),
        ([OPEN], {OPEN: ""}, [f"{OPEN}: the excuse has no reason"]),
        ([], {OPEN: "it is meant to be open"}, [f"{OPEN}: the excuse is for no finding"]),
        ([OPEN], {OPEN: "it is", ANY: "they are"}, [f"{ANY}: the excuse is for no finding"]),
    ],
)
def test_complaints(findings: list[Finding], excused: dict[Finding, str], told: list[str]) -> None:
    assert complaints(dict.fromkeys(findings, TITLE), excused) == told


def test_what_cannot_be_judged_is_found() -> None:
    """cdk-nag fails a rule whose property is behind a condition: the rule would hold nowhere."""
    results = ("Compliant", "Non-Compliant", "UNKNOWN", "N/A")
    lines = [
        {
            "resourceId": f"Stack0/template/Bucket{number}",
            "ruleId": "S1",
            "compliance": result,
            "ruleInfo": TITLE,
        }
        for number, result in enumerate(results)
    ]
    assert findings_of("template.yaml", lines) == {
        Finding("template.yaml", "Bucket1", "S1"): TITLE,
        Finding("template.yaml", "Bucket2", "S1"): TITLE,
    }
