"""What a planted bug is, and how a function becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

Patches = Sequence[tuple[Any, str, Any]]
"""Whose attribute is replaced, its name, and what stands there instead."""


@dataclass(frozen=True)
class Bug:
    """One bug: what it does, which promise it breaks, and what has to be replaced to have it."""

    name: str
    text: str
    broken: str
    patches: Callable[[], Patches]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have it for a while."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, attribute, value in self.patches():
                patch.setattr(owner, attribute, value)
            yield


def bug(*, breaks: str) -> Callable[[Callable[[], Patches]], Bug]:
    """Make a bug of a function that has the patches."""

    def made(patches: Callable[[], Patches]) -> Bug:
        return Bug(patches.__name__, patches.__doc__ or "", breaks, patches)

    return made


def in_place_of(owner: Any, attribute: str, *, breaks: str) -> Callable[[Callable[..., Any]], Bug]:
    """Make a bug of what stands in a function's place; it is given that function before all else."""

    def made(wrong: Callable[..., Any]) -> Bug:
        def patches() -> Patches:
            right = getattr(owner, attribute)

            def instead(*args: Any, **named: Any) -> Any:
                return wrong(right, *args, **named)

            return [(owner, attribute, instead)]

        return Bug(wrong.__name__, wrong.__doc__ or "", breaks, patches)

    return made
