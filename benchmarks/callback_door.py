"""``python -m benchmarks.callback_door``: what WeChat waits for when it pushes 300 receipts a second.

Three ways at one rate, in an open loop: a request counts from when it was due, though others are late. In
process the door checks, decrypts and reads. Through the stack on this machine it also puts the event on its
queue; and the same stack answers WeChat's question whether the address is ours, which takes the same way
without a queue: what both have in common is the emulator's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.accounts import ACCOUNT
from local.settings import Settings
from local.simulator.messages import TEMPLATE_SEND
from local.simulator.receipts import Callback, PushRequest, Receipt, request_of, sign
from local.stack import Stack
from wechat_notify.aws.callback_keys import CallbackKeys
from wechat_notify.wechat.callbacks.door import CallbackDoor, CallbackRequest
from wechat_notify.wechat.callbacks.events import events_of

_THREADS: Final = 64
_MSGID: Final = 10**18


class _Store(NamedTuple):
    """Keys that are known already, as in a function that is warm."""

    keys: CallbackKeys

    def read(self, account: str, *, newer: bool = False) -> CallbackKeys:  # noqa: ARG002 - the door's protocol
        return self.keys


def push(callback: Callback, app_id: str, number: int) -> PushRequest:
    """The push of a receipt, as the simulator makes it."""
    receipt = Receipt(app_id, f"oBenchmark{number:018d}", TEMPLATE_SEND, "T", _MSGID + number)
    return request_of(callback, receipt, int(time.time()), Random(number))  # nosec B311 # a nonce of a benchmark


def question(callback: Callback) -> PushRequest:
    """The question whether the address is ours."""
    timestamp = str(int(time.time()))
    query = {"signature": sign(callback.token, timestamp, "1"), "timestamp": timestamp, "nonce": "1"}
    return PushRequest(f"{callback.url}?{urlencode({**query, 'echostr': '1'})}", b"", "")


def measure(call: Callable[[int], bool], rate: int, seconds: int) -> tuple[list[float], int]:
    """Call so often; return the milliseconds of each, and how many failed."""
    begin = time.perf_counter() + 0.2

    def one(number: int) -> tuple[float, bool]:
        due = begin + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        is_sound = call(number)
        return (time.perf_counter() - due) * 1000, is_sound

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(one, range(rate * seconds)))
    return [each for each, _ in found], sum(not is_sound for _, is_sound in found)


def over_http() -> Callable[[PushRequest], bool]:
    """Make requests, each thread over a connection of its own."""
    mine = threading.local()

    def ask(request: PushRequest) -> bool:
        parts = urlsplit(request.url)
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        headers = {"Content-Type": request.content_type} if request.body else {}
        method = "POST" if request.body else "GET"
        try:
            mine.connection.request(method, f"{parts.path}?{parts.query}", request.body or None, headers)
            answer = mine.connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            mine.connection.close()
            return False
        return bool(answer.status == http.client.OK)

    return ask


def row(name: str, times: list[float], failed: int) -> str:
    """A line of the table."""
    cuts = statistics.quantiles(times, n=100)
    return f"| {name} | {cuts[49]:,.2f} | {cuts[94]:,.2f} | {cuts[98]:,.2f} | {max(times):,.2f} | {failed} |"


def main() -> None:
    """Measure, and print a table in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.callback_door", description=__doc__)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    rate, seconds = options.rate, options.seconds
    print("| ms | p50 | p95 | p99 | longest | failed |\n| --- | --- | --- | --- | --- | --- |")
    with Stack(Settings(), report=lambda _: None) as stack:
        name = f"{stack.deployment.outputs['ParameterPath']}/{ACCOUNT}/callback"
        value = stack.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        keys = CallbackKeys.model_validate(json.loads(value))
        url = f"{stack.state.api_url}/v1/callbacks/{ACCOUNT}"
        callback = Callback(url, keys.keys[0].token, keys.keys[0].encoding_aes_key)
        door = CallbackDoor(_Store(keys), now=time.time)

        def in_process(number: int) -> bool:
            request = pushes[number]
            query = dict(parse_qsl(urlsplit(request.url).query))
            return bool(events_of(door.open(ACCOUNT, CallbackRequest(query, request.body)) or {}))

        ask = over_http()
        for each in range(_THREADS):  # the workers begin
            ask(push(callback, keys.app_id, -each - 1))
        pushes = [push(callback, keys.app_id, number) for number in range(rate * seconds)]
        print(row("the door in process", *measure(in_process, rate, seconds)), flush=True)
        questions = question(callback)
        print(row("the stack: a question", *measure(lambda _: ask(questions), rate, seconds)), flush=True)
        pushes = [push(callback, keys.app_id, number) for number in range(rate * seconds, 2 * rate * seconds)]
        print(row("the stack: a receipt", *measure(lambda number: ask(pushes[number]), rate, seconds)))


if __name__ == "__main__":
    main()
