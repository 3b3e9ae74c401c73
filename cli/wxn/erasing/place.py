"""Places where something of a person is stored, and what is found there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Count = Callable[[int, int | None], None]
"""Is told how many are searched, of how many (None: not known)."""


@dataclass(frozen=True)
class Found:
    """Something of the person.

    Parameters
    ----------
    place
        The place's name.
    name
        The id, key or name of what was found.
    does
        The thing to be done with it.
    blocked
        The reason why it has to stay for now; empty where it is erased at once.
    again
        When to repeat the command, where it is blocked.
    data
        The place's own knowledge of it.
    """

    place: str
    name: str
    does: str
    blocked: str = ""
    again: str = ""
    data: Any = None

    def as_json(self) -> dict[str, str]:
        """The document that ``--json`` prints."""
        blocked = {"blocked": self.blocked, "again": self.again} if self.blocked else {}
        return {"place": self.place, "name": self.name, "does": self.does, **blocked}


class Place(Protocol):
    """One kind of storage. Both methods may be repeated at any time."""

    name: str

    def find(self, count: Count) -> Iterator[Found]:
        """Search it, and change nothing."""

    def erase(self, found: Sequence[Found]) -> None:
        """Erase what was found, as far as it is still there; what cannot be erased stays to be found again."""
