"""The simulator's pushes over real sockets: repeats, pauses after failures, the order of early ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random

import pytest

from local.simulator.messages import TEMPLATE_SEND
from local.simulator.pusher import Pauses, Pusher
from local.simulator.receipts import Callback, Push, PushRequest, Receipt


class Address:
    """A callback address that answers as it is told, and ``success`` when it is told no more."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.answers: list[tuple[int, bytes]] = []
        address = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                address.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = address.answers.pop(0) if address.answers else (200, b"success")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def push(self, number: int, **options: object) -> Push:
        callback = Callback(f"http://127.0.0.1:{self.server.server_port}/callback", "t", mode="plain")
        return Push(callback, Receipt("wxA", f"o{number}", TEMPLATE_SEND, "T", number), **options)  # type: ignore[arg-type] # two of its own


@pytest.fixture
def address() -> Iterator[Address]:
    address = Address()
    address.thread.start()
    yield address
    address.server.shutdown()
    address.server.server_close()
    address.thread.join()


@pytest.fixture
def pusher() -> Iterator[Pusher]:
    pusher = Pusher(time.time, Random(1))  # noqa: S311 - its nonces are no secret
    pusher.pauses = Pauses(soon=0.0, late=0.3, repeat=0.01, mark_fail=60.0)
    yield pusher
    pusher.stop()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_receipt_arrives(address: Address, pusher: Pusher) -> None:
    pusher.take(address.push(1))
    wait_for(lambda: pusher.counts["taken"] == 1)
    assert b"<FromUserName><![CDATA[o1]]>" in address.bodies[0]


def test_late_event_of_a_platform(address: Address, pusher: Pusher) -> None:
    """The one that follows it is there first."""
    url = f"http://127.0.0.1:{address.server.server_port}/callback"
    pusher.notify(PushRequest(url, b"authorized", "text/xml", late=True))
    pusher.notify(PushRequest(url, b"unauthorized", "text/xml"))
    wait_for(lambda: len(address.bodies) == 2)
    assert address.bodies == [b"unauthorized", b"authorized"]


@pytest.mark.parametrize("answer", [(500, b"success"), (200, b"no"), (403, b"refused")])
def test_refused_push_comes_again(address: Address, pusher: Pusher, answer: tuple[int, bytes]) -> None:
    address.answers = [answer] * 2
    pusher.take(address.push(1))
    wait_for(lambda: pusher.counts["taken"] == 1)
    assert len(address.bodies) == 3


def test_pushes_stop_after_failures(address: Address, pusher: Pusher) -> None:
    """Each is given up after three repeats; after five of them nothing is pushed for a minute."""
    address.answers = [(500, b"")] * 100
    for number in range(5):
        pusher.take(address.push(number))
    wait_for(lambda: pusher.counts["given_up"] == 5)
    assert len(address.bodies) == 20
    pusher.take(address.push(6))
    wait_for(lambda: pusher.counts["not_pushed"] == 1)
    assert len(address.bodies) == 20


def test_twice_is_the_same_request(address: Address, pusher: Pusher) -> None:
    pusher.take(address.push(1, times=2))
    wait_for(lambda: pusher.counts["taken"] == 1)
    first, second = address.bodies
    assert first == second


def test_early_one_is_there_at_once(address: Address, pusher: Pusher) -> None:
    pusher.take(address.push(1, when="early"))
    assert len(address.bodies) == 1


def test_late_one_is_overtaken(address: Address, pusher: Pusher) -> None:
    pusher.take(address.push(1, when="late"))
    pusher.take(address.push(2))
    wait_for(lambda: pusher.counts["taken"] == 2)
    assert [b"[o2]" in body for body in address.bodies] == [True, False]


def test_reset_forgets_what_is_due(address: Address, pusher: Pusher) -> None:
    pusher.take(address.push(1, when="late"))
    pusher.reset()
    pusher.take(address.push(2))
    wait_for(lambda: pusher.counts["taken"] == 1)
    assert len(address.bodies) == 1
