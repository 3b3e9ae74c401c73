"""The other side: WeChat's endpoints and those of AWS, answered at once or after a delay, by uvloop.

``python -m benchmarks.server CA_FILE`` writes the certificate of the authority that signed its own to the
file, prints where it listens, answers ``stats`` lines, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import trustme
import uvloop

Answer = Callable[[bytes, bytes], bytes]

TOKEN = "94_" + "kTq3Vx0bYw" * 13  # as long as WeChat's
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target:[ \t]*[A-Za-z0-9_]+\.([A-Za-z]+)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"""['"](\w+)['"](?:: | = )\?""")


class Door(NamedTuple):
    """One port: what answers there, and how."""

    answer: Answer
    delay: float = 0.0
    hangs_up: bool = False


class Stub:
    """What AWS and WeChat answer, and how much of it."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes_in = 0
        self.puts = 0
        self.items: dict[str, int] = {}

    def wechat(self, head: bytes, body: bytes) -> bytes:
        """An accepted message."""
        self.requests += 1
        self.bytes_in += len(head) + len(body) + 4
        return _WECHAT_SENT

    def aws(self, head: bytes, body: bytes) -> bytes:
        """What the services answer that the functions call."""
        target = _TARGET.search(head)
        name = target[1].decode() if target else "Invoke"
        request = json.loads(body or b"{}")
        for item in _written(name, request):
            if "status" in item:
                self.puts += 1
                self.items[f"item_{item['status']['S']}"] = _map_size(item)
        answer = _AWS[name](request)
        return _response(json.dumps(answer).encode(), b"application/x-amz-json-1.0")


def _written(name: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The items that a request puts, or that its statements insert or update."""
    if name == "PutItem":
        return [request["Item"]]
    if name != "BatchExecuteStatement":
        return []
    return [
        dict(zip(_PLACEHOLDER.findall(each["Statement"]), each["Parameters"], strict=True))
        for each in request["Statements"]
    ]


def _map_size(attributes: dict[str, Any]) -> int:
    return sum(len(name.encode()) + _size(value) for name, value in attributes.items())


def _size(attribute: dict[str, Any]) -> int:
    """Bytes as DynamoDB counts them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return 1 + (len(value.strip("-0.")) + 1) // 2
        case "M":
            return 3 + len(value) + _map_size(value)
        case "L":
            return 3 + len(value) + sum(map(_size, value))
    return 1


def _response(body: bytes, content_type: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: %b\r\n"
        b"Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: %d\r\n\r\n%b"
    ) % (content_type, len(body), body)


_WECHAT_SENT = _response(
    b'{"errcode":0,"errmsg":"ok","msgid":3862412058123456789}', b"application/json; encoding=utf-8"
)


def _parameter(name: str) -> dict[str, Any]:
    now = time.time()
    value = {"value": TOKEN, "expires_at": now + 7000, "obtained_at": now}
    return {"Name": name, "Type": "SecureString", "Value": json.dumps(value), "Version": 1}


_AWS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "PutItem": lambda _: {},
    "UpdateItem": lambda _: {},
    "BatchExecuteStatement": lambda request: {
        "Responses": [{"TableName": "ledger"} for _ in request["Statements"]]
    },
    "GetItem": lambda _: {},
    "BatchGetItem": lambda request: {
        "Responses": {name: [] for name in request["RequestItems"]},
        "UnprocessedKeys": {},
    },
    "GetParameter": lambda request: {"Parameter": _parameter(request["Name"])},
    "GetParameters": lambda request: {
        "Parameters": [_parameter(name) for name in request["Names"]],
        "InvalidParameters": [],
    },
    "GetSecretValue": lambda _request: {
        "SecretString": "a key that is as long as the real one: " + "k" * 25,
        "CreatedDate": 1_772_323_200.0,
    },
    "SendMessageBatch": lambda request: {
        "Successful": [{"Id": entry["Id"], "MessageId": "m"} for entry in request["Entries"]],
        "Failed": [],
    },
    "PutEvents": lambda request: {
        "FailedEntryCount": 0,
        "Entries": [{"EventId": "e"} for _ in request["Entries"]],
    },
}


class _Http(asyncio.Protocol):
    """One connection: whole requests in, whole answers out."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._received = b""
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _CONTENT_LENGTH.search(head)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < stop:
                return
            body, self._received = self._received[end + 4 : stop], self._received[stop:]
            answer = self._door.answer(head, body)
            if self._door.delay:
                self._loop.call_later(self._door.delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport.is_closing():
            return
        if self._door.hangs_up:
            self._transport.write(answer.replace(b"keep-alive", b"close", 1))
            self._transport.close()
        else:
            self._transport.write(answer)


def _tell(stub: Stub) -> None:
    """Answer each line of standard input with what was done so far; the end of it ends the process."""
    for _ in sys.stdin:
        stats = {
            "requests": stub.requests,
            "bytes_in": stub.bytes_in,
            "puts": stub.puts,
            **stub.items,
        }
        print(json.dumps(stats), flush=True)


async def _serve(ca_file: str) -> None:
    # RSA, as api.weixin.qq.com has it.
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.RSA).configure_cert(context)
    stub = Stub()
    doors = {
        "wechat_tls": Door(stub.wechat),
        "wechat_tls_hangs_up": Door(stub.wechat, hangs_up=True),
        "wechat_tls_80": Door(stub.wechat, delay=0.08),
        "aws": Door(stub.aws),
        "aws_hangs_up": Door(stub.aws, hangs_up=True),
    }
    addresses = {}
    loop = asyncio.get_running_loop()
    for name, door in doors.items():
        listening = await loop.create_server(partial(_Http, door), "127.0.0.1", 0, ssl=context, backlog=1024)
        addresses[name] = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    print(json.dumps(addresses), flush=True)
    await asyncio.to_thread(_tell, stub)


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    uvloop.run(_serve(sys.argv[1]))
