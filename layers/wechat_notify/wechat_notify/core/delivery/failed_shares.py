"""The share of messages that failed among each account's last ones.

CloudWatch can alarm on the sums of all accounts, where a small account's failures are lost, or on one account
that is named beforehand. A process sees a sample of every account's messages: its last ones are counted here,
and the worst account's share is a metric of all accounts together.
"""

from __future__ import annotations

from collections import defaultdict, deque
from functools import partial

_LAST = 50
"""Messages of an account that are remembered."""
_MIN_MESSAGES = 20
"""Messages that a share is made of at least: the second of two would be half of them."""
_TOLD = 10.0
"""Percent below which nothing is told: some users always have left, and each value is a line in the log."""


class FailedShares:
    """The last results of each account that this process has seen."""

    def __init__(self) -> None:
        self._failed: defaultdict[str, deque[bool]] = defaultdict(partial(deque[bool], maxlen=_LAST))
        self._noted: set[str] = set()

    def note(self, account: str, *, failed: bool) -> None:
        """Remember a message that came to an end: ``failed`` is also one that may have been sent."""
        self._failed[account].append(failed)
        self._noted.add(account)

    def worst(self) -> float | None:
        """The highest share, in percent, of the accounts noted since the last call; None below a tenth."""
        noted, self._noted = self._noted, set()
        ends = [last for account in noted if len(last := self._failed[account]) >= _MIN_MESSAGES]
        share = max((100 * sum(last) / len(last) for last in ends), default=0.0)
        return share if share >= _TOLD else None
