"""Rules that a message or its envelope breaks, told without values."""

from __future__ import annotations

import re
from typing import NamedTuple

from wechat_notify.core.texts import Bilingual

_OUTER = frozenset({"data", "miniprogram"})
_INNER = frozenset({"value", "color", "DATA"})
_INNER_DEPTH = 2
_KNOWN_KEY = re.compile(r"[A-Za-z_]+[0-9]*")
_MAX_KNOWN_KEY = 24


def _is_known_key(part: str) -> bool:
    """Return whether a part of a path looks like WeChat's key, and not like a person's name or id."""
    return len(part) <= _MAX_KNOWN_KEY and _KNOWN_KEY.fullmatch(part) is not None


class Violation(NamedTuple):
    """One rule that one field breaks, without the value: that may be personal data.

    ``limit`` is what the rule allows (a number of characters, a form, a list), ``length`` the
    value's own length in characters where it has one. ``meant`` is the field's right name where a wrong one
    is close to it.
    """

    path: str
    rule: str
    text: Bilingual
    limit: int | str | None = None
    length: int | None = None
    meant: str | None = None

    @property
    def place(self) -> str:
        """Its path without names that are not WeChat's own or close to one: a key may be an openid."""
        first, *rest = self.path.split(".")
        if len(rest) > _INNER_DEPTH or (rest[1:] and rest[1] not in _INNER and not self.meant):
            rest = ["?"]  # the key has dots of its own
        parts = [part if part == "?" or _is_known_key(part) else "?" for part in (first, *rest)]
        if self.rule == "unknown_field" and not self.meant:
            parts = [*parts[:-1], "?"] if first in _OUTER else ["?"]
        return ".".join(parts)

    def for_log(self) -> str:
        """Its place, rule and limit, for log lines."""
        limit = "" if self.limit is None else f" {self.limit}"
        meant = f", did you mean {self.meant}?" if self.meant else ""
        return f"{self.place if self.path else 'message'}: {self.rule}{limit}{meant}"

    def as_sentence(self) -> Bilingual:
        """Return the violation as a sentence, without values or names that may be personal data."""
        place = Bilingual(self.place, self.place) if self.path else Bilingual("the message", "消息")
        return Bilingual(f"{place.en} {self.text.en}", f"{place.zh} {self.text.zh}")

    def as_dict(self) -> dict[str, object]:
        """The form in which problem documents carry it."""
        return {
            "path": self.path,
            "rule": self.rule,
            "limit": self.limit,
            "length": self.length,
            "en": self.text.en,
            "zh": self.text.zh,
        }
