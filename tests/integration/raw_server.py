"""A TCP server that says exactly what a script tells it to, sound HTTP or not."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_LONGEST_WAIT = 10.0
"""Seconds after which a script is stuck: no test waits for longer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def all_text(self) -> str:
        return f"{self.target} {self.body.decode()}"


class Connection:
    """One accepted connection, in the hands of a script; it is closed when the script returns."""

    def __init__(self, accepted: socket.socket, stopping: threading.Event, requests: list[Request]) -> None:
        self.socket = accepted
        self._stopping = stopping
        self._requests = requests
        self._received = b""

    def read_request(self) -> Request | None:
        """The next request, None where the client has hung up instead."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                return None
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("expect") == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0"))
        while len(self._received) < length:
            if not self._receive():
                return None
        body, self._received = self._received[:length], self._received[length:]
        method, target, _ = first.split(" ")
        request = Request(method, target, headers, body)
        self._requests.append(request)
        return request

    def _receive(self) -> bool:
        received = self.socket.recv(65536)
        self._received += received
        return bool(received)

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, every: float) -> None:
        """Write byte by byte, until the client has gone or the server stops."""
        for index in range(len(data)):
            if self.wait(every):
                return
            self.socket.sendall(data[index : index + 1])

    def reset(self) -> None:
        """End the connection with a reset instead of a goodbye: that is what no lingering means."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait(self, seconds: float) -> bool:
        """Whether the server stopped meanwhile."""
        return self._stopping.wait(seconds)


Script = Callable[[Connection], None]


class RawServer:
    """Listens on a free port of 127.0.0.1 and plays a script for every connection, each in its thread.

    Parameters
    ----------
    script : Callable
        What happens on a connection. It may fail with ``OSError`` when the client has gone.
    tls : ssl.SSLContext, optional
        Wraps every connection before the script sees it.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[Connection, threading.Thread] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.requests: list[Request] = []
        self.accepted = 0
        self.mistakes: list[BaseException] = []

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return  # it was shut down
            accepted.settimeout(_LONGEST_WAIT)
            connection = Connection(accepted, self._stopping, self.requests)
            thread = threading.Thread(target=self._play, args=(connection,), daemon=True)
            with self._lock:
                self.accepted += 1
                self._open[connection] = thread
            thread.start()

    def _play(self, connection: Connection) -> None:
        try:
            if self._tls:
                wrapped = self._tls.wrap_socket(
                    connection.socket, server_side=True, do_handshake_on_connect=False
                )
                connection.socket = wrapped
                wrapped.do_handshake()
            self._script(connection)
        except OSError:
            pass  # the client has gone, or the server stops
        except Exception as mistake:  # noqa: BLE001 - a wrong script must fail its test, at the end
            self.mistakes.append(mistake)
        finally:
            connection.socket.close()
            with self._lock:
                self._open.pop(connection, None)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with suppress(OSError):  # only Linux lets a listener be shut down
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(_LONGEST_WAIT)
        with self._lock:
            still_open = dict(self._open)
        for connection, thread in still_open.items():
            with suppress(OSError):  # it ended meanwhile
                connection.socket.shutdown(socket.SHUT_RDWR)
            thread.join(_LONGEST_WAIT)
            assert not thread.is_alive()
        assert not self.mistakes, self.mistakes


def answer(
    body: bytes, *headers: str, status: str = "200 OK", content_type: str = "application/json"
) -> bytes:
    """A sound HTTP answer around a body."""
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def json_answer(**fields: object) -> bytes:
    """A sound answer of WeChat's."""
    return answer(json.dumps(fields).encode())


def refused(code: str, status: str = "400 Bad Request", **fields: object) -> bytes:
    """How AWS refuses a call."""
    return answer(json.dumps({"__type": code, **fields}).encode(), status=status)


SENT = json_answer(errcode=0, errmsg="ok", msgid=1864323726461255683)


def always(written: bytes) -> Script:
    """Answer every request on a connection that is kept open."""

    def script(connection: Connection) -> None:
        while connection.read_request():
            connection.write(written)

    return script


def once(written: bytes) -> Script:
    """Answer one request and hang up."""

    def script(connection: Connection) -> None:
        if connection.read_request():
            connection.write(written)

    return script


def in_turn(*written: bytes) -> Script:
    """Answer each request with the next of these, on whichever connection it comes; an empty one hangs up."""
    left = iter(written)

    def script(connection: Connection) -> None:
        while connection.read_request() and (said := next(left)):
            connection.write(said)

    return script


def silence(connection: Connection) -> None:
    """Read a request and answer nothing."""
    connection.read_request()
    connection.wait(5)


def reset(connection: Connection) -> None:
    """Read a request and end the connection with a reset."""
    connection.read_request()
    connection.reset()
