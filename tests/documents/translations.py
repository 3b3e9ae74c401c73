"""The pages that are there in Chinese too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.documents.blocks import DOCS, ROOT, page_blocks

MAINTAINERS: Final = frozenset(
    {"design.md", "glossary.md", "performance.md", "reliability.md", "simulator.md"}
)
"""Pages that are in English only."""

TRANSLATIONS: Final[Mapping[Path, Path]] = {
    ROOT / "README.md": ROOT / "README.zh-CN.md",
    **{page: DOCS / "zh" / page.name for page in sorted(DOCS.glob("*.md")) if page.name not in MAINTAINERS},
}
"""The Chinese page of each page for users."""


def shows_the_same(page: Path) -> bool:
    """The outputs on a Chinese page are those of its English page."""
    english = next((each for each, chinese in TRANSLATIONS.items() if chinese == page), None)
    return english is not None and _outputs(page) == _outputs(english)


def _outputs(page: Path) -> list[str]:
    return [block.text for block in page_blocks(page) if block.output_of is not None]
