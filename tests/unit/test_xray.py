"""Subsegments: their form, and that nothing secret is in them. Nothing is sent over a socket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError

from tests.fakes import OPENID, message
from wechat_notify.aws.clients import Clients, client_config
from wechat_notify.aws.traced import trace
from wechat_notify.core.errors import StorageError
from wechat_notify.settings import is_traced, trace_header, xray_daemon
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.session import HttpResponse, HttpSession, NoAnswer
from wechat_notify.wechat.traced import TracedSession
from wechat_notify.xray import Tracer

ROOT = Path(__file__).parents[2]
TOKEN = "TOKEN_" + "t" * 130
TRACE, PARENT = "1-581cf771-a006649127e371903a2de979", "70de5b6f19ff9a0a"
SAMPLED = f"Root={TRACE};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0"


class Trace:
    """What was sent to the daemon."""

    def __init__(self, header: str = SAMPLED) -> None:
        self.datagrams: list[bytes] = []
        self.tracer = Tracer(lambda: header, self.datagrams.append, now=iter(range(100, 900)).__next__)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents, each after the daemon's header."""
        split = [datagram.split(b"\n", 1) for datagram in self.datagrams]
        assert all(json.loads(header) == {"format": "json", "version": 1} for header, _ in split)
        return [json.loads(document) for _, document in split]


def send(monkeypatch: pytest.MonkeyPatch, answered: HttpResponse | NoAnswer, sent: Trace) -> None:
    monkeypatch.setattr(HttpSession, "_send", lambda *_: answered)
    session = TracedSession(sent.tracer, "https://api.weixin.qq.com")
    WeChatClient(session).send(message(), TOKEN)


