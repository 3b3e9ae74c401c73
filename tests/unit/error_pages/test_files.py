"""The pages and the data of the command line: up to date, complete, and the same in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from error_pages.explanations import Explanations
from error_pages.files import FILES
from error_pages.page import anchor, page
from wechat_notify.wechat.error_codes import ERROR_CODES

SECTION = re.compile(r"^### (-?\d+) (\w+)\n\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
PART = re.compile(r"^#+ -?\d+ \w+|^\d+\.|^- `[^`]*`$|^-|\]\(#[^)]+\)|^\*\*|^\|", re.MULTILINE)
DATA = next(path for path in FILES if path.suffix == ".json")
LARGEST = 300_000
"""Bytes of the data: the command line reads it at each call."""


def sections(text: str) -> dict[int, tuple[str, str]]:
    """The name and the text of each code's section."""
    return {int(code): (name, content) for code, name, content in SECTION.findall(text)}


def shape(text: str) -> list[str]:
    """The parts of a text: headings, links, code and list marks, which no translation changes."""
    return sorted(PART.findall(text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_file_is_up_to_date(path: Path) -> None:
    """``make error-pages`` writes it."""
    assert path.read_text("utf-8") == FILES[path]()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_code_has_a_section(language: str) -> None:
    found = sections(page("en" if language == "en" else "zh"))
    assert {code: name for code, (name, _) in found.items()} == {
        code.code: code.name for code in ERROR_CODES.values()
    }


def test_languages_have_the_same_parts() -> None:
    english, chinese = sections(page("en")), sections(page("zh"))
    assert {code: shape(text) for code, (_, text) in english.items()} == {
        code: shape(text) for code, (_, text) in chinese.items()
    }
    assert shape(page("en")) == shape(page("zh"))


def test_pages_are_in_their_language() -> None:
    """Apart from code, links and headings: each paragraph of the Chinese page has Chinese, the other none."""
    assert not re.search(r"[\u4e00-\u9fff]", re.sub(r"`[^`]*`", "", page("en")))
    told = re.sub(r"`[^`]*`|^#.*$|^\|[-|]+\|$", "", page("zh"), flags=re.MULTILINE)
    lines = [line for line in told.splitlines() if re.search(r"[A-Za-z]{3}", line)]
    assert [line for line in lines if not re.search(r"[\u4e00-\u9fff]", line)] == []


def test_data_has_its_shape() -> None:
    """And nothing more."""
    text = DATA.read_bytes()
    data = TypeAdapter(Explanations).validate_json(text, strict=True)
    assert data == json.loads(text)
    assert data["codes"].keys() == {str(code) for code in ERROR_CODES}
    for code, each in data["codes"].items():
        assert int(code) == each["code"]
        assert each["anchor"] == anchor(ERROR_CODES[int(code)])
        assert each["class"] in data["classes"]
        assert set(each["met"]) <= data["places"].keys()
        assert each["send"] or each["token"]


def test_data_is_small() -> None:
    assert len(DATA.read_bytes()) < LARGEST
