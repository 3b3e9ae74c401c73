"""WeChat at the boundary of requests, in virtual time, under the service's own session.

What the session makes of answers and errors is its own code, and so is which idle connection is used again
and until when. The bytes on a connection are the business of other tests: here a gateway between it and
WeChat forgets those that are idle for long, and tells nobody.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.exceptions import ProtocolError

from tests.simulation.wechat import Wire
from wechat_notify.wechat.connections import Limits, TlsConnection


class Line(TlsConnection):
    """One connection; ``judge`` is told for how many seconds it was idle when it is used again."""

    def __init__(self, now: Callable[[], float], judge: Callable[[float], None]) -> None:
        super().__init__("api.weixin.qq.com", limits=Limits())
        self._process = os.getpid()
        self._true_time = now
        self._judge = judge
        self._truly_used_at: float | None = None

    def carry(self, post: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
        """Make one call over it."""
        self.sock = cast("Any", self)  # as much of a socket as is looked at
        if self._truly_used_at is not None:
            self._judge(self._true_time() - self._truly_used_at)
        answer = post()
        self._truly_used_at = self._true_time()
        self.mark_used()
        return answer

    def close(self) -> None:
        """Be as new."""
        self.sock = self._truly_used_at = None


class WireAdapter(BaseAdapter):
    """Stands in for the adapter of a session."""

    def __init__(self, wire: Wire, connect: Callable[[], Line]) -> None:
        super().__init__()
        self._wire = wire
        self._pool = HTTPSConnectionPool("api.weixin.qq.com", maxsize=20)
        self._pool.ConnectionCls = cast("Any", lambda **_: connect())

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Send one request; raises what requests raises, and the URL is in it."""
        assert isinstance(request.body, bytes)
        body = request.body
        line: Any = self._pool._get_conn()
        try:
            status, content = line.carry(lambda: self._wire.post(request.path_url, body))
        except OSError as error:
            line.close()
            aborted = ProtocolError(f"Connection aborted: CANARY {request.url}", error)
            raise requests.ConnectionError(aborted, request=request) from error
        except BaseException:
            line.close()
            raise
        finally:
            self._pool._put_conn(line)
        response = requests.Response()
        response.status_code, response.request = status, request
        response._content, response._content_consumed = content, True  # type: ignore[attr-defined] # read to its end
        return response

    def close(self) -> None:
        """Close the idle connections."""
