"""Connections whose every step ends in time.

urllib3's own timeouts count anew for each address, each write and each read, so that a row of interim answers
or a body that drips would hold a call for ever.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import time
from typing import Any, NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

MAX_IDLE = 20.0
"""Seconds after which an idle connection is not used again. A frozen Lambda does not see a gateway drop it,
and a message written to a dead connection counts as possibly sent."""
TLS_RECORD = 16 * 1024
"""Bytes read at once. With less, the rest of a record would wait inside of TLS, where no polling sees it."""
_KEEP_ALIVE = re.compile(r"(?:^|[,; \t])timeout=([0-9]{1,9})")
_FIRST_FINAL_STATUS = 200
_NOT_REACHED: tuple[tuple[type[Exception], str], ...] = (
    (UnicodeError, "InvalidURL"),  # a label of the host is empty or too long
    (socket.gaierror, "NameResolutionError"),
    (TimeoutError, "ConnectTimeout"),
    (ConnectionRefusedError, "ConnectionRefused"),
)
_NO_HANDSHAKE: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "CertificateError"),
    (TimeoutError, "HandshakeTimeout"),
)


class Limits(NamedTuple):
    """The limits of a call, in seconds and bytes.

    ``connect``
        For name lookup, TCP and TLS, over all addresses of the host; one address gets half of it. A lookup
        cannot be interrupted: the resolver's own limit (``RES_OPTIONS``) may exceed this one.
    ``read``
        For each read and write.
    ``answer``
        From the first byte written to the last one read.
    ``max_bytes``
        Bytes of an answer on the wire, heads and framing included, and again of its decoded content.
    """

    connect: float = 4.0
    read: float = 5.0
    answer: float = 6.0
    max_bytes: int = 64 * 1024


class ConnectionFault(OSError):  # noqa: N818 - urllib3 passes an OSError on as it is
    """A connection's failure, and whether the request may have arrived; requests' own error may differ."""

    def __init__(self, reason: str, *, may_have_arrived: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_have_arrived = may_have_arrived


class Connection(HTTPConnection):
    """A connection with a deadline for connecting and one for each exchange, and an age while it is idle."""

    def __init__(self, *args: Any, limits: Limits, **named: Any) -> None:
        super().__init__(*args, **named)
        self.limits = limits
        self._deadline = 0.0
        self._used_at = 0.0
        self._max_idle = MAX_IDLE
        self._process = 0
        self._held: list[bytes] | None = None

    def connect(self) -> None:
        """Connect; raises `ConnectionFault` only, and nothing of a request has left."""
        self._deadline = time.monotonic() + self.limits.connect
        self._process = os.getpid()
        try:
            super().connect()
        except Exception as error:
            raise ConnectionFault(self._why_not_connected(error), may_have_arrived=False) from error
        # Where the peer has hung up already, the ssl module may leave out the handshake and not say so.
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.version() is None:
            raise ConnectionFault("HandshakeError", may_have_arrived=False)

    def _why_not_connected(self, error: Exception) -> str:
        refused = type(error) is OSError and error.errno is None  # http.client's, where there is no tunnel
        if refused or isinstance(error, ConnectionFault):
            return "ProxyError"
        reached = self.sock is not None
        reasons, other = (_NO_HANDSHAKE, "HandshakeError") if reached else (_NOT_REACHED, "ConnectionError")
        return next((reason for kind, reason in reasons if isinstance(error, kind)), other)

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(self._time_left(self.limits.connect))

    def _new_conn(self) -> socket.socket:
        """Return a socket connected to the first address that lets itself be reached."""
        error: OSError = socket.gaierror()
        for family, kind, protocol, _, place in socket.getaddrinfo(
            self._dns_host, self.port, type=socket.SOCK_STREAM
        ):
            opened = socket.socket(family, kind, protocol)
            try:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened.settimeout(self._time_left(self.limits.connect / 2))
                opened.connect(place)
                opened.settimeout(self._time_left(self.limits.connect))
            except OSError as failed:
                opened.close()
                error = failed
            else:
                return opened
        raise error

    def request(self, *args: Any, **named: Any) -> None:
        """Connect if need be, and write a request; the time for the exchange begins."""
        if self.sock is None:
            self.connect()
        self._deadline = time.monotonic() + self.limits.answer
        self._held = []
        super().request(*args, **named)
        held, self._held = self._held, None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Write within the limits, a request's head and body at once."""
        if self._held is not None:
            self._held.append(data)
            return
        try:
            self.limit(self.sock)
            super().send(data)
        except TimeoutError:
            raise ConnectionFault("WriteTimeout", may_have_arrived=True) from None

    def limit(self, sock: socket.socket) -> None:
        """Have a socket's next operation end in time; raises ``TimeoutError`` where there is none left."""
        sock.settimeout(self._time_left(self.limits.read))

    def _time_left(self, most: float) -> float:
        left = min(most, self._deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left

    def response_class(self, sock: socket.socket, **named: Any) -> Any:  # type: ignore[override] # it makes one
        """Return http.client's response, with a reader that keeps the limits."""
        response = http.client.HTTPResponse(sock, **named)
        response.fp = io.BufferedReader(_Reader(response.fp.detach(), sock, self), TLS_RECORD)
        return response

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as urllib3 does
        """Read the head of the answer, and for how long the server keeps the connection."""
        response = super().getresponse()
        if response.status < _FIRST_FINAL_STATUS:  # the answer is still to come, and nobody would wait for it
            raise ConnectionFault("AnswerUnreadable", may_have_arrived=True)
        told = _KEEP_ALIVE.search(response.headers.get("Keep-Alive", ""))
        # A little less than the server says, or a request could meet its goodbye.
        self.mark_used(min(MAX_IDLE, 0.8 * int(told[1])) if told else MAX_IDLE)
        return response

    def mark_used(self, max_idle: float = MAX_IDLE) -> None:
        """Begin to be idle, for so many seconds at most."""
        # Not the monotonic clock, which may stand still while Lambda is frozen.
        self._used_at, self._max_idle = time.time(), max_idle

    @property
    def is_connected(self) -> bool:
        """Return whether an idle connection can be used: quiet, not idle for too long, this process's own."""
        idle = time.time() - self._used_at
        return super().is_connected and 0 <= idle <= self._max_idle and self._process == os.getpid()


class TlsConnection(Connection, HTTPSConnection):
    """The same over TLS."""


class _Reader(io.RawIOBase):
    """Reads an answer within the limits of its connection."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, connection: Connection) -> None:
        self._raw = raw
        self._socket = sock  # the connection lets go of it as soon as it knows that this is its last answer
        self._connection = connection
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        try:
            self._connection.limit(self._socket)
            count = self._raw.readinto(buffer)
        except TimeoutError:
            reason = "AnswerTimeout" if self._received else "ReadTimeout"
            raise ConnectionFault(reason, may_have_arrived=True) from None
        self._received += count or 0
        if self._received > self._connection.limits.max_bytes:
            raise ConnectionFault("AnswerTooLarge", may_have_arrived=True)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
