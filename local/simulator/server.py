"""The HTTP shell: carries calls to the simulated WeChat and its answers, sound or faulty, back."""

import json
import os
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

from local.simulator import pages
from local.simulator.calls import Call
from local.simulator.control import Control
from local.simulator.faults import Fault
from local.simulator.orders import PREFIX, ControlError
from local.simulator.pusher import Pusher
from local.simulator.wechat import WeChat

_PAGE = Path(__file__).with_name("page.html")
_PERSON = Path(__file__).with_name("person.html")
_STATIC = {"/": _PAGE, "/_sim": _PAGE, "/_sim/": _PAGE, "/_sim/person": _PERSON}
_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_LARGEST_BODY = 1024 * 1024
_ERROR_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


class _Handler(BaseHTTPRequestHandler):
    """One connection; requests on it come one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    server: "_Server"

    def _respond(self) -> None:
        body = self._read_body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        path = urlsplit(path).path if "://" in path else path
        parameters = dict(reversed(parse_qsl(query, keep_blank_values=True, errors="replace")))
        try:
            if path in _STATIC:
                self._write(HTTPStatus.OK, _STATIC[path].read_bytes(), _HTML)
            elif path in pages.PATHS:
                self._write_page(self.server.pages.answer(self.command, path, parameters, body))
            elif path.startswith(PREFIX):
                self._write_control(path, parameters, body)
            else:
                call = Call(self.command, path, parameters, body, self.client_address[0])
                answer = self.server.wechat.handle(call)
                if answer.fault is None:
                    self._write(answer.status, _encode(answer.payload), _JSON)
                else:
                    self._spoil(answer.fault, _encode(answer.payload))
        except OSError:
            self.close_connection = True  # the other side has gone, or the server stops

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _respond  # noqa: N815 - http.server's names

    def _read_body(self) -> bytes | None:
        """The body of the request, ``None`` when it was refused for its size or form."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif int(length[:12]) > _LARGEST_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            return self.rfile.read(int(length))
        self.close_connection = True
        return None

    def _write_page(self, page: pages.Page) -> None:
        extra = () if page.location is None else (f"Location: {page.location}",)
        self._write(page.status, page.html.encode(), _HTML, *extra)

    def _write_control(self, path: str, parameters: Mapping[str, str], body: bytes) -> None:
        try:
            payload = self.server.control.handle(self.command, path, parameters, body)
        except ControlError as error:
            self._write(error.status, _encode({"error": str(error)}), _JSON)
        else:
            self._write(HTTPStatus.OK, _encode(payload), _JSON)

    def _head(self, status: int, content_type: str, length: int, *extra: str) -> bytes:
        lines = (
            f"HTTP/1.1 {status} {_phrase(status)}",
            f"Content-Type: {content_type}",
            f"Content-Length: {length}",
            *extra,
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, status: int, body: bytes, content_type: str, *extra: str) -> None:
        # In one piece: two writes are two packets and cost a quarter of the throughput.
        head = self._head(status, content_type, len(body), *extra)
        self.wfile.write(head if self.command == "HEAD" else head + body)

    def _spoil(self, fault: Fault, body: bytes) -> None:
        """Send an answer the way a planted fault wants it."""
        match fault.effect:
            case "errcode":
                self._write(HTTPStatus.OK, body, _JSON)
            case "status":
                page = _ERROR_PAGE.format(f"{fault.status} {_phrase(fault.status)}")
                self._write(fault.status, page.encode(), _HTML)
            case "html":
                self._write(HTTPStatus.OK, _ERROR_PAGE.format("system is busy").encode(), _HTML)
            case "redirect":
                self._write(fault.status, b"", _HTML, f"Location: {fault.location}")
            case "truncated":
                self.wfile.write(self._head(HTTPStatus.OK, _JSON, len(body)) + body[: len(body) // 2])
                self.close_connection = True
            case "drip":
                self.wfile.write(self._head(HTTPStatus.OK, _JSON, len(body)))
                for index in range(len(body)):
                    self.server.stopping.wait(fault.seconds / len(body))
                    self.wfile.write(body[index : index + 1])
            case "timeout":
                self._wait_for_hangup(fault.seconds)
                self.close_connection = True
            case "reset":
                # Without lingering a close is a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
                self.close_connection = True

    def _wait_for_hangup(self, seconds: float) -> None:
        """Stay silent until the time is over, the client gives up or the server stops."""
        self.connection.settimeout(seconds or 0.001)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            pass
        finally:
            self.connection.settimeout(None)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log nothing: every WeChat address carries an access token."""


def _encode(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(
        self, host: str, port: int, wechat: WeChat, pusher: Pusher, stopping: threading.Event
    ) -> None:
        self.wechat = wechat
        self.control = Control(wechat, pusher)
        self.pages = pages.Pages(wechat)
        self.stopping = stopping
        self._open: dict[socket.socket, threading.Thread] = {}
        self._open_lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the host's name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = cast("tuple[str, int]", self.server_address)[:2]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that `close` can find."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._open_lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        with self._open_lock:
            self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Report mistakes of the simulator; connections that break are everyday life."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()

    def close(self) -> None:
        """End every connection and wait for its thread."""
        self.server_close()
        with self._open_lock:
            still_open = dict(self._open)
        for connection in still_open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended meanwhile
        for thread in still_open.values():
            thread.join(2)


class Simulator:
    """A WeChat that listens on a local port.

    Parameters
    ----------
    apps
        Secrets by app id.
    port
        0 takes a free one.
    seed
        Makes tokens, ids and the chances of faults repeatable.
    clock
        WeChat's time in epoch seconds. What is set in seconds of waiting goes by the real one.

    Raises
    ------
    OSError
        When the port is taken.

    Examples
    --------
    >>> with Simulator(apps={"wxapp": "secret"}) as simulator:
    ...     print(simulator.url)
    """

    def __init__(
        self,
        apps: Mapping[str, str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stopping = threading.Event()
        rng = Random(seed)  # noqa: S311 # nosec B311 # nothing here is secret
        self._pusher = Pusher(clock, rng)
        self.wechat = WeChat(
            apps,
            clock=clock,
            wait=self._stopping.wait,
            rng=rng,
            push=self._pusher.take,
            notify=self._pusher.notify,
        )
        self._server = _Server(host, port, self.wechat, self._pusher, self._stopping)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://{host}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end what is going on, injected waits included."""
        self._stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close()
        self._pusher.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
