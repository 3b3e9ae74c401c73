"""Names that a person may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from wxn.language import text


def did_you_mean(given: str, names: Collection[str], otherwise: str | None = None) -> str:
    """A next step after a name that is none of these.

    It is the nearest name. Where none is near it is ``otherwise``; without that, all names.
    """
    near = difflib.get_close_matches(given.lower().replace("-", "_"), names, 1)
    if near:
        return text(f"Did you mean {near[0]}?", f"是否指 {near[0]}？")
    return otherwise or text(f"Use one of {', '.join(names)}.", f"可用：{'、'.join(names)}。")
