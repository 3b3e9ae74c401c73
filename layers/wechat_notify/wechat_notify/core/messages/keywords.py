"""``data``: a message's keywords, each checked by the rules of its type; and colours."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal

from pydantic import ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from wechat_notify.core.messages.field_types import (
    NOT_A_FIELD,
    NOT_UTF8,
    REQUIRED,
    control_characters,
    is_printable,
    reject_other_control_characters,
)
from wechat_notify.core.messages.findings import Finding, pydantic_error, rule_error
from wechat_notify.core.messages.keyword_rules import check_keyword
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

Data = dict[str, dict[str, str]]
"""``{key: {"value": text, "color"?: text}}``, as WeChat wants it."""

_COLOR = r"#[0-9A-Fa-f]{6}"
MAX_KEY = 64
"""Characters of a keyword's key: the longest type has 16, and its index a few digits."""
_MAX_NUMBER_EXPONENT = 40
"""Decimal numbers beyond 10^40 are not written out: the longest documented keyword has 32 digits."""
MAX_PATH = 120


def _number_text(value: float | Decimal) -> str:
    """A JSON number as the text that WeChat wants, digit for digit, without an exponent."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not value.is_finite() or abs(value.adjusted()) > _MAX_NUMBER_EXPONENT:
        raise rule_error("range", "must be a number that can be written out", "数字超出可表示的范围")
    return format(value, "f")


def _keyword_text(value: object) -> str:
    if isinstance(value, str):
        return reject_other_control_characters(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number_text(value)
    raise rule_error("text", "must be text or a number", "必须是字符串或数字")


class Notes:
    """The warnings and keys that one validation collects beside its errors."""

    def __init__(self) -> None:
        self.warnings: list[Violation] = []
        self.keywords: Collection[str] | None = None
        """The keys of ``data``, also where some of its values are refused."""


class Keywords:
    """Checks ``data``: an object of ``{key: {"value": …}}``, each key by the rules of its type.

    A colour stops no message. ``template`` passes it on, though its page has none any more since 2023-05-04;
    a subscription never had one, and it is dropped.
    """

    def __init__(self, *, official_account_template: bool = False) -> None:
        self._official_account_template = official_account_template

    def __call__(self, data: object, info: ValidationInfo) -> Data:
        """Return the checked ``data``; raises ``ValidationError`` with every wrong keyword."""
        if not isinstance(data, dict):
            raise rule_error(
                "object",
                'must be a JSON object such as {"thing1": {"value": "…"}}',
                '必须是 JSON 对象，如 {"thing1": {"value": "…"}}',
            )
        errors: list[InitErrorDetails] = []
        notes: Notes = info.context or Notes()
        notes.keywords = data.keys()
        if not data:
            notes.warnings.append(Violation("data", "empty", NO_KEYWORDS))
        checked: Data = {}
        for key, entry in data.items():
            if len(key) > MAX_KEY:
                errors.append(_error(_LONG_KEY, key, key))
                continue
            if key.endswith(".DATA"):
                errors.append(_error(_KEY_WITH_SUFFIX, None, key))
            elif not key or control_characters(key):
                errors.append(_error(pydantic_error(NOT_UTF8) if "\ufffd" in key else _KEY, None, key))
            if isinstance(entry, dict):
                checked[key] = self._entry(key, entry, notes.warnings, errors)
            else:
                errors.append(_error(_ENTRY, entry, key))
        if errors:
            raise ValidationError.from_exception_data("data", errors, hide_input=True)
        return checked

    def _entry(
        self,
        key: str,
        entry: dict[str, object],
        warnings: list[Violation],
        errors: list[InitErrorDetails],
    ) -> dict[str, str]:
        result: dict[str, str] = {}
        for name, unknown in entry.items():
            if name not in ENTRY_FIELDS:
                errors.append(_error(_UNKNOWN_FIELD, unknown, key, name))
        if "value" in entry:
            try:
                value = result["value"] = _keyword_text(entry["value"])
            except PydanticCustomError as problem:
                # Its traceback knows this frame, and with it the errors: a circle around the message.
                errors.append(_error(problem.with_traceback(None), entry["value"], key, "value"))
            else:
                self._check_value(key, value, warnings, errors)
        else:
            errors.append(_error(_MISSING, None, key, "value"))
        if "color" in entry:
            color = entry["color"]
            length = len(color) if isinstance(color, str) else None
            warnings.append(Violation(f"data.{key}.color", "dropped", _NO_COLOR, length=length))
            if self._official_account_template and isinstance(color, str) and is_printable(color):
                result["color"] = color
        return result

    def _check_value(
        self, key: str, value: str, warnings: list[Violation], errors: list[InitErrorDetails]
    ) -> None:
        for finding in check_keyword(key, value, official_account_template=self._official_account_template):
            if finding.certain:
                errors.append(_error(pydantic_error(finding), value, key, "value"))
            else:
                path = f"data.{key}.value"[:MAX_PATH]
                warnings.append(Violation(path, finding.rule, finding.text, finding.limit, len(value)))


def _error(problem: PydanticCustomError, value: object, *loc: str) -> InitErrorDetails:
    return InitErrorDetails(type=problem, loc=loc, input=value)


_MISSING = pydantic_error(REQUIRED)
_KEY_WITH_SUFFIX = rule_error("key", "must be named without .DATA", "键名不能带 .DATA")
_KEY = rule_error("key", "must be a keyword of the template", "必须是模板中的关键词")
_ENTRY = rule_error("object", 'must be an object {"value": …}', '必须是对象 {"value": …}')
_LONG_KEY = pydantic_error(
    Finding(
        "max_length",
        Bilingual(f"must be named with at most {MAX_KEY} characters", f"键名不能超过 {MAX_KEY} 个字符"),
        MAX_KEY,
    )
)
ENTRY_FIELDS = ("value", "color")
_NO_COLOR = Bilingual("WeChat shows no colours here", "微信不展示颜色")
_NO_TEXT = Bilingual("is no text and was left out", "不是字符串，已忽略")
_ODD_COLOR = Bilingual(
    "is no colour such as #FF0000; WeChat may not show it", "颜色格式不是 #FF0000 的形式，微信可能不展示"
)
NO_KEYWORDS = Bilingual("has no keywords: WeChat is likely to answer 47003", "没有关键词，微信可能返回 47003")
_UNKNOWN_FIELD = pydantic_error(NOT_A_FIELD)


def color_text(value: object, info: ValidationInfo) -> str | None:
    """A colour of a one-time message never stops it: WeChat shows some that are not documented (#F00)."""
    notes: Notes = info.context or Notes()
    if not isinstance(value, str) or control_characters(value):
        notes.warnings.append(Violation("data.content.color", "dropped", _NO_TEXT))
        return None
    if not re.fullmatch(_COLOR, value):
        notes.warnings.append(
            Violation("data.content.color", "format", _ODD_COLOR, "#RRGGBB", length=len(value))
        )
    return value