def test_call_to_wechat(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Trace()
    send(monkeypatch, HttpResponse(200, b'{"errcode":0,"errmsg":"ok"}'), sent)
    (document,) = sent.documents
    assert len(document.pop("id")) == 16
    assert document == {
        "name": "WeChat",
        "trace_id": TRACE,
        "parent_id": PARENT,
        "type": "subsegment",
        "start_time": 100,
        "end_time": 101,
        "namespace": "remote",
        "http": {
            "request": {
                "method": "POST",
                "url": "https://api.weixin.qq.com/cgi-bin/message/subscribe/bizsend",
            },
            "response": {"status": 200},
        },
    }


def test_no_token_and_no_openid(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the URL's query, in the body and in WeChat's answer."""
    sent = Trace()
    answered = f'{{"errcode":40003,"errmsg":"invalid openid {OPENID} {TOKEN}"}}'.encode()
    send(monkeypatch, HttpResponse(200, answered), sent)
    send(monkeypatch, NoAnswer(f"Lost {TOKEN}", may_have_arrived=True), sent)
    assert len(sent.datagrams) == 2
    for datagram in sent.datagrams:
        assert b"?" not in datagram
        assert TOKEN.encode() not in datagram
        assert OPENID.encode() not in datagram


@pytest.mark.parametrize(
    ("answered", "flags"),
    [
        (HttpResponse(200, b"{}"), set()),
        (HttpResponse(404, b""), {"error"}),
        (HttpResponse(429, b""), {"error", "throttle"}),
        (HttpResponse(502, b""), {"fault"}),
        (NoAnswer("ReadTimeout", may_have_arrived=True), {"fault"}),
    ],
)
def test_failures_are_marked(
    monkeypatch: pytest.MonkeyPatch, answered: HttpResponse | NoAnswer, flags: set[str]
) -> None:
    sent = Trace()
    send(monkeypatch, answered, sent)
    (document,) = sent.documents
    assert {name for name in ("error", "throttle", "fault") if document.get(name)} == flags


@pytest.mark.parametrize(
    "header", ["", f"Root={TRACE};Parent={PARENT};Sampled=0", f"Root={TRACE};Sampled=1", "nonsense"]
)
def test_what_is_not_sampled_is_not_sent(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    sent = Trace(header)
    send(monkeypatch, HttpResponse(200, b"{}"), sent)
    assert sent.datagrams == []


def test_silent_daemon_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> None:
        raise BlockingIOError

    monkeypatch.setattr(HttpSession, "_send", lambda *_: HttpResponse(200, b'{"errcode":0}'))
    session = TracedSession(Tracer(lambda: SAMPLED, refuse), "https://api.weixin.qq.com")
    assert WeChatClient(session).send(message(), TOKEN).errcode == 0


def dynamodb(monkeypatch: pytest.MonkeyPatch, sent: Trace, answer: AWSResponse | Exception) -> Clients:
    """Clients of which DynamoDB's is traced, and answered without a network."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "x",
    }.items():
        monkeypatch.setenv(name, value)
    import boto3  # noqa: PLC0415 - with its client alone

    client = trace(boto3.client("dynamodb", config=client_config("dynamodb")), sent.tracer)

    def respond(**_: object) -> AWSResponse:
        if isinstance(answer, Exception):
            raise answer
        return answer

    client.meta.events.register("before-send.dynamodb", respond)
    return Clients(lambda _: client, sleep=lambda _: None)


class _Raw:
    def stream(self, **_: object) -> list[bytes]:
        return [b'{"Item": {"pk": {"S": "%s"}}}' % OPENID.encode()]


def answered(status: int) -> AWSResponse:
    return AWSResponse("", status, HTTPHeaders(), _Raw())


@pytest.mark.parametrize(
    ("answer", "flags", "status"),
    [
        (answered(200), set(), 200),
        (answered(500), {"fault"}, 500),
        (EndpointConnectionError(endpoint_url=f"https://{TOKEN}"), {"fault"}, None),
    ],
    ids=["answered", "failed", "silent"],
)
def test_call_to_dynamodb(
    monkeypatch: pytest.MonkeyPatch, answer: AWSResponse | Exception, flags: set[str], status: int | None
) -> None:
    sent = Trace()
    clients = dynamodb(monkeypatch, sent, answer)
    try:
        clients.call(
            "get",
            lambda: clients.dynamodb.get_item(TableName="ledger", Key={"pk": {"S": f"{OPENID}#{TOKEN}"}}),
        )
    except StorageError:
        assert flags
    (document,) = sent.documents
    assert (document["name"], document["namespace"]) == ("DynamoDB", "aws")
    assert document["aws"] == {"operation": "GetItem"}
    assert document.get("http", {}).get("response", {}).get("status") == status
    assert {name for name in ("error", "fault") if document.get(name)} == flags
    assert OPENID.encode() not in sent.datagrams[0]
    assert TOKEN.encode() not in sent.datagrams[0]


def test_traced_where_the_parameter_says_so() -> None:
    assert [is_traced({"TRACING": value}) for value in ("Active", "PassThrough")] == [True, False]
    assert not is_traced({})
    assert xray_daemon({"AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000"}) == ("169.254.79.129", 2000)
    assert trace_header({"_X_AMZN_TRACE_ID": SAMPLED}) == SAMPLED


@pytest.mark.parametrize("tracing", ["Active", "PassThrough"])
def test_nothing_is_imported_where_nothing_is_traced(tracing: str) -> None:
    """In a process of its own: the parts that a sender starts with."""
    code = (
        "import sys; from wechat_notify import bootstrap; "
        "bootstrap.wechat(), bootstrap.aws(); "
        "print(sorted(m for m in sys.modules if m.endswith(('.xray', '.traced'))))"
    )
    environment = {
        "PYTHONPATH": str(ROOT / "layers/wechat_notify"),
        "TRACING": tracing,
        "WECHAT_API_BASE": "https://api.weixin.qq.com",
    }
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert ("xray" in done.stdout) is (tracing == "Active")
    assert ("traced" in done.stdout) is (tracing == "Active")
