"""Texts and times as people and other programs get them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text for people in the two languages of WeChat's documentation."""

    en: str
    zh: str

    def as_dict(self) -> dict[str, str]:
        """Return both, as problem documents and events carry them."""
        return {"en": self.en, "zh": self.zh}


def without_none(**fields: Any) -> dict[str, Any]:
    """Return the fields that are known."""
    return {name: value for name, value in fields.items() if value is not None}


_YEAR_1, _YEAR_9999 = -62135596800.0, 253402300799.0
"""The first and the last second that have a date: with an offset, an expiry can lie beyond them."""


def iso_time(seconds: float) -> str:
    """Seconds since the epoch as people and other programs read them: RFC 3339, UTC, milliseconds."""
    seconds = min(max(seconds, _YEAR_1), _YEAR_9999)
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_time_if_any(seconds: float | None) -> str | None:
    """The same of a time that may not be known: None stays None."""
    return None if seconds is None else iso_time(seconds)
