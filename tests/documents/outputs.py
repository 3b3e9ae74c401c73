"""Outputs as documents show them, compared with what was really printed."""

from __future__ import annotations

import json
import re
from typing import Any

from openapi.operation import VOLATILE

ELISION = "…"
"""Any text within a line; as a line of its own, any lines. In JSON: as a key any other keys, as the last
element of a list any other elements."""


def same_output(shown: str, printed: str, *, as_json: bool) -> bool:
    """Compare what a document shows with what was printed, but for white space and elisions."""
    if not as_json:
        return _pattern(shown).fullmatch(_plain(printed)) is not None
    try:
        return same_json(json.loads(shown), json.loads(printed))
    except ValueError:
        return False


def same_json(shown: Any, printed: Any) -> bool:
    """The same for JSON values. Of fields whose value no document can know, the type is compared."""
    if type(shown) is not type(printed):
        return False
    if isinstance(shown, dict):
        named = shown.keys() - {ELISION}
        all_there = named <= printed.keys() if ELISION in shown else named == printed.keys()
        return all_there and all(_same_field(name, shown[name], printed[name]) for name in named)
    if isinstance(shown, list):
        if shown and shown[-1] == ELISION:
            shown, printed = shown[:-1], printed[: len(shown) - 1]
        return len(shown) == len(printed) and all(map(same_json, shown, printed))
    if isinstance(shown, str):
        return _pattern(shown).fullmatch(_plain(printed)) is not None
    return bool(shown == printed)


def _same_field(name: str, shown: Any, printed: Any) -> bool:
    if name in VOLATILE and not isinstance(shown, dict | list):
        return type(shown) is type(printed)
    return same_json(shown, printed)


def _plain(text: str) -> str:
    """Without blanks at the ends of lines, and with one in the place of many; rules of tables likewise."""
    lines = (re.sub(r"[ \t]+", " ", re.sub(r"─+", "─", line)).strip() for line in text.strip().splitlines())
    return "\n".join(lines)


def _pattern(shown: str) -> re.Pattern[str]:
    lines = [
        r"(?:.*\n)*?.*" if line == ELISION else ".*?".join(map(re.escape, line.split(ELISION)))
        for line in _plain(shown).split("\n")
    ]
    return re.compile("\n".join(lines))
