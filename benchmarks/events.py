"""What the handlers are given: the repository's sample events, with messages of their own."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

TEMPLATE_ID = "Zc8Yw1Xv5Ut0Ts9Rq4Po2Nm7Lk6Ji3Hg-FeDcBa_ZyX"
DATA = {
    "thing1": {"value": "春季新品礼盒"},
    "character_string2": {"value": "SF20260301"},
    "time3": {"value": "2026年3月1日 15:04"},
    "amount4": {"value": "¥128.00"},
}
URL = "https://shop.example.com/orders/20260301"
ACCOUNT = "shop"

_serial = itertools.count()


def _sample(name: str) -> dict[str, Any]:
    path = Path(__file__).parents[1] / "events" / name
    sample: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return sample


def openid(index: int) -> str:
    """A person, with as many characters as WeChat gives them."""
    return f"oQk3h5LrVfTnWb8xYc2{index:09d}"


def message(index: int) -> dict[str, Any]:
    """A message of the kind ``template``."""
    fields = {"kind": "template", "touser": openid(index), "template_id": TEMPLATE_ID}
    return fields | {"url": URL, "data": DATA}


def batch(size: int) -> dict[str, Any]:
    """An SQS batch as Lambda hands it over, whose messages have ids of their own."""
    record, serial = _sample("send_queue/sqs_batch.json")["Records"][0], next(_serial)
    return {
        "Records": [
            copy.deepcopy(record)
            | {
                "messageId": f"{serial:08x}-5f0c-4c7e-9d3a-{index:012x}",
                "body": json.dumps({"account": ACCOUNT, "message": message(index)}),
            }
            for index in range(size)
        ]
    }


def request() -> dict[str, Any]:
    """A request as an HTTP API hands it over, with a key of its own."""
    event, serial = _sample("send_api/idempotency_key.json"), next(_serial)
    event["headers"]["idempotency-key"] = f"order-{serial}"
    return event | {"body": json.dumps(message(serial), ensure_ascii=False)}


class Context:
    """What Lambda says of an invocation; it has a quarter of an hour, so that no batch is put off."""

    aws_request_id = "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"
    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 768
    invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:bench"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds that are left."""
        return 900_000
