from typing import Any

import pytest

from scanners.template import Finding, complaints, excuses

OPEN = Finding("template.yaml", "Bucket", "CKV_AWS_53")


def template(*skips: dict[str, str]) -> dict[str, Any]:
    bucket = {"Type": "AWS::S3::Bucket", "Metadata": {"Other": 1, "checkov": {"skip": list(skips)}}}
    return {"Resources": {"Bucket": bucket, "Plain": {"Type": "AWS::SQS::Queue"}}}


def test_excuses_are_taken_out() -> None:
    """checkov would leave out what is excused, and nobody would see that an excuse is for nothing."""
    source = template({"id": "CKV_AWS_53", "comment": "it is meant to be open"})

    assert excuses("template.yaml", source) == {OPEN: "it is meant to be open"}
    assert source["Resources"]["Bucket"]["Metadata"] == {"Other": 1}


@pytest.mark.parametrize(
    ("findings", "excused", "told"),
    [
        ({OPEN: "Ensure it is closed"}, {OPEN: "it is meant to be open"}, []),
        ({OPEN: "Ensure it is closed"}, {}, [f"{OPEN}: Ensure it is closed"]),
        ({OPEN: "Ensure it is closed"}, {OPEN: ""}, [f"{OPEN}: the excuse has no reason"]),
        ({}, {OPEN: "it is meant to be open"}, [f"{OPEN}: the excuse is for no finding"]),
    ],
)
def test_complaints(findings: dict[Finding, str], excused: dict[Finding, str], told: list[str]) -> None:
    assert complaints(findings, excused) == told
