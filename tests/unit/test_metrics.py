"""The documents in which metrics are written to stdout, and how CloudWatch reads them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.fakes import FakeContext, Metric, Service, answer, message, metrics
from tests.unit.results import attempted, values

Capture = pytest.CaptureFixture[str]


def test_sums_of_one_invocation(service: Service, capsys: Capture) -> None:
    """Counts are summed up for each set of dimensions; the next invocation begins with none."""
    with service.telemetry.invocation(FakeContext()):
        for reason in ("expired", "expired", "malformed_body"):
            service.telemetry.refused(reason)
        service.telemetry.returned(3)
    found = metrics(capsys.readouterr().out)
    assert values(found, "MessagesRefused") == [
        ({}, 2),
        ({"reason": "expired"}, 2),
        ({}, 1),
        ({"reason": "malformed_body"}, 1),
    ]
    assert values(found, "MessagesReturned") == [({}, 3)]
    with service.telemetry.invocation(FakeContext()):
        pass
    assert metrics(capsys.readouterr().out) == []


def test_cold_start_is_counted_once(service: Service, capsys: Capture) -> None:
    for _ in range(2):
        with service.telemetry.invocation(FakeContext()):
            pass
    found = metrics(capsys.readouterr().out, starts=True)
    assert found == [Metric("ColdStart", {"function_name": FakeContext.function_name}, 1.0, "Count")]


def send(service: Service, *accounts: str) -> None:
    """One batch in which a message of each account was sent, and one message returned to the queue."""
    sent = attempted(answer(0))
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.returned(1)
        for account in accounts:
            service.telemetry.message(message(), sent, account=account, openid_hash=service.openid_hash)


def documents(capsys: Capture) -> list[dict[str, Any]]:
    """Each document that was written, without those of cold starts."""
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [document for document in written if "ColdStart" not in document]


def emf(dimensions: list[list[str]], **units: str) -> dict[str, Any]:
    """The part of a document that tells CloudWatch what the metrics are."""
    names = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    directive = {"Namespace": "WeChatNotify", "Dimensions": dimensions, "Metrics": names}
    return {"CloudWatchMetrics": [directive]}


def test_documents_of_one_batch(service: Service, capsys: Capture) -> None:
    """One for each set of dimensions, with nothing of the batch before."""
    send(service, *["shop"] * 99)
    written = documents(capsys)
    for document in written:
        assert document["_aws"].pop("Timestamp") / 1000 == pytest.approx(time.time(), abs=60)
    name = service.telemetry.logger.service
    by_kind = [["service"], ["service", "account", "kind"]]
    assert written == [
        {
            "_aws": emf([["service"]], MessagesReturned="Count"),
            "service": name,
            "MessagesReturned": [1],
        },
        {
            "_aws": emf(by_kind, MessagesSent="Count", WeChatLatency="Milliseconds"),
            "service": name,
            "account": "shop",
            "kind": "subscription",
            "MessagesSent": [99],
            "WeChatLatency": [125.0] * 99,
        },
    ]
    send(service, "shop", "bank")
    latencies = [(document.get("account"), document.get("WeChatLatency")) for document in documents(capsys)]
    assert latencies == [(None, None), ("shop", [125.0]), ("bank", [125.0])]


@pytest.mark.parametrize(("count", "lengths"), [(100, [100]), (101, [100, 1])])
def test_values_of_one_document(service: Service, capsys: Capture, count: int, lengths: list[int]) -> None:
    """CloudWatch takes at most 100 of one metric."""
    send(service, *["shop"] * count)
    sent = [document for document in documents(capsys) if "MessagesReturned" not in document]
    assert [len(document["WeChatLatency"]) for document in sent] == lengths
    assert sum(sum(document.get("MessagesSent", [])) for document in sent) == count
    assert service.lines("not reported") == []
