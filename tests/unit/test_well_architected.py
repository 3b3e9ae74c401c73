"""The review names tests, files and resources; all of them exist."""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/well-architected.md", ROOT / "docs/zh/well-architected.md"]
RESOURCES = set(yaml_parse((ROOT / "template.yaml").read_text("utf-8"))["Resources"])


def evidence(page: Path) -> list[str]:
    """The last cells of the tables' rows: what shows that a practice is followed."""
    rows = [line for line in page.read_text("utf-8").splitlines() if re.match(r"\| [^|-]", line)]
    return [row.rsplit("|", 2)[1] for row in rows if "`" in row.rsplit("|", 2)[1] or "](" in row]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_evidence_exists(page: Path) -> None:
    """A path of the repository, or a resource of the template."""
    named = [name for cell in evidence(page) for name in re.findall(r"`([^`]+)`", cell)]
    missing = [name for name in named if not (name in RESOURCES or (ROOT / name).exists())]
    assert missing == []
    assert len(named) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_each_practice_has_evidence(page: Path) -> None:
    rows = re.findall(r"^\| (?!---)(.+?) \|.*\| (.+?) \|$", page.read_text("utf-8"), re.MULTILINE)
    bare = [practice for practice, shown in rows if "`" not in shown and "](" not in shown]
    headings = {"practice", "做法"}
    assert [practice for practice in bare if practice not in headings] == []
