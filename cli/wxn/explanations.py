"""WeChat's error codes and this service's problems, as ``wxn`` explains them; read from its own data, offline."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from wxn.language import text, translated

_ERRCODE: Final = re.compile(r"\berr_?code[\"']?\s*[:=]?\s*[\"']?(-?\d{1,7})", re.IGNORECASE)
"""An errcode by its name, as in ``{"errcode": 40164}``, ``errCode: -604101`` and ``errcode=40164``."""
_NUMBER: Final = re.compile(r"(?<![\w.:-])(-\d{1,7}|\d{5,7})(?![\w.:]*\w)")
"""A number that may be an errcode: of at least five digits, or negative; not a part of an address or a date."""
_RID: Final = re.compile(r"\b(?:rid|hints?):.*", re.IGNORECASE | re.DOTALL)
_DATA: Final = Path(__file__).parent / "data"
_FEW: Final = 3
_ALIKE: Final = 0.6
"""Ratio from which a text counts as one of WeChat's: an address in it makes it another one."""


class Explanation(NamedTuple):
    """An entry of the tables: a code, or a problem document.

    ``errcode`` is None for a problem; ``fields`` are those of the data file.
    """

    name: str
    errcode: int | None
    fields: Mapping[str, Any]

    def text(self, field: str) -> str:
        """A field that has a text in both languages, in that of this process."""
        return str(translated(self.fields[field]))

    @property
    def what_to_do(self) -> list[str]:
        """The steps of a code, numbered; its advice where there are none."""
        steps = [str(translated(step)) for step in self.fields["steps"]]
        return [f"{n}. {step}" for n, step in enumerate(steps, 1)] if steps else [self.text("advice")]

    @property
    def page(self) -> str:
        """The section of the document about a code."""
        return f"{text('docs/error-codes.md', 'docs/zh/error-codes.md')}#{self.fields['anchor']}"

    def as_json(self) -> dict[str, Any]:
        """The document that ``--json`` prints; texts in both languages."""
        return {"name": self.name, **self.fields}


class Unknown(NamedTuple):
    """Nothing is known by this name; ``nearest`` are names and codes that are alike."""

    asked: str
    nearest: Sequence[str]


@cache
def data() -> Mapping[str, Any]:
    """Codes by number, with ``classes`` and ``places`` that they name."""
    found: Mapping[str, Any] = json.loads(_read("error_codes.json"))
    return found


@cache
def _problems() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(_read("problems.json"))
    return found


def _read(name: str) -> str:
    return (_DATA / name).read_text("utf-8")


def by_code(errcode: int) -> Explanation | None:
    """The explanation of one of WeChat's codes; None where it is not in the table."""
    fields = data()["codes"].get(str(errcode))
    return Explanation(fields["name"], errcode, fields) if fields else None


def find(words: Sequence[str]) -> list[Explanation | Unknown]:
    """The explanations that the words ask for, each once, in their order.

    Each word is a code, a code's name or a problem's type; or all of them are one text that holds a code, such
    as a line of a log, or that WeChat sends as ``errmsg``.
    """
    single = [_exactly(word) for word in words]
    if any(single) and all(found or _is_name(word) for found, word in zip(single, words, strict=True)):
        found_all = [found or _unknown(word) for found, word in zip(single, words, strict=True)]
    else:
        found_all = list(_in_text(" ".join(words))) or [_unknown(word) for word in words]
    return list({found[0]: found for found in found_all}.values())


def _exactly(word: str) -> Explanation | None:
    """The explanation of a word that is a code, a name, or a type such as ``/docs/problems.md#unknown-hold``."""
    word = word.strip().strip(",;\"'")
    if re.fullmatch(r"[+-]?\d{1,7}", word):
        return by_code(int(word))
    name = word.upper().replace("-", "_")
    for code, fields in data()["codes"].items():
        if fields["name"] == name:
            return by_code(int(code))
    problem = word.rpartition("#")[2].lower().replace("_", "-")
    return Explanation(problem, None, _problems()[problem]) if problem in _problems() else None


def _is_name(word: str) -> bool:
    """True of a word that looks like a code or a name, also where nothing is known by it."""
    return re.fullmatch(r"-?\d{1,7}|[A-Za-z]+([_-][A-Za-z0-9]+)+", word.strip(",;")) is not None


def _in_text(content: str) -> list[Explanation | Unknown]:
    numbers = _ERRCODE.findall(content) or [n for n in _NUMBER.findall(content) if by_code(int(n))]
    if numbers:
        return [by_code(int(number)) or _unknown(number) for number in numbers]
    names = re.findall(r"[A-Za-z]+(?:[_-][A-Za-z0-9]+)+", content)
    if found := [known for name in names if (known := _exactly(name))]:
        return list(found)
    return list(_of_errmsg(content))


def _of_errmsg(content: str) -> list[Explanation]:
    """The codes with which WeChat sends a text like this one."""
    asked = _RID.sub("", content).strip().lower()
    if len(asked.split()) < 2:  # noqa: PLR2004 - one word is a name
        return []
    likeness = {
        code: max(
            (difflib.SequenceMatcher(None, known.lower(), asked).ratio() for known in fields["errmsg"]),
            default=0,
        )
        for code, fields in data()["codes"].items()
    }
    best = max(likeness.values())
    found = [code for code, ratio in likeness.items() if ratio == best and ratio >= _ALIKE]
    return [explanation for code in found[:_FEW] if (explanation := by_code(int(code)))]


def _unknown(word: str) -> Unknown:
    codes = data()["codes"]
    if re.fullmatch(r"-?\d{1,7}", word):
        near = sorted(codes, key=lambda code: (-_same_digits(code, word), abs(int(code) - int(word))))[:_FEW]
        return Unknown(word, [f"{code} {codes[code]['name']}" for code in near])
    names = {fields["name"]: f"{code} {fields['name']}" for code, fields in codes.items()}
    known = names | {name: name for name in _problems()}
    by_case = {name.lower().replace("_", "-"): shown for name, shown in known.items()}
    asked = word.rpartition("#")[2].lower().replace("_", "-")
    return Unknown(word, [by_case[name] for name in difflib.get_close_matches(asked, by_case, _FEW, 0.5)])


def _same_digits(code: str, word: str) -> int:
    """The number of digits that two codes have in common at the same places."""
    return sum(one == other for one, other in zip(code, word, strict=False)) - abs(len(code) - len(word))
