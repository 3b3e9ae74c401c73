"""The files that are made, and their content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from error_pages.explanations import as_json
from error_pages.page import page

_ROOT: Final = Path(__file__).parents[1]
FILES: Final[Mapping[Path, Callable[[], str]]] = {
    _ROOT / "docs/error-codes.md": partial(page, "en"),
    _ROOT / "docs/zh/error-codes.md": partial(page, "zh"),
    _ROOT / "cli/wxn/data/error_codes.json": as_json,
}
