"""The simulator over real sockets: its HTTP manners, its faults on the wire, its start and its end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.simulator.server import Simulator

ROOT = Path(__file__).parents[3]
SEND = "/cgi-bin/message/template/send"
MESSAGE = {"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "巧克力"}}}
RAW_MESSAGE = json.dumps(MESSAGE, ensure_ascii=False).encode()
CREDENTIALS = {"grant_type": "client_credential", "appid": "wxapp", "secret": "app-secret"}


class Caller:
    """A client of one simulator, a new connection for each call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)

    def connect(self, timeout: float = 5) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def call(
        self, path: str, body: Any = None, method: str | None = None, timeout: float = 5
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with closing(self.connect(timeout)) as connection:
            raw = json.dumps(body, ensure_ascii=False).encode() if body is not None else None
            connection.request(method or ("GET" if raw is None else "POST"), path, raw)
            response = connection.getresponse()
            return response, response.read()

    def json(self, path: str, body: Any = None, method: str | None = None) -> dict[str, Any]:
        return dict(json.loads(self.call(path, body, method)[1]))

    def send_path(self) -> str:
        return f"{SEND}?access_token={self.json('/cgi-bin/stable_token', CREDENTIALS)['access_token']}"

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(self.address, timeout=5) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received

    def fault(self, effect: str, **options: Any) -> None:
        """Plant a fault for the next send."""
        self.json("/_sim/faults", {"effect": effect, "path": SEND, "count": 1, **options})

    def newest(self) -> dict[str, Any]:
        return dict(self.json("/_sim/messages?limit=1")["messages"][0])


@pytest.fixture
def caller(simulator: Simulator) -> Caller:
    return Caller(simulator.url)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_connection_serves_many_calls(caller: Caller) -> None:
    path = caller.send_path()
    with closing(caller.connect()) as connection:
        connection.connect()
        first_socket = connection.sock
        for _ in range(3):
            connection.request("POST", path, RAW_MESSAGE)
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status == 200
            assert response.getheader("Content-Type") == "application/json; charset=utf-8"
            assert set(answer) == {"errcode", "errmsg", "msgid"}
        assert connection.sock is first_socket
    assert json.loads(caller.newest()["body"]) == MESSAGE
    assert caller.json("/_sim/stats")["accepted"] == 3


def test_mistakes_are_json_with_status(caller: Caller) -> None:
    response, body = caller.call("/cgi-bin/none")
    assert (response.status, json.loads(body)["errcode"]) == (404, 404)
    response, body = caller.call("/_sim/faults", {"effect": "fire"})
    assert response.status == 400
    assert json.loads(body)["error"].startswith("effect must be one of")
    statuses = [caller.call(f"/_sim/{path}")[0].status for path in ("none", "reset", "messages?limit=-1")]
    assert statuses == [404, 405, 400]
    assert caller.json("/_sim/health")["status"] == "ok"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 99999999", b"413"),
        (b"Content-Length: -1", b"400"),
        (b"Transfer-Encoding: chunked", b"411"),
    ],
)
def test_requests_that_are_not_read(caller: Caller, headers: bytes, status: bytes) -> None:
    assert caller.raw(b"POST /cgi-bin/stable_token HTTP/1.1\r\n" + headers + b"\r\n\r\n").split()[1] == status


@pytest.mark.parametrize("path", ["/", "/_sim"])
def test_page_needs_nothing_from_elsewhere(caller: Caller, path: str) -> None:
    response, body = caller.call(path)
    page = body.decode()
    assert response.getheader("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|document\.write", page)


