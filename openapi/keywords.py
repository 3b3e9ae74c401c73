"""The schema of ``data``: each keyword by the rule of its type, as far as a schema can say it."""

from __future__ import annotations

from openapi.operation import Json
from openapi.schemas import BLANK, CONTROL, LINES, TEXT
from wechat_notify.core.messages import keyword_rules
from wechat_notify.core.messages.keywords import MAX_KEY
from wechat_notify.core.templates.keyword_types import KEYWORD_TYPES

_NUMBER: Json = {"type": "number"}
_TEXT_ONLY = frozenset({"letter", "symbol", "name", "phrase"})
"""Types that no number can be."""
_ADVISORY = frozenset({"short_thing", "const"})
"""Types whose rules give warnings only."""
# The characters themselves: patterns of JSON Schema have no escape for those beyond U+FFFF.
_CHINESE = keyword_rules.CHINESE.encode().decode("unicode_escape")


def _lines_without(characters: str) -> str:
    return rf"^(?:[^{CONTROL}{characters}]|[\t\n\r])+$"


_PATTERNS = {
    "number": r"^[+-]?[0-9]+(?:\.[0-9]+)?$",
    "letter": "^[A-Za-z]+$",
    "symbol": f"^[^{CONTROL}{BLANK}A-Za-z0-9]+$",
    "character_string": _lines_without(_CHINESE),
    "amount": r"^[^0-9]?[0-9]{1,10}(?:\.[0-9]+)?元?$",
    "phone_number": _lines_without(f"A-Za-z{_CHINESE}"),
    "car_number": f"^[{_CHINESE}A-Za-z0-9]+$",
    "name": _lines_without("0-9"),
    "phrase": f"^[{_CHINESE}]+$",
}
_LIMITS = {"number": 34}
"""Limits that do not count characters: 32 digits, with a sign and a point."""


def schema(*, official_account_template: bool) -> Json:
    """The schema of ``data``; in a ``template`` message a key without a number has no type."""
    number = "[0-9]+" if official_account_template else "[0-9]*"
    return {
        "type": "object",
        "description": "The keywords of the template, each with its value. The type of a keyword is its key "
        "without the number; a value that its type's rule forbids is refused.",
        "propertyNames": {
            "minLength": 1,
            "maxLength": MAX_KEY,
            **TEXT,
            "not": {"pattern": r"\.DATA$"},
        },
        "patternProperties": {
            f"^{name}{number}$": _entry(name) for name in KEYWORD_TYPES if name not in _ADVISORY
        },
        "additionalProperties": _with_value(
            {"description": "the text", "anyOf": [{"type": "string", **LINES}, _NUMBER]}
        ),
    }


def _entry(name: str) -> Json:
    known = KEYWORD_TYPES[name]
    text: Json = {"type": "string", "minLength": 1, "pattern": _PATTERNS.get(name, LINES["pattern"])}
    limit = _LIMITS.get(name, known.max_length)
    if limit is not None:
        text["maxLength"] = limit
    value = text if name in _TEXT_ONLY else {"anyOf": [text, _NUMBER]}
    return _with_value({"description": known.text.en, **value})


def _with_value(value: Json) -> Json:
    return {
        "type": "object",
        "properties": {"value": value, "color": {"description": "WeChat shows no colours; dropped"}},
        "required": ["value"],
        "additionalProperties": False,
    }
