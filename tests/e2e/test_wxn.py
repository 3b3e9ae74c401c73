"""``wxn`` against the stack: what a command prints, and its exit code."""

import json

from tests.e2e.conftest import CommandLine


def test_quota(wxn: CommandLine) -> None:
    result = wxn("quota")

    assert result.exit_code == 0
    assert "template" in result.stdout
    assert "100,000" in result.stdout


def test_quota_as_json(wxn: CommandLine) -> None:
    kinds = json.loads(wxn("quota", "--json").stdout)["kinds"]

    assert {kind["kind"] for kind in kinds} >= {"template", "subscription"}


def test_release_of_unknown_hold(wxn: CommandLine) -> None:
    result = wxn("holds", "release", "kind:template")

    assert result.exit_code == 1
    assert "error: Not found (404)" in result.stderr
    assert result.stdout == ""