def test_broken_answers(caller: Caller) -> None:
    path = caller.send_path()
    caller.fault("truncated")
    with pytest.raises(http.client.IncompleteRead):
        caller.call(path, MESSAGE)
    assert caller.newest()["accepted"] is True
    caller.fault("html")
    response, body = caller.call(path, MESSAGE)
    assert (response.status, body[:6]) == (200, b"<html>")
    caller.fault("status", status=502)
    response, body = caller.call(path, MESSAGE)
    assert (response.status, b"502 Bad Gateway" in body) == (502, True)
    caller.fault("drip", seconds=0.2)
    started = time.monotonic()
    assert json.loads(caller.call(path, MESSAGE)[1])["errcode"] == 0
    assert time.monotonic() - started > 0.15
    assert caller.json("/_sim/stats")["accepted"] == 2


def test_followed_redirects_are_counted(caller: Caller) -> None:
    path = caller.send_path()
    caller.fault("redirect", status=307)
    response, _ = caller.call(path, MESSAGE)
    assert (response.status, response.getheader("Location")) == (307, "/_sim/redirected")
    assert caller.json("/_sim/stats")["redirects_followed"] == 0
    caller.call("/_sim/redirected", MESSAGE)
    assert caller.json("/_sim/stats")["redirects_followed"] == 1


@pytest.mark.parametrize(
    ("effect", "error"), [("reset", ConnectionResetError), ("timeout", http.client.RemoteDisconnected)]
)
def test_unanswered_sends(caller: Caller, effect: str, error: type[Exception]) -> None:
    path = caller.send_path()
    for when in ("before", "after"):
        caller.fault(effect, when=when, seconds=0.05)
        with pytest.raises(error):
            caller.call(path, MESSAGE)
        assert caller.newest()["accepted"] is (when == "after")


def test_timeouts_hold_nobody_up(caller: Caller) -> None:
    path = caller.send_path()
    before = threading.active_count()
    caller.fault("timeout", count=8, seconds=60)
    waiting = [caller.connect(0.3) for _ in range(8)]
    for connection in waiting:
        connection.request("POST", path, RAW_MESSAGE)
    eventually(lambda: caller.json("/_sim/messages")["total"] == 8)
    assert caller.json(path, {**MESSAGE, "touser": "oB"})["errcode"] == 0
    with pytest.raises(TimeoutError):
        waiting[0].getresponse()
    for connection in waiting:
        connection.close()
    # The simulator notices that its clients gave up.
    eventually(lambda: threading.active_count() <= before + 1)


def test_stopping_ends_waits_and_threads() -> None:
    before = set(threading.enumerate())
    with Simulator(apps={"wxapp": "app-secret"}) as simulator:
        caller = Caller(simulator.url)
        path = caller.send_path()
        idle, silent, slow = (caller.connect() for _ in range(3))
        idle.request("GET", "/_sim/health")
        idle.getresponse().read()
        caller.fault("timeout", seconds=600)
        silent.request("POST", path, RAW_MESSAGE)
        eventually(lambda: caller.json("/_sim/messages")["total"] == 1)
        caller.fault("drip", seconds=600)
        slow.request("POST", path, RAW_MESSAGE)
        eventually(lambda: caller.json("/_sim/messages")["total"] == 2)
        started = time.monotonic()
    assert time.monotonic() - started < 1
    assert set(threading.enumerate()) == before
    for connection in (idle, silent, slow):
        connection.close()


def test_never_started_can_be_stopped() -> None:
    Simulator().stop()


def run(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - this project's own command
        [sys.executable, "-m", "local.simulator", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_address_and_stops(number: signal.Signals) -> None:
    with run("--app", "wxapp=app-secret", "--seed", "1") as process:
        assert process.stdout
        caller = Caller(json.loads(process.stdout.readline())["url"])
        path = caller.send_path()
        assert caller.json(path, MESSAGE)["errcode"] == 0
        process.send_signal(number)
        output, errors = process.communicate(timeout=5)
    assert (process.returncode, output, errors) == (0, "", "")


def test_taken_port_is_one_line(simulator: Simulator) -> None:
    port = simulator.url.rpartition(":")[2]
    with run("--port", port) as process:
        output, errors = process.communicate(timeout=5)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert errors.count("\n") == 1
