"""The fenced blocks of a document, and what each one is.

======  =========================================================================================
fence   what is done with the block
======  =========================================================================================
sh      run by bash; the blocks of a page are one session
python  run by Python, as a program of its own
text    the output of the block before it
json    the same, where it follows such a block in its section; otherwise an example, which is checked
csv     nothing, unless it is a file
other   nothing
======  =========================================================================================

An HTML comment before a block, which readers do not see, says more:

``<!-- exit 1 -->``
    Its last command ends with this exit code.
``<!-- file customers.csv -->``
    It is a file, which is there from this block on.
``<!-- example -->``
    JSON that is not the output of the block before it.
``<!-- not run: reason -->``
    It is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if "decisions" not in page.parts),
]
"""The pages whose blocks are run. Decisions are left out: they may speak of what is gone."""

RUN = ("sh", "python")

_COMMENT = re.compile(r"<!-- (exit|file|example|not run:) ?(.*?) ?-->")


class Comment(NamedTuple):
    """The comment before a block: ``exit``, ``file``, ``example`` or ``not run:``, and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Block:
    """A fenced block; ``output_of`` is the block whose output it is."""

    place: str
    language: str
    text: str
    comment: Comment | None = None
    output_of: Block | None = None

    @property
    def runs(self) -> bool:
        """It is run."""
        return self.language in RUN and not self.says("not run:")

    @property
    def is_example(self) -> bool:
        """It is JSON that is checked."""
        return self.language == "json" and self.output_of is None and not self.says("not run:")

    @property
    def exit_code(self) -> int:
        """The exit code of its last command."""
        return int(self.comment.value) if self.comment and self.comment.name == "exit" else 0

    @property
    def file(self) -> str | None:
        """The file that it is."""
        return self.comment.value if self.comment and self.comment.name == "file" else None

    def says(self, name: str) -> bool:
        """The comment before it has this name."""
        return self.comment is not None and self.comment.name == name


def blocks(text: str, place: str) -> Iterator[Block]:
    """The blocks of a document, in their order; ``place`` names it in what is told of a block."""
    comment: Comment | None = None
    before: Block | None = None
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            found = _COMMENT.fullmatch(token.content.strip())
            comment = Comment(found[1], found[2]) if found else None
        elif token.type == "heading_open":
            before = None
        elif token.type == "fence":
            assert token.map is not None
            where = f"{place}:{token.map[0] + 1}"
            output = token.info == "text" or (token.info == "json" and before is not None)
            output_of = before if output and comment is None else None
            block = Block(where, token.info, token.content, comment, output_of)
            yield block
            comment, before = None, block if block.language in RUN else None


@cache
def page_blocks(page: Path) -> tuple[Block, ...]:
    """The blocks of a page of the project, read once: many tests look at each."""
    return tuple(blocks(page.read_text("utf-8"), str(page.relative_to(ROOT))))
