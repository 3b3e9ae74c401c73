"""List an account's holds for people, and end one before its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wechat_notify.core.delivery.circuit import AccountCircuits, Circuit, CircuitStore
from wechat_notify.core.errors import StorageError, UnknownHoldError

_MAX_WRITES = 8


class OpenHolds:
    """The holds of accounts. A hold's id is its circuit's scope.

    Parameters
    ----------
    store : CircuitStore
        The circuits.
    now : Callable
        Seconds since the epoch.
    writer : Callable
        A new name for each write.
    """

    def __init__(self, store: CircuitStore, *, now: Callable[[], float], writer: Callable[[], str]) -> None:
        self._store = store
        self._now = now
        self._writer = writer

    def of(self, account: str) -> list[Circuit]:
        """The holds that messages wait for, the longest first; raises ``StorageError``."""
        now = self._now()
        waiting = [c for c in self._read(account).circuits if c.held_until > now or c.needs_probe]
        return sorted(waiting, key=lambda circuit: circuit.held_until, reverse=True)

    def end(self, account: str, hold: str) -> Circuit:
        """End a hold: within a second the next message is sent, and may open it anew.

        What waits on the queue is sent when its own delay is over, 15 minutes later at most.

        Raises
        ------
        UnknownHoldError
            There is no such hold (any more).
        StorageError
            The ledger did not answer, or was written by others again and again.
        """
        for _ in range(_MAX_WRITES):
            known = self._read(account)
            ended = next((circuit for circuit in known.circuits if circuit.scope == hold), None)
            if ended is None:
                raise UnknownHoldError
            others = tuple(circuit for circuit in known.circuits if circuit is not ended)
            wanted = replace(known, version=known.version + 1, writer=self._writer(), circuits=others)
            if self._store.put_circuits(wanted) is None:
                return ended
        raise StorageError("end the hold", "Contended")

    def _read(self, account: str) -> AccountCircuits:
        return self._store.read_circuits([account]).get(account) or AccountCircuits(account)
