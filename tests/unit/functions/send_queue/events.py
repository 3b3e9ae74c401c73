"""Events of the queue, and what the handler makes of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from functions.send_queue.handler import lambda_handler
from tests.fakes import FakeContext, Metric, Service, body, load_event, metrics
from tests.unit.standings import KEY

Capture = pytest.CaptureFixture[str]


def handle(event: str | dict[str, Any], *, seconds_left: float = 60.0) -> list[str]:
    """The ids of the records that go back."""
    event = load_event(event) if isinstance(event, str) else event
    response = lambda_handler(event, FakeContext(seconds_left))
    assert response.keys() == {"batchItemFailures"}
    assert all(item.keys() == {"itemIdentifier"} for item in response["batchItemFailures"])
    failed = [str(item["itemIdentifier"]) for item in response["batchItemFailures"]]
    assert len(set(failed)) == len(failed)
    assert set(failed) <= set(ids(event))
    return failed


def ids(event: dict[str, Any]) -> list[str]:
    return [record["messageId"] for record in event["Records"]]


def enqueued(*contents: object, key: str = KEY) -> dict[str, Any]:
    """SQS's event with one record for each message, all of them under the same id."""
    (record,) = load_event("send_queue/parked")["Records"]
    records = [
        {
            **record,
            "messageId": f"m{number}",
            "receiptHandle": f"r{number}",
            "body": json.dumps({"account": "shop", "id": key, "message": content}),
            "messageAttributes": {},
        }
        for number, content in enumerate(contents or [body()])
    ]
    return {"Records": records}


def told(service: Service) -> list[str]:
    return [domain_event.detail_type for domain_event in service.bus.events]


def counted(capsys: Capture) -> list[Metric]:
    """What was counted since the last look, without what is zero."""
    found = metrics(capsys.readouterr().out)
    return [metric for metric in found if metric.unit == "Count" and metric.value]


def totals(capsys: Capture) -> dict[str, int]:
    """The same under ``service`` alone."""
    total = Counter[str]()
    for metric in counted(capsys):
        total[metric.name] += 0 if metric.dimensions else int(metric.value)
    return dict(total)


def logged_ids(service: Service) -> list[str]:
    return sorted(line["message_id"] for line in service.lines("message attempted"))
