"""One message to WeChat and its answer: what that costs by which way, and how far it reaches.

A subject takes a message as Python objects and gives back WeChat's answer as Python objects, so that JSON
is in every figure. Each way is one small class; ``Product`` measures whatever the client uses.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import threading
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar
from urllib.parse import urlsplit

from benchmarks import events
from benchmarks.figures import Comparison
from benchmarks.processes import Server, interleaved, values, workers
from benchmarks.server import TOKEN
from benchmarks.worker import measured, resident_mb

PRODUCT = "wechat_notify"
WECHATPY = "wechatpy"
_PATH = "/cgi-bin/message/template/send"
_SUBJECTS = {
    PRODUCT: "benchmarks.transport:Product",
    "its session alone": "benchmarks.transport:ProductSession",
    WECHATPY: "benchmarks.transport:Wechatpy",
    "requests.Session": "benchmarks.transport:Session",
    "raw socket (floor)": "benchmarks.transport:RawSocket",
}
CONCURRENCY = (32, 128)
_LATENCY = 0.05
_CONNECTING = 8
"""Threads that make their connection at one time: all at once would time out with a slow handshake."""


class _Way(ABC):
    """One way to WeChat."""

    def __init__(self, connections: int = 1) -> None:
        self.base_url = os.environ["WECHAT_API_BASE"]
        self.connections = connections

    @abstractmethod
    def send(self, index: int) -> None:
        """Send one message; raises where WeChat did not accept it."""

    def messages(self, count: int) -> dict[str, float]:
        """CPU seconds of a message, one after the other."""
        took = measured(lambda: [self.send(index) for index in range(count)])
        return {"cpu": took["cpu"] / count}

    def reach(self, threads: int, seconds: float) -> dict[str, float]:
        """Messages a second from so many threads, once each of them has its connection."""
        rates = [0.0] * threads
        failed = [0] * threads
        ready = threading.Barrier(threads + 1)
        over = threading.Event()
        connecting = threading.Semaphore(_CONNECTING)

        def loop(number: int) -> None:
            with connecting, contextlib.suppress(Exception):
                self.send(number)
            ready.wait()
            began, sent = time.perf_counter(), 0
            while not over.is_set():
                try:
                    self.send(number)
                    sent += 1
                except Exception:  # noqa: BLE001 - whatever its library raises
                    failed[number] += 1
            # To the end of its last one: where all threads go in step, a common end would lose a whole round.
            rates[number] = sent / (time.perf_counter() - began)

        # Daemons: who is interrupted in here must not wait for them.
        running = [threading.Thread(target=loop, args=(number,), daemon=True) for number in range(threads)]
        for thread in running:
            thread.start()
        ready.wait()
        time.sleep(seconds)
        over.set()
        for thread in running:
            thread.join()
        return {"rate": sum(rates), "failed": sum(failed), "rss": resident_mb()}


class Product(_Way):
    """The service's own client, with its own messages and outcomes."""

    def __init__(self, connections: int = 1) -> None:
        super().__init__(connections)
        from wechat_notify.core.messages.parser import parse_message  # noqa: PLC0415 - only in this worker
        from wechat_notify.wechat.client import WeChatClient  # noqa: PLC0415 - the same
        from wechat_notify.wechat.session import HttpSession  # noqa: PLC0415 - the same

        self._client = WeChatClient(HttpSession(self.base_url))
        self._messages = [parse_message(events.message(index))[0] for index in range(256)]

    def send(self, index: int) -> None:
        """Send one message."""
        outcome = self._client.send(self._messages[index % 256], TOKEN)
        if outcome.errcode != 0:
            raise RuntimeError(outcome.hint.en)


class ProductSession(_Way):
    """The client's session without what the client makes of it."""

    def __init__(self, connections: int = 1) -> None:
        super().__init__(connections)
        from wechat_notify.wechat.session import HttpResponse, HttpSession  # noqa: PLC0415 - only in this worker

        self._session = HttpSession(self.base_url)
        self._response = HttpResponse

    def send(self, index: int) -> None:
        """Send one message."""
        body = json.dumps(_body(index), ensure_ascii=False).encode()
        answer = self._session.post(f"{_PATH}?access_token={TOKEN}", body)
        assert isinstance(answer, self._response)
        _check(json.loads(answer.content))


class Wechatpy(_Way):
    """wechatpy, with room in its pool for every thread, which it does not have by itself."""

    def __init__(self, connections: int = 1) -> None:
        super().__init__(connections)
        from wechatpy import WeChatClient  # noqa: PLC0415 - only in this worker

        self._client = WeChatClient("wx3c2f1e0d9b8a7654", "", access_token=TOKEN, timeout=5)
        self._client.API_BASE_URL = self.base_url + "/cgi-bin/"
        _make_room(self._client._http, connections)  # noqa: SLF001 - it has no other name

    def send(self, index: int) -> None:
        """Send one message."""
        _check(
            self._client.message.send_template(
                events.openid(index), events.TEMPLATE_ID, events.DATA, events.URL
            )
        )


