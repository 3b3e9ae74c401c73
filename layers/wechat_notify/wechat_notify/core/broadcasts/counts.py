"""Counts of a broadcast's rows, by the state of their messages and by errcode."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple


class ErrcodeCount(NamedTuple):
    """Rows that ended with one errcode other than 0."""

    errcode: int
    rows: int


class Counts(NamedTuple):
    """Rows by what became of them; the field order of the message states is that of the API.

    ``waiting`` rows are on the queue, or being sent. ``invalid``, ``duplicate`` and ``unreleased`` rows are
    not sent: they break a rule, are listed twice, or were left when the broadcast was cancelled.
    """

    waiting: int = 0
    sent: int = 0
    delivered: int = 0
    undelivered: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    unknown: int = 0
    invalid: int = 0
    duplicate: int = 0
    unreleased: int = 0
    errcodes: tuple[ErrcodeCount, ...] = ()

    def plus(self, other: Counts) -> Counts:
        """Return the sum of both."""
        errcodes = Counter(dict(self.errcodes))
        errcodes.update(dict(other.errcodes))
        sums = {name: count + getattr(other, name) for name, count in self._numbers()}
        return Counts(**sums, errcodes=errcode_counts(errcodes))

    @property
    def rows(self) -> int:
        """All rows that are counted."""
        return sum(count for _, count in self._numbers())

    @property
    def judged(self) -> int:
        """The rows whose message was sent or failed."""
        return self.sent + self.delivered + self.failures

    @property
    def failures(self) -> int:
        """The rows whose message failed, or may have."""
        return self.undelivered + self.failed + self.unknown

    @property
    def leading_errcode(self) -> int | None:
        """The most frequent errcode, None where there is none."""
        return self.errcodes[0].errcode if self.errcodes else None

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON has them."""
        return {
            **dict(self._numbers()),
            "errcodes": {str(each.errcode): each.rows for each in self.errcodes},
        }

    def _numbers(self) -> list[tuple[str, int]]:
        return [(name, getattr(self, name)) for name in self._fields if name != "errcodes"]


def errcode_counts(errcodes: Counter[int]) -> tuple[ErrcodeCount, ...]:
    """The counts of errcodes, the most frequent one first."""
    ordered = sorted(errcodes.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ErrcodeCount(errcode, count) for errcode, count in ordered)
