"""The language of all that people read: English or Chinese.

It is chosen once, when the process starts, because the help texts are made with the commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, Literal

Language = Literal["en", "zh"]


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language that ``--lang`` names, otherwise that of the locale.

    The variables of the locale are read in the order of POSIX: LC_ALL, LC_MESSAGES, LANG.
    """
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang" and position + 1 < len(arguments):
            return _named(arguments[position + 1])
        if argument.startswith("--lang="):
            return _named(argument.removeprefix("--lang="))
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return _named(next(filter(None, names), ""))


def _named(name: str) -> Language:
    return "zh" if name.lower().startswith("zh") else "en"


LANGUAGE: Final = choose(sys.argv[1:], os.environ)


def translated(both: Mapping[str, str] | None) -> str | None:
    """The text of an answer that has both, ``{"en": …, "zh": …}``, by the language of this process; None of none."""
    return both[LANGUAGE] if both else None


def text(en: str, zh: str) -> str:
    """One of the two, by the language of this process."""
    return zh if LANGUAGE == "zh" else en
