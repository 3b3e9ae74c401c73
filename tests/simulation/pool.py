"""The transport's own pool of connections, without sockets: which idle one is used again, and until when.

The bytes on a connection are the business of other tests. Here the real pool decides over the real class of
connections; a gateway between it and WeChat forgets those that are idle for long, and tells nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulation.wechat import Wire
from wechat_notify import transport
from wechat_notify.transport import Limits, PooledTransport, Response


class Quiet:
    """Stands in for ``select.poll``: a forgotten connection says nothing."""

    def register(self, *_: object) -> None:
        """Watch it."""

    def poll(self, _timeout: int) -> list[Any]:
        """Nothing has happened."""
        return []


class _NoSocket:
    def gettimeout(self) -> float:
        return 0.0

    def close(self) -> None:
        pass


class Line(transport._Connection):
    """One connection; ``judge`` is told for how many seconds it was idle when it is used again."""

    def __init__(self, now: Callable[[], float], judge: Callable[[float], None]) -> None:
        super().__init__(_NoSocket(), Limits())  # type: ignore[arg-type] # nothing is written to it
        self._true_time = now
        self._judge = judge
        self._truly_used_at: float | None = None

    def carry(self, post: Callable[[], Response]) -> Response:
        """Make one call over it."""
        self.reusable = False
        if self._truly_used_at is not None:
            self._judge(self._true_time() - self._truly_used_at)
        response = post()
        self._truly_used_at = self._true_time()
        self._used_at, self._idle_most = vars(transport)["time"].time(), transport._IDLE_MOST
        self.reusable = True
        return response


class PooledWire:
    """The wire under the service's own pool."""

    def __init__(self, wire: Wire, connect: Callable[[], Line]) -> None:
        self._wire = wire
        self._connect = connect
        self._pool = PooledTransport("https://api.weixin.qq.com")

    def close(self) -> None:
        """Drop the idle connections."""
        self._pool.close()

    def post(self, url: str, data: bytes) -> Response:
        """Send one request."""
        line = self._pool._reuse() or self._connect()
        assert isinstance(line, Line)
        try:
            return line.carry(lambda: self._wire.post(url, data))
        finally:
            self._pool._put_back(line)
