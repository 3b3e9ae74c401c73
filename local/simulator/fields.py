"""What WeChat checks in the values of a message's ``data``.

The type of a keyword is its name without the trailing index: ``thing1`` is a ``thing``. Only the limits
that WeChat documents lead to 47003. What is merely likely becomes a note, because refusing it here would
make a rule out of a guess; keywords of unknown types (``site01``) only must not be empty. `messages` decides
which keys have a type.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from typing import Any

from local.simulator.errcodes import TEMPLATE_PARAM_INVALID, Refusal

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
# y/m/d in Chinese or joined by - / . ; a 24 h clock time; ranges are joined by ~ (15:00-16:00 is refused).
_DATE = (
    r"(?:[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日|[0-9]{4}年[0-9]{1,2}月|[0-9]{1,2}月[0-9]{1,2}日"
    r"|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{4}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2})"
)
_TIME = r"(?:(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?)"
_TIME_POINT = rf"(?:(?:{_DATE}\s?)?{_TIME}|{_DATE})"  # WeChat's own sample fills time7 with a bare date
_DATE_POINT = rf"{_DATE}(?:\s?{_TIME})?"

_PATTERNS = {
    "thing": r"[\s\S]{1,20}",
    "number": r"[-+]?[0-9]{1,32}(?:\.[0-9]+)?",
    "letter": r"[A-Za-z]{1,32}",
    "character_string": rf"[^{_HAN}]{{1,32}}",
    "time": rf"{_TIME_POINT}(?:~{_TIME_POINT})?",
    "date": rf"{_DATE_POINT}(?:~{_DATE_POINT})?",
    "phone_number": r"[0-9+\-()#*\s]{1,17}",
    "car_number": rf"(?=.{{1,8}}$)[{_HAN}A-Za-z0-9][A-Za-z0-9]*[{_HAN}A-Za-z0-9]?",
    "phrase": rf"[{_HAN}]{{1,5}}",
}
_RULES: dict[str, Callable[[str], object]] = {
    prefix: re.compile(pattern).fullmatch for prefix, pattern in _PATTERNS.items()
}
_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]+)?元?")
_HAS_HAN = re.compile(f"[{_HAN}]")


def _is_symbol(value: str) -> bool:
    """Up to 5 signs that are neither letters, Chinese, digits, white space nor control characters."""
    return len(value) <= 5 and all(unicodedata.category(sign)[0] in "PSM" for sign in value)  # noqa: PLR2004 - WeChat's figure


def _is_amount(value: str) -> bool:
    """One currency sign and up to 10 digits; samples without a sign exist, so it is optional."""
    if unicodedata.category(value[0]) == "Sc":
        value = value[1:]
    return _AMOUNT.fullmatch(value) is not None


def _is_name(value: str) -> bool:
    """Up to 10 characters with Chinese in them, else up to 20 letters or signs; never digits."""
    limit = 10 if _HAS_HAN.search(value) else 20
    return len(value) <= limit and not any(sign.isdigit() for sign in value)


_RULES |= {"symbol": _is_symbol, "amount": _is_amount, "name": _is_name}


def type_of(key: str) -> str:
    """Return a key without its trailing index: all of it where it has none."""
    return key.rstrip("0123456789")


def has_control_or_emoji(value: str) -> bool:
    """Tell whether a text has line breaks, other control characters or emoji."""
    return any(ord(sign) < 0x20 or ord(sign) >= 0x1F000 for sign in value)  # noqa: PLR2004 - Unicode's ranges


def _notes(key: str, prefix: str, value: str) -> list[str]:
    """What may go wrong at WeChat although no document says so."""
    likely = {
        "short_thing": len(value) > 5,  # noqa: PLR2004 - the length that other projects use
        "const": len(value) > 20,  # noqa: PLR2004 - same
        "number": value[0] in "+-",
        "character_string": not value.isascii(),
        "thing": has_control_or_emoji(value),
    }
    return [f"data.{key}.value may be refused by WeChat"] if likely.get(prefix) else []


def check_value(key: str, item: Any, allowed: Collection[str] | None = None) -> list[str]:
    """Check one ``{"value": ...}`` whose key has a type.

    Returns
    -------
    Notes on what is doubtful.

    Raises
    ------
    Refusal
        47003 that names the field, as WeChat does.
    """
    value = item.get("value") if isinstance(item, dict) else None
    prefix = type_of(key)
    if prefix == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # the documentation types this one keyword as a JSON number
    if value is None or (isinstance(value, str) and not value.strip()):
        raise empty(key)
    if not isinstance(value, str):
        raise invalid(key)
    value = value.strip()
    if allowed is not None and value not in allowed:
        raise invalid(key)
    rule = _RULES.get(prefix)
    if rule is not None and not rule(value):
        raise invalid(key)
    return _notes(key, prefix, value)


def empty(key: str) -> Refusal:
    """47003 for a keyword that is missing, not wrapped in ``{"value": ...}`` or blank."""
    return Refusal(TEMPLATE_PARAM_INVALID, f"argument invalid! data.{key}.value is empty")


def invalid(key: str) -> Refusal:
    """47003 for a value that breaks the rule of its type."""
    return Refusal(TEMPLATE_PARAM_INVALID, f"argument invalid! data.{key}.value invalid")
