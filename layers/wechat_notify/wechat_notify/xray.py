"""Subsegments of X-Ray's traces, sent to the daemon that Lambda runs beside a function.

Only imported where the parameter ``Tracing`` is ``Active``. Documents hold names, times, status codes and
URLs without their query, and nothing else: an access token stands in the query, an openid in the body.
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

_HEADER = b'{"format": "json", "version": 1}\n'
"""The line before each document, by which the daemon knows its format."""
_SERVER_ERROR, _CLIENT_ERROR, _TOO_MANY_REQUESTS = 500, 400, 429


class Tracer:
    """Sends subsegments of the invocation's segment; safe to use from several threads.

    Parameters
    ----------
    header : Callable
        Returns the invocation's tracing header, such as ``Root=1-…;Parent=…;Sampled=1``; each invocation has
        its own.
    deliver : Callable
        Takes a document to the daemon; raises ``OSError``.
    now : Callable
        Seconds since 1970.
    """

    def __init__(
        self,
        header: Callable[[], str],
        deliver: Callable[[bytes], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._header = header
        self._deliver = deliver
        self.now = now

    def wechat(self, method: str, url: str, began: float, status: int | None) -> None:
        """Tell of a call to WeChat that ends now; ``url`` may have a query, which is cut off.

        Without a status there was no answer.
        """
        bare = url.partition("?")[0]
        http: dict[str, Any] = {"request": {"method": method, "url": bare}}
        if status is not None:
            http["response"] = {"status": status}
        self._send("WeChat", began, status, namespace="remote", http=http)

    def aws(self, service: str, operation: str, began: float, status: int | None) -> None:
        """Tell of a call to a service of AWS that ends now; without a status there was no answer."""
        told = {} if status is None else {"http": {"response": {"status": status}}}
        self._send(service, began, status, namespace="aws", aws={"operation": operation}, **told)

    def _send(self, name: str, began: float, status: int | None, **fields: Any) -> None:
        trace = dict(part.partition("=")[::2] for part in self._header().split(";"))
        if trace.get("Sampled") != "1" or not {"Root", "Parent"} <= trace.keys():
            return
        document = {
            "name": name,
            "id": secrets.token_hex(8),
            "trace_id": trace["Root"],
            "parent_id": trace["Parent"],
            "type": "subsegment",
            "start_time": began,
            "end_time": self.now(),
            **fields,
            **_failure(status),
        }
        try:
            self._deliver(_HEADER + json.dumps(document).encode())
        except OSError:
            return  # the buffer is full, or there is no daemon: the trace has a gap, the message is sent


class Daemon:
    """Datagrams to ``address``, a host and a UDP port; the socket is made for the first one."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def deliver(self, document: bytes) -> None:
        """Send without waiting; raises ``OSError``."""
        self._socket.sendto(document, self._address)

    @cached_property
    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)  # noqa: FBT003 - the socket's own
        return made


def _failure(status: int | None) -> dict[str, bool]:
    if status is None or status >= _SERVER_ERROR:
        return {"fault": True}
    if status == _TOO_MANY_REQUESTS:
        return {"error": True, "throttle": True}
    return {"error": True} if status >= _CLIENT_ERROR else {}
