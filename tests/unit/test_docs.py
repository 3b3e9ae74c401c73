"""The documents agree with each other and with the code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from openapi import events
from tests.documents.blocks import PAGES as DOCUMENTS
from tests.documents.blocks import RUN, blocks, page_blocks
from tests.fakes import load_event
from wechat_notify.core.messages.kinds import KINDS, MODELS
from wxn import triggers

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LAYER = ROOT / "layers/wechat_notify/wechat_notify"
FRONT = [*sorted(ROOT.glob("README*.md")), ROOT / "CHANGELOG.md"]
PAGES = [*FRONT, *sorted(DOCS.rglob("*.md"))]
NAVIGATION = sorted(DOCS.rglob(".nav.yml"))
RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """The page without its code, which may hold brackets that are no link."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def anchors(page: Path) -> Iterator[str]:
    """The anchors that GitHub gives to the headings of a page, of which no two may be the same."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Those between pages of docs are checked when the site is built."""
    broken = []
    for link in LINK.findall(prose(page)):
        target, _, anchor = link.partition("#")
        if "://" in target or (page not in FRONT and (not target or target.endswith(".md"))):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_headings_have_their_own_anchors(page: Path) -> None:
    found = list(anchors(page))
    assert len(set(found)) == len(found)


def test_links_are_found() -> None:
    assert [link for page in FRONT for link in LINK.findall(prose(page)) if "docs/" in link]


@pytest.mark.parametrize("file", NAVIGATION, ids=lambda file: str(file.parent.relative_to(ROOT)))
def test_navigation_leads_to_all_pages(file: Path) -> None:
    """Folders are named as a whole, or have a file of their own."""
    named = file.read_text("utf-8")
    assert [page.name for page in sorted(file.parent.glob("*.md")) if page.name not in named] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_modules_of_the_layer_exist(page: Path) -> None:
    """Decisions are left out: they may speak of modules that are gone."""
    named = re.findall(r"(?<!integration/)\b(?:core|wechat|aws)/(?:\w+/)?\w+\.py\b", page.read_text("utf-8"))
    assert [name for name in named if not (LAYER / name).exists()] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_decision_is_in_the_index(record: Path) -> None:
    """Its first lines are its number, title and status, and the index repeats them."""
    title, _, status, *_ = record.read_text("utf-8").splitlines()
    number = record.name[:4]
    assert title.startswith(f"# {number}. ")
    assert re.fullmatch(r"Status: (accepted|superseded by \d{4})", status)
    name, state = title.removeprefix(f"# {number}. "), status.removeprefix("Status: ")
    row = f"| [{number}]({record.name}) | {name} | {state} |"
    assert row in (DOCS / "decisions" / "README.md").read_text("utf-8").splitlines()


def test_blocks_left_alone_have_a_reason() -> None:
    """Few are: the others are run, or checked."""
    reasons = {
        block.comment.value
        for page in DOCUMENTS
        for block in page_blocks(page)
        if block.comment and block.says("not run:")
    }
    assert reasons <= {
        "it does not end",
        "it needs the one before",
        "it is what is replaced",
        "needs a restored table",
        "other pages need the key",
    }


def test_programs_left_alone_are_python() -> None:
    left_alone = [block for page in DOCUMENTS for block in page_blocks(page) if not block.runs]
    programs = [block for block in left_alone if block.language == "python"]
    for block in programs:
        compile(block.text, block.place, "exec")
    assert programs


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_in_blocks_that_run(page: Path) -> None:
    other = [block for block in page_blocks(page) if block.language not in RUN]
    commands = re.compile(r"^(aws|curl|make|pipx|python|wxn) ", re.MULTILINE)
    assert [block.place for block in other if commands.search(block.text)] == []


def section(page: Path, heading: str) -> str:
    """A section of the second level."""
    return page.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_example_of_a_kind_is_wxns(kind: str) -> None:
    (block,) = [each for each in blocks(section(DOCS / "messages.md", kind), kind) if each.is_example]
    assert triggers.example(kind) == json.loads(block.text)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_of_a_kind_are_documented(kind: str) -> None:
    tables = section(DOCS / "messages.md", "Rules for every kind") + section(DOCS / "messages.md", kind)
    fields = re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE)
    assert sorted(fields) == sorted(MODELS[kind].model_fields)


@pytest.mark.parametrize("detail_type", events.PUBLISHED)
def test_event_is_documented(detail_type: str) -> None:
    """By its detail, and with links to its files."""
    page, name = (DOCS / "events.md").read_text("utf-8"), detail_type.replace(".", "_")
    told = page.partition(f"\n### {detail_type}\n")[2].partition("\n###")[0]
    found = re.search(r"```json\n(.*?)```", told, re.DOTALL)
    assert found
    assert json.loads(found[1]) == load_event(f"published/{name}")["detail"]
    for folder in ("schemas", "published"):
        assert f"(../events/{folder}/{name}.json)" in page


@pytest.mark.parametrize(
    ("page", "kind"), [("deploy.md", "parameter"), ("operations.md", "alarm")], ids=["parameters", "alarms"]
)
def test_template_is_documented(page: str, kind: str) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text("utf-8"))
    alarms = [name for name, part in template["Resources"].items() if part["Type"].endswith("Alarm")]
    text = (DOCS / page).read_text("utf-8")
    names = alarms if kind == "alarm" else template["Parameters"]
    assert [name for name in names if f"`{name}`" not in text] == []