class Session(_Way):
    """``requests`` as its documentation has it, with one session for all."""

    def __init__(self, connections: int = 1) -> None:
        super().__init__(connections)
        import requests  # noqa: PLC0415 - only in this worker

        self._session = requests.Session()
        _make_room(self._session, connections)

    def send(self, index: int) -> None:
        """Send one message."""
        body = json.dumps(_body(index), ensure_ascii=False).encode()
        answer = self._session.post(
            self.base_url + _PATH, params={"access_token": TOKEN}, data=body, timeout=5
        )
        _check(answer.json())


class RawSocket(_Way):
    """As little as Python can do: a socket a thread, and no look at anything that can go wrong."""

    _local: ClassVar[threading.local] = threading.local()

    def __init__(self, connections: int = 1) -> None:
        super().__init__(connections)
        parts = urlsplit(self.base_url)
        self._place = (parts.hostname, parts.port)
        self._context: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context()
            self._context.load_verify_locations(os.environ["BENCHMARK_CA_FILE"])
        self._head = (
            f"POST {_PATH}?access_token={TOKEN} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    def send(self, index: int) -> None:
        """Send one message."""
        body = json.dumps(_body(index), ensure_ascii=False).encode()
        request = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        connection = getattr(self._local, "connection", None) or self._connect()
        connection.sendall(request)
        head, _, content = connection.recv(65536).partition(b"\r\n\r\n")
        if b"Connection: close" in head:
            connection.close()
            self._local.connection = None
        _check(json.loads(content))

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._place)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context:
            connection = self._context.wrap_socket(connection, server_hostname=self._place[0])
        self._local.connection = connection
        return connection


def _body(index: int) -> dict[str, Any]:
    message = events.message(index)
    del message["kind"]
    return message


def _check(answer: dict[str, Any]) -> None:
    if answer["errcode"] != 0:
        raise RuntimeError(answer["errmsg"])


def _make_room(session: Any, connections: int) -> None:
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - not where the product's import time counts

    session.mount("https://", HTTPAdapter(pool_maxsize=connections))
    session.mount("http://", HTTPAdapter(pool_maxsize=connections))


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """The transports side by side."""
    found: list[Comparison] = []
    count = 50 if quick else 1000
    kept: dict[str, list[float]] = {}
    with workers(server, _SUBJECTS, wechat="wechat_tls") as made:
        before = server.stats()
        took = interleaved(made, rounds, "messages", {"count": count})
        after = server.stats()
        kept = values(took, "cpu")
        found.append(_microseconds("CPU a message over TLS, one after the other", kept))
        busy = 1e6 * (after["cpu"] - before["cpu"]) / (after["requests"] - before["requests"])
    if not quick:
        with workers(server, _SUBJECTS, wechat="wechat_http") as made:
            took = interleaved(made, rounds, "messages", {"count": count})
            found.append(_microseconds("CPU a message without TLS, one after the other", values(took, "cpu")))
    with workers(server, _SUBJECTS, wechat="wechat_tls_hangs_up") as made:
        count = 3 if quick else 40
        took = interleaved(made, rounds, "messages", {"count": count})
        new = {
            name: [max(0.0, each["cpu"] - floor) for each, floor in zip(took[name], kept[name], strict=True)]
            for name in made
        }
        found.append(
            Comparison(
                "transport",
                "CPU of a new TLS connection",
                "ms",
                WECHATPY,
                {name: [1e3 * value for value in each] for name, each in new.items()},
                "a message on a connection of its own, less one on a connection that is kept",
            )
        )
    for concurrency in CONCURRENCY[:1] if quick else CONCURRENCY:
        with workers(server, _SUBJECTS, wechat="wechat_tls_50", connections=concurrency) as made:
            seconds = 0.3 if quick else 1.0
            told = {"threads": concurrency, "seconds": seconds}
            took = interleaved(made, rounds, "reach", told)
            lost = {name: sum(failures) for name, failures in values(took, "failed").items()}
            told_of = [f"{name} failed {count:.0f} times" for name, count in lost.items() if count]
            most = concurrency / _LATENCY
            found.append(
                Comparison(
                    "transport",
                    reach_case(concurrency),
                    "msg/s",
                    WECHATPY,
                    values(took, "rate"),
                    "; ".join([f"{most:.0f} is what the latency allows", *told_of]),
                )
            )
            found.append(
                Comparison(
                    "transport", f"memory with {concurrency} threads", "MB", WECHATPY, values(took, "rss")
                )
            )
    fastest = max(max(rates) for each in found if each.unit == "msg/s" for rates in each.rounds.values())
    found.append(
        Comparison(
            "transport",
            "the server's headroom",
            "msg/s",
            "asked of it at most",
            {"its core is enough for": [1e6 / busy], "asked of it at most": [fastest]},
            f"calculated from {busy:.0f} µs of its core a message over TLS, one after the other",
        )
    )
    return found


def reach_case(concurrency: int) -> str:
    """The name of the comparison."""
    return f"messages a second at 50 ms, {concurrency} at a time, one core"


def _microseconds(case: str, seconds: dict[str, list[float]]) -> Comparison:
    scaled = {name: [1e6 * value for value in each] for name, each in seconds.items()}
    return Comparison("transport", case, "µs", WECHATPY, scaled)
