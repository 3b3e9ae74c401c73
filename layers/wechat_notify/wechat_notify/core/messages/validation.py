"""Violations from pydantic's errors; a misspelt field is answered with the nearest one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from wechat_notify.core.messages.field_types import NOT_A_FIELD, NOT_A_TIME, REQUIRED
from wechat_notify.core.messages.findings import Finding
from wechat_notify.core.messages.keywords import ENTRY_FIELDS, MAX_KEY, MAX_PATH
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

SERVICE_FIELDS = {"kind", "expires_at", "delivery"}
"""The fields of a message that are this service's and not WeChat's."""
MAX_VIOLATIONS = 100
_SIMILAR, _SIMILAR_SHORT, _SHORT = 0.75, 0.8, 5
"""Least similarity (difflib's) of a misspelt name to the known one, and of one of five letters at most.

It is shown, and must not be personal: one letter makes ``wang`` of ``lang``."""


@cache
def shape(model: type[BaseModel]) -> tuple[frozenset[str], Mapping[str, type[BaseModel]]]:
    """The names of a model's optional fields of WeChat's, and the models of those that are objects."""
    optional: set[str] = set()
    nested: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        if name in SERVICE_FIELDS:
            continue
        names = spellings(name, field)
        if not field.is_required():
            optional.update(names)
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                nested |= dict.fromkeys(names, inner)
    return frozenset(optional), nested


def spellings(name: str, field: FieldInfo) -> list[str]:
    """Return the accepted spellings of a field."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]


_STRUCTURE: dict[str, Finding] = {
    "missing": REQUIRED,
    "string_type": Finding("text", Bilingual("must be text", "必须是字符串")),
    "string_unicode": Finding("text", Bilingual("must be valid Unicode text", "必须是合法的 Unicode 字符串")),
    "string_too_short": Finding("empty", Bilingual("must not be empty", "不能为空"), limit=1),
    "too_short": Finding("empty", Bilingual("must not be empty", "不能为空"), limit=1),
}
NOT_AN_OBJECT = Finding("object", Bilingual("must be a JSON object", "必须是 JSON 对象"))


def one_of(choices: Sequence[str]) -> Finding:
    """Return the rule that a value is one of these."""
    allowed = ", ".join(choices)
    return Finding("choice", Bilingual(f"must be one of {allowed}", f"必须是以下之一：{allowed}"), allowed)


def violations(
    error: ValidationError, model: type[BaseModel], unknown_field: Finding = NOT_A_FIELD
) -> list[Violation]:
    """Our words for pydantic's errors; a misspelt field is answered with the nearest one of the model."""
    # The rest is not told, and a suggestion takes 0.1 ms.
    told = error.errors(include_url=False)[:MAX_VIOLATIONS]
    return [_violation(details, model, unknown_field) for details in told]


def _violation(details: Any, model: type[BaseModel], unknown_field: Finding) -> Violation:
    """Our words for one of pydantic's error details."""
    kind, context = details["type"], details.get("ctx", {})
    if isinstance(context.get("text"), Bilingual):
        finding = Finding(kind, context["text"], context.get("limit"))
    elif kind == "literal_error":
        finding = one_of(context["expected"].replace("'", "").split(" or "))
    elif kind.startswith(("datetime", "timezone")):
        finding = NOT_A_TIME
    else:
        finding = unknown_field if kind == "extra_forbidden" else _STRUCTURE.get(kind, NOT_AN_OBJECT)
    broken = broken_rule(finding, ".".join(map(str, details["loc"])), details["input"])
    if finding.rule != NOT_A_FIELD.rule:
        return broken
    meant = _meant(details["loc"], model)
    if meant is None:
        return broken
    text = Bilingual(f"{finding.text.en}: did you mean {meant}?", f"{finding.text.zh}，是否应为 {meant}？")
    return broken._replace(text=text, meant=meant)


def _meant(loc: Sequence[object], model: type[BaseModel]) -> str | None:
    """The name of a field that a misspelt one in the same place is close to."""
    place: type[BaseModel] | None = model
    for part in loc[:-1]:
        place = shape(place)[1].get(str(part)) if place else None
    known = (
        [each for name, field in place.model_fields.items() for each in spellings(name, field)]
        if place
        else ENTRY_FIELDS
    )
    return nearest(str(loc[-1]), known)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is close to, None where there is none."""
    from difflib import get_close_matches  # noqa: PLC0415 - 5 ms of a start, for bad messages alone

    by_lower = {each.lower(): each for each in known if each != name}
    name = name.lower()[:MAX_KEY]
    close = get_close_matches(name, by_lower, 1, _SIMILAR_SHORT if len(name) <= _SHORT else _SIMILAR)
    return by_lower[close[0]] if close else None


def broken_rule(finding: Finding, path: str, value: object) -> Violation:
    """Return a rule that the value in this place breaks."""
    length = len(value) if isinstance(value, str) else None
    return Violation(path[:MAX_PATH], finding.rule, finding.text, finding.limit, length)
