"""Metrics, as CloudWatch reads them from what is written to stdout."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.fakes import OPENID, START, FakeContext, Metric, Service, answer, message, metrics
from tests.unit.results import RESULTS, attempted, entry, report, values
from wechat_notify.core.delivery.results import Sent
from wechat_notify.core.delivery.sender import Delivery
from wechat_notify.core.outcomes import DomainEvent, Status
from wechat_notify.core.tokens.refresher import Refreshed
from wechat_notify.core.tokens.token import AccessToken

Capture = pytest.CaptureFixture[str]
Dimensions = dict[str, str]

SHOP = {"account": "shop"}
KIND = {"kind": "subscription"}
LATENCY = {"WeChatLatency": SHOP | KIND}


def error(name: str, errcode: str) -> Dimensions:
    return {"class": name, "errcode": errcode}


def replayed(result: str) -> dict[str, Dimensions]:
    return {"MessagesReplayed": {"result": result}}


# The metrics of each result, with what each is broken down by.
COUNTED: dict[str, dict[str, Dimensions]] = {
    "sent": LATENCY | {"MessagesSent": SHOP | KIND},
    "refused by the recipient": LATENCY | {"MessagesFailed": SHOP | error("recipient", "43101")},
    "failed while WeChat is busy": LATENCY | {"MessagesFailed": SHOP | error("transient", "-1")},
    "failed with an unknown errcode": LATENCY
    | {"MessagesFailed": SHOP | error("other", "99999"), "UnknownErrcode": {}},
    "answer lost": LATENCY | {"MessagesUnknown": SHOP | KIND},
    "failed without an attempt": {"MessagesFailed": SHOP | error("config", "40125")},
    "returned to the queue": LATENCY,
    "caller is told to repeat": LATENCY | {"MessagesFailed": SHOP | error("transient", "-1")},
    "answer not recorded": LATENCY | {"AnswersNotRecorded": {}},
    "sent by another invocation meanwhile": LATENCY,
    "no token, over HTTP": {"MessagesFailed": error("config", "40125")},
    "no token, from the queue": {},
    "held": {"MessagesHeld": SHOP},
    "queued": {},
    "queued before": replayed("replayed"),
    "failed before": replayed("replayed"),
    "in flight": replayed("in_flight"),
    "not due": replayed("not_due"),
    "id reused": replayed("id_reused"),
    "expired": {"MessagesExpired": KIND},
    "expired after an attempt": {"MessagesExpired": SHOP | KIND},
    "holder crashed": {"MessagesUnknown": SHOP | KIND},
    "given up": {"MessagesFailed": error("quota", "45009")},
    "no time left": {},
}


@pytest.mark.parametrize("case", RESULTS)
def test_metrics_of_each_result(service: Service, capsys: Capture, case: str) -> None:
    """Each is written in total and, where it is broken down, once more with these dimensions."""
    report(service, RESULTS[case])
    found = metrics(capsys.readouterr().out)
    assert {metric.name for metric in found} == COUNTED[case].keys()
    for name, dimensions in COUNTED[case].items():
        value, unit = (125.0, "Milliseconds") if name == "WeChatLatency" else (1, "Count")
        written = [{}, dimensions] if dimensions else [{}]
        assert [metric for metric in found if metric.name == name] == [
            Metric(name, each, value, unit) for each in written
        ]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("circuit.opened", True),
        ("quota.reached", True),
        ("circuit.closed", False),
        ("message.failed", False),
        ("token.failed", False),
    ],
)
def test_opened_circuits(service: Service, capsys: Capture, name: str, *, counts: bool) -> None:
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent(name, SHOP)], lambda: service.bus)
    opened = [Metric("CircuitsOpened", dimensions, 1, "Count") for dimensions in ({}, SHOP)]
    assert metrics(capsys.readouterr().out) == (opened if counts else [])


def test_unpublished_events(service: Service, capsys: Capture) -> None:
    service.bus.failing = "ServiceUnavailable"
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.publish([DomainEvent("message.failed", {})] * 2, lambda: service.bus)
    assert values(metrics(capsys.readouterr().out), "EventsNotPublished") == [({}, 2)]


def test_sums_of_one_invocation(service: Service, capsys: Capture) -> None:
    """Counts are summed up for each set of dimensions; the next invocation begins with none."""
    with service.telemetry.invocation(FakeContext()):
        for reason in ("expired", "expired", "malformed_body"):
            service.telemetry.refused(reason, account="nobody")
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


def test_latencies_are_written_once(service: Service, capsys: Capture) -> None:
    for _ in range(2):
        report(service, attempted(answer(0)))
        assert len(values(metrics(capsys.readouterr().out), "WeChatLatency")) == 2


def test_refused_account_is_no_dimension(service: Service, capsys: Capture) -> None:
    """Nobody has stored this account, and each name would be billed as a metric."""
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("unknown_account", account="nobody", message_id="order-1")
    written = capsys.readouterr().out
    assert "MessagesRefused" in written
    assert "nobody" not in written


def test_refusal_that_will_be_repeated(service: Service, capsys: Capture) -> None:
    """It has its line, and is counted as refused only at the end."""
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refused("internal_error", RuntimeError(), counts=False)
    assert len(service.lines("message refused")) == 1
    assert metrics(capsys.readouterr().out) == [Metric("MessagesUnforeseen", {}, 1, "Count")]


def test_metrics_of_the_refresher(service: Service, capsys: Capture) -> None:
    token = AccessToken("57_secret", START + 7200, START - 600)
    with service.telemetry.invocation(FakeContext()):
        service.telemetry.refreshed(
            [
                Refreshed("shop", token, calls=1),
                Refreshed("bank", token, calls=2, forced=True, stored=False),
                Refreshed("cafe", failure=answer(40164), calls=1),
                Refreshed("typo", failure=answer(40125)._replace(errcode=None)),
            ],
            START,
        )
    found = metrics(capsys.readouterr().out)
    broken_down = {(m.name, *m.dimensions.values()): (m.value, m.unit) for m in found if m.dimensions}
    assert broken_down == {
        ("TokenRefreshes", "shop"): (1, "Count"),
        ("TokenRefreshes", "bank"): (2, "Count"),
        ("TokenRefreshes", "cafe"): (1, "Count"),
        ("TokenRefreshes", "typo"): (0, "Count"),
        ("TokenAge", "shop"): (600.0, "Seconds"),
        ("TokenAge", "bank"): (600.0, "Seconds"),
        ("TokenNotStored", "bank"): (1, "Count"),
        ("TokenRefreshFailed", "cafe", "40164"): (1, "Count"),
        ("TokenRefreshFailed", "typo", "none"): (1, "Count"),
    }
    assert values(found, "TokenNotStored") == [({}, 1), ({"account": "bank"}, 1)]
    assert values(found, "TokenRefreshFailed") == [
        ({}, 1),
        ({"account": "cafe", "errcode": "40164"}, 1),
        ({}, 1),
        ({"account": "typo", "errcode": "none"}, 1),
    ]


def test_cold_start_is_counted_once(service: Service, capsys: Capture) -> None:
    for _ in range(2):
        with service.telemetry.invocation(FakeContext()):
            pass
    found = metrics(capsys.readouterr().out, starts=True)
    assert found == [Metric("ColdStart", {"function_name": FakeContext.function_name}, 1.0, "Count")]


def send(service: Service, *accounts: str) -> None:
    """One batch in which a message of each account was sent, and one message returned to the queue."""
    sent = Sent(entry=entry(Status.SENT), delivery=Delivery(answer(0), 1, 0.125))
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
    """One for each set of dimensions."""
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
            **SHOP,
            **KIND,
            "MessagesSent": [99],
            "WeChatLatency": [125.0] * 99,
        },
    ]
    send(service, "shop", "bank")
    assert [document.get("account") for document in documents(capsys)] == [None, "shop", "bank"]


@pytest.mark.parametrize(
    ("count", "lengths"), [(99, [99]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])]
)
def test_values_of_one_document(service: Service, capsys: Capture, count: int, lengths: list[int]) -> None:
    """CloudWatch takes at most 100 of one metric."""
    send(service, *["shop"] * count)
    sent = [document for document in documents(capsys) if "MessagesReturned" not in document]
    assert [len(document["WeChatLatency"]) for document in sent] == lengths
    assert sum(sum(document.get("MessagesSent", [])) for document in sent) == count
    assert service.lines("not reported") == []


def test_documents_have_no_openid(service: Service, capsys: Capture) -> None:
    report(service, attempted(answer(43101)))
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {document["service"] for document in written} == {service.telemetry.logger.service}
    assert OPENID not in json.dumps(written)
