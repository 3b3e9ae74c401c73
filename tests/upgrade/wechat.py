"""A WeChat on the loopback, and the time by which a rehearsal goes."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]


class Clock:
    """The time of the process, which is moved on."""

    def __init__(self, start: float | None = None) -> None:
        self._real = time.time
        self._shift = 0.0 if start is None else start - self._real()

    def __call__(self) -> float:
        return self._real() + self._shift

    def milliseconds(self) -> float:
        """The time as SQS counts it."""
        return 1000 * self()

    def pass_(self, seconds: float) -> None:
        """Move it on."""
        self._shift += seconds


class WeChat:
    """The endpoints that the service calls, with an answer for each receiver."""

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()
        """Messages that arrived, by receiver."""
        self.while_in_flight: Callable[[str], None] = lambda _: None
        self.all_well = False
        self._msgid = time.time_ns()  # of its own in each run
        wechat = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wechat.answer(self, {"errcode": 0, "template_list": [], "data": []})

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                if "touser" in sent:
                    wechat.take(self, sent["touser"])
                else:
                    wechat.answer(self, {"errcode": 0, "quota": {}})

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def take(self, request: BaseHTTPRequestHandler, touser: str) -> None:
        """A message arrives."""
        self.posts[touser] += 1
        self.while_in_flight(touser)
        kind = "" if self.all_well else touser.removeprefix("o-").partition("-")[0]
        if kind == "lost":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        errcode = {"refused": 40003, "held": 45009}.get(kind, 0)
        self._msgid += 1
        answer = {"errcode": errcode, "errmsg": "ok" if errcode == 0 else "refused"}
        self.answer(request, answer | ({"msgid": self._msgid} if errcode == 0 else {}))

    @staticmethod
    def answer(request: BaseHTTPRequestHandler, content: Json) -> None:
        """Answer with JSON."""
        body = json.dumps(content).encode()
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
