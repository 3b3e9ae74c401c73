"""What of an account waits because of an answer of WeChat's that would be the same for every message.

A circuit is open from such an answer on: nothing more goes to its part of the account (all of it, one
kind, one template). When its time is up, one message is let through to find out; what comes of that one
closes the circuit or holds it for longer. A used-up daily quota is such a circuit whose time is the reset.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum, auto
from typing import Protocol

from wechat_notify.core.ledger import CLOCK_SKEW
from wechat_notify.core.messages import Message
from wechat_notify.core.outcomes import Bilingual, ErrorClass, Holds, Outcome, Status, StorageError

_READ_AGAIN_AFTER = 1.0
"""Seconds after which what the store said is read again: so long others may go on in ignorance."""
_FIRST_HOLD = 300.0
_FIRST_HOLD_OF = {ErrorClass.TOKEN: 60.0, ErrorClass.QUOTA: 600.0}
_HOLD_MOST = 3600.0
"""Seconds of a hold: doubled with each message that was let through in vain, up to this."""
_PROBE = 60.0
"""Seconds for which one message that was let through keeps the others waiting."""
_WRITES_MOST = 8


@dataclass(frozen=True, slots=True)
class QuotaReset:
    """When the daily quotas start again: so many seconds after midnight, at an offset from UTC."""

    zone: timezone
    after_midnight: float = 0.0

    def next(self, now: float) -> float:
        """The first reset after ``now`` (both in seconds since the epoch), by the slowest clock."""
        # Just after a reset, a clock that is fast must not take it for yesterday's.
        at = datetime.fromtimestamp(now - CLOCK_SKEW - self.after_midnight, self.zone)
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return midnight.timestamp() + self.after_midnight + CLOCK_SKEW


@dataclass(frozen=True, slots=True)
class Circuit:
    """One part of an account that waits. Times are seconds since the epoch.

    ``scope`` is ``account``, ``kind:<kind>`` or ``template:<template_id>``; ``probes`` counts the messages
    that were let through in vain.
    """

    scope: str
    error_class: ErrorClass
    errcode: int | None
    opened_at: float
    held_until: float
    probes: int = 0


@dataclass(frozen=True, slots=True)
class AccountCircuits:
    """An account's open circuits, stored as one item; version 0 is none stored."""

    account: str
    version: int = 0
    writer: str = ""
    circuits: tuple[Circuit, ...] = ()


class CircuitStore(Protocol):
    """Where circuits are kept; every method raises ``StorageError``."""

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        """The newest versions, by account; accounts without any are left out."""

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        """Store as the successor of the version before; the other one that stands there, or None."""
