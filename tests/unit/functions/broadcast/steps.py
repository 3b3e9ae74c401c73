"""Steps of broadcasts as the function gets them, and whole broadcasts in virtual time."""

from __future__ import annotations

import json
from typing import Any

from functions.broadcast.handler import lambda_handler
from tests.fakes import FakeContext, Service
from tests.fakes.step_queue import Step
from tests.unit.functions.send_queue.events import enqueued
from tests.unit.functions.send_queue.events import handle as send

Json = dict[str, Any]


def event(*bodies: str) -> Json:
    """SQS's event with one record for each body."""
    (record,) = enqueued()["Records"]
    numbered = enumerate(bodies)
    return {"Records": [{**record, "messageId": f"m{number}", "body": body} for number, body in numbered]}


def body_of(step: Step) -> str:
    return json.dumps({"account": step.account, "broadcast": step.broadcast_id, "step": step.step})


def handle(*bodies: str) -> list[str]:
    """The ids of the records that go back."""
    response = lambda_handler(event(*bodies), FakeContext())
    assert response.keys() == {"batchItemFailures"}
    return [str(item["itemIdentifier"]) for item in response["batchItemFailures"]]


def run(service: Service, seconds: float = 3600.0) -> None:
    """Let time pass: the functions do the steps and send the messages that are due."""
    end = service.clock.now() + seconds
    while True:
        times = (service.rows.next_due(), service.steps.next_due())
        dues = [due for due in times if due is not None and due <= end]
        if not dues:
            break
        service.clock.advance(max(0.0, min(dues) - service.clock.now()))
        while (body := service.rows.receive()) is not None:
            assert send(event(body)) == []
        step = service.steps.receive()
        if step is not None:
            assert handle(body_of(step)) == []
    service.clock.advance(end - service.clock.now())
