"""Store leases: the parts of an account's rate that its running broadcasts use (``pace.allot``)."""

from __future__ import annotations

import math

from wechat_notify.core.broadcasts import pace
from wechat_notify.core.broadcasts.broadcast import AccountPace, Lease
from wechat_notify.core.broadcasts.ports import Services
from wechat_notify.core.errors import StorageError

_MAX_WRITES = 8


class Shares:
    """Leases of rates: each chunk renews its broadcast's, and one that is not renewed lapses."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def take(self, account: str, broadcast_id: str, own: float | None, start: float) -> tuple[float, float]:
        """Take a rate for a chunk from ``start`` on; return the rate, and when it may be used.

        Raises ``StorageError``.
        """
        for _ in range(_MAX_WRITES):
            stored = self._services.store.read_pace(account)
            rate, at = pace.allot(start, broadcast_id, own, self._services.ceiling, stored.leases)
            # One that has to wait is counted by the others from now on.
            lease = Lease(broadcast_id, rate, start + pace.chunk_span(rate))
            if at > start:
                lease = Lease(broadcast_id, 0.0, at)
            if self._put(stored, broadcast_id, lease):
                return rate, at
        raise StorageError("share the account's rate", "Contended")

    def give_back(self, account: str, broadcast_id: str, until: float = math.inf) -> None:
        """Let the others have the rate of a broadcast that releases nothing any more.

        They have it when its last chunk, which is on the queue, is over: at ``until``, where that is known.
        """
        for _ in range(_MAX_WRITES):
            stored = self._services.store.read_pace(account)
            lease = next((each for each in stored.leases if each.broadcast_id == broadcast_id), None)
            if lease is None:
                return
            last: Lease | None = lease._replace(until=min(lease.until, until), over=True)
            if not lease.rate or min(lease.until, until) <= self._services.now():
                last = None
            if last == lease or self._put(stored, broadcast_id, last):
                return
        raise StorageError("share the account's rate", "Contended")

    def _put(self, stored: AccountPace, broadcast_id: str, lease: Lease | None) -> bool:
        others = [each for each in stored.leases if each.broadcast_id != broadcast_id]
        leases = pace.current(others, self._services.now()) + ((lease,) if lease else ())
        wanted = AccountPace(stored.account, stored.version + 1, self._services.new_id(), leases)
        return self._services.store.put_pace(wanted) is None
