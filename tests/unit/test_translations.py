"""Each page for users is there in Chinese too, with the same headings, tables, code and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.documents.blocks import DOCS, ROOT, Comment, page_blocks
from tests.documents.translations import TRANSLATIONS
from tests.unit.test_docs import anchors

ENGLISH = {chinese: page for page, chinese in TRANSLATIONS.items()}
_COMMENT = re.compile(r"(^|\s+)# .*", re.MULTILINE)


def tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8")):
        yield token
        yield from token.children or []


def structure(page: Path) -> list[str]:
    """Headings by their level, rows of tables and fenced blocks, in their order."""
    kinds = {"heading_open", "table_open", "tr_open", "fence"}
    return [f"{token.tag} {token.info}".strip() for token in tokens(page) if token.type in kinds]


def code(page: Path) -> list[tuple[Comment | None, str]]:
    """The fenced blocks without comments. Outputs are left out: they are in the page's language."""
    return [
        (block.comment, _COMMENT.sub("", block.text))
        for block in page_blocks(page)
        if block.output_of is None
    ]


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files of the project that a page leads to, each with the anchor."""
    for token in tokens(page):
        href = unquote(str(token.attrGet("href") or "")) if token.type == "link_open" else ""
        path, _, anchor = href.partition("#")
        if href and "://" not in href:
            yield (page.parent / path).resolve() if path else page, anchor


def sections(page: Path) -> list[tuple[str, int]]:
    """Where the links lead: the English page, and the number of the section."""
    return sorted(
        (name(ENGLISH.get(target, target)), list(anchors(target)).index(anchor) if anchor else -1)
        for target, anchor in links(page)
    )


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name)
def test_page_is_there_in_chinese(page: Path) -> None:
    assert TRANSLATIONS[page].exists()


@pytest.mark.parametrize("page", sorted((DOCS / "zh").glob("*.md")), ids=name)
def test_chinese_page_has_an_english_one(page: Path) -> None:
    assert page in TRANSLATIONS.values()


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name)
def test_chinese_page_has_the_same_structure(page: Path) -> None:
    assert structure(TRANSLATIONS[page]) == structure(page)


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name)
def test_chinese_page_has_the_same_code(page: Path) -> None:
    assert code(TRANSLATIONS[page]) == code(page)


@pytest.mark.parametrize("page", TRANSLATIONS.values(), ids=name)
def test_chinese_page_leads_to_chinese_pages(page: Path) -> None:
    """It may lead to its own page in English."""
    targets = [target for target, _ in links(page)]
    assert [name(target) for target in targets if TRANSLATIONS.get(target, page) != page] == []


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name)
def test_chinese_page_leads_to_the_same_sections(page: Path) -> None:
    assert sections(TRANSLATIONS[page]) == sections(page)
