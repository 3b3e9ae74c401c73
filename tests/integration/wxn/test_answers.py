"""Answers over HTTP that are not the service's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from wxn.api import Api
from wxn.aws_errors import translate
from wxn.errors import CommandError, ExitCode
from wxn.stacks import Stack

PROBLEM = {"Content-Type": "application/problem+json"}
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}


class Handler(BaseHTTPRequestHandler):
    """Gives the answer that a test has set."""

    answer: ClassVar[tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        status, headers, body = self.answer
        self.send_response_only(status)
        for name, value in {"Date": formatdate(usegmt=True), **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        keys = {"access_key_id": "AKIA", "secret_access_key": "hidden-key", "region": "us-east-1"}
        yield Stack("wechat-notify", laptop={"api_url": url, "aws_endpoint_url": url, **keys})
        server.shutdown()


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack, "shop")


def refused(api: Api, path: str = "quota") -> CommandError:
    with pytest.raises(CommandError) as caught:
        api.call("GET", path)
    return caught.value


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, HTML, b"<html>Sign in to the network</html>"),
        (200, JSON, b""),
        (200, JSON, b"[1]"),
        (200, JSON, b"null"),
        (302, {"Location": "http://127.0.0.1:9/"}, b""),
    ],
)
def test_answer_of_another(api: Api, status: int, headers: dict[str, str], body: bytes) -> None:
    """Such as a network that wants a sign-in. A redirect is not followed: a session token would go along."""
    Handler.answer = status, headers, body
    error = refused(api)

    assert f"The answer (HTTP {status}) is not the service's" in error.message
    assert error.exit_code is ExitCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "body", "message", "code"),
    [
        (403, b"<html>", "Forbidden (403).", ExitCode.NO_ACCESS),
        (403, b'{"message": "sent: x-amz-security-token:hidden"}', "Forbidden (403).", ExitCode.NO_ACCESS),
        (400, b'{"errors": "none", "hint": "none"}', "Bad Request (400).", ExitCode.FAILED),
        (600, b"{}", "HTTP (600).", ExitCode.UNAVAILABLE),
    ],
)
def test_refusal_of_another(api: Api, status: int, body: bytes, message: str, code: ExitCode) -> None:
    """A gateway or a proxy; its words are not shown."""
    Handler.answer = status, JSON, body
    error = refused(api)

    assert (error.message, error.exit_code, error.details) == (message, code, {})


def test_problem_document(api: Api) -> None:
    Handler.answer = 404, PROBLEM, json.dumps({"title": "Not found", "detail": "No such message."}).encode()

    assert refused(api).message == "Not found (404). No such message."


def test_clock_that_is_wrong(api: Api) -> None:
    """API Gateway says no more than Forbidden."""
    Handler.answer = 403, {**JSON, "Date": "Sat, 21 Nov 2020 10:00:00 GMT"}, b'{"message": "Forbidden"}'

    assert "this machine's clock is wrong" in refused(api).message


@pytest.mark.parametrize("headers", [HTML, JSON])
def test_proxy_in_place_of_aws(stack: Stack, headers: dict[str, str]) -> None:
    Handler.answer = 403, headers, b"<html>Forbidden by the proxy</html>"
    with pytest.raises(ClientError) as caught:
        stack.client("cloudformation", attempts=1).get_template(StackName="x")
    error = translate(caught.value)

    assert error is not None
    assert error.message == "GetTemplate: HTTP 403"
    assert error.exit_code is ExitCode.FAILED
