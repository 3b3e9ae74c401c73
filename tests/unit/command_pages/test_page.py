"""The pages are those that the commands make."""

import os
import subprocess
import sys

import pytest

from command_pages.json_shapes import JSON
from command_pages.page import all_commands
from tests.unit.test_docs import DOCS, ROOT


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_is_up_to_date(language: str) -> None:
    """By a process of its own, for a process of wxn has one language."""
    page = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-m", "command_pages", "--lang", language],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "cli"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    folder = DOCS if language == "en" else DOCS / language
    assert page.stdout.decode() == (folder / "wxn.md").read_text("utf-8"), "make command-pages"


def test_json_of_each_command_is_told() -> None:
    assert sorted(JSON) == sorted(all_commands())
