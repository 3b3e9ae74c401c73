import hashlib
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from functions.send_api.handler import lambda_handler as send_api
from functions.send_queue.handler import lambda_handler as send_queue
from functions.token_refresh.handler import lambda_handler as token_refresh
from openapi import events
from tests import event_contract
from tests.fakes import OPENID, FakeContext, Service, answer, body, load_event, lost
from tests.unit.core.broadcasts.world import World, csv_file, openid
from tests.unit.functions.send_api.calls import cancel
from tests.unit.functions.send_queue.events import enqueued
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.events import EventBus
from wechat_notify.core.callbacks.events import Receipt
from wechat_notify.core.delivery.events import message_events
from wechat_notify.core.outcomes import DomainEvent, Outcome

ROOT = Path(__file__).parents[2]
EVENTS = sorted(
    path.relative_to(ROOT / "events")
    for path in (ROOT / "events").rglob("*.*")
    if path.parent.name not in {"schemas", "examples"}
)
NAMES = [path.with_suffix("").as_posix() for path in EVENTS]


def test_every_sample_event_is_used() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")} | {"published"}
    named = re.compile(rf'"((?:{"|".join(sorted(folders))})/\w+)"')
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    assert {path.suffix for path in EVENTS} == {".json"}
    assert set(NAMES) == {name for text in tests for name in named.findall(text)}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("send_api/")])
def test_http_events_have_payload_format_2(name: str) -> None:
    event = load_event(name)
    given, http = event["pathParameters"], event["requestContext"]["http"]
    path = "/v1/accounts/{account}/messages" + ("/{id}" if "id" in given else "")
    assert (event["version"], event["routeKey"]) == ("2.0", f"{http['method']} {path}")
    assert event["requestContext"]["routeKey"] == event["routeKey"]
    assert event["rawPath"] == http["path"] == path.format(**given)
    assert ("id" in given) == (http["method"] != "POST")
    assert "id" not in given or "body" not in event
    assert all(header == header.lower() for header in event["headers"])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("send_queue/")])
