"""The report of a check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from wechat_notify.core.broadcasts.recipients import FileFormat, Row
from wechat_notify.core.broadcasts.rendering import BadRow, CheckedRow, MessageTemplate


class CheckReport:
    """What a check has found so far; mutable."""

    rows: int
    valid: int
    invalid: int
    duplicates: int

    def __init__(self, file_format: FileFormat, template: MessageTemplate) -> None:
        raise NotImplementedError

    def add(self, row: Row, checked: CheckedRow | BadRow) -> None:
        """Count a row."""
        raise NotImplementedError

    def add_repeated_ids(self, rows: Iterable[int]) -> None:
        """Make bad rows of valid ones whose id an earlier row has."""
        raise NotImplementedError

    def add_duplicates(self, rows: Iterable[int]) -> None:
        """Count rows whose recipient an earlier row has."""
        raise NotImplementedError

    @property
    def missing_columns(self) -> list[str]:
        """The placeholders without a column."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the report that ``as_dict`` gave."""
        raise NotImplementedError
