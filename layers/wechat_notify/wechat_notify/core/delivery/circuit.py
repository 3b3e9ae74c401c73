"""The circuits of an account as they are stored, and what a message hears of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Protocol

from wechat_notify.core.delivery.entry import CLOCK_SKEW
from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual


@dataclass(frozen=True, slots=True)
class QuotaReset:
    """The daily reset of quotas: so many seconds after midnight, at an offset from UTC."""

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

    ``scope`` is ``account``, ``kind:<kind>`` or ``template:<template_id>``; ``probes`` counts the failed
    ones. ``hint`` is that of the answer that opened it, with what to do about it.
    """

    scope: str
    error_class: ErrorClass
    errcode: int | None
    opened_at: float
    held_until: float
    probes: int = 0
    hint: Bilingual | None = None

    @property
    def needs_probe(self) -> bool:
        """Return whether a message has to find out if the cause is gone; a limit per minute just ends."""
        return self.error_class is not ErrorClass.RATE_LIMIT or not self.scope.startswith("kind:")


@dataclass(frozen=True, slots=True)
class AccountCircuits:
    """An account's open circuits, stored as one item; version 0 is none stored."""

    account: str
    version: int = 0
    writer: str = ""
    circuits: tuple[Circuit, ...] = ()


class CircuitStore(Protocol):
    """Storage of circuits; every method raises ``StorageError``."""

    def read_circuits(self, accounts: Iterable[str]) -> dict[str, AccountCircuits]:
        """The newest versions, by account; accounts without any are left out."""

    def put_circuits(self, circuits: AccountCircuits) -> AccountCircuits | None:
        """Store after the version before; return None, or the existing ones that another call has written."""


class Admission(NamedTuple):
    """The decision on one message: it may go to WeChat now, as a probe, or has to wait.

    ``held`` is the circuit that it has to wait for longest. ``probe_due``: it may go as a probe, where it is
    to be sent at all. ``probed`` are the circuits, as they were, that it is the probe of: until
    ``probed_until`` nobody else is let through.
    """

    held: Circuit | None = None
    probe_due: bool = False
    probed: tuple[Circuit, ...] = ()
    probed_until: float = 0.0
