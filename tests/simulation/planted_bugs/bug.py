"""What a planted bug is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Patch = tuple[Any, str, Any]
"""Whose attribute is replaced, its name, and what stands there instead."""


@dataclass(frozen=True)
class Bug:
    """One bug: what it does, which promise it breaks, and what has to be replaced to have it."""

    name: str
    text: str
    broken: str
    patches: Callable[[], Sequence[Patch]]
