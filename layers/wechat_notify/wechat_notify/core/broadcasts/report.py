"""Report of a broadcast's check: counts, bad rows, columns and the first messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from wechat_notify.core.broadcasts.recipients import FileFormat, Row
from wechat_notify.core.broadcasts.rendering import BadRow, CheckedRow, MessageTemplate
from wechat_notify.core.texts import Bilingual
from wechat_notify.core.violations import Violation

MAX_EXAMPLES = 20
"""Bad rows, and duplicates, that are named one by one."""
_MAX_VIOLATIONS = 3
"""Violations told of one bad row."""
_MAX_MESSAGES = 3
_MAX_COLUMNS = 500
_MAX_WARNINGS = 100
_MAX_COLUMN = 120
"""Characters of a column's name that is told, where it is not in a header."""
_OWN_COLUMNS = frozenset({"openid", "id"})
_REPEATED_ID = Violation(
    "id", "duplicate_id", Bilingual("is the id of an earlier row as well", "与前面某一行的 id 重复")
)


class CheckReport:
    """The findings of a check so far.

    ``as_dict`` holds openids in its messages: it belongs where the file itself is kept. It has a limited size
    whatever the file's, and names no value of a bad row.

    Parameters
    ----------
    columns : Iterable[str]
        The file's columns, as far as they are known from its head.
    placeholders : Iterable[str]
        The columns that the message's placeholders name.
    """

    def __init__(self, columns: Iterable[str], placeholders: Iterable[str]) -> None:
        self.rows = self.valid = self.invalid = self.duplicates = 0
        self.placeholders = frozenset(placeholders)
        self._columns = dict.fromkeys(columns)  # in the order of the file
        self._invalid: list[dict[str, Any]] = []
        self._duplicates: list[int] = []
        self._messages: list[dict[str, Any]] = []
        self._warnings: dict[tuple[str, str], dict[str, Any]] = {}

    @classmethod
    def of(cls, file_format: FileFormat, template: MessageTemplate) -> Self:
        """Return the report of a check that begins."""
        return cls(file_format.columns, template.columns)

    def add(self, row: Row, checked: CheckedRow | BadRow) -> None:
        """Count a row, and keep what is to be told of it."""
        self.rows += 1
        if row.fields and not row.fields.keys() <= self._columns.keys():  # JSON Lines
            new = [name for name in row.fields if name not in self._columns and len(name) <= _MAX_COLUMN]
            self._columns.update(dict.fromkeys(new[: _MAX_COLUMNS - len(self._columns)]))
        if isinstance(checked, BadRow):
            self.invalid += 1
            self._keep_invalid(checked)
            return
        self.valid += 1
        if len(self._messages) < _MAX_MESSAGES:
            self._messages.append({"row": checked.number, "message": checked.body})
        for warning in checked.warnings:
            self._count(warning)

    def add_repeated_ids(self, rows: Iterable[int]) -> None:
        """Make bad rows of valid ones whose ``id`` an earlier row has."""
        for row in rows:
            self.valid -= 1
            self.invalid += 1
            self._keep_invalid(BadRow(row, [_REPEATED_ID]))

    def add_duplicates(self, rows: Iterable[int]) -> None:
        """Count valid rows whose recipient an earlier row has."""
        for row in rows:
            self.duplicates += 1
            if len(self._duplicates) < MAX_EXAMPLES:
                self._duplicates.append(row)

    @property
    def missing_columns(self) -> list[str]:
        """The placeholders for which the file has no column."""
        return sorted(self.placeholders - self._columns.keys())

    @property
    def unused_columns(self) -> list[str]:
        """The columns that neither the message nor this service reads."""
        used = self.placeholders | _OWN_COLUMNS
        return [name for name in self._columns if name not in used]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as it is stored and answered; numbers in its messages may be ``Decimal``."""
        return {
            "rows": self.rows,
            "valid": self.valid,
            "invalid": {"count": self.invalid, "first": self._invalid},
            "duplicates": {"count": self.duplicates, "first_rows": self._duplicates},
            "columns": {
                "found": list(self._columns),
                "placeholders": sorted(self.placeholders),
                "missing": self.missing_columns,
                "unused": self.unused_columns,
            },
            "messages": self._messages,
            "warnings": list(self._warnings.values()),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the report that ``as_dict`` took apart."""
        report = cls(fields["columns"]["found"], fields["columns"]["placeholders"])
        report.rows, report.valid = fields["rows"], fields["valid"]
        report.invalid = fields["invalid"]["count"]
        report.duplicates = fields["duplicates"]["count"]
        report._invalid = list(fields["invalid"]["first"])
        report._duplicates = list(fields["duplicates"]["first_rows"])
        report._messages = list(fields["messages"])
        report._warnings = {(each["field"], each["rule"]): dict(each) for each in fields["warnings"]}
        return report

    def _keep_invalid(self, bad: BadRow) -> None:
        """Keep a bad row where it is one of the first; repeated ids are found after all others."""
        if len(self._invalid) == MAX_EXAMPLES and bad.number > self._invalid[-1]["row"]:
            return
        errors = [_told(violation) for violation in bad.violations[:_MAX_VIOLATIONS]]
        self._invalid.append({"row": bad.number, "errors": errors})
        self._invalid.sort(key=lambda each: each["row"])
        del self._invalid[MAX_EXAMPLES:]

    def _count(self, warning: Violation) -> None:
        key = (warning.path, warning.rule)
        if key in self._warnings:
            self._warnings[key]["count"] += 1
        elif len(self._warnings) < _MAX_WARNINGS:
            self._warnings[key] = {**_told(warning), "count": 1}


def _told(violation: Violation) -> dict[str, Any]:
    return {
        "field": violation.path,
        "rule": violation.rule,
        "en": violation.text.en,
        "zh": violation.text.zh,
    }