def test_queue_events_are_signed(name: str) -> None:
    for record in load_event(name)["Records"]:
        assert record["md5OfBody"] == md5(record["body"].encode())
        assert record["body"].isascii()
        attributes = record["messageAttributes"]
        assert record.get("md5OfMessageAttributes") == (md5(signed(attributes)) if attributes else None)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def signed(attributes: dict[str, Any]) -> bytes:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html"""
    text = b""
    for name, attribute in sorted(attributes.items()):
        for part, mark in ((name, b""), (attribute["dataType"], b""), (attribute["stringValue"], b"\x01")):
            text += mark + struct.pack(">I", len(part.encode())) + part.encode()
    return text


# ---------------------------------------------------------------- what the service publishes


def send(service: Service, *outcomes: Outcome) -> None:
    service.wechat.plan.extend(outcomes)
    send_api(load_event("send_api/send_subscription"), FakeContext())


def break_account(service: Service) -> None:
    service.store.tokens.clear()
    service.wechat.refuse_tokens("wx-shop", answer(40164))
    send(service)


def mend_account(service: Service) -> None:
    break_account(service)
    service.bus.events.clear()
    service.wechat.refusals.clear()
    service.clock.advance(300)
    send(service, answer(0))


def refuse_token(service: Service) -> None:
    service.wechat.refuse_tokens("wx-shop", answer(40125))
    token_refresh(load_event("token_refresh/schedule"), FakeContext())


def pause_broadcast(service: Service) -> None:
    world = World(bus=service.bus)
    world.answer = lambda _: 43101
    world.create(
        csv_file([openid(number) for number in range(400)]), name="spring sale", messages_per_second=2
    )
    world.run(600.0)


def finish_broadcast(service: Service) -> None:
    world = World(bus=service.bus)
    world.answer = lambda touser: 43101 if touser == openid(1) else 0
    world.create(csv_file([openid(number) for number in range(10)]), name="spring sale")
    world.run()


def settle(status: str) -> Callable[[Service], None]:
    def bring_about(service: Service) -> None:
        send(service, answer(0)._replace(msgid=1))
        reason = None if status == "success" else "user block"
        told = Receipt("1", OPENID, delivered=reason is None, reason=reason, at=0)
        settled = service.receipts.settle("shop", told, is_last=True, callback="callback")
        assert settled.entry
        service.bus.publish(message_events(settled.entry))

    return bring_about


ENVELOPE = "version id detail-type source account time region resources detail"
INVALID = answer(47003, "argument invalid! data.thing1.value invalid", field="thing1")
PUBLISHED: dict[str, Callable[[Service], None]] = {
    "published/message_failed": lambda service: send(service, INVALID),
    "published/message_unknown": lambda service: send(service, lost()),
    "published/message_delivered": settle("success"),
    "published/message_undelivered": settle("failed"),
    "published/circuit_opened": break_account,
    "published/circuit_closed": mend_account,
    "published/quota_reached": lambda service: send(service, answer(45009)),
    "published/token_failed": refuse_token,
    "published/broadcast_paused": pause_broadcast,
    "published/broadcast_finished": finish_broadcast,
}


def refuse_message(_: Service) -> None:
    send_queue(enqueued({"kind": "nonsense"}), FakeContext())


def cancel_in_doubt(service: Service) -> None:
    service.wechat.plan.append(lost())
    send_queue(enqueued(body(delivery="at_least_once")), FakeContext())
    cancel()


def replace_upload(service: Service) -> None:
    world = World(bus=service.bus)
    created = world.create(csv_file([openid(number) for number in range(10)]))
    world.objects.write(created.source, csv_file([openid(1)]))
    world.run()


OTHERWISE: dict[str, list[Callable[[Service], None]]] = {
    "message.failed": [refuse_message],
    "message.unknown": [cancel_in_doubt],
    "broadcast.finished": [replace_upload],
}
"""What brings about the fields that the examples do not have."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_described_field_is_published(service: Service, name: str) -> None:
    """That no other field is, the schemas tell whenever a test publishes."""
    detail_type = load_event(name)["detail-type"]
    for bring_about in (PUBLISHED[name], *OTHERWISE.get(detail_type, [])):
        bring_about(service)
    published = {
        field for event in service.bus.events if event.detail_type == detail_type for field in event.detail
    }
    assert published == event_contract.fields(detail_type)


def shape(value: object) -> object:
    """The names and the types of it."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return type(value).__name__


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_event_is_its_example(service: Service, name: str) -> None:
    example = load_event(name)
    assert list(example) == ENVELOPE.split()
    event_contract.check(example)
    PUBLISHED[name](service)
    (domain_event,) = service.bus.events
    assert (domain_event.detail_type, shape(domain_event.detail)) == (
        example["detail-type"],
        shape(example["detail"]),
    )
    assert list(domain_event.detail) == list(example["detail"])
    times = [value for key, value in example["detail"].items() if key in {"at", "opened_at", "held_until"}]
    assert all(re.fullmatch(r"2026-03-01T\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    (entry,) = put(domain_event)
    assert (entry["Source"], entry["DetailType"]) == (example["source"], example["detail-type"])
    assert shape(json.loads(entry["Detail"])) == shape(example["detail"])


def put(domain_event: DomainEvent) -> list[dict[str, Any]]:
    """What is given to EventBridge."""
    entries: list[dict[str, Any]] = []

    def put_events(*, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        entries.extend(Entries)
        return {"Entries": [{"EventId": "e"} for _ in Entries]}

    aws = Clients(lambda _: SimpleNamespace(put_events=put_events))
    assert EventBus(aws, "bus").publish([domain_event]) == 0
    return entries


def test_every_published_kind_is_described() -> None:
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/wechat_notify").rglob("*.py")]
    name = re.compile(r'"((?:message|circuit|quota|token|broadcast)\.[a-z]+)"')
    published = {found for path in sources for found in name.findall(path.read_text(encoding="utf-8"))}
    assert published == {load_event(example)["detail-type"] for example in PUBLISHED}
    assert published == events.PUBLISHED.keys()
