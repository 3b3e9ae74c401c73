"""Events of the queue, and what the handler makes of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from functions.send_api.handler import lambda_handler as send_api
from functions.send_queue.handler import lambda_handler
from tests.fakes import (
    FakeContext,
    Metric,
    Service,
    body,
    load_event,
    metrics,
)
from tests.unit.standings import KEY
from wechat_notify.core.delivery.entry import Entry

Capture = pytest.CaptureFixture[str]


def handle(name: str, *, seconds_left: float = 60.0) -> list[str]:
    """The ids of the records that go back."""
    event = load_event(name)
    response = lambda_handler(event, FakeContext(seconds_left))
    assert set(response) == {"batchItemFailures"}
    failed = [str(item["itemIdentifier"]) for item in response["batchItemFailures"]]
    assert all(set(item) == {"itemIdentifier"} for item in response["batchItemFailures"])
    assert len(set(failed)) == len(failed)
    assert set(failed) <= set(ids(event))
    return failed


def ids(event: dict[str, Any]) -> list[str]:
    return [record["messageId"] for record in event["Records"]]


def enqueued(
    *contents: object,
    key: str | None = KEY,
    account: str = "shop",
    receive_count: int = 1,
    attributes: dict[str, str] | None = None,
    **envelope: object,
) -> dict[str, Any]:
    """SQS's event with one record for each message, all of them under the same id."""
    (record,) = load_event("send_queue/parked")["Records"]
    records = []
    for number, content in enumerate(contents or [body()]):
        wrapped = {"account": account, "message": content, **({"id": key} if key else {}), **envelope}
        records.append(
            {
                **record,
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": json.dumps(wrapped),
                "attributes": {**record["attributes"], "ApproximateReceiveCount": str(receive_count)},
                "messageAttributes": {
                    name: {"stringValue": value, "dataType": "String"}
                    for name, value in (attributes or {}).items()
                },
            }
        )
    return {"Records": records}


def deliver(event: dict[str, Any]) -> list[str]:
    """The ids of the records that go back."""
    response = lambda_handler(event, FakeContext())
    return [str(item["itemIdentifier"]) for item in response["batchItemFailures"]]


def entry(service: Service, key: str = KEY, account: str = "shop") -> Entry:
    return service.ledger_store.entries[account, key]


def told(service: Service) -> list[str]:
    return [domain_event.detail_type for domain_event in service.bus.events]


def totals(capsys: Capture) -> dict[str, int]:
    """What was counted since the last look, under ``service`` alone."""
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.unit == "Count"]
    counted = Counter[str]()
    for metric in found:
        counted[metric.name] += 0 if metric.dimensions else int(metric.value)
    return {name: count for name, count in counted.items() if count}


def logged_ids(service: Service) -> list[str]:
    return [line["message_id"] for line in service.lines("message attempted")]


def counted(capsys: Capture, name: str) -> list[Metric]:
    found = [metric for metric in metrics(capsys.readouterr().out) if metric.name == name]
    return [metric for metric in found if metric.dimensions]


def over_http(prefer: str = "") -> dict[str, Any]:
    event = load_event("send_api/idempotency_key")
    event["headers"] |= {"idempotency-key": KEY, "prefer": prefer}
    response: dict[str, Any] = send_api({**event, "body": json.dumps(body())}, FakeContext())
    return response
